"""Fetch (1), versions 4 to 18: records for consumers and followers, with long polls and incremental sessions.

- Read and answered by the hand-made codec: this is the hot path. Version 13 names topics by id (KIP-516).
- At least one whole batch is returned even when it is larger than what was asked for; the batch that holds the offset may begin before it.
- Sessions (KIP-227), fetching from followers (KIP-392), diverging epochs (KIP-595), leader hints with addresses (KIP-951, version 16), the
  follower's high watermark (KIP-1166, version 18).

Not implemented: quotas (`throttle_time_ms` is 0); the metadata log is not served by Fetch (the quorum is push Raft).
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
    slot = context.connection.reserve()

    def done(reply: FetchReply) -> None:
        endpoints = node_endpoints(services, reply.results, context.listener) if version >= FIRST_VERSION_WITH_ENDPOINTS else ()
        slot.complete(
            encode_fetch_response(
                version,
                context.correlation_id,
                reply.results,
                error_code=reply.error_code,
                session_id=reply.session_id,
                node_endpoints=endpoints,
            )
        )
        touch(context.connection)

    if request.cluster_id is not None and request.cluster_id != services.cluster_id:
        done(FetchReply(error_code=ErrorCode.INCONSISTENT_CLUSTER_ID))
        return
    services.replicas.fetch(request, version=version, now_ms=context.now_ms, done=done)
