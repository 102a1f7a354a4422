"""The partition of a group id: Java's string hash."""

from __future__ import annotations

import pytest

from raftkafka.coordinator.partitions import java_string_hash, partition_for


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0),
        ("a", 97),
        ("hello", 99162322),
        ("polygenelubricants", -(2**31)),
        ("\U0001f600", 1772899),
        ("é", 233),
    ],
)
def test_hash_is_javas(text: str, value: int) -> None:
    assert java_string_hash(text) == value


def test_partition_is_the_one_that_apache_kafka_chose() -> None:
    """The group of the golden dump of `__consumer_offsets-10`, and the id whose hash has no absolute value."""
    assert partition_for("console-consumer-94844", 50) == 10
    assert partition_for("polygenelubricants", 50) == 0
