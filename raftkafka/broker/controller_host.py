"""The active controller on this node: what other nodes ask of it, and client requests that were forwarded to it.

A node that is not the active controller answers NOT_CONTROLLER, so that the asker looks for it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raftkafka.base.errors import ApiError, DecodeError, ErrorCode
from raftkafka.broker.control import ControlReply, ControlRequest, Forward, ForwardReply
from raftkafka.broker.mutation_quota import Admitted, MutationQuota
from raftkafka.broker.voter_changes import VoterChanges, VoterRequest
from raftkafka.controller.controller import QuorumController
from raftkafka.controller.requests import refusal_reply
from raftkafka.protocol.framing import read_message, write_message
from raftkafka.protocol.messages.add_raft_voter import AddRaftVoterRequest, AddRaftVoterResponse
from raftkafka.protocol.messages.create_partitions import CreatePartitionsResponse
from raftkafka.protocol.messages.create_topics import CreateTopicsResponse
from raftkafka.protocol.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    Listener,
    Node,
    PartitionData,
    ReplicaState,
    TopicData,
)
from raftkafka.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest, RemoveRaftVoterResponse
from raftkafka.protocol.messages.update_raft_voter import UpdateRaftVoterRequest, UpdateRaftVoterResponse
from raftkafka.protocol.registry import APIS
from raftkafka.raft.driver import RaftDriver

Reply = Callable[[ControlReply], None]

METADATA_TOPIC = "__cluster_metadata"
DESCRIBE_QUORUM_KEY = 55


class ControllerHost:
    """Answers control requests with the controller of this node."""

    def __init__(self, controller: QuorumController, raft: RaftDriver, cluster_id: str, mutations: MutationQuota) -> None:
        self.controller = controller
        self.voter_changes = VoterChanges(raft, cluster_id)
        self._mutations = mutations
        self._raft = raft

    def handle(self, request: ControlRequest, reply: Reply, now_ms: int, *, wall_offset_ms: int) -> None:
        """Decides a request; `reply` is called once, now or when the decision is committed.

        Of a controller that hands over a client must not hear NOT_CONTROLLER in a response: the broker asks the next one.
        """
        if not self.controller.active or (isinstance(request, Forward) and self._raft.hands_over):
            refusal = ApiError(ErrorCode.NOT_CONTROLLER, "this node is not the active controller")
            reply(ForwardReply(error=refusal.code) if isinstance(request, Forward) else refusal_reply(request, refusal))
        elif isinstance(request, Forward):
            self._forwarded(request, reply, now_ms, wall_offset_ms)
        else:
            self.controller.handle(request, reply, now_ms)

    def _forwarded(self, forward: Forward, reply: Reply, now_ms: int, wall_offset_ms: int) -> None:
        version = forward.api_version
        api = APIS.get(forward.api_key)
        if api is None or not api.supports(version):
            raise DecodeError(f"a forwarded request of unknown API {forward.api_key} version {version}")
        request: Any
        request, _ = read_message(api.request, version, forward.body)
        if isinstance(request, AddRaftVoterRequest | RemoveRaftVoterRequest | UpdateRaftVoterRequest):
            self._change_voters(request, version, reply, now_ms)
            return
        if isinstance(request, DescribeQuorumRequest):
            reply(ForwardReply(body=write_message(self._describe_quorum(request, now_ms, wall_offset_ms), version)))
            return

        admitted = self._mutations.admit(request, self.controller.pending, client_id=forward.client_id, version=version, now_ms=now_ms)

        def decided(response: Any) -> None:
            _add_refused(response, admitted)
            if not self.controller.active:
                # Deposed meanwhile: the broker asks the next controller, as Kafka's do; the client need not know.
                reply(ForwardReply(error=ErrorCode.NOT_CONTROLLER))
            else:
                reply(ForwardReply(body=write_message(response, version)))

        if admitted.request is None:
            decided(api.response())
        else:
            self.controller.handle(admitted.request, decided, now_ms)

    def _change_voters(self, request: VoterRequest, version: int, reply: Reply, now_ms: int) -> None:
        def done(error: ApiError | None) -> None:
            if error is not None and error.code == ErrorCode.NOT_CONTROLLER:
                reply(ForwardReply(error=ErrorCode.NOT_CONTROLLER))
                return
            response: Any
            code, text = (error.code, error.message) if error is not None else (ErrorCode.NONE, None)
            match request:
                case AddRaftVoterRequest():
                    response = AddRaftVoterResponse(error_code=code, error_message=text)
                case RemoveRaftVoterRequest():
                    response = RemoveRaftVoterResponse(error_code=code, error_message=text)
                case UpdateRaftVoterRequest():
                    response = UpdateRaftVoterResponse(error_code=code)
            reply(ForwardReply(body=write_message(response, version)))

        try:
            self.voter_changes.begin(request, done, now_ms)
        except ApiError as error:
            done(error)

    def _describe_quorum(self, request: DescribeQuorumRequest, now_ms: int, wall_offset_ms: int) -> DescribeQuorumResponse:
        response = DescribeQuorumResponse()
        for topic in request.topics:
            partitions = [
                self._describe_partition(topic.topic_name, partition.partition_index, now_ms, wall_offset_ms)
                for partition in topic.partitions
            ]
            response.topics.append(TopicData(topic_name=topic.topic_name, partitions=partitions))
        response.nodes = [
            Node(node_id=node_id, listeners=[Listener(name=name, host=host, port=port) for name, host, port in voter.endpoints])
            for node_id, voter in sorted(self._raft.state.voters.items())
        ]
        return response

    def _describe_partition(self, topic: str, index: int, now_ms: int, wall_offset_ms: int) -> PartitionData:
        if topic != METADATA_TOPIC or index != 0:
            return PartitionData(partition_index=index, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        status = self._raft.status(now_ms)

        def wall(monotonic_ms: int) -> int:
            return monotonic_ms + wall_offset_ms if monotonic_ms >= 0 else -1

        def states(replicas: Any) -> list[ReplicaState]:
            return [
                ReplicaState(
                    replica_id=replica.node_id,
                    replica_directory_id=replica.directory_id or bytes(16),
                    log_end_offset=replica.log_end_offset,
                    last_fetch_timestamp=wall(replica.last_fetch_ms),
                    last_caught_up_timestamp=wall(replica.last_caught_up_ms),
                )
                for replica in replicas
            ]

        return PartitionData(
            partition_index=index,
            leader_id=status.leader_id if status.leader_id is not None else -1,
            leader_epoch=status.epoch,
            high_watermark=status.high_watermark,
            current_voters=states(status.voters),
            observers=states(status.observers),
        )


def _add_refused(response: Any, admitted: Admitted) -> None:
    """What the quota of the client refused, and how long it is held back."""
    if admitted.throttle_ms:
        response.throttle_time_ms = admitted.throttle_ms
    if admitted.refused:
        match response:
            case CreateTopicsResponse():
                response.topics.extend(admitted.refused)
            case CreatePartitionsResponse():
                response.results.extend(admitted.refused)
            case _:
                response.responses.extend(admitted.refused)
