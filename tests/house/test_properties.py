"""Properties files read as java.util.Properties reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.broker.properties import PropertiesError, environment_key, parse_override, parse_properties


def read(text: str) -> dict[str, str]:
    return {entry.key: entry.value for entry in parse_properties(text, source="f")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1\nb = 2\nc: 3\nd 4", {"a": "1", "b": "2", "c": "3", "d": "4"}),
        ("# a=1\n  ! b=2\n\n\tc=3", {"c": "3"}),
        ("a=one, \\\n    two,\\\n  three", {"a": "one, two,three"}),
        ("a=1\\\\\nb=2", {"a": "1\\", "b": "2"}),
        ("a=x\\\n# not a comment", {"a": "x# not a comment"}),
        ("k\\:e\\=y=v", {"k:e=y": "v"}),
        ("a=\\u00e9\\t|\\z", {"a": "é\t|z"}),
        ("a=b=c:d", {"a": "b=c:d"}),
        ("a=\r\nb=2\rc=3", {"a": "", "b": "2", "c": "3"}),
        ("a=last line \\", {"a": "last line"}),
    ],
)
def test_file_is_read_by_java_rules(text: str, expected: dict[str, str]) -> None:
    assert read(text) == expected


def test_entry_names_the_first_line_it_stands_on() -> None:
    entries = parse_properties("\n# x\na=1,\\\n2\nb=3", source="server.properties")
    assert [entry.origin for entry in entries] == ["server.properties:3", "server.properties:5"]


def test_line_without_key_is_refused_with_its_number() -> None:
    with pytest.raises(PropertiesError, match="f:2: there is no key"):
        read("a=1\n=2")


def test_broken_unicode_escape_is_refused() -> None:
    with pytest.raises(PropertiesError, match="four hexadecimal digits"):
        read("a=\\u12")


@given(st.text())
def test_any_text_ends_in_entries_or_a_refusal(text: str) -> None:
    try:
        read(text)
    except PropertiesError:
        return


@pytest.mark.parametrize(
    ("variable", "key"),
    [("KAFKA_LOG_DIRS", "log.dirs"), ("KAFKA_A__B", "a_b"), ("KAFKA_A___B", "a-b"), ("KAFKA_NODE_ID", "node.id")],
)
def test_environment_variable_stands_for_a_key(variable: str, key: str) -> None:
    assert environment_key(variable) == key


def test_override_without_value_says_how_to_write_it() -> None:
    with pytest.raises(PropertiesError, match="--override key=value"):
        parse_override("num.partitions")
