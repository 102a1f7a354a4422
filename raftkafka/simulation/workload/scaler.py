"""An operator who makes the cluster bigger and smaller while it works, controllers included, until none of the first machines may be left.

Scale out: a machine is switched on, registers, gets its fair share of replicas, and a vote. Scale in: a machine is drained, its vote is
taken away, it stops cleanly, is unregistered, and its disk is thrown away: it can come back later as another one. A machine that dies
for good is treated in the same way, but for what needs it.

What is begun is finished, also when machines fail in the middle of it, and nothing of a machine that was taken away is left in the cluster
(invariant E1).
"""

from __future__ import annotations

from typing import Any

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.protocol.messages.add_raft_voter import AddRaftVoterRequest, Listener
from raftkafka.protocol.messages.describe_quorum import DescribeQuorumRequest, PartitionData, RequestPartitionData, RequestTopicData
from raftkafka.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest
from raftkafka.protocol.messages.unregister_broker import UnregisterBrokerRequest
from raftkafka.simulation.client import (
    ADD_RAFT_VOTER_KEY,
    DESCRIBE_QUORUM_KEY,
    REMOVE_RAFT_VOTER_KEY,
    UNREGISTER_BROKER_KEY,
    RequestLost,
    SimClient,
)
from raftkafka.simulation.spectator import others_have_all, others_vote_with_their_disks
from raftkafka.simulation.workload.recording import Recording, error_name
from raftkafka.simulation.workload.replica_mover import ReplicaMover
from raftkafka.simulation.world import CONTROLLER_LISTENER, CONTROLLER_PORT, World

METADATA_TOPIC = "__cluster_metadata"
LOOK_EVERY_MS = 100
ADD_TIMEOUT_MS = 2_000
SILENCE_MS = 1_000
"""A voter that has not caught up for so long is not counted on."""
MIN_VOTERS = 2
VOTE_SHARE = 0.8
"""How many of the machines that come get a vote."""


