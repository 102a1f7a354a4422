"""When faults come: a plan drawn from a seed, and a thread that carries it out and writes it into the history.

Invariants
- The same seed, faults and time give the same plan. One fault at a time is in force; between two there is quiet.
- Every fault of the list comes once before any comes again.
- `heal` leaves every node running and the network whole, whatever was in force.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from random import Random

import attrs

from jepsen_like.chaos.faults import FAULTS, InForce
from jepsen_like.chaos.recording import Recording
from jepsen_like.chaos.systems import Cluster

FIRST_AFTER_S = 5.0
QUIET_S = (2.0, 6.0)
QUIET_AT_THE_END_S = 3.0


@attrs.frozen(kw_only=True)
class Planned:
    """A fault from `at_s` on for `duration_s`, both since the start of the run; `seed` draws whom it meets."""

    at_s: float
    duration_s: float
    fault: str
    seed: int


def plan_faults(*, seed: int, faults: Sequence[str], time_s: float) -> tuple[Planned, ...]:
    """The faults of a run of `time_s` seconds, in order of time. A run too short for one gets one all the same, cut short."""
    rng = Random(f"nemesis {seed}")
    planned: list[Planned] = []
    bag: list[str] = []
    at_s = min(FIRST_AFTER_S, time_s / 4)
    end_s = time_s - min(QUIET_AT_THE_END_S, time_s / 4)
    while at_s < end_s:
        if not bag:
            bag = rng.sample(list(faults), len(faults))
        fault = bag.pop()
        duration_s = min(rng.uniform(*FAULTS[fault].duration_s), end_s - at_s)
        planned.append(Planned(at_s=round(at_s, 1), duration_s=round(duration_s, 1), fault=fault, seed=rng.randrange(1 << 32)))
        at_s += duration_s + rng.uniform(*QUIET_S)
    return tuple(planned)


class Nemesis(threading.Thread):
    """Carries out a plan. `in_force` says what is broken now, for the progress line; `log` all that was done; `crashes` which nodes had
    ended without being told to, which nothing in a history shows."""

    def __init__(self, *, cluster: Cluster, plan: Sequence[Planned], recording: Recording, stop: threading.Event) -> None:
        super().__init__(name="nemesis", daemon=True)
        self.in_force = ""
        self.log: list[str] = []
        self.crashes: list[str] = []
        self.error: BaseException | None = None
        self._cluster = cluster
        self._plan = plan
        self._recording = recording
        self._stop_event = stop

    def run(self) -> None:
        """One fault after the other, until the plan is done or the run ends."""
        try:
            late_s = 0.0
            for planned in self._plan:
                if self._wait_until(planned.at_s + late_s):
                    return
                self._one(planned)
                # What took longer than planned puts the rest off, so that there is quiet between faults all the same.
                late_s = max(late_s, self._recording.elapsed_s() - planned.at_s - planned.duration_s)
        except BaseException as error:
            self.error = error

    def heal(self) -> None:
        """Everything runs and reaches everything; for the end of a run, when the thread has ended."""
        self._revive()
        self._cluster.shape()
        self._cluster.resume(self._cluster.node_ids)
        self._cluster.start(self._cluster.node_ids)
        self.in_force = ""
        self._note("heal: every node runs and reaches every other")
        self._recording.nemesis("heal", {"fault": "heal", "nodes": self._cluster.node_ids, "phase": "end"})

    def _one(self, planned: Planned) -> None:
        self._revive()
        fault = FAULTS[planned.fault]
        self.in_force = planned.fault
        # The fault begins before it is done: what it makes wait belongs to it.
        self._recording.nemesis(planned.fault, {"fault": planned.fault, "nodes": [], "phase": "begin"})
        begun = fault.begin(self._cluster, Random(planned.seed))
        self.in_force = begun.text
        self._note(f"{planned.fault}: {begun.text}")
        self._stop_event.wait(planned.duration_s)
        self._end(planned, begun)

    def _revive(self) -> None:
        """Between faults every node should run."""
        for node_id in self._cluster.dead():
            self.crashes.append(
                f"Node {node_id} ended by itself before {self._recording.elapsed_s():.0f} s; node{node_id}.log may say why."
            )
            self._note(f"node {node_id} has ended by itself; it is started again")
            self._cluster.start([node_id])

    def _end(self, planned: Planned, begun: InForce) -> None:
        begun.undo()
        self._note(f"{planned.fault}: over")
        value = {"fault": planned.fault, "nodes": list(begun.nodes), "phase": "end", "text": begun.text}
        self._recording.nemesis(planned.fault, value)
        self.in_force = ""

    def _wait_until(self, at_s: float) -> bool:
        """Whether the run ends before that time."""
        return self._stop_event.wait(max(0.0, at_s - self._recording.elapsed_s()))

    def _note(self, text: str) -> None:
        self.log.append(f"{self._recording.elapsed_s():8.1f} s  {text}")
