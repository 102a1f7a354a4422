"""The README says what is served, and says it truly."""

from __future__ import annotations

from pathlib import Path

from raftkafka.broker.support import support_rows, support_table

README = Path(__file__).parents[2] / "README.md"


def test_readme_shows_the_generated_support_table() -> None:
    assert support_table() in README.read_text(), "README.md is out of date: replace its table by the output of `raftkafka apis`"


def test_every_missing_part_is_named_in_the_table() -> None:
    missing = {row.name: row.missing for row in support_rows()}
    assert "transactional" in missing["InitProducerId"]
    assert missing["ListGroups"] == ""
