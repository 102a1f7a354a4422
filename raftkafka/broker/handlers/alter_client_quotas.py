"""AlterClientQuotas (49), versions 0 to 1: quotas of users, client ids and IP addresses are set and removed (KIP-546).

Not implemented: host names as IP entities (an address is wanted; a name would be resolved differently on different nodes).
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.alter_client_quotas import AlterClientQuotasRequest, AlterClientQuotasResponse, AlteredEntryData

API_KEY = 49


def handle(services: Services, request: AlterClientQuotasRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller decides."""
    forward(services, request, AlterClientQuotasResponse, refuse, context, respond)


def refuse(request: AlterClientQuotasRequest, error: ApiError, version: int) -> AlterClientQuotasResponse:
    """The error for every entity."""
    return AlterClientQuotasResponse(
        entries=[
            AlteredEntryData(error_code=error.code, error_message=error.message or None, entity=entry.entity) for entry in request.entries
        ]
    )
