"""DescribeQuorum (55), versions 0 to 2: the metadata quorum: leader, epoch, high watermark, and how far each replica is (KIP-595, KIP-836).

- Only the leader of the quorum knows all of it: the request is forwarded there.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.describe_quorum import DescribeQuorumRequest, DescribeQuorumResponse

API_KEY = 55


def handle(services: Services, request: DescribeQuorumRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller decides."""
    forward(services, request, DescribeQuorumResponse, refuse, context, respond)


def refuse(request: DescribeQuorumRequest, error: ApiError, version: int) -> DescribeQuorumResponse:
    """The error instead of an answer."""
    return DescribeQuorumResponse(error_code=error.code, error_message=error.message or None)
