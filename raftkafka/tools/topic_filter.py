"""Which topics a regular expression means, as `--topic` and `--include` of Apache's tools read it.

Commas mean "or", blanks count for nothing, quotes around the whole fall away, and the expression must match the whole name.

Sources: the behaviour of `--topic` and `--include` in Apache Kafka 4.3.1. Java's expressions and Python's agree in what topics need.
"""

from __future__ import annotations

import re

from raftkafka.tools.java_errors import JavaError

INTERNAL_TOPICS = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})


class TopicFilter:
    """Says of a topic whether it is meant."""

    def __init__(self, expression: str) -> None:
        text = expression.strip().replace(",", "|").replace(" ", "").strip("\"'")
        try:
            self._pattern = re.compile(text)
        except re.error:
            raise JavaError("java.lang.RuntimeException", f"{text} is an invalid regex.") from None

    def allows(self, topic: str, *, exclude_internal: bool = False) -> bool:
        """Whether the topic matches, and is not internal when these are excluded."""
        return self._pattern.fullmatch(topic) is not None and not (exclude_internal and topic in INTERNAL_TOPICS)
