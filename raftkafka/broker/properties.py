"""Java properties files, as `server.properties` is one: text to entries, with the line each came from.

Sources: java.util.Properties.load (comments with # and !, continuation by a trailing backslash, the first unescaped =, : or blank ends
the key, \\uXXXX escapes); the environment mapping of the apache/kafka image (`.` to `_`, `_` to `__`, `-` to `___`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import attrs

_SIMPLE_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_KEY = re.compile(r"((?:\\.|[^\\=:\s])*)\s*[=:]?\s*", re.DOTALL)


class PropertiesError(ValueError):
    """The text is not a properties file; the message names the line."""


@attrs.frozen
class PropertyEntry:
    """One key and its value; `origin` says where it was set, to name it in an error."""

    key: str
    value: str
    origin: str


def parse_properties(text: str, *, source: str) -> list[PropertyEntry]:
    """The entries of a properties file in order, duplicates included; `source` is its name for messages."""
    entries = []
    for number, line in _logical_lines(text):
        match = _KEY.match(line)
        assert match is not None, "the key pattern matches the empty string"
        origin = f"{source}:{number}"
        key, value = _unescape(match[1], origin), _unescape(line[match.end() :], origin)
        if not key:
            raise PropertiesError(
                f"{origin}: there is no key before the = sign. Write key=value, or begin the line with # to comment it out."
            )
        entries.append(PropertyEntry(key, value.strip(), origin))
    return entries


def parse_override(text: str) -> PropertyEntry:
    """The entry of a `--override key=value`."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise PropertiesError(f"--override {text}: write it as --override key=value.")
    return PropertyEntry(key.strip(), value.strip(), "--override")


def environment_key(variable: str) -> str:
    """The property key that a `KAFKA_...` variable stands for (KAFKA_LOG_DIRS is log.dirs)."""
    name = variable.removeprefix("KAFKA_").lower()
    marks = {"___": "-", "__": "_", "_": "."}
    return re.sub("_{1,3}", lambda match: marks[match[0]], name)


def environment_entries(environ: Mapping[str, str]) -> list[PropertyEntry]:
    """The entries of every `KAFKA_...` variable, sorted; the caller knows which of them are settings."""
    return [
        PropertyEntry(environment_key(variable), value.strip(), f"${variable}")
        for variable, value in sorted(environ.items())
        if variable.startswith("KAFKA_")
    ]


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines joined over trailing backslashes, without comments and blank lines, each with the number of its first line."""
    pending, first_number = "", 0
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        line = raw.lstrip(" \t\f")
        if not pending:
            if not line or line[0] in "#!":
                continue
            first_number = number
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            pending += line[:-1]
            continue
        yield first_number, pending + line
        pending = ""
    if pending:
        yield first_number, pending


def _unescape(text: str, origin: str) -> str:
    if "\\" not in text:
        return text
    if re.search(r"(?<!\\)(\\\\)*\\u(?![0-9a-fA-F]{4})", text):
        raise PropertiesError(f"{origin}: \\u must be followed by four hexadecimal digits.")
    return _ESCAPE.sub(_replace_escape, text)


def _replace_escape(match: re.Match[str]) -> str:
    escaped = match[1]
    if len(escaped) == 5:
        return chr(int(escaped[1:], 16))
    return _SIMPLE_ESCAPES.get(escaped, escaped)