class Scaler:
    """Adds and removes machines until `running` is false; `finished` when what was begun then is done."""

    def __init__(
        self, *, world: World, client: SimClient, recording: Recording, interval_ms: int, min_members: int, death_share: float
    ) -> None:
        """`death_share` is how many of the machines that go have died."""
        self.running = True
        self.finished = False
        self.doing = "nothing"
        """The step under way, for who waits for it."""
        self.retired: dict[NodeId, None] = {}
        """Brokers that were taken away for good, and have not come back as others."""
        self._world = world
        self._client = client
        self._recording = recording
        self._interval_ms = interval_ms
        self._min_members = min_members
        self._death_share = death_share
        self._mover = ReplicaMover(client, recording)

    async def run(self) -> None:
        rng, world = self._client.rng, self._world
        while self.running:
            await self._client.heap.sleep(1 + rng.randrange(2 * self._interval_ms))
            if not self.running:
                break
            spares = [name for name in world.machines if name not in world.members]
            can_shrink = len(world.members) > self._min_members
            if spares and (not can_shrink or rng.random() < 0.5):
                await self._scale_out(rng.choice(spares))
            elif can_shrink:
                await self._scale_in(rng.choice(world.members))
            self.doing = "nothing"
        self.finished = True

    # Scale out

    async def _scale_out(self, name: str) -> None:
        node_id = NodeId(int(name[1:]))
        self.retired.pop(node_id, None)  # from now on the number is that of another machine
        self._begin(f"scale out: {name} starts")
        self._world.take_into_service(name)
        while node_id not in (await self._mover.placement()).live:
            await self._client.heap.sleep(LOOK_EVERY_MS)
        if self._client.rng.random() < VOTE_SHARE:
            self._begin(f"scale out: {name} gets a vote")
            await self._add_voter(node_id)
        self._begin(f"scale out: {name} gets its share")
        await self._mover.share(node_id)

    async def _add_voter(self, node_id: NodeId) -> None:
        """Until it is one."""
        while True:
            quorum = await self._quorum()
            if any(voter.replica_id == node_id for voter in quorum.current_voters):
                return
            seen = next((each for each in quorum.observers if each.replica_id == node_id), None)
            if seen is not None:
                request = AddRaftVoterRequest(
                    cluster_id=None,
                    timeout_ms=ADD_TIMEOUT_MS,
                    voter_id=node_id,
                    voter_directory_id=seen.replica_directory_id,
                    listeners=[Listener(name=CONTROLLER_LISTENER, host=f"n{node_id}", port=CONTROLLER_PORT)],
                )
                await self._change_voters(f"give n{node_id} a vote", ADD_RAFT_VOTER_KEY, request)
            await self._client.heap.sleep(LOOK_EVERY_MS)

    # Scale in

    async def _scale_in(self, name: str) -> None:
        node_id = NodeId(int(name[1:]))
        machine = self._world.machines[name]
        voters = [each.replica_id for each in (await self._quorum()).current_voters]
        if node_id in voters and len(voters) <= MIN_VOTERS:
            return  # the last ones stay: others must get a vote first
        may_die = others_have_all(self._world, name) and others_vote_with_their_disks(self._world, name)
        has_died = may_die and self._client.rng.random() < self._death_share
        if has_died:
            self._begin(f"scale in: {name} has died, and is drained")
            self._world.take_out_of_service(name)
            machine.kill()
            machine.erase()
        else:
            self._begin(f"scale in: {name} is drained")
        await self._mover.drain(node_id)
        self._begin(f"scale in: {name} loses its vote")
        self._world.take_out_of_service(name)
        await self._remove_voter(node_id)
        self._begin(f"scale in: {name} stops")
        machine.stop()
        while machine.process is not None:
            await self._client.heap.sleep(LOOK_EVERY_MS)
        await self._remove_voter(node_id)  # if it joins by itself it may have done so again
        if not has_died:
            machine.erase()
        self._begin(f"scale in: {name} is drained of what came late")
        await self._mover.drain(node_id)
        self._begin(f"scale in: {name} is unregistered")
        decided = (ErrorCode.NONE, ErrorCode.BROKER_ID_NOT_REGISTERED)
        request = UnregisterBrokerRequest(broker_id=node_id)
        await self._mover.ask(UNREGISTER_BROKER_KEY, request, done=lambda response: response.error_code in decided)
        await self._mover.drain(node_id)
        self.retired[node_id] = None
        self._recording.note(self._client.name, f"{name} is gone")

    async def _remove_voter(self, node_id: NodeId) -> None:
        """Until it is none. It is asked for only while all others are at work, so that those that are left are a quorum."""
        self._world.is_changing_voters = True
        while True:
            quorum = await self._quorum()
            voter = next((each for each in quorum.current_voters if each.replica_id == node_id), None)
            if voter is None:
                self._world.is_changing_voters = False
                return
            others = [each for each in quorum.current_voters if each is not voter]
            newest_ms = max(each.last_caught_up_timestamp for each in quorum.current_voters)
            well = [each for each in others if each.last_caught_up_timestamp >= newest_ms - SILENCE_MS]
            if others and well == others:
                request = RemoveRaftVoterRequest(cluster_id=None, voter_id=node_id, voter_directory_id=voter.replica_directory_id)
                await self._change_voters(f"take the vote of n{node_id}", REMOVE_RAFT_VOTER_KEY, request)
            await self._client.heap.sleep(LOOK_EVERY_MS)

    # The quorum

    async def _change_voters(self, what: str, api_key: int, request: object) -> None:
        try:
            response = await self._client.ask_any(api_key, request)
        except RequestLost:
            self._recording.note(self._client.name, f"{what}: no answer")
            return
        self._recording.note(self._client.name, f"{what}: {error_name(response.error_code)} {response.error_message or ''}".rstrip())

    async def _quorum(self) -> PartitionData:
        """As its leader sees it."""
        topic = RequestTopicData(topic_name=METADATA_TOPIC, partitions=[RequestPartitionData(partition_index=0)])

        def is_known(response: Any) -> bool:
            return not response.error_code and bool(response.topics) and not response.topics[0].partitions[0].error_code

        response = await self._mover.ask(DESCRIBE_QUORUM_KEY, DescribeQuorumRequest(topics=[topic]), done=is_known)
        found: PartitionData = response.topics[0].partitions[0]
        return found

    def _begin(self, what: str) -> None:
        self.doing = what
        self._recording.note(self._client.name, what)
