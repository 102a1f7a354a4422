"""ElectLeaders (43), versions 0 to 2: the active controller elects preferred leaders, or (from version 1) unclean ones.

- The answer leaves when all live brokers know the new leaders.
- Null topics ask for all partitions; then those that need no election are left out of the answer.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult

API_KEY = 43


def handle(services: Services, request: ElectLeadersRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller decides."""
    forward(services, request, ElectLeadersResponse, refuse, context, respond)


def refuse(request: ElectLeadersRequest, error: ApiError, version: int) -> ElectLeadersResponse:
    """The error of the whole request, and for each partition that was named: version 0 has no other place for it."""
    results = [
        ReplicaElectionResult(
            topic=topic.topic,
            partition_result=[
                PartitionResult(partition_id=index, error_code=error.code, error_message=error.message or None)
                for index in topic.partitions
            ],
        )
        for topic in request.topic_partitions or []
    ]
    return ElectLeadersResponse(error_code=error.code, replica_election_results=results)
