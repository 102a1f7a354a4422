"""One partition's groups as a shard of the coordinator runtime: what happens when its term begins and ends."""

from __future__ import annotations

import random

from raftkafka.base.errors import ErrorCode
from raftkafka.coordinator.records import LogRecord
from raftkafka.coordinator.runtime import ShardHandle
from raftkafka.coordinator.timers import Instant
from raftkafka.group.classic_group import ClassicGroupState
from raftkafka.group.group_table import GroupTable
from raftkafka.group.joining import join_error
from raftkafka.group.rebalance import prepare_rebalance, schedule_heartbeat
from raftkafka.group.removal import expire
from raftkafka.group.settings import GroupSettings
from raftkafka.protocol.messages.sync_group import SyncGroupResponse

_EXPIRY_KEY = ("expiry",)


class GroupShard:
    """Implements `coordinator.runtime.Shard`; the operations work on its `table`."""

    def __init__(self, *, handle: ShardHandle, settings: GroupSettings, rng: random.Random) -> None:
        self.table = GroupTable(handle=handle, settings=settings, rng=rng)

    def replay(self, record: LogRecord) -> None:
        """See `GroupState.replay`."""
        self.table.state.replay(record)

    def committed(self, high_watermark: int) -> None:
        """See `GroupState.committed`."""
        self.table.state.committed(high_watermark)

    def loaded(self, instant: Instant) -> None:
        """Gives every member a whole session to be heard of, and a group that is larger than allowed a rebalance."""
        table = self.table
        for group_id in [group_id for group_id, metadata in table.state.groups.items() if metadata is not None and metadata.members]:
            group = table.find(group_id)
            assert group is not None, "a group of the state has no machine"
            for member in group.members.values():
                schedule_heartbeat(table, group, member, instant)
            if len(group.members) > table.settings.max_size:
                prepare_rebalance(table, group, "the group is larger than group.max.size", instant)
        if table.state.unreadable_count:
            table.observe("group-records-unreadable", count=table.state.unreadable_count)
        self._schedule_expiry(instant)

    def unloaded(self, instant: Instant) -> None:
        """Tells everyone who is parked that the coordinator is elsewhere."""
        for group in self.table.machines.values():
            group.transition_to(ClassicGroupState.DEAD, instant.wall_ms)
            for member in group.members.values():
                member.complete_join(join_error(member.member_id, ErrorCode.NOT_COORDINATOR))
                member.complete_sync(SyncGroupResponse(error_code=ErrorCode.NOT_COORDINATOR))
        self.table.machines.clear()

    def _schedule_expiry(self, instant: Instant) -> None:
        def run(later: Instant) -> None:
            expire(self.table, later)
            self._schedule_expiry(later)

        self.table.timers.schedule(_EXPIRY_KEY, instant.now_ms + self.table.settings.offsets_retention_check_interval_ms, run)
