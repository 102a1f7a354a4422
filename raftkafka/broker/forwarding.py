"""Forwarding: the active controller gets a client's request, and the client gets what the controller answers (KIP-590)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.broker.context import RequestContext
from raftkafka.broker.control import ControlReply, Forward, ForwardReply
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.framing import read_message, write_message

NOT_REPEATABLE = frozenset({19, 20, 37, 80, 81})
"""CreateTopics, DeleteTopics, CreatePartitions, AddRaftVoter, RemoveRaftVoter: sent a second time they would answer with an error for what
the first time did."""

Refuse = Callable[[Any, ApiError, int], Any]


def forward(services: Services, request: Any, response_class: type[Any], refuse: Refuse, context: RequestContext, respond: Respond) -> None:
    """Asks the active controller. Whom it holds back is muted for that time. When it cannot be reached in `request.timeout.ms`, the client
    gets REQUEST_TIMED_OUT."""
    version = context.api_version
    message = Forward(
        api_key=context.api_key,
        api_version=version,
        client_id=context.client_id,
        client_host=context.client_host,
        body=write_message(request, version),
    )

    def answered(reply: ControlReply | None) -> None:
        if isinstance(reply, ForwardReply) and reply.error == ErrorCode.NONE:
            response = read_message(response_class, version, reply.body)[0]
            throttle_ms = getattr(response, "throttle_time_ms", 0)  # a response without it is never held back
            if throttle_ms:
                services.mute(context.connection, services.clock() + throttle_ms)
            respond(response)
            return
        code = reply.error if isinstance(reply, ForwardReply) else ErrorCode.REQUEST_TIMED_OUT
        respond(refuse(request, ApiError(code, "the active controller did not decide this request"), version))

    deadline_ms = context.now_ms + services.config.request_timeout_ms
    services.channel.request(message, answered, deadline_ms=deadline_ms, repeatable=context.api_key not in NOT_REPEATABLE)
