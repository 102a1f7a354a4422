"""The requests that the controller answers, and the one place where a refusal becomes an answer."""

from __future__ import annotations

from typing import Any, assert_never

from raftkafka.base.errors import ApiError
from raftkafka.metadata.control_messages import (
    AllocateProducerIds,
    AllocateProducerIdsReply,
    AlterPartition,
    AlterPartitionReply,
    AssignReplicas,
    AssignReplicasReply,
    BrokerHeartbeat,
    BrokerHeartbeatReply,
    RegisterBroker,
    RegisterBrokerReply,
)
from raftkafka.protocol.messages.alter_client_quotas import AlterClientQuotasRequest, AlterClientQuotasResponse, AlteredEntryData
from raftkafka.protocol.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse
from raftkafka.protocol.messages.alter_configs import AlterConfigsResourceResponse as LegacyResourceResponse
from raftkafka.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
)
from raftkafka.protocol.messages.balance_cluster import BalanceClusterRequest, BalanceClusterResponse
from raftkafka.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopicResult,
)
from raftkafka.protocol.messages.create_topics import CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse
from raftkafka.protocol.messages.delete_topics import DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse
from raftkafka.protocol.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)
from raftkafka.protocol.messages.incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from raftkafka.protocol.messages.list_partition_reassignments import ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse
from raftkafka.protocol.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse

ControlRequest = RegisterBroker | BrokerHeartbeat | AlterPartition | AllocateProducerIds | AssignReplicas
"""What brokers ask on their own behalf."""

AdminRequest = (
    CreateTopicsRequest
    | DeleteTopicsRequest
    | CreatePartitionsRequest
    | IncrementalAlterConfigsRequest
    | AlterConfigsRequest
    | AlterClientQuotasRequest
    | UnregisterBrokerRequest
    | AlterPartitionReassignmentsRequest
    | ListPartitionReassignmentsRequest
    | ElectLeadersRequest
    | BalanceClusterRequest
)
"""What clients ask, forwarded by the broker that they asked."""

ControllerRequest = ControlRequest | AdminRequest

ControllerReply = Any
"""The reply value or response message that belongs to the request."""


def refusal_reply(request: ControllerRequest, refusal: ApiError) -> ControllerReply:
    """The whole request is refused with one code: in the reply itself, or for each thing asked where the API has no place for it."""
    code, message = refusal.code, refusal.message or None
    match request:
        case RegisterBroker():
            return RegisterBrokerReply(error=code, message=refusal.message)
        case BrokerHeartbeat():
            return BrokerHeartbeatReply(error=code)
        case AlterPartition():
            return AlterPartitionReply(error=code)
        case AllocateProducerIds():
            return AllocateProducerIdsReply(error=code)
        case AssignReplicas():
            return AssignReplicasReply(error=code)
        case CreateTopicsRequest():
            names = dict.fromkeys(topic.name for topic in request.topics)
            topics = [CreatableTopicResult(name=name, error_code=code, error_message=message, configs=[]) for name in names]
            return CreateTopicsResponse(topics=topics)
        case DeleteTopicsRequest():
            states = [(state.name, state.topic_id) for state in request.topics] + [(name, bytes(16)) for name in request.topic_names]
            results = [DeletableTopicResult(name=n, topic_id=i, error_code=code, error_message=message) for n, i in states]
            return DeleteTopicsResponse(responses=results)
        case CreatePartitionsRequest():
            added = [CreatePartitionsTopicResult(name=topic.name, error_code=code, error_message=message) for topic in request.topics]
            return CreatePartitionsResponse(results=added)
        case IncrementalAlterConfigsRequest():
            altered = [
                AlterConfigsResourceResponse(
                    error_code=code, error_message=message, resource_type=resource.resource_type, resource_name=resource.resource_name
                )
                for resource in request.resources
            ]
            return IncrementalAlterConfigsResponse(responses=altered)
        case AlterConfigsRequest():
            legacy = [
                LegacyResourceResponse(
                    error_code=code, error_message=message, resource_type=resource.resource_type, resource_name=resource.resource_name
                )
                for resource in request.resources
            ]
            return AlterConfigsResponse(responses=legacy)
        case AlterClientQuotasRequest():
            entries = [AlteredEntryData(error_code=code, error_message=message, entity=entry.entity) for entry in request.entries]
            return AlterClientQuotasResponse(entries=entries)
        case UnregisterBrokerRequest():
            return UnregisterBrokerResponse(error_code=code, error_message=message)
        case AlterPartitionReassignmentsRequest():
            return AlterPartitionReassignmentsResponse(error_code=code, error_message=message, responses=[])
        case ListPartitionReassignmentsRequest():
            return ListPartitionReassignmentsResponse(error_code=code, error_message=message, topics=[])
        case ElectLeadersRequest():
            elected = [
                ReplicaElectionResult(
                    topic=topic.topic,
                    partition_result=[PartitionResult(partition_id=p, error_code=code, error_message=message) for p in topic.partitions],
                )
                for topic in request.topic_partitions or []
            ]
            return ElectLeadersResponse(error_code=code, replica_election_results=elected)
        case BalanceClusterRequest():
            return BalanceClusterResponse(error_code=code, error_message=message)
        case _:
            assert_never(request)
