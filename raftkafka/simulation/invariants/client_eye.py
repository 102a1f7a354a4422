"""Hears what the clients of a world are told, and holds it against what was committed at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raftkafka.simulation.invariants import groups, replicas
from raftkafka.simulation.invariants.group_eye import GroupEye
from raftkafka.simulation.invariants.memory import ClusterMemory, PartitionMemory


class ClientEye:
    """Of a whole world. `acks_all`: whether its producers ask for acks=all."""

    def __init__(self, memory: ClusterMemory, group_eye: GroupEye, *, acks_all: bool) -> None:
        self._memory = memory
        self._groups = group_eye
        self._acks_all = acks_all
        self._found: dict[str, PartitionMemory] = {}

    def told(self, f: str, value: Any) -> None:
        """An operation of the history has succeeded; raises `Violation`."""
        if not self._memory.images:
            return  # these nodes are none of ours
        match f:
            case "send" if self._acks_all:
                ends: dict[str, int] = {}
                for _, key, (offset, _) in value:
                    if offset is not None and offset >= ends.get(key, 0):
                        ends[key] = offset + 1
                for key, end_offset in ends.items():
                    self._acknowledged(key, end_offset)
            case "poll":
                for key, records in value[0][1].items():
                    self._delivered(key, records)
            case "delete":
                for key, offset in value.items():
                    partition = self._partition(key)
                    if partition is not None and partition.unclean_epoch < 0:
                        replicas.deleted_in_every_electable_log(offset, key, partition)
            case "commit" | "committed":
                check = groups.answered_commit_is_committed if f == "commit" else groups.served_offset_is_committed
                for key, offset in value.items():
                    committed = self._groups.ever_committed(key)
                    if committed is not None:
                        check(key, offset, committed)
            case _:
                pass

    def deletion_told(self, slot: tuple[str, int], offset: int) -> None:
        """Somebody asks for records to be deleted."""
        partition = self._partition(f"{slot[0]}-{slot[1]}")
        if partition is not None:
            partition.deletable_end = max(partition.deletable_end, offset)

    def ends_known(self, slot: tuple[str, int]) -> dict[int, int]:
        """Where leaders have said by now that a partition ends, by their epochs: who asks now may not be told less."""
        partition = self._partition(f"{slot[0]}-{slot[1]}")
        return {} if partition is None else dict(partition.ends_told)

    def end_told(self, slot: tuple[str, int], leader_epoch: int, end_offset: int, told_before: Mapping[int, int]) -> None:
        """A leader has said where a partition ends, to somebody who asked when `told_before` was known."""
        key = f"{slot[0]}-{slot[1]}"
        partition = self._partition(key)
        if partition is not None and partition.unclean_epoch < 0:
            replicas.latest_never_goes_back(key, leader_epoch, end_offset, told_before)
            partition.ends_told[leader_epoch] = max(partition.ends_told.get(leader_epoch, 0), end_offset)

    def commit_told(self, generation: int, newest: int, text: str) -> None:
        """A group's commit was answered."""
        groups.stale_commits_refused(generation, newest, text)

    def _acknowledged(self, key: str, end_offset: int) -> None:
        partition = self._partition(key)
        if partition is not None and partition.unclean_epoch < 0:
            replicas.acknowledged_is_committed(end_offset, key, partition)

    def _delivered(self, key: str, records: list[list[int]]) -> None:
        partition = self._partition(key)
        if partition is not None and partition.unclean_epoch < 0:
            delivered, committed = partition.delivered, partition.true_high_watermark
            for offset, value in records:
                if offset >= committed or delivered.setdefault(offset, value) != value:  # called only where it has something to say
                    replicas.consistent_read(offset, value, key, partition)

    def _partition(self, key: str) -> PartitionMemory | None:
        """The partition of the newest metadata; a topic that is deleted and made anew is another one."""
        known = self._found.get(key)
        topics = self._memory.image.topics
        if known is not None and known.key.topic_id in topics.by_id:
            return known
        topic, _, index = key.rpartition("-")
        image = topics.by_name.get(topic)
        if image is None:
            return None
        for each, partition in self._memory.partitions.items():
            if each.topic_id == image.topic_id and each.partition == int(index):
                self._found[key] = partition
                return partition
        return None
