"""One classic group: its members, who of them waits for what, and what they agree on.

This is the soft state of a rebalance, which no log remembers; what survives a failover is the `GroupMetadata` of the last generation.

```
            first join                all joined or timed out            leader's sync committed
   Empty ──────────────▶ PreparingRebalance ──────────────▶ CompletingRebalance ──────────────▶ Stable
     ▲                      │  ▲      ▲                            │                              │
     └── nobody is left ────┘  │      └──── join, leave, expiry ───┘                              │
                               └───────────── join with a change, leave, expiry ─────────────────┘
   Dead: removed, or the coordinator has moved
```

Invariants
- `leader` is a member whenever there are members; members keep the order in which they joined.
- A group instance id belongs to one member (C5).
- Only members of the current generation have an assignment of it (C1); `protocol` is supported by all of them.

Sources: KIP-134, KIP-345 (static members), KIP-394 (member ids first), KIP-559, KIP-814; Kafka's `ClassicGroup`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable

import attrs

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.group.consumer_protocol import CONSUMER_PROTOCOL_TYPE, subscribed_topics
from raftkafka.group.records import GroupMetadata, MemberMetadata
from raftkafka.protocol.messages.join_group import JoinGroupResponse, JoinGroupResponseMember
from raftkafka.protocol.messages.sync_group import SyncGroupResponse

UNKNOWN_MEMBER_ID = ""
NO_LEADER = ""

JoinDone = Callable[[JoinGroupResponse], None]
SyncDone = Callable[[SyncGroupResponse], None]


class ClassicGroupState(enum.Enum):
    """The values are Kafka's names, as DescribeGroups and ListGroups say them."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


_ALLOWED_PREVIOUS = {
    ClassicGroupState.EMPTY: (ClassicGroupState.PREPARING_REBALANCE,),
    ClassicGroupState.PREPARING_REBALANCE: (
        ClassicGroupState.STABLE,
        ClassicGroupState.COMPLETING_REBALANCE,
        ClassicGroupState.EMPTY,
    ),
    ClassicGroupState.COMPLETING_REBALANCE: (ClassicGroupState.PREPARING_REBALANCE,),
    ClassicGroupState.STABLE: (ClassicGroupState.COMPLETING_REBALANCE,),
    ClassicGroupState.DEAD: tuple(ClassicGroupState),
}


