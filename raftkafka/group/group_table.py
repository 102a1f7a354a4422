"""What the operations on the groups of one partition work on: the replicated state, the machines of its live groups, timers, the log.

Invariants
- `machines` holds at most what `state` knows: a group is first written, then joined.
- A group without a machine is Empty; its machine is made when somebody asks for it.
"""

from __future__ import annotations

import random

from raftkafka.base.errors import ApiError
from raftkafka.coordinator.records import CoordinatorRecord
from raftkafka.coordinator.runtime import Committed, ShardHandle
from raftkafka.coordinator.timers import Instant
from raftkafka.group.classic_group import ClassicGroup, ClassicGroupState
from raftkafka.group.records import GroupMetadata, group_record
from raftkafka.group.settings import GroupSettings
from raftkafka.group.state import GroupState


def _nothing(error: ApiError | None, instant: Instant) -> None:
    """For an append whose commit nobody waits for."""


class GroupTable:
    """The groups of one partition while this node coordinates them."""

    def __init__(self, *, handle: ShardHandle, settings: GroupSettings, rng: random.Random) -> None:
        self.state = GroupState()
        self.machines: dict[str, ClassicGroup] = {}
        self.settings = settings
        self.rng = rng
        self.timers = handle.timers
        self.append = handle.append
        self.after_commit = handle.after_commit
        self.observe = handle.observe

    def find(self, group_id: str) -> ClassicGroup | None:
        """The machine of a group that exists."""
        machine = self.machines.get(group_id)
        if machine is None and group_id in self.state.groups:
            machine = ClassicGroup(group_id, self.state.groups[group_id] or GroupMetadata())
            self.machines[group_id] = machine
        return machine

    def create(self, group_id: str, instant: Instant) -> ClassicGroup:
        """Writes a new Empty group; raises `ApiError` when the log refuses, and there is then no group."""
        assert group_id not in self.state.groups, "a group was created twice"
        metadata = GroupMetadata(state_timestamp_ms=instant.wall_ms)
        self.append([group_record(group_id, metadata)], _nothing, instant)
        machine = self.find(group_id)
        assert machine is not None, "a group record was replayed and there is no group"
        return machine

    def write(self, group: ClassicGroup, assignments: dict[str, bytes], committed: Committed, instant: Instant) -> None:
        """Writes the group's current generation with these assignments; raises `ApiError` when the log refuses."""
        self.append([group_record(group.group_id, group.metadata(assignments))], committed, instant)

    def write_tombstones(self, records: list[CoordinatorRecord], committed: Committed, instant: Instant) -> None:
        """Writes removals; the machines of groups that are gone then go with them."""
        self.append(records, committed, instant)
        for group_id in [group_id for group_id in self.machines if group_id not in self.state.groups]:
            machine = self.machines.pop(group_id)
            machine.transition_to(ClassicGroupState.DEAD, instant.wall_ms)
            for member_id in machine.pending_members:
                self.timers.cancel(heartbeat_key(group_id, member_id))

    def report_refusal(self, group_id: str, error: ApiError) -> None:
        """Reports that the log refused a group's metadata outside of any request."""
        self.observe("group-write-refused", group=group_id, error=str(error))


def heartbeat_key(group_id: str, member_id: str) -> tuple[str, str, str]:
    """The timer of a member's session."""
    return ("heartbeat", group_id, member_id)


def join_key(group_id: str) -> tuple[str, str]:
    """The timer of a join phase."""
    return ("join", group_id)


def sync_key(group_id: str) -> tuple[str, str]:
    """The timer of the members that have yet to sync."""
    return ("sync", group_id)
