"""Replays the committed part of `__consumer_offsets` beside the coordinators, and compares."""

from __future__ import annotations

from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import NodeId
from raftkafka.coordinator.records import LogRecord, decode_batches
from raftkafka.group.coordinator import GroupCoordinator
from raftkafka.group.records import GroupChange, GroupMetadata, OffsetChange, decode_change
from raftkafka.group.state import GroupState
from raftkafka.protocol.framing import read_versioned
from raftkafka.protocol.messages.consumer_protocol import ConsumerProtocolAssignment
from raftkafka.simulation.invariants import groups
from raftkafka.simulation.invariants.memory import PartitionMemory, ReplicaView
from raftkafka.simulation.invariants.mirror import LogMirror


class _Replay:
    """One partition of the topic, replayed up to `end_offset`."""

    def __init__(self) -> None:
        self.state = GroupState()
        self.end_offset = 0


class GroupEye:
    """Of a whole world."""

    def __init__(self) -> None:
        self._replays: dict[int, _Replay] = {}
        self._ever: dict[str, dict[int, None]] = {}
        self._lost = False

    def ever_committed(self, key: str) -> dict[int, None] | None:
        """Every offset that any group ever committed in a partition, oldest first; None when an unclean election has taken some away."""
        return None if self._lost else self._ever.get(key, {})

    def look(self, view: ReplicaView, memory: PartitionMemory, mirror: LogMirror, coordinator: GroupCoordinator) -> None:
        """The leader of a partition of the topic has changed, and perhaps its high watermark has moved."""
        if memory.unclean_epoch >= 0:
            self._lost = True
        if self._lost:
            return
        partition = memory.key.partition
        replay = self._replays.get(partition)
        if replay is None:
            replay = self._replays[partition] = _Replay()
        if replay.end_offset < memory.true_high_watermark <= mirror.end_offset:
            self._go_on(replay, mirror.bytes_between(replay.end_offset, memory.true_high_watermark))
            replay.end_offset = memory.true_high_watermark
        if view.high_watermark == view.log_end_offset == replay.end_offset and view.log_start_offset == 0:
            table = coordinator.active_table(partition, view.leader_epoch)
            if table is not None:
                groups.live_state_is_the_replay(partition, NodeId(view.node_id), table.state, replay.state)

    def _go_on(self, replay: _Replay, data: bytes) -> None:
        records, _ = decode_batches(data)
        for record in records:
            self._note(replay.state, record)
            replay.state.replay(record)
        if records:
            replay.state.committed(records[-1].offset + 1)

    def _note(self, state: GroupState, record: LogRecord) -> None:
        try:
            change = decode_change(record.key, record.value)
        except DecodeError:
            return
        match change:
            case GroupChange(group_id, GroupMetadata() as metadata):
                groups.generation_monotonic(group_id, state.groups.get(group_id), metadata)
                if metadata.members and metadata.protocol_type == "consumer":
                    given = {member.member_id: _partitions_in(member.assignment) for member in metadata.members}
                    groups.one_owner(group_id, metadata.generation, given)
            case OffsetChange(_, topic, partition, committed) if committed is not None:
                ever = self._ever.setdefault(f"{topic}-{partition}", {})
                ever.pop(committed.offset, None)
                ever[committed.offset] = None
            case _:
                pass


def _partitions_in(assignment: bytes) -> list[tuple[str, int]]:
    if not assignment:
        return []
    try:
        decoded, _ = read_versioned(ConsumerProtocolAssignment, assignment)
    except DecodeError:
        return []
    return [(part.topic, partition) for part in decoded.assigned_partitions for partition in part.partitions]
