"""docs/balancing.md says what the planner does."""

from __future__ import annotations

from tests.controller.balance_example import PAGE, example, page_with


def test_worked_example_is_what_the_planner_computes() -> None:
    assert PAGE.read_text() == page_with(example()), "write it with `python -m tests.controller.balance_example`"
