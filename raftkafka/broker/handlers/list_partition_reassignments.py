"""ListPartitionReassignments (46), version 0: what is being reassigned, as the active controller knows it."""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.list_partition_reassignments import ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse

API_KEY = 46


def handle(services: Services, request: ListPartitionReassignmentsRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller answers."""
    forward(services, request, ListPartitionReassignmentsResponse, refuse, context, respond)


def refuse(request: ListPartitionReassignmentsRequest, error: ApiError, version: int) -> ListPartitionReassignmentsResponse:
    """The error of the whole request."""
    return ListPartitionReassignmentsResponse(error_code=error.code, error_message=error.message or None, topics=[])
