"""DescribeClientQuotas (48), versions 0 to 1: the quotas that are set, by a filter on their entities (KIP-546).

- A component of the filter wants a type of entity with this name (0), the default of all (1), or either (2). An entity with further types
  matches too, unless the filter is strict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.metadata.client_quotas import CLIENT_ID, ENTITY_TYPES, IP, USER
from raftkafka.protocol.messages.describe_client_quotas import (
    ComponentData,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
    EntityData,
    EntryData,
    ValueData,
)

API_KEY = 48
EXACT, DEFAULT, SPECIFIED = 0, 1, 2
"""How a component matches."""

Wanted = Callable[[str | None], bool]


def handle(services: Services, request: DescribeClientQuotasRequest, context: RequestContext, respond: Respond) -> None:
    """Answers from the image, sorted by entity."""
    wanted = _filter(request.components)
    entries = []
    for entity, quotas in services.image.quotas.by_entity.items():
        names = dict(entity)
        if request.strict and len(names) > len(wanted):
            continue
        if all(entity_type in names and matches(names[entity_type]) for entity_type, matches in wanted.items()):
            entries.append(
                EntryData(
                    entity=[EntityData(entity_type=entity_type, entity_name=name) for entity_type, name in entity],
                    values=[ValueData(key=key, value=value) for key, value in sorted(quotas.items())],
                )
            )
    entries.sort(key=lambda entry: [(part.entity_type, part.entity_name or "") for part in entry.entity])
    respond(DescribeClientQuotasResponse(error_message="", entries=entries))


def refuse(request: DescribeClientQuotasRequest, error: ApiError, version: int) -> DescribeClientQuotasResponse:
    """The error instead of an answer."""
    return DescribeClientQuotasResponse(error_code=error.code, error_message=error.message or None, entries=None)


def _filter(components: Sequence[ComponentData]) -> dict[str, Wanted]:
    wanted: dict[str, Wanted] = {}
    for component in components:
        entity_type = component.entity_type
        if not entity_type:
            raise ApiError(ErrorCode.INVALID_REQUEST, "Invalid empty entity type.")
        if entity_type in wanted:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Entity type {entity_type} cannot appear more than once in the filter.")
        if entity_type not in ENTITY_TYPES:
            raise ApiError(ErrorCode.UNSUPPORTED_VERSION, f"Unsupported entity type {entity_type}")
        wanted[entity_type] = _wanted(component)
    if IP in wanted and (USER in wanted or CLIENT_ID in wanted):
        reason = (
            "Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component."
        )
        raise ApiError(ErrorCode.INVALID_REQUEST, reason)
    return wanted


def _wanted(component: ComponentData) -> Wanted:
    match component.match_type:
        case _ if component.match_type == EXACT:
            if component.match is None:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Request specified MATCH_TYPE_EXACT, but set match string to null.")
            exact = component.match
            return lambda name: name == exact
        case _ if component.match_type in (DEFAULT, SPECIFIED):
            kind = "DEFAULT" if component.match_type == DEFAULT else "SPECIFIED"
            if component.match is not None:
                raise ApiError(ErrorCode.INVALID_REQUEST, f"Request specified MATCH_TYPE_{kind}, but also specified a match string.")
            return (lambda name: name is None) if component.match_type == DEFAULT else (lambda name: True)
        case _:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Unknown match type {component.match_type}")
