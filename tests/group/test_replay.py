"""Rules T11 and C1: over random operations the live state is the replay of the log, and an assignment never changes its owner.

Also: what clients see is the replay of what is committed, and a Stable group is what the log says of it.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.coordinator.records import decode_batches
from raftkafka.group.classic_group import ClassicGroupState
from raftkafka.group.state import GroupState
from raftkafka.protocol.messages.delete_groups import DeleteGroupsRequest
from raftkafka.protocol.messages.join_group import JoinGroupResponse
from raftkafka.protocol.messages.leave_group import MemberIdentity
from raftkafka.protocol.messages.sync_group import SyncGroupResponse
from tests.coordinator.fake_log import FakeLog
from tests.group.cluster import Answer, World

GROUPS = ("a", "b")


class Client:
    """A member as clients are: it does what it was told last, however old that is."""

    def __init__(self, number: int) -> None:
        self.group = GROUPS[number % len(GROUPS)]
        self.instance = f"i{number}" if number >= 4 else None
        self.member_id = ""
        self.generation = -1
        self.leads: list[str] | None = None
        self.joining: Answer[JoinGroupResponse] | None = None
        self.syncing: Answer[SyncGroupResponse] | None = None

    def take_answers(self) -> None:
        if self.joining:
            answer = self.joining.value
            self.joining = None
            if answer.error_code == ErrorCode.NONE:
                self.generation = answer.generation_id
                self.leads = [member.member_id for member in answer.members] if answer.members else None
            if answer.error_code in (ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED):
                self.member_id = answer.member_id
            elif answer.error_code in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID):
                self.member_id = ""


class Run:
    """Clients and operations on one world, and what they have been told."""

    def __init__(self, *, commits_at_once: bool) -> None:
        self.log = FakeLog(commits_at_once=commits_at_once)
        self.world = World(log=self.log, max_size=3, offsets_retention_ms=900_000)
        self.clients = [Client(number) for number in range(6)]
        self.told: dict[tuple[str, int, str], bytes] = {}
        self.offset = 0

    def join(self, client: Client) -> None:
        client.joining = self.world.join(client.member_id, group=client.group, instance=client.instance, session_ms=30_000)

    def rejoin_anew(self, client: Client) -> None:
        client.member_id = ""
        self.join(client)

    def sync(self, client: Client) -> None:
        leads = client.leads or []
        tag = f"{client.group}/{client.generation}/"
        assignments = {member_id: (tag + member_id).encode() for member_id in leads}
        client.syncing = self.world.sync(client.member_id, client.generation, assignments, group=client.group, instance=client.instance)

    def rebalance(self, client: Client) -> None:
        """A whole rebalance of the client's group, up to the leader's SyncGroup (whose assignments may be uncommitted)."""
        members = [each for each in self.clients if each.group == client.group]
        for _ in range(2):
            for member in members:
                member.take_answers()
                if member.joining is None:
                    self.join(member)
        self.world.advance(0)
        for member in members:
            member.take_answers()
            self.sync(member)

    def heartbeat(self, client: Client) -> None:
        self.world.heartbeat(client.member_id, client.generation, group=client.group, instance=client.instance)

    def leave(self, client: Client) -> None:
        self.world.leave(MemberIdentity(member_id=client.member_id, group_instance_id=client.instance), group=client.group)

    def commit_offset(self, client: Client) -> None:
        self.offset += 1
        self.world.commit_offset(
            self.offset, group=client.group, member_id=client.member_id, generation=client.generation, partition=self.offset % 4
        )

    def admin_commit(self, client: Client) -> None:
        self.offset += 1
        self.world.commit_offset(self.offset, group=client.group)

    def wait_a_little(self, client: Client) -> None:
        self.world.advance(1_000)

    def wait_long(self, client: Client) -> None:
        self.world.advance(35_000)

    def wait_very_long(self, client: Client) -> None:
        self.world.advance(1_000_000)

    def delete_group(self, client: Client) -> None:
        self.world.call(self.world.coordinator.delete_groups, DeleteGroupsRequest(groups_names=[client.group]), 2)

    def delete_topic(self, client: Client) -> None:
        self.world.coordinator.topics_deleted(["orders"], *self.world.time)

    def commit(self, client: Client) -> None:
        self.world.commit()

    def fail_over(self, client: Client) -> None:
        self.log.lose_uncommitted(0)
        self.world.fail_over()

    # --- what must hold after each of them

    def check(self) -> None:
        for client in self.clients:
            client.take_answers()
            self._check_assignment(client)
        replayed = self._replay(self.log.end_offset(0))
        live = self.world.coordinator.table("a").state
        assert live.groups == replayed.groups
        compacted = self._replay(self.log.end_offset(0), compacted=True)
        assert live.groups == compacted.groups
        committed = self._replay(self.log.high_watermark(0))
        for group in GROUPS:
            assert live.offsets(group) == replayed.offsets(group) == compacted.offsets(group)
            assert dict(live.committed_offsets(group)) == committed.offsets(group)
            for partition in (TopicPartition("orders", index) for index in range(4)):
                assert live.committed_offset(group, partition) == committed.offset(group, partition)
        self._check_machines()

    def _check_assignment(self, client: Client) -> None:
        """C1: whatever is handed out is what the leader of that generation decided, for this member and for nobody else."""
        if not client.syncing:
            return
        answer, client.syncing = client.syncing.value, None
        if answer.error_code == ErrorCode.NONE:
            key = (client.group, client.generation, client.member_id)
            assert self.told.setdefault(key, answer.assignment) == answer.assignment
            others = [told for (group, _, member_id), told in self.told.items() if (group, member_id) != (key[0], key[2])]
            assert not answer.assignment or client.instance is not None or answer.assignment not in others

    def _check_machines(self) -> None:
        table = self.world.coordinator.table("a")
        assert table.machines.keys() <= table.state.groups.keys()
        for group_id, machine in table.machines.items():
            assert (machine.leader in machine.members) == bool(machine.members)
            assert set(machine.static_members.values()) <= machine.members.keys()
            assert not machine.pending_members.keys() & machine.members.keys()
            settled = self.log.high_watermark(0) == self.log.end_offset(0)
            if machine.state is ClassicGroupState.STABLE and settled:
                metadata = table.state.groups[group_id]
                assert metadata is not None
                assert machine.generation == metadata.generation
                assert {member.member_id: member.assignment for member in metadata.members} == {
                    member.member_id: member.assignment for member in machine.members.values()
                }

    def _replay(self, end_offset: int, *, compacted: bool = False) -> GroupState:
        data = self.log.read(0, 0, 1 << 30)
        records = [record for record in (decode_batches(data)[0] if data else []) if record.offset < end_offset]
        if compacted:
            records = list({record.key: record for record in records}.values())
        state = GroupState()
        for record in records:
            state.replay(record)
        return state


OPERATIONS: list[Callable[[Run, Client], None]] = [
    *[Run.join] * 3,
    *[Run.sync] * 3,
    *[Run.rebalance] * 6,
    *[Run.heartbeat] * 2,
    *[Run.commit_offset] * 4,
    *[Run.wait_a_little] * 4,
    *[Run.commit] * 5,
    *[Run.fail_over] * 2,
    Run.rejoin_anew,
    Run.admin_commit,
    Run.leave,
    Run.wait_long,
    Run.wait_very_long,
    Run.delete_group,
    Run.delete_topic,
]


@given(
    steps=st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 5)), max_size=60),
    commits_at_once=st.booleans(),
)
@settings(max_examples=250, deadline=None, derandomize=True)
def test_live_state_is_the_replay_of_the_log(steps: list[tuple[Callable[[Run, Client], None], int]], commits_at_once: bool) -> None:
    run = Run(commits_at_once=commits_at_once)
    for operation, client in steps:
        operation(run, run.clients[client])
        run.check()


@given(steps=st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 5)), max_size=40))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_group_always_comes_to_rest(steps: list[tuple[Callable[[Run, Client], None], int]]) -> None:
    """Whatever happened before: when nobody says anything for long enough, the group is empty and a new member gets in."""
    run = Run(commits_at_once=True)
    for operation, client in steps:
        operation(run, run.clients[client])
        run.check()
    run.world.advance(2_000_000)
    (member,) = run.world.stable(group="a")
    assert run.world.coordinator.table("a").machines["a"].members.keys() == {member}
