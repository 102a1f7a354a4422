"""Lines of text as records, as Kafka's LineMessageReader reads them: headers, key and value, divided by strings that can be chosen.

Sources: the reader's properties as `kafka-console-producer --help` of Apache Kafka 4.3.1 tells them, and its errors as it prints them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import attrs

Headers = list[tuple[str, str | bytes | None]]


class ReaderError(Exception):
    """A line, or the reader's properties, cannot be understood."""


@attrs.frozen(kw_only=True)
class LineRecord:
    key: bytes | None
    value: bytes | None
    headers: Headers


@attrs.frozen(kw_only=True)
class LineReader:
    """The properties of a reader; made by `line_reader`."""

    parse_key: bool = False
    parse_headers: bool = False
    ignore_error: bool = False
    key_separator: str = "\t"
    headers_delimiter: str = "\t"
    headers_separator: str = ","
    headers_key_separator: str = ":"
    null_marker: str | None = None

    def read(self, lines: Iterable[str]) -> Iterator[LineRecord]:
        """A record for every line; `ReaderError` for one that lacks what it should have."""
        if not self.parse_key and not self.parse_headers:
            for line in lines:
                yield LineRecord(key=None, value=self._bytes(_without_end(line)), headers=[])
            return
        for number, line in enumerate(lines, 1):
            yield self._record(_without_end(line), number)

    def _record(self, line: str, number: int) -> LineRecord:
        headers, position = self._part(
            self.parse_headers, line, 0, self.headers_delimiter, f"headers delimiter found on line number {number}"
        )
        key, position = self._part(self.parse_key, line, position, self.key_separator, f"key separator found on line number {number}")
        return LineRecord(
            key=None if key is None else self._bytes(key),
            value=self._bytes(line[position:]),
            headers=[] if headers is None or headers == self.null_marker else self._split_headers(headers, number),
        )

    def _part(self, wanted: bool, line: str, position: int, separator: str, missing: str) -> tuple[str | None, int]:
        """What stands before the next separator, and the position behind it."""
        if not wanted:
            return None, position
        end = line.find(separator, position)
        if end < 0:
            if self.ignore_error:
                return None, position
            raise ReaderError(f"No {missing}: '{line}'")
        return line[position:end], end + len(separator)

    def _split_headers(self, text: str, number: int) -> Headers:
        pairs = re.split(self.headers_separator, text)
        while len(pairs) > 1 and not pairs[-1]:
            pairs.pop()
        return [self._header(pair, number) for pair in pairs]

    def _header(self, pair: str, number: int) -> tuple[str, bytes | None]:
        key, found, value = pair.partition(self.headers_key_separator)
        if not found:
            if self.ignore_error:
                return pair, None
            raise ReaderError(f"No header key separator found in pair '{pair}' on line number {number}")
        if key == self.null_marker:
            raise ReaderError(f"Header keys should not be equal to the null marker '{self.null_marker}' as they can't be null")
        return key, self._bytes(value)

    def _bytes(self, text: str) -> bytes | None:
        return None if text == self.null_marker else text.encode()


def line_reader(properties: Mapping[str, str]) -> LineReader:
    """The reader with these properties; others than its own are ignored. `ReaderError` when two separators could not be told apart."""
    reader = LineReader(
        parse_key=_is_true(properties, "parse.key"),
        parse_headers=_is_true(properties, "parse.headers"),
        ignore_error=_is_true(properties, "ignore.error"),
        key_separator=properties.get("key.separator", "\t"),
        headers_delimiter=properties.get("headers.delimiter", "\t"),
        headers_separator=properties.get("headers.separator", ","),
        headers_key_separator=properties.get("headers.key.separator", ":"),
        null_marker=properties.get("null.marker"),
    )
    _check_different(reader)
    return reader


def _check_different(reader: LineReader) -> None:
    named = {
        "headers.delimiter": reader.headers_delimiter,
        "headers.separator": reader.headers_separator,
        "headers.key.separator": reader.headers_key_separator,
        "null.marker": reader.null_marker,
        "key.separator": reader.key_separator,
    }
    pairs = (
        ("headers.delimiter", "headers.separator"),
        ("headers.delimiter", "headers.key.separator"),
        ("headers.separator", "headers.key.separator"),
        ("null.marker", "key.separator"),
        ("null.marker", "headers.separator"),
        ("null.marker", "headers.delimiter"),
        ("null.marker", "headers.key.separator"),
    )
    for first, second in pairs:
        if named[first] == named[second]:
            raise ReaderError(f"{first} and {second} may not be equal")
    try:
        re.compile(reader.headers_separator)
    except re.error as error:
        raise ReaderError(f"headers.separator is no regular expression: {error}") from None


def _is_true(properties: Mapping[str, str], name: str) -> bool:
    return properties.get(name, "").strip().lower() == "true"


def _without_end(line: str) -> str:
    return line[:-1] if line.endswith("\n") else line
