"""The replicated state of one partition of `__consumer_offsets`: groups and their committed offsets.

Invariants
- `replay` is the only thing that changes it, and it never refuses: the live state of a leader and the state that a new leader rebuilds
  from the log are the same function of the log (rule T11).
- `offset` and `offsets` answer the latest state, also what is not committed yet, for decisions; `committed_...` answer what is committed,
  for clients: an offset that a client has seen never goes back because of a failover.
- It depends on the last record of each key only, so compaction changes nothing: a group exists while it has metadata or offsets. One that
  only has offsets is a *simple group*: its metadata is None. (In Kafka a simple group without offsets still exists until the next check.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import TopicPartition
from raftkafka.coordinator.records import LogRecord
from raftkafka.group.records import CommittedOffset, GroupChange, GroupMetadata, OffsetChange, decode_change

GroupOffsets = dict[TopicPartition, CommittedOffset]


class GroupState:
    """Groups by id, in the order of their first record, and their offsets."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupMetadata | None] = {}
        self._offsets: dict[str, GroupOffsets] = {}
        self._uncommitted: deque[tuple[int, OffsetChange]] = deque()
        self._committed_before: dict[tuple[str, TopicPartition], CommittedOffset | None] = {}
        """For each offset with uncommitted changes: its committed value."""
        self.unreadable_count = 0

    def replay(self, record: LogRecord) -> None:
        """Applies one record; one that cannot be read changes nothing and is counted."""
        try:
            change = decode_change(record.key, record.value)
        except DecodeError:
            self.unreadable_count += 1
            return
        match change:
            case GroupChange(group_id, None) if group_id in self._offsets:
                self.groups[group_id] = None
            case GroupChange(group_id, None):
                self.groups.pop(group_id, None)
            case GroupChange(group_id, metadata):
                self.groups[group_id] = metadata
            case OffsetChange():
                self._replay_offset(record.offset, change)
            case None:
                pass

    def _replay_offset(self, log_offset: int, change: OffsetChange) -> None:
        partition = TopicPartition(change.topic, change.partition)
        previous = self._put(change.group_id, partition, change.committed)
        self._committed_before.setdefault((change.group_id, partition), previous)
        self._uncommitted.append((log_offset, change))
        if change.committed is not None:
            self.groups.setdefault(change.group_id, None)
        elif change.group_id not in self._offsets and self.groups.get(change.group_id) is None:
            self.groups.pop(change.group_id, None)

    def _put(self, group_id: str, partition: TopicPartition, committed: CommittedOffset | None) -> CommittedOffset | None:
        """Sets or removes an offset and returns what was there."""
        offsets = self._offsets.get(group_id)
        if committed is None:
            if offsets is None:
                return None
            previous = offsets.pop(partition, None)
            if not offsets:
                del self._offsets[group_id]
            return previous
        if offsets is None:
            offsets = self._offsets[group_id] = {}
        previous = offsets.get(partition)
        offsets[partition] = committed
        return previous

    def committed(self, high_watermark: int) -> None:
        """Everything below this log offset is committed."""
        while self._uncommitted and self._uncommitted[0][0] < high_watermark:
            _, change = self._uncommitted.popleft()
            partition = TopicPartition(change.topic, change.partition)
            latest = self._offsets.get(change.group_id, {}).get(partition)
            if latest is change.committed:
                self._committed_before.pop((change.group_id, partition), None)
            else:
                self._committed_before[change.group_id, partition] = change.committed

    def offset(self, group_id: str, partition: TopicPartition) -> CommittedOffset | None:
        """The latest offset, committed or not."""
        return self._offsets.get(group_id, {}).get(partition)

    def offsets(self, group_id: str) -> GroupOffsets:
        """All latest offsets of a group; not to be changed."""
        return self._offsets.get(group_id, {})

    def committed_offset(self, group_id: str, partition: TopicPartition) -> CommittedOffset | None:
        """The committed offset."""
        key = (group_id, partition)
        if key in self._committed_before:
            return self._committed_before[key]
        return self.offset(group_id, partition)

    def committed_offsets(self, group_id: str) -> Iterator[tuple[TopicPartition, CommittedOffset]]:
        """All committed offsets of a group, by topic and partition."""
        removed = (partition for group, partition in self._committed_before if group == group_id)
        for partition in sorted({*self.offsets(group_id), *removed}):
            committed = self.committed_offset(group_id, partition)
            if committed is not None:
                yield partition, committed

    def offsets_of_topics(self, topics: frozenset[str]) -> Iterator[tuple[str, TopicPartition]]:
        """Every latest offset in these topics, with its group."""
        for group_id, offsets in self._offsets.items():
            for partition in offsets:
                if partition.topic in topics:
                    yield group_id, partition
