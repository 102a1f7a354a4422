"""FindCoordinator (10), versions 0 to 6: the broker that coordinates a consumer group.

- From version 4 several groups are asked for at once. The coordinator of each leads the partition of
  `__consumer_offsets` that its id hashes to.
- `__consumer_offsets` is created at the first request; the answer waits until it is usable.

Not implemented: transactional ids (type 1), refused with TRANSACTIONAL_ID_AUTHORIZATION_FAILED, since clients retry every other error
until they time out; share groups (type 2), refused with INVALID_REQUEST.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_NODE
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.broker.topic_creation import create_topics
from raftkafka.group.coordinator import OFFSETS_TOPIC, partition_for
from raftkafka.protocol.messages.find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse

API_KEY = 10
GROUP_KEY_TYPE = 0
TRANSACTION_KEY_TYPE = 1


def handle(services: Services, request: FindCoordinatorRequest, context: RequestContext, respond: Respond) -> None:
    """Answers at once, or when `__consumer_offsets` exists."""
    if request.key_type == TRANSACTION_KEY_TYPE:
        raise ApiError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "transactions are not served by this version")
    if request.key_type != GROUP_KEY_TYPE:
        raise ApiError(ErrorCode.INVALID_REQUEST, "this cluster coordinates consumer groups only (key type 0)")
    if OFFSETS_TOPIC in services.image.topics.by_name:
        respond(_answer(services, request, context, None))
        return

    def created(refusals: dict[str, ApiError]) -> None:
        respond(_answer(services, request, context, refusals.get(OFFSETS_TOPIC)))

    create_topics(services, [OFFSETS_TOPIC], created, now_ms=context.now_ms)


def refuse(request: FindCoordinatorRequest, error: ApiError, version: int) -> FindCoordinatorResponse:
    """The error for every key."""
    return _response([_refused(key, error) for key in _keys(request, version)], version)


def _answer(
    services: Services, request: FindCoordinatorRequest, context: RequestContext, refusal: ApiError | None
) -> FindCoordinatorResponse:
    coordinators = []
    for key in _keys(request, context.api_version):
        try:
            if refusal is not None:
                raise refusal
            coordinators.append(_locate(services, key, context.listener))
        except ApiError as error:
            coordinators.append(_refused(key, error))
    return _response(coordinators, context.api_version)


def _locate(services: Services, group_id: str, listener: str) -> Coordinator:
    topic = services.image.topics.by_name.get(OFFSETS_TOPIC)
    if topic is None:
        raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE, "the offsets topic is being created")
    leader = topic.partitions[partition_for(group_id, len(topic.partitions))].leader
    address = services.endpoint(leader, listener) if leader != NO_NODE else None
    if address is None:
        raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE, "the group's coordinator has no leader now")
    return Coordinator(key=group_id, node_id=leader, host=address.host, port=address.port)


def _keys(request: FindCoordinatorRequest, version: int) -> list[str]:
    return request.coordinator_keys if version >= 4 else [request.key]


def _refused(key: str, error: ApiError) -> Coordinator:
    return Coordinator(key=key, node_id=-1, host="", port=-1, error_code=error.code, error_message=error.message or None)


def _response(coordinators: list[Coordinator], version: int) -> FindCoordinatorResponse:
    if version >= 4:
        return FindCoordinatorResponse(coordinators=coordinators)
    first = coordinators[0]
    return FindCoordinatorResponse(
        node_id=first.node_id, host=first.host, port=first.port, error_code=first.error_code, error_message=first.error_message
    )
