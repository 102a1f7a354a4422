"""BalanceCluster (10001, this project's own), version 0: how the load is spread, what would be moved, and a round of balance on request.

It is not advertised, since Kafka's clients know nothing of it; `raftkafka balance` is its client.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.balance_cluster import BalanceClusterRequest, BalanceClusterResponse

API_KEY = 10_001


def handle(services: Services, request: BalanceClusterRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller answers."""
    forward(services, request, BalanceClusterResponse, refuse, context, respond)


def refuse(request: BalanceClusterRequest, error: ApiError, version: int) -> BalanceClusterResponse:
    """The error instead of an answer."""
    return BalanceClusterResponse(error_code=error.code, error_message=error.message or None)
