"""Lines as records: keys, headers, null markers, and the errors of Kafka's LineMessageReader."""

from __future__ import annotations

import pytest

from raftkafka.tools.console_producer.line_reader import LineRecord, ReaderError, line_reader


def read(text: str, **properties: str) -> list[LineRecord]:
    reader = line_reader({name.replace("_", "."): value for name, value in properties.items()})
    return list(reader.read(text.splitlines(keepends=True)))


def test_a_line_is_a_value_without_key() -> None:
    assert read("hello\nkey\tworld\n\n") == [
        LineRecord(key=None, value=b"hello", headers=[]),
        LineRecord(key=None, value=b"key\tworld", headers=[]),
        LineRecord(key=None, value=b"", headers=[]),
    ]


def test_keys_end_at_a_tab_unless_told_otherwise() -> None:
    assert read("k\tv:w\n", parse_key="true")[0] == LineRecord(key=b"k", value=b"v:w", headers=[])
    assert read("k:v:w\n", parse_key="TRUE ", key_separator=":")[0] == LineRecord(key=b"k", value=b"v:w", headers=[])
    assert read("한:글\n", parse_key="true", key_separator=":")[0] == LineRecord(key="한".encode(), value="글".encode(), headers=[])


def test_a_line_without_separator_is_refused_with_its_number() -> None:
    with pytest.raises(ReaderError, match=r"^No key separator found on line number 2: 'no separator here'$"):
        read("a:b\nno separator here\n", parse_key="true", key_separator=":")
    assert read("none\n", parse_key="true", ignore_error="true")[0] == LineRecord(key=None, value=b"none", headers=[])


def test_headers_come_first() -> None:
    record = read("h1:v1,h2:\tk\tv\n", parse_headers="true", parse_key="true")[0]
    assert record == LineRecord(key=b"k", value=b"v", headers=[("h1", b"v1"), ("h2", b"")])
    with pytest.raises(ReaderError, match=r"^No headers delimiter found on line number 1: 'v'$"):
        read("v\n", parse_headers="true")
    with pytest.raises(ReaderError, match=r"^No header key separator found in pair 'h' on line number 1$"):
        read("h\tv\n", parse_headers="true")
    assert read("h\tv\n", parse_headers="true", ignore_error="true")[0].headers == [("h", None)]


def test_the_null_marker_stands_for_null_in_every_part() -> None:
    properties = {"parse_headers": "true", "parse_key": "true", "null_marker": "NUL"}
    assert read("h:NUL\tNUL\tNUL\n", **properties)[0] == LineRecord(key=None, value=None, headers=[("h", None)])
    assert read("NUL\tk\tv\n", **properties)[0].headers == []
    with pytest.raises(ReaderError, match=r"^Header keys should not be equal to the null marker 'NUL' as they can't be null$"):
        read("NUL:v\tk\tv\n", **properties)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"headers_delimiter": ","}, "headers.delimiter and headers.separator may not be equal"),
        ({"headers_delimiter": ":"}, "headers.delimiter and headers.key.separator may not be equal"),
        ({"headers_separator": ":"}, "headers.separator and headers.key.separator may not be equal"),
        ({"null_marker": "\t"}, "null.marker and key.separator may not be equal"),
        ({"null_marker": ","}, "null.marker and headers.separator may not be equal"),
        ({"null_marker": ":"}, "null.marker and headers.key.separator may not be equal"),
    ],
)
def test_separators_must_differ(properties: dict[str, str], message: str) -> None:
    with pytest.raises(ReaderError, match=f"^{message}$"):
        read("", **properties)
