"""Invariants that say no more than a rule does: they are silent while the rule is broken on purpose.

That a node without pre-votes asks for none is no discovery. What comes of a broken rule is, and to see that the run must go on. Where the
invariant is the only thing that notices, it stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from raftkafka.base.rules import Rule

RESTATED: Mapping[Rule, tuple[str, ...]] = {
    Rule.COMPARE_LOGS: ("Q13",),
    Rule.BUMP_LEADER_EPOCH: ("D10",),
    Rule.KEEP_REMOVED_IN_ELR: ("D14",),
    Rule.EXCLUDE_UNCLEAN_FROM_ELR: ("D9",),
    Rule.CATCH_UP_BEFORE_REMOVING: ("R1",),
    Rule.COUNT_WHOLE_ISR: ("D3a",),
    Rule.ACKS_ALL_WAITS: ("D1a",),
    Rule.REPLICATE_PRODUCER_STATE: ("D16",),
    Rule.CLEAN_BELOW_HIGH_WATERMARK: ("K3",),
}


def restated_by(rules: Iterable[Rule]) -> frozenset[str]:
    """The ids of the invariants that are silent while these rules are broken."""
    return frozenset(each for rule in rules for each in RESTATED.get(rule, ()))
