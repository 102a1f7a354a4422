"""The followers' links to their leaders: Fetch requests of Kafka's own protocol out, its responses in, in order.

Between nodes of this program Fetch goes without an ApiVersions exchange: both sides know the version.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from raftkafka.base.errors import PeerError
from raftkafka.base.ids import NodeId
from raftkafka.broker.effects import CloseLink, LinkId, NodeEffect, OpenLink, SendOnLink
from raftkafka.protocol.fetch_codec import FetchRequestData, FetchResponseData, decode_fetch_response, encode_fetch_request
from raftkafka.protocol.framing import read_response_header

FETCH_KEY = 1
FETCH_VERSION = 18
LINK_PREFIX = "fetch/"


class FetchLinks:
    """One link per leader broker, opened and closed as the fetchers ask."""

    def __init__(self, *, node_id: NodeId, emit: Callable[[NodeEffect], None]) -> None:
        self._client_id = f"broker-{node_id}-fetcher"
        self._emit = emit
        self._outstanding: dict[NodeId, deque[int]] = {}
        self._next_correlation_id = 0

    def owns(self, link_id: LinkId) -> bool:
        """Whether a link belongs here."""
        return link_id.startswith(LINK_PREFIX)

    def leader_of(self, link_id: LinkId) -> NodeId:
        """The broker at the other end of a link of this kind."""
        return NodeId(int(link_id.removeprefix(LINK_PREFIX)))

    def open(self, leader_id: NodeId, host: str, port: int) -> None:
        """Dials a leader."""
        self._emit(OpenLink(_link_id(leader_id), host, port))

    def close(self, leader_id: NodeId) -> None:
        """Ends the link to a leader; nothing that was sent on it is answered any more."""
        self._outstanding.pop(leader_id, None)
        self._emit(CloseLink(_link_id(leader_id)))

    def closed(self, leader_id: NodeId) -> None:
        """The link has ended by itself."""
        self._outstanding.pop(leader_id, None)

    def send(self, leader_id: NodeId, request: FetchRequestData) -> None:
        """Sends one fetch on the open link."""
        self._next_correlation_id = (self._next_correlation_id + 1) & 0x7FFFFFFF
        frame = encode_fetch_request(FETCH_VERSION, self._next_correlation_id, self._client_id, request)
        self._outstanding.setdefault(leader_id, deque()).append(self._next_correlation_id)
        self._emit(SendOnLink(_link_id(leader_id), (frame,)))

    def frame(self, leader_id: NodeId, frame: memoryview) -> FetchResponseData:
        """The response to the oldest fetch that is outstanding; its records are views into the frame."""
        correlation_id, offset = read_response_header(frame, FETCH_KEY, FETCH_VERSION)
        outstanding = self._outstanding.get(leader_id)
        if not outstanding or outstanding.popleft() != correlation_id:
            raise PeerError(f"broker {leader_id} answers a fetch that was not sent (correlation id {correlation_id})")
        return decode_fetch_response(frame, offset, FETCH_VERSION)


def _link_id(leader_id: NodeId) -> LinkId:
    return LinkId(f"{LINK_PREFIX}{leader_id}")
