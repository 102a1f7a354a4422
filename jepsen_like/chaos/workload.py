"""The clients of a run: threads that each are one process after another, sending, polling, assigning and committing by chance.

Source: the workload of Jepsen's Kafka tests (jepsen.tests.kafka): operations of one to four sends, polls, changes of what is assigned in
one of 64, a crash every thirty seconds or so, and another process after every operation whose result is not known.

Invariants
- Values are unique: one counter for all.
- A key is a partition; its owner is nobody: all processes send to all keys.
- All commit in one group, so that its offsets are a register for each key. A new process begins to read what was committed last, by
  whomever.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from random import Random

import attrs

from jepsen_like.chaos.recording import Recording
from jepsen_like.chaos.session import Session, key_of

ASSIGN_ONE_IN = 64
CRASH_EVERY_S = 30.0
GROUP = "chaos"
_SHARES = (("send", 55), ("poll", 40), ("commit", 3), ("committed", 2))
FINAL_READ_S = 200.0
_SILENCE_S = 1.5


@attrs.frozen(kw_only=True)
class WorkloadSettings:
    """`subscribe`: consumers are members of one group and get their keys from it, in place of assigning them."""

    workers: int = 5
    partitions: int = 4
    subscribe: bool = False
    operations_per_s: float = 60.0
    """The most that one worker does."""

    @property
    def keys(self) -> list[str]:
        return [key_of(partition) for partition in range(self.partitions)]


@attrs.define(eq=False)
class Known:
    """What all workers together know: the next value, the next process number, and the end of each key."""

    values: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))
    processes: Iterator[int] = attrs.field(factory=itertools.count)
    ends: dict[str, int] = attrs.field(factory=dict)
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def note(self, seen: dict[str, int]) -> None:
        """Takes over what a process has seen of ends."""
        with self.lock:
            for key, end in seen.items():
                self.ends[key] = max(self.ends.get(key, 0), end)


class Worker(threading.Thread):
    """One worker. `error` is what ended it too early, if anything did."""

    def __init__(
        self,
        number: int,
        *,
        seed: int,
        bootstrap: str,
        topic: str,
        settings: WorkloadSettings,
        known: Known,
        recording: Recording,
        stop: threading.Event,
    ) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self.error: BaseException | None = None
        self._number = number
        self._rng = Random(f"worker {number} {seed}")
        self._servers = bootstrap
        self._topic = topic
        self._settings = settings
        self._known = known
        self._recording = recording
        self._stop_event = stop

    def run(self) -> None:
        """One session after another until the run ends."""
        try:
            while not self._stop_event.is_set():
                session = self._session()
                self._live(session)
                self._known.note(session.seen)
                session.crash()
        except BaseException as error:
            self.error = error

    def _session(self) -> Session:
        settings = self._settings
        session = new_session(known=self._known, bootstrap=self._servers, topic=self._topic, group=GROUP, recording=self._recording)
        if settings.subscribe:
            session.subscribe(settings.keys)
        else:
            committed = session.committed(settings.keys)
            session.assign({key: committed.get(key, 0) for key in self._some_keys()})
        return session

    def _live(self, session: Session) -> None:
        """Operations until the process crashes, by chance or because it has to, or the run ends."""
        rng = self._rng
        end_s = time.monotonic() + rng.uniform(0.5, 1.5) * CRASH_EVERY_S
        interval_s = 1 / self._settings.operations_per_s
        names, weights = [name for name, _ in _SHARES], [weight for _, weight in _SHARES]
        while not self._stop_event.is_set() and not session.broken and time.monotonic() < end_s:
            begin = time.monotonic()
            if not self._settings.subscribe and rng.randrange(ASSIGN_ONE_IN) == 0:
                self._reassign(session)
            else:
                self._operation(session, rng.choices(names, weights)[0])
            spare_s = interval_s - (time.monotonic() - begin)
            if spare_s > 0:
                self._stop_event.wait(spare_s)

    def _operation(self, session: Session, name: str) -> None:
        if name == "send":
            keys = self._settings.keys
            session.send([(self._rng.choice(keys), next(self._known.values)) for _ in range(self._rng.randint(1, 4))])
        elif name == "poll":
            session.poll()
        elif name == "commit":
            session.commit()
        else:
            session.committed(self._settings.keys)

    def _reassign(self, session: Session) -> None:
        """Keys that are kept go on where they are; new ones begin at the start, or at an end that this process knows of."""
        positions = {}
        for key in self._some_keys():
            fresh = 0 if self._rng.random() < 0.5 else session.seen.get(key, 0)
            positions[key] = session.positions.get(key, fresh)
        session.assign(positions)

    def _some_keys(self) -> list[str]:
        keys = self._settings.keys
        return sorted(self._rng.sample(keys, self._rng.randint(max(1, len(keys) // 2), len(keys))))


def new_session(*, known: Known, bootstrap: str, topic: str, group: str, recording: Recording) -> Session:
    """A session with a process number that nobody has had."""
    return Session(process=next(known.processes), bootstrap=bootstrap, topic=topic, group=group, recording=recording)


def final_reads(*, known: Known, bootstrap: str, topic: str, keys: Sequence[str], recording: Recording, stop: threading.Event) -> bool:
    """Reads every key from its beginning until past the last offset that anybody knows of; whether that was reached in time.

    Goes on until nothing more comes: what was sent with an unknown result may stand behind the last known offset.
    """
    session = new_session(known=known, bootstrap=bootstrap, topic=topic, group="chaos-final", recording=recording)
    session.assign(dict.fromkeys(keys, 0))
    deadline = time.monotonic() + FINAL_READ_S
    silent_since = time.monotonic()
    try:
        while time.monotonic() < deadline and not stop.is_set():
            if session.poll(timeout_s=0.2):
                silent_since = time.monotonic()
            past_all = all(session.positions.get(key, 0) >= end for key, end in known.ends.items())
            if past_all and time.monotonic() - silent_since > _SILENCE_S:
                return True
        return False
    finally:
        session.close()
