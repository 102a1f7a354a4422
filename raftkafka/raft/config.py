"""How long Raft waits and how much it sends at once. The defaults are for a local network and for speed, yet calm on a busy machine.

The relations that matter (Raft paper, 5.6: broadcast time << election timeout << time between failures):
`heartbeat_interval_ms` is a small part of `election_timeout_min_ms`, so that a lost or late heartbeat starts nothing; and
`check_quorum_timeout_ms` is above `election_timeout_max_ms`, so that a leader which cannot be heard is replaced before it resigns.
"""

from __future__ import annotations

import attrs

from raftkafka.base.rules import NO_RULES, Rule, Rules


@attrs.frozen(kw_only=True)
class RaftConfig:
    """Times in milliseconds, sizes in bytes."""

    heartbeat_interval_ms: int = 100
    election_timeout_min_ms: int = 600
    """A follower that heard its leader less than this ago refuses every vote (leader stickiness, thesis 4.2.3)."""
    election_timeout_max_ms: int = 1200
    """A follower's own patience is drawn between the minimum and this (paper, 5.2)."""
    check_quorum_timeout_ms: int = 1800
    """A leader that was not answered by a majority for this long resigns (thesis 6.2; KRaft uses 1.5 x the fetch timeout)."""

    first_election_min_ms: int = 30
    first_election_max_ms: int = 120
    """Patience of a node that has not heard of any leader since it started. Short is harmless: a pre-vote disturbs nobody."""
    leader_lost_min_ms: int = 10
    leader_lost_max_ms: int = 60
    """Patience after the leader's process is known to be gone, or has said that it resigns."""
    retry_min_ms: int = 150
    retry_max_ms: int = 400
    """How long a round of votes may stay without a decision; doubled with every failed round, up to the election timeout."""

    observe_interval_ms: int = 100
    """How often an observer without a leader announces itself to the voters."""
    observer_timeout_ms: int = 10_000
    """An observer that has not answered for this long is forgotten by the leader."""

    max_append_bytes: int = 1 << 20
    """Entries of about this size go into one message; a batch is never split."""
    max_in_flight: int = 32
    """Append messages under way to one follower."""
    snapshot_chunk_bytes: int = 1 << 19

    disabled_rules: Rules = NO_RULES
    """Rules switched off on purpose: for lessons, and for tests that prove the simulation would notice."""

    def applies(self, rule: Rule) -> bool:
        """Whether the rule is in force."""
        return rule not in self.disabled_rules
