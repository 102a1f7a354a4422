"""Java's order of hash maps and its text of numbers, as the transcripts of Apache's tools show them."""

from __future__ import annotations

import pytest

from raftkafka.base.ids import TopicPartition
from raftkafka.tools.java_numbers import double_text
from raftkafka.tools.java_order import in_hash_map_order, partition_hash, string_hash, string_map_hash


def test_groups_come_in_the_order_of_a_transcript() -> None:
    """Reference/golden 45."""
    shown = [
        "console-consumer-12784",
        "console-consumer-16405",
        "hello-group-848",
        "console-consumer-41736",
        "console-consumer-68721",
        "hello-group",
        "console-consumer-94844",
    ]
    assert in_hash_map_order(sorted(shown), string_hash) == shown


def test_partitions_come_in_the_order_of_a_transcript() -> None:
    """Reference/golden 64."""
    partitions = [TopicPartition("hello.kafka", number) for number in range(10)]
    assert [each.partition for each in in_hash_map_order(partitions, partition_hash)] == [7, 6, 5, 4, 9, 8, 3, 2, 1, 0]


def test_a_map_grows_before_it_is_full() -> None:
    small, large = ([TopicPartition("t", number) for number in range(count)] for count in (12, 13))
    in_16 = in_hash_map_order(small, lambda each: each.partition * 16)
    in_32 = in_hash_map_order(large, lambda each: each.partition * 16)
    assert in_16 == small
    assert in_32 == [*large[::2], *large[1::2]]


@pytest.mark.parametrize(("text", "code"), [("", 0), ("a", 97), ("hello", 99162322), ("한글", 1737764), ("😀", 1772899)])
def test_hashes_of_strings_are_javas(text: str, code: int) -> None:
    assert string_hash(text) == code


def test_the_hash_of_a_map_does_not_depend_on_its_order() -> None:
    assert string_map_hash({"user": "a", "ip": None}) == string_map_hash({"ip": None, "user": "a"})


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"),
        (1024.0, "1024.0"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (20480000.0, "2.048E7"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (-123456789.5, "-1.234567895E8"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (float("inf"), "Infinity"),
    ],
)
def test_doubles_are_printed_as_java_prints_them(number: float, text: str) -> None:
    assert double_text(number) == text