@attrs.define(eq=False, kw_only=True)
class Member:
    """A member; `protocols` are its metadata by protocol name, in its order of preference."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: dict[str, bytes]
    assignment: bytes = b""
    is_new: bool = False
    """Whether it has not completed a join yet: it then expires although it waits in one."""
    awaiting_join: JoinDone | None = None
    awaiting_sync: SyncDone | None = None

    @property
    def has_satisfied_heartbeat(self) -> bool:
        """Whether it needs no heartbeat now, because it waits for an answer of ours."""
        return not self.is_new and (self.awaiting_join is not None or self.awaiting_sync is not None)

    def complete_sync(self, response: SyncGroupResponse) -> bool:
        """Answers its SyncGroup; False when it does not wait in one."""
        done, self.awaiting_sync = self.awaiting_sync, None
        if done is None:
            return False
        done(response)
        return True

    def complete_join(self, response: JoinGroupResponse) -> bool:
        """Answers its JoinGroup; False when it does not wait in one."""
        done, self.awaiting_join = self.awaiting_join, None
        if done is None:
            return False
        done(response)
        return True


class ClassicGroup:
    """The machine's data and the questions asked of it; `rebalance` and its neighbours make the transitions."""

    def __init__(self, group_id: str, metadata: GroupMetadata) -> None:
        self.group_id = group_id
        self.state = ClassicGroupState.STABLE if metadata.members else ClassicGroupState.EMPTY
        self.previous_state = ClassicGroupState.DEAD
        self.state_timestamp_ms = metadata.state_timestamp_ms
        self.generation = metadata.generation
        self.protocol_type = metadata.protocol_type or None
        self.protocol = metadata.protocol
        self.leader = metadata.leader
        self.members: dict[str, Member] = {}
        self.static_members: dict[str, str] = {}
        self.pending_members: dict[str, None] = {}
        """Ids that were handed out and have not joined yet (KIP-394)."""
        self.pending_sync: dict[str, None] = {}
        """Members of this generation that have not sent SyncGroup yet."""
        self.new_member_added = False
        for member in metadata.members:
            self.add(_restored(member, metadata.protocol or ""))
        if metadata.leader is not None and metadata.leader in self.members:
            self.leader = metadata.leader
        self.subscribed_topics = self._subscribed_topics()

    # --- members

    def add(self, member: Member) -> None:
        """A new member; the first one becomes the leader."""
        if member.group_instance_id is not None:
            assert member.group_instance_id not in self.static_members, "a static member was added twice"
            self.static_members[member.group_instance_id] = member.member_id
        if self.leader not in self.members:
            self.leader = member.member_id
        self.members[member.member_id] = member
        self.pending_members.pop(member.member_id, None)

    def remove(self, member_id: str) -> None:
        """Forgets a member or a pending one; another member becomes the leader if it was it."""
        member = self.members.pop(member_id, None)
        if member is not None and member.group_instance_id is not None:
            self.static_members.pop(member.group_instance_id, None)
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)
        self.pending_members.pop(member_id, None)
        self.pending_sync.pop(member_id, None)

    def replace_static_member(self, old_member_id: str, new_member_id: str) -> Member:
        """Gives the place of a static member to its next incarnation, and fences the old one (KIP-345)."""
        old = self.members[old_member_id]
        old.complete_join(
            JoinGroupResponse(error_code=ErrorCode.FENCED_INSTANCE_ID, member_id=old_member_id, leader=NO_LEADER, protocol_name="")
        )
        old.complete_sync(SyncGroupResponse(error_code=ErrorCode.FENCED_INSTANCE_ID))
        new = attrs.evolve(old, member_id=new_member_id, is_new=False, awaiting_join=None, awaiting_sync=None)
        self.members = {new_member_id if key == old_member_id else key: value for key, value in self.members.items()}
        self.members[new_member_id] = new
        assert new.group_instance_id is not None
        self.static_members[new.group_instance_id] = new_member_id
        if self.leader == old_member_id:
            self.leader = new_member_id
        if old_member_id in self.pending_sync:
            del self.pending_sync[old_member_id]
            self.pending_sync[new_member_id] = None
        return new

    def validate_member(self, member_id: str, group_instance_id: str | None) -> Member:
        """The member that a request speaks for; raises UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID."""
        if group_instance_id is not None:
            owner = self.static_members.get(group_instance_id)
            if owner is None:
                raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
            if owner != member_id:
                raise ApiError(ErrorCode.FENCED_INSTANCE_ID)
        member = self.members.get(member_id)
        if member is None:
            raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
        return member

    def accepts(self, member_id: str, max_size: int) -> bool:
        """Whether a join of this member keeps the group within its maximal size; members that are in may stay."""
        match self.state:
            case ClassicGroupState.EMPTY | ClassicGroupState.DEAD:
                return True
            case ClassicGroupState.PREPARING_REBALANCE:
                # Counted are those who wait: this also pushes out the last to rejoin when the limit has been lowered.
                member = self.members.get(member_id)
                return (member is not None and member.awaiting_join is not None) or self.awaiting_join_count < max_size
            case _:
                return member_id in self.members or len(self.members) < max_size

    @property
    def awaiting_join_count(self) -> int:
        """How many members wait in JoinGroup."""
        return sum(member.awaiting_join is not None for member in self.members.values())

    @property
    def has_all_members_joined(self) -> bool:
        """Whether nobody, known or pending, is missing from the join phase."""
        return not self.pending_members and all(member.awaiting_join is not None for member in self.members.values())

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest of the members'."""
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    def is_leader(self, member_id: str) -> bool:
        """Whether this member computes the assignment."""
        return self.leader == member_id

    # --- protocols

    @property
    def uses_consumer_protocol(self) -> bool:
        """Whether its members are consumers (and not Connect workers, for instance)."""
        return self.protocol_type == CONSUMER_PROTOCOL_TYPE

    def supports(self, protocol_type: str, protocols: Iterable[str]) -> bool:
        """Whether a member with these protocols could be part of the group."""
        names = set(protocols)
        if self.state is ClassicGroupState.EMPTY:
            return bool(protocol_type) and bool(names)
        return self.protocol_type == protocol_type and bool(names.intersection(self._candidates()))

    def _candidates(self) -> list[str]:
        """The protocols that every member supports, in the order of preference of the first member."""
        members = list(self.members.values())
        if not members:
            return []
        return [name for name in members[0].protocols if all(name in member.protocols for member in members[1:])]

    def select_protocol(self) -> str:
        """The protocol that most members prefer among those that all support."""
        candidates = self._candidates()
        votes = dict.fromkeys(candidates, 0)
        for member in self.members.values():
            votes[next(name for name in member.protocols if name in votes)] += 1
        return max(candidates, key=lambda name: votes[name])

    def is_subscribed_to(self, topic: str) -> bool:
        """Whether the members consume the topic; a consumer group whose subscriptions cannot be read may consume any."""
        if self.subscribed_topics is None:
            return self.uses_consumer_protocol
        return topic in self.subscribed_topics

    def _subscribed_topics(self) -> frozenset[str] | None:
        if not self.uses_consumer_protocol:
            return None
        if not self.members:
            return frozenset()
        if self.protocol is None:
            return None
        return subscribed_topics(member.protocols[self.protocol] for member in self.members.values())

    # --- transitions

    def transition_to(self, state: ClassicGroupState, wall_ms: int) -> None:
        """Changes the state; one that does not lead there is a bug."""
        assert self.state in _ALLOWED_PREVIOUS[state], f"group {self.group_id} cannot go from {self.state.value} to {state.value}"
        self.previous_state = self.state
        self.state = state
        self.state_timestamp_ms = wall_ms

    @property
    def can_rebalance(self) -> bool:
        """Whether a rebalance can begin now (false when one is under way, or the group is dead)."""
        return self.state in _ALLOWED_PREVIOUS[ClassicGroupState.PREPARING_REBALANCE]

    def next_generation(self, wall_ms: int) -> None:
        """Ends the join phase: the members that there are form a new generation and agree on a protocol."""
        self.generation = self.generation + 1 if self.generation < 2**31 - 1 else 1
        self.protocol = self.select_protocol() if self.members else None
        self.subscribed_topics = self._subscribed_topics()
        self.transition_to(ClassicGroupState.COMPLETING_REBALANCE if self.members else ClassicGroupState.EMPTY, wall_ms)
        self.pending_sync.clear()

    def elect_joined_leader(self) -> bool:
        """Makes a member that has joined the leader when the leader has not; False when nobody has joined."""
        leader = self.members.get(self.leader or "")
        if leader is None:
            return False
        if leader.awaiting_join is None:
            joined = next((member for member in self.members.values() if member.awaiting_join is not None), None)
            if joined is None:
                return False
            self.leader = joined.member_id
        return True

    # --- what it looks like from outside

    def metadata(self, assignments: dict[str, bytes]) -> GroupMetadata:
        """The generation as it is written to the log, with these assignments."""
        return GroupMetadata(
            protocol_type=self.protocol_type or "",
            generation=self.generation,
            protocol=self.protocol,
            leader=self.leader,
            state_timestamp_ms=self.state_timestamp_ms,
            members=tuple(
                MemberMetadata(
                    member_id=member.member_id,
                    group_instance_id=member.group_instance_id,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    rebalance_timeout_ms=member.rebalance_timeout_ms,
                    session_timeout_ms=member.session_timeout_ms,
                    subscription=member.protocols[self.protocol or ""],
                    assignment=assignments.get(member.member_id, b""),
                )
                for member in self.members.values()
            ),
        )

    def join_response(self, member_id: str, *, with_members: bool, skip_assignment: bool = False) -> JoinGroupResponse:
        """The current generation, for a member of it."""
        members = [
            JoinGroupResponseMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                metadata=member.protocols[self.protocol or ""],
            )
            for member in (self.members.values() if with_members else ())
        ]
        return JoinGroupResponse(
            generation_id=self.generation,
            protocol_type=self.protocol_type,
            protocol_name=self.protocol,
            leader=self.leader or NO_LEADER,
            skip_assignment=skip_assignment,
            member_id=member_id,
            members=members,
        )

    def sync_response(self, member: Member) -> SyncGroupResponse:
        """The member's assignment in the current generation."""
        return SyncGroupResponse(protocol_type=self.protocol_type, protocol_name=self.protocol, assignment=member.assignment)


def _restored(member: MemberMetadata, protocol: str) -> Member:
    return Member(
        member_id=member.member_id,
        group_instance_id=member.group_instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        session_timeout_ms=member.session_timeout_ms,
        protocols={protocol: member.subscription},
        assignment=member.assignment,
    )
