"""What the active controller knows of each broker process beyond the metadata: when it was last heard, and what it has applied.

This is not replicated. A new active controller begins with a full session for every broker, and learns the rest from heartbeats.
Sources: KIP-631 (heartbeats, sessions); S431 BrokerHeartbeatManager.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.metadata.image import MetadataImage

FAR_FUTURE_MS = 2**62


@attrs.define(eq=False, kw_only=True)
class Session:
    """One broker process, identified by its broker epoch."""

    broker_epoch: int
    last_contact_ms: int
    applied_offset: int = -1
    suspected: bool = False
    """Not heard since its connection closed, or never by this controller: a new incarnation need not wait for the session to end."""


class BrokerSessions:
    """The sessions of the registered brokers. A session is *valid* until `timeout_ms` after the last contact."""

    def __init__(self, timeout_ms: int) -> None:
        self._timeout_ms = timeout_ms
        self._sessions: dict[NodeId, Session] = {}

    def begin(self, image: MetadataImage, now_ms: int) -> None:
        """Gives every registered broker a full session; whether its process is still the same one is not known yet."""
        self._sessions = {
            node_id: Session(broker_epoch=broker.broker_epoch, last_contact_ms=now_ms, suspected=True)
            for node_id, broker in image.brokers.items()
        }

    def registered(self, node_id: NodeId, broker_epoch: int, now_ms: int) -> None:
        """A broker has registered: a new process, or the same one again."""
        session = self._sessions.get(node_id)
        if session is not None and session.broker_epoch == broker_epoch:
            session.last_contact_ms = now_ms
            session.suspected = False
        else:
            self._sessions[node_id] = Session(broker_epoch=broker_epoch, last_contact_ms=now_ms)

    def forget(self, node_id: NodeId) -> None:
        self._sessions.pop(node_id, None)

    def heard(self, node_id: NodeId, now_ms: int, applied_offset: int) -> None:
        """A contact that the caller has found to be of the current broker epoch."""
        session = self._sessions[node_id]
        session.last_contact_ms = now_ms
        session.suspected = False
        session.applied_offset = max(session.applied_offset, applied_offset)

    def applied(self, node_id: NodeId, broker_epoch: int, applied_offset: int) -> bool:
        """Notes what a broker process has applied; whether that is news."""
        session = self._sessions.get(node_id)
        if session is None or session.broker_epoch != broker_epoch or applied_offset <= session.applied_offset:
            return False
        session.applied_offset = applied_offset
        return True

    def has_applied(self, node_id: NodeId, offset: int) -> bool:
        """Whether a broker has applied the metadata up to and including `offset`."""
        session = self._sessions.get(node_id)
        return session is not None and session.applied_offset >= offset

    def suspect(self, node_id: NodeId) -> None:
        """The connection of that broker has closed."""
        session = self._sessions.get(node_id)
        if session is not None:
            session.suspected = True

    def is_valid(self, node_id: NodeId, now_ms: int) -> bool:
        """Whether the process may still be there."""
        session = self._sessions.get(node_id)
        return session is not None and not session.suspected and now_ms < session.last_contact_ms + self._timeout_ms

    def expired(self, unfenced: Iterable[NodeId], now_ms: int) -> list[NodeId]:
        """Those of `unfenced` that were not heard for a whole session."""
        return [node_id for node_id in unfenced if now_ms >= self._deadline_ms(node_id)]

    def next_deadline_ms(self, unfenced: Iterable[NodeId]) -> int:
        """When the first of `unfenced` is to be fenced."""
        return min((self._deadline_ms(node_id) for node_id in unfenced), default=FAR_FUTURE_MS)

    def refresh_all(self, now_ms: int) -> None:
        """This controller itself did not run for a while: nobody could be heard meanwhile, and nobody is blamed for it."""
        for session in self._sessions.values():
            session.last_contact_ms = now_ms

    def _deadline_ms(self, node_id: NodeId) -> int:
        session = self._sessions.get(node_id)
        return FAR_FUTURE_MS if session is None else session.last_contact_ms + self._timeout_ms
