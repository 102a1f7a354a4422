"""A member of a consumer group, with the classic protocol: join, sync, heartbeat, poll, commit, and again after each rebalance.

Eager: before it joins again a member commits what it has read and gives up its partitions; after it, it goes on from the committed
offsets. Cooperative: it keeps its partitions and its positions, gives up only what the next generation does not leave to it, and joins once
more then. What a member gets and gives up is in the history as an `assign` of what it has from then on, so that it must read on without a
gap in all that it keeps.

Sources: KIP-62 (rebalance timeout), KIP-345 (static members), KIP-394 (member ids), KIP-429 (cooperative rebalances), the Java client's
AbstractCoordinator.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from jepsen_like.history import OpType
from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.heartbeat import HeartbeatRequest
from raftkafka.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from raftkafka.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from raftkafka.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from raftkafka.simulation.client import HEARTBEAT_KEY, JOIN_GROUP_KEY, LEAVE_GROUP_KEY, SYNC_GROUP_KEY, RequestLost, SimClient
from raftkafka.simulation.workload.assignor import (
    assign_cooperative,
    assign_range,
    decode_assignment,
    encode_assignment,
    encode_subscription,
)
from raftkafka.simulation.workload.consumer import record_poll
from raftkafka.simulation.workload.coordinator_link import WRONG_COORDINATOR, CoordinatorLink
from raftkafka.simulation.workload.fetcher import EARLIEST, Fetcher, Position
from raftkafka.simulation.workload.group_offsets import GroupOffsets, Membership
from raftkafka.simulation.workload.known_cluster import KnownCluster, Slot, key_of
from raftkafka.simulation.workload.recording import Recording, slots_text
from raftkafka.simulation.workload.settings import WorkloadSettings

RANGE, COOPERATIVE = "range", "cooperative-sticky"
PROTOCOL_TYPE = "consumer"
REBALANCE_TIMEOUT_MS = 4_000
POLL_TIMEOUT_MS = 300


class GroupMember:
    """Takes part until `running` is false."""

    def __init__(
        self,
        *,
        client: SimClient,
        recording: Recording,
        settings: WorkloadSettings,
        group: str,
        topics: Sequence[str],
        protocol: str,
        instance_id: str | None,
    ) -> None:
        self.running = True
        self.finished = False
        self.assigned: Sequence[Slot] = ()
        """What it reads now; with the eager protocol nothing between two generations."""
        self._client = client
        self._recording = recording
        self._settings = settings
        self._topics = list(topics)
        self._protocol = protocol
        self._known = KnownCluster(client, topics)
        self._fetcher = Fetcher(client=client, known=self._known, recording=recording, uses_sessions=client.rng.random() < 0.5)
        self._coordinator = CoordinatorLink(client, group)
        self._offsets = GroupOffsets(client=client, coordinator=self._coordinator, recording=recording)
        self._membership = Membership(instance_id=instance_id)
        self._process = recording.next_process()
        self._rejoin = False
        self._uncommitted = False

    async def run(self) -> None:
        while self.running:
            slots = await self._join()
            if slots is None:
                if not self._membership.member_id:
                    self._assign(())
                await self._client.retry_pause()
            elif await self._take(slots):
                await self._consume()
        await self._leave()
        self._assign(())
        self.finished = True

    # Joining

    async def _join(self) -> list[Slot] | None:
        """The partitions of this member in the next generation; none when the attempt failed."""
        member = self._membership
        request = JoinGroupRequest(
            group_id=self._coordinator.group,
            session_timeout_ms=self._settings.session_timeout_ms,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            member_id=member.member_id,
            group_instance_id=member.instance_id,
            protocol_type=PROTOCOL_TYPE,
            protocols=[JoinGroupRequestProtocol(name=self._protocol, metadata=encode_subscription(self._topics, list(self.assigned)))],
        )
        try:
            response = await self._coordinator.ask(JOIN_GROUP_KEY, request, timeout_ms=REBALANCE_TIMEOUT_MS + 5_000)
        except RequestLost:
            return None
        if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            member.member_id = response.member_id
            return await self._join()
        if response.error_code != ErrorCode.NONE:
            self._refused(response.error_code)
            return None
        member.member_id, member.generation = response.member_id, response.generation_id
        return await self._sync(response)

    async def _sync(self, joined: JoinGroupResponse) -> list[Slot] | None:
        member = self._membership
        request = SyncGroupRequest(
            group_id=self._coordinator.group,
            generation_id=member.generation,
            member_id=member.member_id,
            group_instance_id=member.instance_id,
            protocol_type=PROTOCOL_TYPE,
            protocol_name=joined.protocol_name,
            assignments=await self._assignments(joined) if joined.leader == member.member_id else [],
        )
        try:
            response = await self._coordinator.ask(SYNC_GROUP_KEY, request, timeout_ms=REBALANCE_TIMEOUT_MS + 5_000)
        except RequestLost:
            return None
        if response.error_code != ErrorCode.NONE:
            self._refused(response.error_code)
            return None
        self._recording.newest_generation = max(self._recording.newest_generation, joined.generation_id)
        return decode_assignment(bytes(response.assignment))

    async def _assignments(self, joined: JoinGroupResponse) -> list[SyncGroupRequestAssignment]:
        """What the leader of the group gives to each member."""
        if joined.skip_assignment:
            return []
        while not all(map(self._known.partition_count, self._topics)):
            await self._known.learn()
        counts = {topic: self._known.partition_count(topic) for topic in self._topics}
        assign = assign_cooperative if self._protocol == COOPERATIVE else assign_range
        assigned = assign({each.member_id: bytes(each.metadata) for each in joined.members}, counts)
        return [SyncGroupRequestAssignment(member_id=each, assignment=encode_assignment(slots)) for each, slots in assigned.items()]

    def _refused(self, code: int) -> None:
        """The coordinator would not: the member begins anew as far as the code says."""
        if code in WRONG_COORDINATOR:
            self._coordinator.forget()
        elif code in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID):
            self._membership.forget()
        self._rejoin = True

    async def _take(self, slots: list[Slot]) -> bool:
        """Gives up what is not in the new generation, and goes on from the committed offsets in what was not there before; whether that
        went well, and needs no other generation."""
        self._rejoin = False
        kept = self._fetcher.positions
        if any(slot not in slots for slot in kept):
            await self._commit()
            self._assign([position for slot, position in kept.items() if slot in slots])
            return False
        added = [slot for slot in slots if slot not in kept]
        committed = await self._committed(added) if added else {}
        if committed is None:
            return False
        new = [Position(slot=slot, offset=committed.get(slot, EARLIEST)) for slot in added]
        self._assign([*kept.values(), *new])
        return True

    async def _committed(self, slots: list[Slot]) -> dict[Slot, int] | None:
        """The committed offsets of partitions; none when they cannot be learned in this generation."""
        for _ in range(10):
            committed = await self._offsets.fetch(slots, process=self._process)
            if committed is not None or not self.running:
                return committed
            await self._client.retry_pause()
        return None

    # A generation

    async def _consume(self) -> None:
        """Reads and commits until something ends the generation."""
        rng, settings = self._client.rng, self._settings
        self._client.heap.spawn(self._beat(self._membership.generation))
        while self.running and not self._rejoin:
            records = await record_poll(self._recording, self._fetcher, self._process, who=self._client.name, timeout_ms=POLL_TIMEOUT_MS)
            self._uncommitted |= bool(records)
            if self._uncommitted and not self._rejoin and rng.random() < 0.5:
                await self._commit()
            await self._client.heap.sleep(1 + rng.randrange(2 * settings.poll_pause_ms))
            roll = rng.random()
            if roll < settings.crash_share:
                self._crash()
                return
            if roll < settings.crash_share + settings.leave_share:
                await self._commit()
                await self._leave()
                break
        await self._commit()
        if self._protocol == RANGE or not self._membership.member_id:
            self._assign(())

    async def _beat(self, generation: int) -> None:
        """Heartbeats, until the generation is over for this member."""
        member = self._membership
        while self.running and not self._rejoin and member.generation == generation:
            request = HeartbeatRequest(
                group_id=self._coordinator.group,
                generation_id=generation,
                member_id=member.member_id,
                group_instance_id=member.instance_id,
            )
            try:
                response = await self._coordinator.ask(HEARTBEAT_KEY, request)
            except RequestLost:
                await self._client.retry_pause()
                continue
            if member.generation != generation:
                return
            if response.error_code == ErrorCode.NONE:
                await self._client.heap.sleep(self._settings.heartbeat_ms)
            elif response.error_code in WRONG_COORDINATOR or response.error_code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                self._coordinator.forget()
                await self._client.retry_pause()
            else:
                self._refused(response.error_code)

    async def _commit(self) -> None:
        """Commits what has been read; the member's process is another one if nobody knows whether that happened."""
        offsets = {position.slot: position.consumed for position in self._fetcher.positions.values() if position.consumed >= 0}
        if not offsets or not self._membership.member_id:
            return
        outcome, code = await self._offsets.commit(offsets, self._membership, process=self._process)
        self._uncommitted &= outcome is not OpType.OK
        if outcome is OpType.INFO:
            self._process = self._recording.next_process()
            self._record_assign(list(self._fetcher.positions))
        elif outcome is OpType.FAIL:
            self._refused(code)

    async def _leave(self) -> None:
        """Tells the coordinator; a static member says nothing, its place is kept until its session ends."""
        member = self._membership
        if member.member_id and member.instance_id is None:
            identity = MemberIdentity(member_id=member.member_id)
            with contextlib.suppress(RequestLost):
                await self._coordinator.ask(LEAVE_GROUP_KEY, LeaveGroupRequest(group_id=self._coordinator.group, members=[identity]))
            self._recording.note(self._client.name, f"left the group as {member.member_id}")
        member.forget()

    def _crash(self) -> None:
        """The process ends without a word, and another one begins."""
        self._recording.instant(self._process, "crash", None, who=self._client.name, text=f"process {self._process}")
        self._fetcher.restart()
        self.assigned = ()
        self._membership.forget()
        self._coordinator.forget()
        self._client.crash()
        self._process = self._recording.next_process()

    def _assign(self, positions: Sequence[Position]) -> None:
        """It has these from now on, and no others."""
        if not positions and not self.assigned:
            return
        self._fetcher.assign(positions)
        self.assigned = [position.slot for position in positions]
        self._record_assign(self.assigned)

    def _record_assign(self, slots: Sequence[Slot]) -> None:
        text = f"{slots_text(slots)} in generation {self._membership.generation}"
        self._recording.instant(self._process, "assign", [key_of(slot) for slot in slots], who=self._client.name, text=text)
