r"""Patterns of topics in librdkafka's dialect: what Java's say in another way is translated, what POSIX cannot say is refused."""

from __future__ import annotations

import re

import pytest

from raftkafka.tools.errors import UsageError
from raftkafka.tools.topic_pattern import subscription_of


@pytest.mark.parametrize(
    ("pattern", "translated"),
    [
        ("orders", "^(orders)$"),
        (r"orders\.(eu|us)", r"^(orders\.(eu|us))$"),
        (r"a\d+\w*\W", "^(a[0-9]+[A-Za-z0-9_]*[^A-Za-z0-9_])$"),
        (r"[\w.]+", "^([A-Za-z0-9_.]+)$"),
        (r"[^\d]x", "^([^0-9]x)$"),
        (r"(?:a|b)+?c{2,}?", "^((a|b)+c{2,})$"),
        (r"\Qa.b\E.*", r"^(a\.b.*)$"),
        (".*-[0-9]{2}", "^(.*-[0-9]{2})$"),
    ],
)
def test_what_posix_can_say_is_translated(pattern: str, translated: str) -> None:
    assert subscription_of(pattern) == translated


@pytest.mark.parametrize("name", ["a1", "a12.x", "b-7", "ab", "a.b.c", "", "_x"])
@pytest.mark.parametrize("pattern", [r"a\d+", r"\w+(?:\.\w)?", r"[\w.]+", r"a|b-\d", ".*", r"[^\d]+"])
def test_the_translation_matches_what_the_pattern_matches(pattern: str, name: str) -> None:
    assert bool(re.match(subscription_of(pattern), name)) == bool(re.fullmatch(pattern, name))


@pytest.mark.parametrize("pattern", ["(?i)a", "a(?=b)", r"(a)\1", r"a\b", "(", "[a"])
def test_the_rest_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError):
        subscription_of(pattern)
