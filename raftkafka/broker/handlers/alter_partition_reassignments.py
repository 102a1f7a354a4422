"""AlterPartitionReassignments (45), versions 0 to 1: the active controller moves replicas, or takes a move back.

- The answer leaves when all live brokers know what was begun, not when it is done: ListPartitionReassignments tells what is under way.
- Null replicas cancel; version 1 may ask that the replication factor stays (KIP-860).
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
)

API_KEY = 45


def handle(services: Services, request: AlterPartitionReassignmentsRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller decides."""
    forward(services, request, AlterPartitionReassignmentsResponse, refuse, context, respond)


def refuse(request: AlterPartitionReassignmentsRequest, error: ApiError, version: int) -> AlterPartitionReassignmentsResponse:
    """The error of the whole request."""
    return AlterPartitionReassignmentsResponse(error_code=error.code, error_message=error.message or None, responses=[])
