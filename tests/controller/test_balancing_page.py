"""docs/balancing.md says what the planner does."""

from __future__ import annotations

from raftkafka.metadata.own_config_table import OWN_ROWS
from tests.controller.balance_example import PAGE, example, page_with


def test_worked_example_is_what_the_planner_computes() -> None:
    assert PAGE.read_text() == page_with(example()), "write it with `python -m tests.controller.balance_example`"


def test_keys_and_their_defaults_are_those_of_the_code() -> None:
    configuration = PAGE.with_name("configuration.md").read_text()
    for name, default, *_ in OWN_ROWS:
        assert f"| `{name}` | {default} | " in PAGE.read_text()
        assert f"| `{name}` | {default} | " in configuration
