"""The rules that a node can be told to break, by name, to see what each of them prevents. Never in production.

A rule is a line of a protocol that looks as if it could be left out. Switched off, a node behaves as a plausible, naive implementation
would: it goes on working, and sooner or later loses, doubles or shows something that it should not. `raftkafka.base.rule_texts` says for
each what it says, what it prevents and where it comes from; the simulator finds a counter-example for each.

Invariants
- With no rule disabled nothing here has any effect: every part asks once, when it is made, and keeps the answer.
- The value of a rule is the name by which people switch it off; it is unique, in kebab-case, and never reused for another rule.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable

BROKEN_RULES_KEY = "raftkafka.broken.rules"
"""The key of server.properties that names the rules to break, separated by commas."""


class Rule(enum.Enum):
    """What can be switched off. The texts are in `rule_texts`."""

    # Raft: the metadata quorum.
    PERSIST_VOTE = "persist-the-vote-before-answering"
    FSYNC_RAFT_LOG = "fsync-the-raft-log-before-answering"
    VOTE_ONCE_PER_EPOCH = "vote-once-per-epoch"
    COMPARE_LOGS = "compare-logs-before-voting"
    PRE_VOTE = "ask-before-opening-an-epoch"
    LEADER_STICKINESS = "refuse-votes-while-a-leader-lives"
    CHECK_QUORUM = "resign-without-a-quorum"
    COMMIT_ONLY_OWN_EPOCH = "commit-only-own-epoch-by-counting"
    CHECK_PREVIOUS_ENTRY = "check-the-previous-entry"
    TRUNCATE_ON_CONFLICT = "truncate-only-on-conflict"
    LEADER_COUNTS_ITSELF = "count-the-leader-when-persisted"
    VOTER_NEEDS_ITS_DIRECTORY = "voter-needs-its-directory"

    # The controller.
    ANSWER_AFTER_COMMIT = "answer-after-commit"
    CATCH_UP_BEFORE_CONTROLLING = "catch-up-before-controlling"
    BUMP_LEADER_EPOCH = "bump-leader-epoch-on-election"
    ELECT_FROM_ISR = "elect-only-from-isr"
    MOVE_INSIDE_ISR = "move-leaders-inside-isr"
    KEEP_REMOVED_IN_ELR = "keep-removed-replicas-in-elr"
    EXCLUDE_UNCLEAN_FROM_ELR = "exclude-uncleanly-restarted-from-elr"
    REFUSE_STALE_PROPOSALS = "refuse-stale-isr-proposals"
    REQUIRE_BROKER_EPOCH = "require-broker-epoch-on-isr-expansion"
    REFUSE_FENCED_IN_ISR = "refuse-fenced-replicas-in-isr"
    FENCE_AND_MOVE_TOGETHER = "fence-and-move-leaders-together"
    CATCH_UP_BEFORE_REMOVING = "catch-up-before-removing-replicas"
    BUMP_EPOCH_ON_REMOVAL = "bump-leader-epoch-on-removal"

    # Replication.
    TRUNCATE_BY_EPOCH = "truncate-by-epoch"
    CHECK_DIVERGENCE = "check-divergence-on-fetch"
    COUNT_MAXIMAL_ISR = "count-the-maximal-isr"
    ONE_PROPOSAL = "one-isr-proposal-at-a-time"
    EXPAND_PAST_EPOCH_START = "expand-only-past-the-epoch-start"
    FREEZE_UNDER_MIN_ISR = "freeze-high-watermark-under-min-isr"
    COUNT_WHOLE_ISR = "count-every-isr-member"
    ACKS_ALL_WAITS = "acks-all-waits-for-the-high-watermark"
    SERVE_BELOW_HIGH_WATERMARK = "serve-consumers-below-high-watermark"
    LATEST_AFTER_CATCH_UP = "list-latest-only-when-caught-up"
    KEEP_HIGH_WATERMARK = "never-lower-the-high-watermark"

    # Storage.
    CHECK_SEQUENCE = "deduplicate-by-producer-sequence"
    REPLICATE_PRODUCER_STATE = "derive-producer-state-from-the-log"
    RECORD_EPOCH_AT_ELECTION = "record-leader-epoch-at-election"
    SYNC_BEFORE_MARKER = "sync-before-the-clean-stop-marker"
    WITHDRAW_MARKER = "withdraw-the-clean-stop-marker"
    SCAN_AFTER_CRASH = "check-batches-after-a-crash"
    CLEAN_BELOW_HIGH_WATERMARK = "clean-only-below-the-high-watermark"
    KEEP_TOMBSTONES = "keep-tombstones-for-a-while"
    KEEP_PRODUCER_BATCHES = "keep-the-last-batches-of-producers"
    SWAP_ATOMICALLY = "swap-cleaned-segments-atomically"

    # Coordinators.
    ANSWER_COMMIT_WHEN_REPLICATED = "answer-offset-commit-when-replicated"
    LOAD_BEFORE_ANSWERING = "load-before-answering"
    FENCE_STALE_GENERATIONS = "fence-stale-generations"
    WAIT_FOR_ALL_MEMBERS = "wait-for-all-members"


Rules = frozenset[Rule]

NO_RULES: Rules = frozenset()
"""Nothing is broken."""


class UnknownRule(ValueError):
    """Nobody knows a rule of this name; the message names the nearest one."""


def rule_named(name: str) -> Rule:
    """The rule of that name; `UnknownRule` when there is none."""
    wanted = name.strip().lower()
    by_name = {rule.value: rule for rule in Rule}
    rule = by_name.get(wanted)
    if rule is None:
        near = difflib.get_close_matches(wanted, by_name, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}?" if near else "`raftkafka rules` lists them."
        raise UnknownRule(f"there is no rule {name.strip()!r}. {hint}")
    return rule


def rules_named(names: str) -> Rules:
    """The rules of a list separated by commas; `UnknownRule` for the first that is none."""
    return frozenset(rule_named(name) for name in names.split(",") if name.strip())


def names_of(rules: Iterable[Rule]) -> str:
    """The names in the order of the alphabet, separated by commas: what `rules_named` reads."""
    return ",".join(sorted(rule.value for rule in rules))
