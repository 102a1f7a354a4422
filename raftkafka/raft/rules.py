"""The rules of Raft that can be switched off by name, to see what each of them prevents. Never in production.

Each switched-off rule is a mutant that the simulation of `tests/raft` must catch within a bounded number of seeds.
"""

from __future__ import annotations

import enum


class Rule(enum.Enum):
    """The value is the name by which people switch it off."""

    PERSIST_BEFORE_ANSWERING = "persist before answering"
    """Paper, figure 2: "updated on stable storage before responding to RPCs"."""
    VOTE_ONCE_PER_EPOCH = "vote once per epoch"
    """Paper, 5.2: each server votes for at most one candidate in a given term."""
    VOTE_ONLY_FOR_UP_TO_DATE_LOGS = "vote only for up-to-date logs"
    """Paper, 5.4.1: the election restriction."""
    COMMIT_ONLY_OWN_EPOCH_BY_COUNTING = "commit only own-epoch entries by counting"
    """Paper, 5.4.2 and figure 8."""
    CHECK_PREVIOUS_ENTRY = "check the previous entry"
    """Paper, 5.3: the consistency check of AppendEntries, which is the induction step of log matching."""
    TRUNCATE_ON_CONFLICT = "truncate only on conflict"
    """Paper, figure 2: delete what follows only if an existing entry conflicts; a late, shorter message must not delete acknowledged
    entries.
    """
    LEADER_COUNTS_ITSELF_WHEN_PERSISTED = "a leader counts itself only when persisted"
    """Thesis, 10.2.1."""
