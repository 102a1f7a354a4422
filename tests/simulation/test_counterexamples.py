"""Each stored counter-example breaks what it says without its rule, and nothing with it; and one can be found anew."""

from __future__ import annotations

import os

import pytest

from raftkafka.base.rule_texts import RULE_TEXTS
from raftkafka.base.rules import Rule
from tests.simulation.counterexample import SEEDS, Counterexample, failure_with, failure_without, find, path_of, read, stored

STORED = stored()


@pytest.mark.slow
@pytest.mark.parametrize("example", STORED, ids=lambda example: example.rule.value)
def test_a_counterexample_breaks_what_it_says_and_nothing_with_the_rule(example: Counterexample) -> None:
    failure = failure_without(example.rule, example.case, example.seed)
    assert failure is not None
    assert failure.invariant == example.invariant
    assert failure_with(example.case, example.seed) is None


def test_every_rule_has_a_counterexample() -> None:
    assert [rule.value for rule in Rule if not path_of(rule).exists()] == []


def test_no_file_is_left_of_a_rule_that_is_gone() -> None:
    names = {path_of(rule).name for rule in Rule}
    assert [path.name for path in path_of(Rule.PRE_VOTE).parent.glob("*") if path.name not in names] == []


@pytest.mark.parametrize("example", STORED, ids=lambda example: example.rule.value)
def test_a_counterexample_is_a_text_that_reads_back(example: Counterexample) -> None:
    assert str(example) == path_of(example.rule).read_text(encoding="utf-8")
    assert read(example.rule) == example
    assert example.script.broken_rules == (example.rule.value,)


@pytest.mark.parametrize("example", STORED, ids=lambda example: example.rule.value)
def test_a_counterexample_is_explained_by_hand(example: Counterexample) -> None:
    assert example.explanation != RULE_TEXTS[example.rule].hazard
    assert len(example.explanation.split()) > 30


@pytest.mark.skipif("SOAK" not in os.environ, reason="`make soak` looks for each anew")
@pytest.mark.parametrize("rule", list(Rule), ids=lambda rule: rule.value)
def test_a_broken_rule_is_noticed_within_two_hundred_seeds(rule: Rule) -> None:
    assert find(rule, SEEDS) is not None
