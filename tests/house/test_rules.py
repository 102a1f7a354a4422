"""The rules that can be switched off: their names, their texts, and how they reach a node."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from raftkafka.base.rule_texts import RULE_TEXTS
from raftkafka.base.rules import BROKEN_RULES_KEY, Rule, UnknownRule, names_of, rule_named, rules_named
from raftkafka.broker.config_loader import ConfigError, config_from_properties
from raftkafka.cli.rules import rules, rules_document
from raftkafka.simulation.cluster import SimCluster

ROOT = Path(__file__).parents[2]
LONGEST_TEXT = 150


def test_names_are_kebab_case_and_lead_back_to_their_rules() -> None:
    for rule in Rule:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", rule.value)
        assert rule_named(rule.value) is rule


def test_every_rule_has_a_text_in_the_order_of_the_rules() -> None:
    assert list(RULE_TEXTS) == list(Rule)
    for rule, text in RULE_TEXTS.items():
        for sentence in (text.sentence, text.hazard):
            assert sentence.endswith("."), rule
            assert len(sentence) < LONGEST_TEXT, rule


def test_every_rule_is_asked_for_somewhere() -> None:
    code = "".join(path.read_text() for path in (ROOT / "raftkafka").rglob("*.py") if path.parent.name not in ("base", "cli"))
    assert [rule.name for rule in Rule if f"Rule.{rule.name}" not in code] == []


def test_an_unknown_rule_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownRule, match="Did you mean truncate-by-epoch"):
        rule_named("truncate-by-epochs")


def test_a_list_of_names_is_read_and_written() -> None:
    both = rules_named(" truncate-by-epoch, vote-once-per-epoch ")
    assert both == {Rule.TRUNCATE_BY_EPOCH, Rule.VOTE_ONCE_PER_EPOCH}
    assert rules_named(names_of(both)) == both


def test_the_property_breaks_rules_and_says_so() -> None:
    config = SimCluster(seed=1, node_count=1, overrides={BROKEN_RULES_KEY: "truncate-by-epoch"}).configs[1]
    assert config.disabled_rules == {Rule.TRUNCATE_BY_EPOCH}
    assert any("truncate-by-epoch" in notice for notice in config.notices)
    assert not any("without effect" in notice and BROKEN_RULES_KEY in notice for notice in config.notices)


def test_the_property_refuses_an_unknown_rule() -> None:
    static = SimCluster(seed=1, node_count=1).configs[1].static
    with pytest.raises(ConfigError, match="truncate-by-epoch"):
        config_from_properties({**static, BROKEN_RULES_KEY: "truncate-by-epochs"})


def test_the_document_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "rules.md").read_text() == rules_document(), "run `raftkafka rules --markdown > docs/rules.md`"


def test_the_command_lists_shows_and_refuses() -> None:
    runner = CliRunner()
    listed = runner.invoke(rules)
    assert listed.exit_code == 0
    assert all(rule.value in listed.output for rule in Rule)
    shown = runner.invoke(rules, ["truncate-by-epoch"])
    assert "KIP-101" in shown.output
    refused = runner.invoke(rules, ["truncate-by-epochs"])
    assert (refused.exit_code, "truncate-by-epoch" in refused.output) == (2, True)
