"""Fetch (1), versions 4 to 18: records for consumers and followers, with long polls and incremental sessions.

- Read and answered by the hand-made codec: this is the hot path. Version 13 names topics by id (KIP-516).
- At least one whole batch is returned even when it is larger than what was asked for; the batch that holds the offset may begin before it.
- Sessions (KIP-227), fetching from followers (KIP-392), diverging epochs (KIP-595), leader hints with addresses (KIP-951, version 16), the
  follower's high watermark (KIP-1166, version 18).

- Who goes beyond `consumer_byte_rate` gets the records and is told for how long it is not listened to (KIP-219); followers have no quota.

Not implemented: the metadata log is not served by Fetch (the quorum is push Raft).
"""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.base.errors import ErrorCode
from raftkafka.broker.connection import Connection
from raftkafka.broker.context import RequestContext
from raftkafka.broker.leader_hints import node_endpoints
from raftkafka.broker.services import Services
from raftkafka.protocol.fetch_codec import decode_fetch_request, encode_fetch_response
from raftkafka.replication.values import FetchReply

API_KEY = 1
FIRST_VERSION_WITH_CLUSTER_ID = 12
FIRST_VERSION_WITH_ENDPOINTS = 16

Touch = Callable[[Connection], None]


def handle_frame(services: Services, context: RequestContext, frame: memoryview, offset: int, touch: Touch) -> None:
    """Answers at once, or when there is enough to say."""
    version = context.api_version
    request = decode_fetch_request(frame, offset, version)
    connection = context.connection
    slot = connection.reserve()
    quotas = services.quotas
    waits_ms = 0
    if request.replica_id >= 0:
        connection.is_follower = True
    elif quotas.limits_fetch or quotas.limits_requests:
        request.max_bytes = min(request.max_bytes, quotas.fetch_bytes(context.client_id))
        waits_ms = services.hold_back(connection, context.client_id, context.now_ms)

    def done(reply: FetchReply) -> None:
        throttle_ms = waits_ms
        if quotas.limits_fetch and request.replica_id < 0:
            throttle_ms = max(throttle_ms, _throttle_ms(services, context, reply))
        endpoints = node_endpoints(services, reply.results, context.listener) if version >= FIRST_VERSION_WITH_ENDPOINTS else ()
        slot.complete(
            encode_fetch_response(
                version,
                context.correlation_id,
                reply.results,
                error_code=reply.error_code,
                session_id=reply.session_id,
                throttle_time_ms=throttle_ms,
                node_endpoints=endpoints,
            )
        )
        touch(connection)

    if request.cluster_id is not None and request.cluster_id != services.cluster_id:
        done(FetchReply(error_code=ErrorCode.INCONSISTENT_CLUSTER_ID))
        return
    services.replicas.fetch(request, version=version, now_ms=context.now_ms, done=done)


def _throttle_ms(services: Services, context: RequestContext, reply: FetchReply) -> int:
    """Counts what a consumer gets; how long its connection is muted for it."""
    now_ms = services.clock()
    size_bytes = sum(result.records_size for result in reply.results)
    throttle_ms = services.quotas.fetched(context.client_id, size_bytes, now_ms)
    if throttle_ms:
        services.mute(context.connection, now_ms + throttle_ms)
    return throttle_ms
