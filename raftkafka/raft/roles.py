"""The roles of a Raft node and what each of them remembers. The names are KRaft's (KIP-595, KIP-996).

```
             patience ends                 a majority would vote            a majority voted
 Unattached ───────────────▶ Prospective ─────────────────────▶ Candidate ──────────────────▶ Leader
     ▲  │ hears a leader          │ a majority would not            │ undecided, or lost          │
     │  ▼                         ▼                                 ▼                            │
     │ Follower ────────────▶ (Unattached)                      (Prospective)                    │
     └───────────────── a higher epoch, or a leader that no majority answers ◀───────────────────┘
```
An observer is never more than Unattached or Follower.
"""

from __future__ import annotations

from collections import deque

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.raft.effects import Snapshot


@attrs.define(eq=False, kw_only=True)
class Unattached:
    """Knows no leader of its epoch."""

    deadline_ms: int


@attrs.define(eq=False, kw_only=True)
class Follower:
    """Hears a leader. `contact_ms` is when it last did; `leader_lost` that the leader is known to be gone."""

    leader_id: NodeId
    contact_ms: int
    deadline_ms: int
    leader_lost: bool = False
    leader_high_watermark: int = 0
    """The furthest that the leader has said of its own."""
    receiving: ReceivedSnapshot | None = None


@attrs.define(eq=False, kw_only=True)
class ReceivedSnapshot:
    """A snapshot of which the first `len(data)` bytes have arrived."""

    end_offset: int
    epoch: int
    data: bytearray = attrs.Factory(bytearray)


@attrs.define(eq=False, kw_only=True)
class Prospective:
    """Asks who would vote for it, without having touched its epoch (thesis 9.6, KIP-996)."""

    deadline_ms: int
    votes: dict[NodeId, bool]


@attrs.define(eq=False, kw_only=True)
class Candidate:
    """Asks for votes in an epoch that it opened."""

    deadline_ms: int
    votes: dict[NodeId, bool]


@attrs.define(eq=False, kw_only=True)
class SentSnapshot:
    """A snapshot on its way to a follower, one chunk at a time; `position` is where the chunk under way begins."""

    snapshot: Snapshot
    checksum: int
    position: int = 0


@attrs.define(eq=False, kw_only=True)
class Replica:
    """What the leader knows of another node.

    `match_offset`: its log is known to equal ours below this. `next_offset`: what is sent next begins here. It is *probing* until one
    message was accepted (then one message is under way at a time), and pipelined after that; `in_flight` holds the end offsets of messages
    under way.
    """

    node_id: NodeId
    is_voter: bool
    next_offset: int
    contact_ms: int
    match_offset: int = 0
    probing: bool = True
    probe_sent: bool = False
    in_flight: deque[int] = attrs.Factory(deque)
    sent_high_watermark: int = 0
    heartbeat_due: bool = False
    snapshot: SentSnapshot | None = None
    chunk_sent: bool = False
    directory_id: bytes | None = None
    last_fetch_ms: int = -1
    last_fetch_end_offset: int = -1
    last_caught_up_ms: int = -1


@attrs.define(eq=False, kw_only=True)
class Transfer:
    """Leadership is being handed to `target`; until `deadline_ms` nothing new is accepted."""

    target: NodeId
    deadline_ms: int
    told: bool = False


@attrs.define(eq=False, kw_only=True)
class Leader:
    """Leads the epoch; `start_offset` is the offset of its first own entry."""

    start_offset: int
    heartbeat_ms: int
    replicas: dict[NodeId, Replica]
    transfer: Transfer | None = None


Role = Unattached | Follower | Prospective | Candidate | Leader
