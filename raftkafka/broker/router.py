"""From a frame on a client connection to its handler, and from the handler's answer to the connection's slot.

Invariants
- One frame is one request: it is answered once, in its place in the connection's order, or the connection is closed.
- A frame that cannot be read, an unknown API or a version that is not served closes that connection only (as Kafka does), with the reason;
  an unknown version of ApiVersions is answered, so that the client can ask again.
- A refusal (`ApiError`) becomes an error code here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raftkafka.base.errors import ApiError, DecodeError
from raftkafka.broker.connection import Connection
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers import OWN, SERVED, handler
from raftkafka.broker.handlers.api_versions import API_KEY as API_VERSIONS_KEY
from raftkafka.broker.handlers.api_versions import unsupported_version
from raftkafka.broker.handlers.fetch import handle_frame as handle_fetch
from raftkafka.broker.handlers.produce import handle_frame as handle_produce
from raftkafka.broker.services import Services
from raftkafka.protocol.framing import RequestHeader, encode_response, read_request_body, read_request_header
from raftkafka.protocol.registry import APIS

PRODUCE_KEY = 0
FETCH_KEY = 1
REPLICA_KEYS = frozenset({b"\x00\x00", b"\x00\x01"})
"""The keys of Produce and Fetch as a frame begins with them."""

Touch = Callable[[Connection], None]


def concerns_replicas_only(frame: memoryview) -> bool:
    """Whether a request is for the replicas (Produce, Fetch), and for no other part of the node."""
    return bytes(frame[:2]) in REPLICA_KEYS


class Router:
    """Dispatches requests. `touch` is told each connection that has output."""

    def __init__(self, services: Services, touch: Touch) -> None:
        self._services = services
        self._touch = touch

    def handle(self, connection: Connection, frame: memoryview, now_ms: int, wall_ms: int) -> None:
        """One request; raises `DecodeError` when the connection must be closed."""
        header, offset = read_request_header(frame)
        key, version, correlation_id, client_id = header
        if key not in SERVED and key not in OWN:
            raise DecodeError(f"API key {key} is not served here")
        if not APIS[key].supports(version):
            if key != API_VERSIONS_KEY:
                raise DecodeError(f"version {version} of {APIS[key].name} is not served here")
            self._answer_unsupported(connection, header)
            return
        context = RequestContext(
            api_key=key,
            api_version=version,
            correlation_id=correlation_id,
            client_id=client_id,
            client_host=connection.client_host,
            listener=connection.listener,
            now_ms=now_ms,
            wall_ms=wall_ms,
            connection=connection,
        )
        if self._services.quotas.limits_requests:
            self._dispatch_timed(header, frame, offset, context)
        else:
            self._dispatch(header, frame, offset, context)

    def _dispatch(self, header: RequestHeader, frame: memoryview, offset: int, context: RequestContext) -> None:
        key = header.api_key
        if key == PRODUCE_KEY:
            handle_produce(self._services, context, frame, offset, self._touch)
        elif key == FETCH_KEY:
            handle_fetch(self._services, context, frame, offset, self._touch)
        else:
            self._handle_declared(header, frame, offset, context)

    def _dispatch_timed(self, header: RequestHeader, frame: memoryview, offset: int, context: RequestContext) -> None:
        """Holds the client back for what its requests took so far of `request_percentage`, and counts what this one takes."""
        services, connection = self._services, context.connection
        if header.api_key != FETCH_KEY and not connection.is_follower:
            throttle_ms = services.hold_back(connection, header.client_id, context.now_ms)
            context = context._replace(throttle_ms=throttle_ms)
        timer = services.request_timer
        if timer is None:
            self._dispatch(header, frame, offset, context)
            return
        begun_ns = timer()
        try:
            self._dispatch(header, frame, offset, context)
        finally:
            if not connection.is_follower:
                services.quotas.took(header.client_id, (timer() - begun_ns) // 1_000, context.now_ms)

    def _handle_declared(self, header: RequestHeader, frame: memoryview, offset: int, context: RequestContext) -> None:
        request = read_request_body(header, frame, offset)
        connection = context.connection
        slot = connection.reserve()

        def respond(response: Any) -> None:
            if context.throttle_ms and hasattr(response, "throttle_time_ms"):
                response.throttle_time_ms = max(response.throttle_time_ms, context.throttle_ms)
            slot.complete([encode_response(header, response)])
            self._touch(connection)

        chosen = handler(header.api_key)
        try:
            chosen.handle(self._services, request, context, respond)
        except ApiError as error:
            respond(chosen.refuse(request, error, header.api_version))

    def _answer_unsupported(self, connection: Connection, header: RequestHeader) -> None:
        slot = connection.reserve()
        in_version_zero = RequestHeader(header.api_key, 0, header.correlation_id, header.client_id)
        slot.complete([encode_response(in_version_zero, unsupported_version())])
        self._touch(connection)
