"""With which voters a node of a dynamic quorum begins: `--standalone`, `--initial-controllers`, `--no-initial-controllers` (KIP-853).

Sources: kafka-storage of Apache Kafka 4.3.1, whose sentences about a bad `--initial-controllers` are kept.
"""

from __future__ import annotations

import base64
import binascii

import attrs

from raftkafka.base.ids import DirectoryId, NodeId
from raftkafka.broker.config import BrokerConfig
from raftkafka.raft.voters import Endpoint, Voter, VoterSet


class BadVoters(Exception):
    """The text names no set of voters; the sentence says why."""


@attrs.frozen(kw_only=True)
class InitialVoters:
    """What is written into the metadata directory, and the id that the directory has to have, if it is among them."""

    voters: VoterSet
    directory_id: DirectoryId | None


def standalone(config: BrokerConfig, directory_id: DirectoryId) -> InitialVoters:
    """This controller alone."""
    endpoint = config.controller_endpoint
    assert endpoint is not None, "only a controller stands alone"
    voter = Voter(directory_id=directory_id, endpoints=((endpoint.name, endpoint.host, endpoint.port),))
    return InitialVoters(voters={config.node_id: voter}, directory_id=directory_id)


def without_voters() -> InitialVoters:
    """Nobody that this node knows: it observes, and is told by others who votes."""
    return InitialVoters(voters={}, directory_id=None)


def parse_initial_controllers(text: str, *, node_id: NodeId, listener: str) -> InitialVoters:
    """`id@host:port:directory id` with commas between; the same text on every controller. Raises `BadVoters`."""
    voters: dict[NodeId, Voter] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        voter_id, voter = _voter(part, listener)
        if voter_id in voters:
            raise BadVoters(f"Node id {voter_id} was specified more than once.")
        voters[voter_id] = voter
    if not voters:
        raise BadVoters("No voters given.")
    own = voters.get(node_id)
    directory_id = own.directory_id if own is not None else None
    return InitialVoters(voters=voters, directory_id=DirectoryId(directory_id) if directory_id is not None else None)


def _voter(text: str, listener: str) -> tuple[NodeId, Voter]:
    number, at, rest = text.partition("@")
    if not at:
        raise BadVoters("No @ found in dynamic voter string.")
    if not number.isdecimal() or int(number) >= 2**31:
        raise BadVoters("Failed to parse node id in dynamic voter string.")
    host, rest = _host(rest)
    port_text, colon, directory = rest.partition(":")
    if not colon:
        raise BadVoters("No colon following port could be found.")
    try:
        port = int(port_text)
    except ValueError:
        raise BadVoters("Failed to parse port in dynamic voter string.") from None
    if not 0 <= port <= 65_535:
        raise BadVoters(f"Invalid port {port} in dynamic voter string.")
    endpoint: Endpoint = (listener, host, port)
    return NodeId(int(number)), Voter(directory_id=_directory_id(directory), endpoints=(endpoint,))


def _host(text: str) -> tuple[str, str]:
    """The host and what follows its colon; an IPv6 address is in brackets."""
    if not text.startswith("["):
        host, colon, rest = text.partition(":")
        if not colon:
            raise BadVoters("No colon following hostname could be found.")
        return host, rest
    host, bracket, rest = text[1:].partition("]")
    if not bracket:
        raise BadVoters("Hostname began with left bracket, but no right bracket was found.")
    if not rest.startswith(":"):
        raise BadVoters("Port section must start with a colon.")
    return host, rest[1:]


def _directory_id(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != 16:
        raise BadVoters("Failed to parse directory ID in dynamic voter string.")
    return decoded
