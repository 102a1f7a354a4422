"""InitProducerId (22), versions 0 to 5: an id for an idempotent producer (KIP-98).

- Without a transactional id every request gets a new producer id with epoch 0; a client that bumps its own epoch (KIP-360) sends its old
  id and epoch, and gets a new id too, as Kafka does for idempotent producers.
- Version 6 (two-phase commit, KIP-939) is unstable in Kafka and not served.

Not implemented: transactional ids (refused with INVALID_REQUEST).
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

API_KEY = 22


def handle(services: Services, request: InitProducerIdRequest, context: RequestContext, respond: Respond) -> None:
    """Answers with an id from this broker's block."""
    if request.transactional_id is not None:
        raise ApiError(ErrorCode.INVALID_REQUEST, "transactions are not served by this version")

    def allocated(result: int | ApiError) -> None:
        if isinstance(result, ApiError):
            respond(refuse(request, result, context.api_version))
        else:
            respond(InitProducerIdResponse(producer_id=result, producer_epoch=0))

    services.producer_ids.allocate(allocated, context.now_ms)


def refuse(request: InitProducerIdRequest, error: ApiError, version: int) -> InitProducerIdResponse:
    """No id, and why."""
    return InitProducerIdResponse(error_code=error.code, producer_id=-1, producer_epoch=-1)
