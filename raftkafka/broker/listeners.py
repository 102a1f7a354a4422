"""Listeners, advertised addresses and quorum voters: the text of their keys to endpoints, with what they refuse.

Invariants
- Only PLAINTEXT is served here; a listener that asks for TLS or SASL is refused, never silently served without.
- An address that is advertised can be reached: never 0.0.0.0, never empty.

Sources: KIP-103 (listeners), KIP-595 (controller.quorum.voters); Apache Kafka 4.3's checks of combined and separate roles.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.metadata.control_messages import ListenerEndpoint

_LISTENER = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_.-]*)://(?P<host>\[[0-9a-fA-F:.%]+\]|[^:/\[\]]*):(?P<port>-?[0-9]+)")
_VOTER = re.compile(r"(?P<id>[0-9]+)@(?P<host>\[[0-9a-fA-F:.%]+\]|[^:/@\[\]]+):(?P<port>[0-9]+)")
_SERVED_PROTOCOLS = ("PLAINTEXT",)
_KNOWN_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_ANY_HOSTS = ("", "0.0.0.0", "::")


class ListenerError(ValueError):
    """A listener or voter key is wrong; the text says what to write instead."""


class HostPort(NamedTuple):
    """Where a node listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_protocol_map(text: str, *, controller_names: Sequence[str]) -> dict[str, str]:
    """Listener name to security protocol. A controller listener that the map does not name is PLAINTEXT, as in Kafka."""
    protocols = {name.upper(): "PLAINTEXT" for name in controller_names}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, colon, protocol = item.partition(":")
        if not colon or protocol.upper() not in _KNOWN_PROTOCOLS:
            raise ListenerError(f"{item!r} is not NAME:PROTOCOL with one of {', '.join(_KNOWN_PROTOCOLS)}.")
        protocols[name.strip().upper()] = protocol.strip().upper()
    return protocols


def parse_listeners(text: str, *, protocols: Mapping[str, str]) -> tuple[ListenerEndpoint, ...]:
    """The endpoints of `listeners` or `advertised.listeners`, each name and each port once."""
    endpoints: list[ListenerEndpoint] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        endpoint = _parse_listener(item, protocols)
        for other in endpoints:
            if other.name == endpoint.name:
                raise ListenerError(f"the listener name {endpoint.name} is used twice. Each listener needs a name of its own.")
            if other.port == endpoint.port != 0 and other.host == endpoint.host:
                raise ListenerError(f"port {endpoint.port} is used by both {other.name} and {endpoint.name}. Give each its own port.")
        endpoints.append(endpoint)
    if not endpoints:
        raise ListenerError("it is empty. Write for example PLAINTEXT://127.0.0.1:9092.")
    return tuple(endpoints)


def advertised_from(listeners: Sequence[ListenerEndpoint]) -> tuple[ListenerEndpoint, ...]:
    """What to advertise when `advertised.listeners` is not set; an empty host becomes this machine's name."""
    return tuple(
        ListenerEndpoint(name=each.name, host=each.host or socket.gethostname(), port=each.port, security_protocol=each.security_protocol)
        for each in listeners
    )


def reachable(endpoints: Sequence[ListenerEndpoint]) -> tuple[ListenerEndpoint, ...]:
    """Where other nodes can connect to: instead of "every interface" the name of this machine."""
    return advertised_from([attrs.evolve(each, host="") if each.host in _ANY_HOSTS else each for each in endpoints])


def check_advertised(advertised: Sequence[ListenerEndpoint]) -> None:
    """Refuses an advertised address that no client could connect to."""
    for endpoint in advertised:
        if endpoint.host in _ANY_HOSTS:
            shown = endpoint.host or "an empty host"
            raise ListenerError(
                f"{endpoint.name} would advertise {shown}, which no client can connect to. "
                f"Set advertised.listeners={endpoint.name}://<name or address of this machine>:{endpoint.port}."
            )


def parse_voters(text: str) -> dict[NodeId, HostPort]:
    """`controller.quorum.voters`: node id to the address of its controller listener, in order of the ids."""
    voters: dict[NodeId, HostPort] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        match = _VOTER.fullmatch(item)
        if match is None:
            raise ListenerError(f"{item!r} is not <node id>@<host>:<port>, for example 1@127.0.0.1:9093.")
        node_id = NodeId(int(match["id"]))
        if node_id in voters:
            raise ListenerError(f"node {node_id} is named twice.")
        voters[node_id] = HostPort(match["host"].strip("[]"), _port(match["port"], item))
    return dict(sorted(voters.items()))


def parse_host_port(text: str) -> HostPort:
    """`host:port` with an optional bracketed IPv6 host."""
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host or not port.isdigit():
        raise ListenerError(f"{text!r} is not <host>:<port>, for example 127.0.0.1:9093.")
    return HostPort(host.strip("[]"), _port(port, text))


def is_exposed(endpoint: ListenerEndpoint) -> bool:
    """Whether others than this machine can reach a listener."""
    return not (endpoint.host == "localhost" or endpoint.host.startswith("127.") or endpoint.host == "::1")


def _parse_listener(item: str, protocols: Mapping[str, str]) -> ListenerEndpoint:
    match = _LISTENER.fullmatch(item)
    if match is None:
        raise ListenerError(f"{item!r} is not NAME://host:port, for example PLAINTEXT://127.0.0.1:9092.")
    name = match["name"].upper()
    protocol = protocols.get(name)
    if protocol is None:
        raise ListenerError(f"the listener {name} has no protocol. Add {name}:PLAINTEXT to listener.security.protocol.map.")
    if protocol not in _SERVED_PROTOCOLS:
        raise ListenerError(
            f"the listener {name} asks for {protocol}, which is not served yet. "
            "Use PLAINTEXT on an address that only trusted machines reach (127.0.0.1), or put a TLS proxy in front."
        )
    return ListenerEndpoint(name=name, host=match["host"].strip("[]"), port=_port(match["port"], item), security_protocol=protocol)


def _port(text: str, item: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise ListenerError(f"{item!r}: a port is a number from 0 to 65535.")
    return port
