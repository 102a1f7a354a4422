"""Who votes, and the history of that in the log.

The voters are named by the properties of a node until the log says otherwise: an entry of the kind `VOTERS` holds a whole set, and counts
from the moment it is in the log, committed or not; when it is cut off, the set before it counts again (Raft paper 6; thesis 4.1). A
snapshot carries the set that counted at its end.

A voter is a node *with its log directory*: one that comes back with an empty disk has forgotten its votes, and is not that voter (KIP-853).
A set that names no directory takes any: so do the properties, and a disk that is lost is not noticed then.

Formatting may give a node the first set of its cluster, with directories, in a file (`store.INITIAL_VOTERS_FILE`); it counts instead of the
properties until the log names another. The first leader writes it into the log, for those who join later and have no such file.

Invariant: one set differs from the next by one voter. Any majority of the one then meets any majority of the other, and no two leaders can
be elected in one epoch (thesis 4.1, figure 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import msgpack

from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import NodeId

Endpoint = tuple[str, str, int]
"""The name of a listener, host and port."""


@attrs.frozen(kw_only=True)
class Voter:
    """What is known of a voter beside its id. `directory_id` None: any; `endpoints` empty: as the properties say."""

    directory_id: bytes | None = None
    endpoints: tuple[Endpoint, ...] = ()

    def has(self, directory_id: bytes | None) -> bool:
        """Whether a node of this voter's id is this voter; an unknown directory (None) is given the benefit of the doubt."""
        return None in (self.directory_id, directory_id) or self.directory_id == directory_id


VoterSet = Mapping[NodeId, Voter]


def encode_voters(voters: VoterSet) -> bytes:
    """The data of a `VOTERS` entry: msgpack `[[id, directory id, [[listener, host, port], ...]], ...]`, by id."""
    encoded: bytes = msgpack.packb([[node_id, voters[node_id].directory_id, list(voters[node_id].endpoints)] for node_id in sorted(voters)])
    return encoded


def decode_voters(data: bytes) -> VoterSet:
    """The set of an entry; raises `DecodeError`."""
    try:
        return {
            NodeId(node_id): Voter(directory_id=directory_id, endpoints=tuple((name, host, port) for name, host, port in endpoints))
            for node_id, directory_id, endpoints in msgpack.unpackb(data)
        }
    except (ValueError, TypeError, msgpack.exceptions.ExtraData) as error:
        raise DecodeError(f"not a set of voters: {error}") from None


class VoterHistory:
    """The sets of the log from its start on: the one that counts there, and each that an entry brought."""

    def __init__(self, base: VoterSet, *, is_named: bool = False) -> None:
        """`base`: what the properties say, or, with `is_named`, what the node was formatted with."""
        self._base = base
        self._base_is_named = is_named
        self._changes: list[tuple[int, VoterSet]] = []

    @property
    def current(self) -> VoterSet:
        """The set that counts: the last one of the log."""
        return self._changes[-1][1] if self._changes else self._base

    @property
    def before_last_change(self) -> VoterSet:
        """The set that counted before the last entry of this log that brought one."""
        return self._changes[-2][1] if len(self._changes) > 1 else self._base

    @property
    def last_change(self) -> int:
        """The offset of the entry that brought it; -1 when none in the log did."""
        return self._changes[-1][0] if self._changes else -1

    def at(self, end_offset: int) -> VoterSet:
        """The set of the log below this offset."""
        return next((voters for offset, voters in reversed(self._changes) if offset < end_offset), self._base)

    @property
    def is_named(self) -> bool:
        """Whether formatting or an entry named the set that counts, not the properties."""
        return self._base_is_named or bool(self._changes)

    def named_at(self, end_offset: int) -> VoterSet | None:
        """The same, None when neither formatting nor an entry had named one, and the properties count."""
        is_named = self._base_is_named or any(offset < end_offset for offset, _ in self._changes)
        return self.at(end_offset) if is_named else None

    def append(self, offset: int, voters: VoterSet) -> None:
        """An entry brings a set."""
        self._changes.append((offset, voters))

    def truncate(self, end_offset: int) -> None:
        """The entries from here on are gone."""
        while self._changes and self._changes[-1][0] >= end_offset:
            self._changes.pop()

    def trim(self, start_offset: int) -> None:
        """The entries below are in a snapshot."""
        self._base, self._base_is_named = self.at(start_offset), self.named_at(start_offset) is not None
        self._changes = [(offset, voters) for offset, voters in self._changes if offset >= start_offset]

    def reset(self, base: VoterSet) -> None:
        """The log begins with a snapshot that ends with this set."""
        self._base, self._base_is_named = base, True
        self._changes.clear()
