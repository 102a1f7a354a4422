"""One process of the workload: a producer and a consumer of confluent-kafka, and the operations that both do.

Invariants
- Every operation is recorded as it begins and as it ends, also when it ends in an exception.
- After an operation whose result is not known, or an error of the idempotent producer, the session is `broken`: whoever uses it closes it
  and makes another one, with another process number.
- `positions` are the offsets after what this process has read of each key that it is assigned.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from jepsen_like.chaos.recording import Recording
from jepsen_like.chaos.results import class_of, class_of_all
from jepsen_like.history import OpType

SEND_TIMEOUT_S = 10.0
POLL_TIMEOUT_S = 0.05
MAX_MESSAGES = 500
COMMIT_TIMEOUT_S = 5.0

_FAST_RETRIES = {
    "socket.timeout.ms": 4000,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
    "topic.metadata.refresh.interval.ms": 5000,
    "log_level": 0,
    "error_cb": lambda error: None,  # what matters comes with the operation that it spoils
}

_SILENT = logging.getLogger("jepsen_like.chaos.clients")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class Session:
    """The clients of one process number."""

    def __init__(self, *, process: int, bootstrap: str, topic: str, group: str, recording: Recording) -> None:
        self.process = process
        self.broken = False
        self.positions: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        """The end of what this process has seen, in sends and polls, of each key."""
        self._topic = topic
        self._rebalanced: set[str] = set()
        self._recording = recording
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": f"chaos-{process}",
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,
                "message.timeout.ms": int(SEND_TIMEOUT_S * 1000),
                "request.timeout.ms": 4000,
                "retry.backoff.ms": 50,
                **_FAST_RETRIES,
            },
            logger=_SILENT,
        )
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": f"chaos-{process}",
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "check.crcs": True,
                "session.timeout.ms": 6000,
                "fetch.wait.max.ms": 50,
                "fetch.error.backoff.ms": 50,
                "topic.metadata.propagation.max.ms": 5000,
                **_FAST_RETRIES,
            },
            logger=_SILENT,
        )

    # --- operations

    def send(self, sends: Sequence[tuple[str, int]]) -> None:
        """Sends values to keys and waits for all the answers."""
        self._recording.invoke(self.process, "send", [["send", key, value] for key, value in sends])
        offsets: list[int | None] = [None] * len(sends)
        codes: list[int | None] = [None] * len(sends)
        left = set(range(len(sends)))
        texts: list[str] = []

        def delivered(place: int, error: Any, message: Message) -> None:
            left.discard(place)
            if error is None:
                offsets[place] = message.offset()
            else:
                codes[place] = error.code()
                texts.append(error.name())

        for place, (key, value) in enumerate(sends):
            try:
                self._producer.produce(
                    self._topic,
                    value=str(value),
                    partition=partition_of(key),
                    on_delivery=functools.partial(delivered, place),
                )
            except (KafkaException, BufferError) as error:
                left.discard(place)
                codes[place] = error.args[0].code() if isinstance(error, KafkaException) else -184
                texts.append(str(error))
        deadline = time.monotonic() + SEND_TIMEOUT_S + 5
        while left and time.monotonic() < deadline:
            with contextlib.suppress(KafkaException):  # a fatal error of the producer; the records' own errors follow
                self._producer.poll(0.2)
        for place in left:
            codes[place] = -192
            texts.append("no answer from the client library")
        kind = class_of_all(codes)
        self.broken |= kind is not OpType.OK
        done = [["send", key, [offset, value]] for (key, value), offset in zip(sends, offsets, strict=True)]
        self._recording.complete(kind, self.process, "send", done, ", ".join(sorted(set(texts))) or None)
        for (key, _), offset in zip(sends, offsets, strict=True):
            if offset is not None:
                self.seen[key] = max(self.seen.get(key, 0), offset + 1)

    def poll(self, timeout_s: float = POLL_TIMEOUT_S) -> int:
        """Reads what there is; how many records came. An error that came with nothing is a failed poll: reading has no effect."""
        self._recording.invoke(self.process, "poll", [["poll"]])
        read: dict[str, list[list[int]]] = {}
        error: str | None = None
        try:
            first = self._consumer.poll(timeout_s)
            messages = [] if first is None else [first, *self._consumer.consume(MAX_MESSAGES - 1, 0)]
            for message in messages:
                trouble = message.error()
                if trouble is not None:
                    error = trouble.name()
                    continue
                key, offset, value = record_of(message)
                read.setdefault(key, []).append([offset, value])
        except KafkaException as failed:
            error = failed.args[0].name()
        except ValueError as failed:
            error = f"a value that nobody has sent: {failed}"
        kind = OpType.OK if read or error is None else OpType.FAIL
        rebalanced = [["rebalance", sorted(self._rebalanced)]] if self._rebalanced else []
        self._rebalanced.clear()
        self._recording.complete(kind, self.process, "poll", [["poll", read], *rebalanced], error)
        for key, records in read.items():
            self.positions[key] = records[-1][0] + 1
            self.seen[key] = max(self.seen.get(key, 0), self.positions[key])
        return sum(map(len, read.values()))

    def assign(self, positions: Mapping[str, int]) -> None:
        """Reads these keys from now on, each from its position."""
        keys = sorted(positions)
        self._recording.invoke(self.process, "assign", keys)
        self._consumer.assign([TopicPartition(self._topic, partition_of(key), positions[key]) for key in keys])
        self.positions = dict(positions)
        self._recording.complete(OpType.OK, self.process, "assign", keys)

    def subscribe(self, keys: Sequence[str]) -> None:
        """Reads the topic as a member of the group; the group decides which keys."""
        self._recording.invoke(self.process, "subscribe", list(keys))
        self._consumer.subscribe([self._topic], on_assign=self._moved, on_revoke=self._moved, on_lost=self._moved)
        self._recording.complete(OpType.OK, self.process, "subscribe", list(keys))

    def _moved(self, _consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """The group has given or taken keys, in the middle of a poll: where this process is in them is for the group to say."""
        for partition in partitions:
            key = key_of(partition.partition)
            self._rebalanced.add(key)
            self.positions.pop(key, None)

    def commit(self) -> None:
        """Commits this process's positions in its group."""
        positions = dict(self.positions)
        if not positions:
            return
        self._recording.invoke(self.process, "commit", positions)
        error: str | None = None
        kind = OpType.OK
        try:
            offsets = [TopicPartition(self._topic, partition_of(key), offset) for key, offset in sorted(positions.items())]
            for answer in self._consumer.commit(offsets=offsets, asynchronous=False) or ():
                if answer.error is not None:
                    kind, error = OpType.INFO, answer.error.name()
        except KafkaException as failed:
            kind, error = class_of(failed.args[0].code()), failed.args[0].name()
        self._recording.complete(kind, self.process, "commit", positions, error)

    def committed(self, keys: Sequence[str]) -> dict[str, int]:
        """What the group's coordinator says was committed; empty when it does not answer."""
        self._recording.invoke(self.process, "committed", {})
        try:
            asked = [TopicPartition(self._topic, partition_of(key)) for key in keys]
            answers = self._consumer.committed(asked, timeout=COMMIT_TIMEOUT_S)
        except KafkaException as failed:
            self._recording.complete(OpType.FAIL, self.process, "committed", {}, failed.args[0].name())
            return {}
        answered = [answer for answer in answers if answer.error is None]
        found = {key_of(answer.partition): answer.offset if answer.offset >= 0 else None for answer in answered}
        self._recording.complete(OpType.OK, self.process, "committed", found)
        return {key: offset for key, offset in found.items() if offset is not None}

    def crash(self) -> None:
        """This process is never heard of again. Its clients are closed behind everybody's back, since that may take a while."""
        self._recording.invoke(self.process, "crash", None)
        self._recording.complete(OpType.INFO, self.process, "crash", None)
        self.close()

    def close(self) -> None:
        """Gives the clients back, in a thread of its own."""
        threading.Thread(target=self._close, daemon=True).start()

    def _close(self) -> None:
        with contextlib.suppress(KafkaException):
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)
            self._producer.poll(0)
        with contextlib.suppress(KafkaException, RuntimeError):
            self._consumer.close()


def record_of(message: Message) -> tuple[str, int, int]:
    """The key, offset and value of a record; ValueError for a value that is no number."""
    partition, offset, value = message.partition(), message.offset(), message.value()
    assert partition is not None and offset is not None
    return key_of(partition), offset, int(value or b"")


TOPIC = "records"


def key_of(partition: int) -> str:
    """The key of a partition, as the history names it."""
    return f"{TOPIC}-{partition}"


def partition_of(key: str) -> int:
    """The partition of a key."""
    return int(key.rpartition("-")[2])
