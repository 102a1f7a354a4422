"""The way to the active controller: requests find it wherever it is, survive its change, and end in a reply or a deadline.

Invariants
- `done` is called exactly once for every request: with the reply, or with None when the deadline has passed.
- No two processes of a node use the same correlation ids: an answer that was owed to the one before is nobody's.
- A request is sent again when the asked node answers NOT_CONTROLLER, and, where sending it twice is harmless (`repeatable`), when the
  controller changes or the connection breaks; otherwise such a change ends it with None.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NO_NODE, NodeId
from raftkafka.broker.control import ControlReply, ControlRequest

FAR_FUTURE_MS = 1 << 62
RETRY_BACKOFF_MS = 20

Done = Callable[[ControlReply | None], None]


@attrs.define(eq=False)
class _Pending:
    request: ControlRequest
    done: Done
    deadline_ms: int
    repeatable: bool
    sent_to: NodeId = NO_NODE
    retry_at_ms: int = FAR_FUTURE_MS


class ControllerChannel:
    """Requests to the active controller. `send` hands one (controller, correlation id, request) to the node, which may be that controller;
    it answers False when there is no way to it now.
    """

    def __init__(self, *, send: Callable[[NodeId, int, ControlRequest], bool], first_correlation_id: int = 1) -> None:
        self._send = send
        self._pending: dict[int, _Pending] = {}
        self._next_correlation_id = first_correlation_id
        self._controller: NodeId = NO_NODE

    @property
    def controller(self) -> NodeId:
        """The active controller as far as is known here; -1 when there is none."""
        return self._controller

    def request(self, request: ControlRequest, done: Done, *, deadline_ms: int, repeatable: bool = True) -> None:
        """Sends a request as soon as there is a controller."""
        correlation_id = self._next_correlation_id
        self._next_correlation_id += 1
        pending = _Pending(request, done, deadline_ms, repeatable)
        self._pending[correlation_id] = pending
        self._dispatch(correlation_id, pending)

    def controller_changed(self, controller: NodeId) -> None:
        """There is another controller (or none): what waited for the old one goes to the new one, or ends."""
        if controller == self._controller:
            return
        self._controller = controller
        for correlation_id, pending in list(self._pending.items()):
            if pending.sent_to == controller:
                continue
            if pending.sent_to == NO_NODE or pending.repeatable:
                self._dispatch(correlation_id, pending)
            else:
                self._finish(correlation_id, None)

    def connection_opened(self) -> None:
        """There is a way to some node again: what could not be sent goes now."""
        for correlation_id, pending in list(self._pending.items()):
            if pending.sent_to == NO_NODE and pending.retry_at_ms == FAR_FUTURE_MS:
                self._dispatch(correlation_id, pending)

    def connection_lost(self, node_id: NodeId, now_ms: int) -> None:
        """What was sent to this node may have been lost with its connection."""
        for correlation_id, pending in list(self._pending.items()):
            if pending.sent_to != node_id:
                continue
            if pending.repeatable:
                pending.sent_to = NO_NODE
                pending.retry_at_ms = now_ms + RETRY_BACKOFF_MS
            else:
                self._finish(correlation_id, None)

    def reply(self, correlation_id: int, reply: ControlReply, now_ms: int) -> None:
        """The controller has answered; an unknown correlation id (answered already, or given up) is ignored."""
        pending = self._pending.get(correlation_id)
        if pending is None:
            return
        if reply.error == ErrorCode.NOT_CONTROLLER:
            pending.sent_to = NO_NODE
            pending.retry_at_ms = now_ms + RETRY_BACKOFF_MS
            return
        self._finish(correlation_id, reply)

    def tick(self, now_ms: int) -> None:
        """Retries what is due and ends what has waited too long."""
        for correlation_id, pending in list(self._pending.items()):
            if now_ms >= pending.deadline_ms:
                self._finish(correlation_id, None)
            elif now_ms >= pending.retry_at_ms:
                self._dispatch(correlation_id, pending)

    def next_deadline_ms(self) -> int:
        if not self._pending:
            return FAR_FUTURE_MS
        return min((min(p.deadline_ms, p.retry_at_ms) for p in self._pending.values()), default=FAR_FUTURE_MS)

    def _dispatch(self, correlation_id: int, pending: _Pending) -> None:
        pending.retry_at_ms = FAR_FUTURE_MS
        sent = self._controller != NO_NODE and self._send(self._controller, correlation_id, pending.request)
        pending.sent_to = self._controller if sent else NO_NODE

    def _finish(self, correlation_id: int, reply: ControlReply | None) -> None:
        pending = self._pending.pop(correlation_id)
        pending.done(reply)
