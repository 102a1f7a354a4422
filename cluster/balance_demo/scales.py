"""What each broker carries, measured from outside: bytes that clients counted, and who leads what by the metadata.

Through a leader go the bytes that producers wrote, once in and once to each follower, and those that consumers read; through a follower go
those that were written. This is the network traffic of a broker. The controller balances by it and by the number of requests; what is
balanced for it should be so from outside too.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping

import attrs
from confluent_kafka.admin import AdminClient

from cluster.balance_demo.load import SkewedLoad

SAMPLE_S = 0.5
WINDOW = 3


@attrs.frozen(kw_only=True)
class Sample:
    """What happened in the `SAMPLE_S` before `at_s`, in bytes a second by broker; `moved` are the partitions that changed their leader."""

    at_s: float
    loads: Mapping[int, float]
    moved: tuple[int, ...]


class Scales:
    """Takes samples in a thread until `stop`."""

    def __init__(self, bootstrap: str, topic: str, load: SkewedLoad) -> None:
        self.samples: list[Sample] = []
        self.leaders: dict[int, int] = {}
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._topic = topic
        self._load = load
        self.began = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def now_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def between(self, began_s: float, ended_s: float = math.inf) -> list[Sample]:
        """The samples that lie between these moments."""
        return [sample for sample in self.samples if sample.at_s - SAMPLE_S >= began_s - 0.01 and sample.at_s <= ended_s]

    def _run(self) -> None:
        before = self._counts()
        before_s = self.now_s
        while not self._is_over.wait(max(0.0, before_s + SAMPLE_S - self.now_s)):
            counts, now_s = self._counts(), self.now_s
            live, replicas, moved = self._look()
            loads = dict.fromkeys(live, 0.0)
            for partition, brokers in replicas.items():
                bytes_in = (counts[0][partition] - before[0][partition]) / (now_s - before_s)
                bytes_out = (counts[1][partition] - before[1][partition]) / (now_s - before_s)
                for broker in filter(loads.__contains__, brokers):
                    loads[broker] += bytes_in * len(brokers) + bytes_out if broker == self.leaders[partition] else bytes_in
            self.samples.append(Sample(at_s=now_s, loads=loads, moved=moved))
            before, before_s = counts, now_s

    def _counts(self) -> tuple[list[int], list[int]]:
        return list(self._load.acked_bytes), list(self._load.consumed_bytes)

    def _look(self) -> tuple[list[int], dict[int, list[int]], tuple[int, ...]]:
        """The live brokers, the replicas of each partition, and which partitions have another leader than before."""
        metadata = self._admin.list_topics(self._topic, timeout=10)
        found = metadata.topics[self._topic].partitions
        leaders = {partition: each.leader for partition, each in sorted(found.items())}
        moved = tuple(partition for partition, leader in leaders.items() if self.leaders.get(partition, leader) != leader)
        self.leaders = leaders
        return sorted(metadata.brokers), {partition: list(each.replicas) for partition, each in sorted(found.items())}, moved


def peak_to_mean(samples: list[Sample]) -> float:
    """The hottest broker's load beside the mean, both averaged over the samples; 1 is perfect."""
    brokers = sorted({broker for sample in samples for broker in sample.loads})
    totals = [sum(sample.loads.get(broker, 0.0) for sample in samples) for broker in brokers]
    return max(totals, default=0.0) * len(totals) / (sum(totals) or 1.0)


def balanced_after_s(samples: list[Sample], *, limit: float) -> float | None:
    """Seconds from the first sample on until no broker carries more than `limit` times the mean for good; None when one does at the end.

    Each moment is judged by `WINDOW` samples: a single one holds too few batches to say much.
    """
    balanced_s: float | None = None
    for end in range(WINDOW, len(samples) + 1):
        if peak_to_mean(samples[end - WINDOW : end]) > limit:
            balanced_s = None
        elif balanced_s is None:
            balanced_s = samples[end - 1].at_s - samples[0].at_s + SAMPLE_S
    return balanced_s
