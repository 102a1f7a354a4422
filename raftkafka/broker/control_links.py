"""Connections between nodes on the controller listener: who dials whom, who is who, and what the end of a connection means.

Every node dials every voter but itself, and those that become voters later. A node that knows no voter by its id, or that has known
nobody to lead for a while, dials its *contacts* (`controller.quorum.bootstrap.servers`) until one of them has said who it is. A message
goes out on the own link, or, to a node that is no voter, on the connection which that node opened last; a node that knows this one by two
addresses may have opened two. Both sides begin with `Hello`.

Invariants
- A message is acted on only after its sender said `Hello` with this cluster's id.
- A refused connection is certain news: nobody listens there, the process is gone (`gone`). A connection that ends otherwise is a hint,
  followed by a dial at once to find out; silence is nobody's proof and is left to time-outs.
- Nobody is dialed again without a pause who has just been dialed: a peer that takes connections only to close them costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from raftkafka.base.errors import PeerError
from raftkafka.base.ids import NodeId
from raftkafka.base.observed import observed
from raftkafka.broker.channel import FAR_FUTURE_MS
from raftkafka.broker.connection import Connection
from raftkafka.broker.control import ControlMessage, Hello, decode_control, encode_control
from raftkafka.broker.effects import CloseLink, LinkId, NodeEffect, OpenLink, SendOnLink

REDIAL_BACKOFF_MS = 100
CONTACT_PATIENCE_MS = 3_000
"""So long a node that knows voters looks for a leader among them before it asks the contacts."""
LINK_PREFIX = "control/"
PROBE_PREFIX = "probe/"
CONTACT_PREFIX = "contact/"


@attrs.define(eq=False)
class _Link:
    """The own link to one voter."""

    link_id: LinkId
    host: str
    port: int
    open: bool = False
    dialing: bool = False
    opened_ms: int = 0
    redial_at_ms: int = FAR_FUTURE_MS
    wanted: bool = True
    """Whether to dial again when it ends: not a node that has lost its vote."""

    @property
    def is_idle(self) -> bool:
        """Whether it is neither open nor about to be."""
        return not self.open and not self.dialing and self.redial_at_ms == FAR_FUTURE_MS


@attrs.frozen(kw_only=True)
class Received:
    """A message, who sent it, and its correlation id."""

    source: NodeId
    message: ControlMessage
    correlation_id: int


class ControlLinks:
    """The node's connections to its peers. `gone` is told whose process has certainly ended, and which one if it is known."""

    def __init__(
        self,
        *,
        hello: Hello,
        peers: Mapping[NodeId, tuple[str, int]],
        contacts: Sequence[tuple[str, int]] = (),
        learned: Callable[[NodeId], None] = lambda node_id: None,
        emit: Callable[[NodeEffect], None],
        touch: Callable[[Connection], None],
        gone: Callable[[NodeId, bytes | None], None],
        redial_backoff_ms: int = REDIAL_BACKOFF_MS,
    ) -> None:
        self._hello = hello
        self._emit = emit
        self._touch = touch
        self._gone = gone
        self._learned = learned
        self._links: dict[NodeId, _Link] = {}
        self._by_link_id: dict[LinkId, NodeId] = {}
        for node_id, (host, port) in sorted(peers.items()):
            self._add(node_id, host, port)
        self._contacts: dict[LinkId, _Link] = {
            LinkId(f"{CONTACT_PREFIX}{number}"): _Link(LinkId(f"{CONTACT_PREFIX}{number}"), host, port)
            for number, (host, port) in enumerate(contacts)
        }
        self._inbound: dict[Connection, Hello] = {}
        self._connection_of: dict[NodeId, Connection] = {}
        self._incarnations: dict[NodeId, bytes] = {}
        self._probing: dict[NodeId, None] = {}
        self._redial_backoff_ms = redial_backoff_ms
        self._redial_ms = FAR_FUTURE_MS

    @property
    def incarnation_id(self) -> bytes:
        """The name of this process, here and where it registers as a broker."""
        return self._hello.incarnation_id

    def owns(self, link_id: LinkId) -> bool:
        """Whether a link belongs here."""
        return link_id.startswith((LINK_PREFIX, PROBE_PREFIX, CONTACT_PREFIX))

    def node_of(self, link_id: LinkId) -> NodeId | None:
        """The node at the other end of a link of this kind; None when only its address is known."""
        if link_id.startswith(CONTACT_PREFIX):
            return None
        return _node_named_by(link_id)

    def start(self, voters: Mapping[NodeId, tuple[str, int]], now_ms: int) -> None:
        """Dials every other voter, of the properties and of what the disk knows; without any, the contacts."""
        for node_id, (host, port) in sorted(voters.items()):
            self._add(node_id, host, port)
        for link in self._links.values():
            self._dial(link)
        if self._links:
            self.leader_changed(None, now_ms)
        else:
            for contact in self._contacts.values():
                self._dial(contact)

    def leader_changed(self, leader_id: NodeId | None, now_ms: int) -> None:
        """Somebody leads the quorum as far as is known here, or nobody: then the contacts may know more after a while."""
        for contact in self._contacts.values():
            if not contact.open and not contact.dialing:
                contact.redial_at_ms = now_ms + CONTACT_PATIENCE_MS if leader_id is None else FAR_FUTURE_MS
                self._redial_ms = min(self._redial_ms, contact.redial_at_ms)

    def voters_changed(self, peers: Mapping[NodeId, tuple[str, int]]) -> None:
        """These vote now: whoever has no link is dialed. The link to one that has lost its vote stays until it closes."""
        for node_id, link in self._links.items():
            link.wanted = node_id in peers
        for node_id, (host, port) in sorted(peers.items()):
            known = self._links.get(node_id)
            if known is not None and (known.host, known.port) == (host, port):
                if known.is_idle:  # its link has ended while it had no vote
                    self._dial(known)
                continue
            if known is not None:
                self._emit(CloseLink(known.link_id))
            self._add(node_id, host, port)
            if node_id in self._links:
                self._dial(self._links[node_id])

    def _add(self, node_id: NodeId, host: str, port: int) -> None:
        if node_id != self._hello.node_id:
            self._links[node_id] = _Link(LinkId(f"{LINK_PREFIX}{node_id}"), host, port)
            self._by_link_id[self._links[node_id].link_id] = node_id

    def send(self, to: NodeId, message: ControlMessage, correlation_id: int = 0) -> bool:
        """Sends on the way that is open; False (and nothing sent) when there is none."""
        link = self._links.get(to)
        if link is not None and link.open:
            self._emit(SendOnLink(link.link_id, (encode_control(message, correlation_id=correlation_id),)))
            return True
        connection = self._connection_of.get(to)
        if connection is None:
            return False
        self._write(connection, message, correlation_id)
        return True

    def link_opened(self, link_id: LinkId, now_ms: int) -> None:
        """A dialed voter answers: introduce this node. A probe that succeeds shows that the process lives."""
        if link_id.startswith(PROBE_PREFIX):
            self._probing.pop(_node_named_by(link_id), None)
            self._emit(CloseLink(link_id))
            return
        link = self._link(link_id)
        link.open, link.dialing, link.opened_ms = True, False, now_ms
        self._emit(SendOnLink(link_id, (encode_control(self._hello),)))

    def link_closed(self, link_id: LinkId, *, refused: bool, now_ms: int) -> NodeId | None:
        """A link ended or could not be opened; the node whose open link it was, if it was open."""
        if link_id.startswith(PROBE_PREFIX):
            self._probing.pop(_node_named_by(link_id), None)
            if refused:
                self._gone(_node_named_by(link_id), None)
            return None
        node_id = self._by_link_id.get(link_id)
        link = self._link(link_id)
        was_open, link.open, link.dialing = link.open, False, False
        if refused and node_id is not None:
            self._gone(node_id, None)
        if link.wanted and was_open and now_ms >= link.opened_ms + self._redial_backoff_ms:
            self._dial(link)
        elif link.wanted:
            link.redial_at_ms = now_ms + self._redial_backoff_ms
            self._redial_ms = min(self._redial_ms, link.redial_at_ms)
        return node_id if was_open else None

    def link_frame(self, link_id: LinkId, frame: memoryview) -> Received | None:
        """What a voter sends on the link to it."""
        message, correlation_id = decode_control(frame)
        node_id = self._by_link_id.get(link_id)
        if node_id is None:
            if link_id in self._contacts:  # else it has said who it is, and this came on its way before the link was closed
                self._contact_answered(link_id, message)
            return None
        if isinstance(message, Hello):
            self._check(message, node_id)
            return None
        return Received(source=node_id, message=message, correlation_id=correlation_id)

    def connection_frame(self, connection: Connection, frame: memoryview) -> Received | None:
        """What a node sends on the connection that it opened."""
        message, correlation_id = decode_control(frame)
        if isinstance(message, Hello):
            self._introduced(connection, message)
            return None
        hello = self._inbound.get(connection)
        if hello is None:
            raise PeerError("a node spoke before it said who it is")
        return Received(source=hello.node_id, message=message, correlation_id=correlation_id)

    def connection_closed(self, connection: Connection) -> NodeId | None:
        """The node that had opened this connection, when it has no other."""
        hello = self._inbound.pop(connection, None)
        if hello is None or self._connection_of.get(hello.node_id) is not connection:
            return None
        del self._connection_of[hello.node_id]
        for other, said in self._inbound.items():
            if said == hello and not other.closed:
                self._connection_of[hello.node_id] = other
        return None if hello.node_id in self._connection_of else hello.node_id

    def probe(self, node_id: NodeId, host: str, port: int) -> None:
        """Finds out whether a node that is no voter still listens; `gone` is told when it does not. One attempt at a time."""
        if node_id in self._probing:
            return
        self._probing[node_id] = None
        self._emit(OpenLink(LinkId(f"{PROBE_PREFIX}{node_id}"), host, port))

    def dials(self, node_id: NodeId) -> bool:
        """Whether this node dials that one by itself, so that no probe is needed."""
        link = self._links.get(node_id)
        return link is not None and link.wanted

    def tick(self, now_ms: int) -> None:
        """Dials again what is due."""
        if now_ms < self._redial_ms:
            return
        links = (*self._links.values(), *self._contacts.values())
        for link in links:
            if now_ms >= link.redial_at_ms:
                self._dial(link)
        self._redial_ms = min((link.redial_at_ms for link in links), default=FAR_FUTURE_MS)

    def next_deadline_ms(self) -> int:
        return self._redial_ms

    def _dial(self, link: _Link) -> None:
        link.dialing, link.redial_at_ms = True, FAR_FUTURE_MS
        self._emit(OpenLink(link.link_id, link.host, link.port))

    def _link(self, link_id: LinkId) -> _Link:
        node_id = self._by_link_id.get(link_id)
        return self._contacts[link_id] if node_id is None else self._links[node_id]

    def _contact_answered(self, link_id: LinkId, message: ControlMessage) -> None:
        """A node of which only the address was known says who it is: it gets a link of its own."""
        if not isinstance(message, Hello):
            raise PeerError("a contact spoke before it said who it is")
        if message.node_id != self._hello.node_id:
            self._check(message, None)
        contact = self._contacts.pop(link_id)
        self._emit(CloseLink(link_id))
        if message.node_id == self._hello.node_id:
            return  # among the addresses is this node's own
        if message.node_id not in self._links:
            self._add(message.node_id, contact.host, contact.port)
            self._dial(self._links[message.node_id])
        self._learned(message.node_id)

    def _introduced(self, connection: Connection, hello: Hello) -> None:
        self._check(hello, None)
        node_id = hello.node_id
        self._inbound[connection] = hello
        self._connection_of[node_id] = connection
        before = self._incarnations.get(node_id)
        self._incarnations[node_id] = hello.incarnation_id
        if before is not None and before != hello.incarnation_id:
            self._emit(observed("peer-restarted", node=node_id))
            self._gone(node_id, before)
        self._write(connection, self._hello, 0)

    def _check(self, hello: Hello, expected: NodeId | None) -> None:
        if hello.cluster_id != self._hello.cluster_id:
            raise PeerError(f"node {hello.node_id} belongs to cluster {hello.cluster_id}, this one to {self._hello.cluster_id}")
        if hello.node_id == self._hello.node_id:
            raise PeerError(f"another process says that it is node {hello.node_id} too")
        if expected is not None and hello.node_id != expected:
            raise PeerError(f"node {hello.node_id} answers at the address of node {expected}")

    def _write(self, connection: Connection, message: ControlMessage, correlation_id: int) -> None:
        if not connection.closed:
            connection.out.append(encode_control(message, correlation_id=correlation_id))
            self._touch(connection)


def _node_named_by(link_id: LinkId) -> NodeId:
    return NodeId(int(link_id.rpartition("/")[2]))
