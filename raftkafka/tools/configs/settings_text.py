"""The changes that --add-config, --add-config-file and --delete-config ask for.

`k1=v1,k2=[v1,v2],k3=` sets three keys, the last one to an empty value; square brackets keep the commas of a value.
"""

from __future__ import annotations

import re

import attrs

from raftkafka.tools.errors import ToolError
from raftkafka.tools.java_errors import JavaError
from raftkafka.tools.options import Options
from raftkafka.tools.properties_file import read_properties

_OUTSIDE_BRACKETS = r"(?=[^\]]*(?:\[|$))"
_COMMA = re.compile("," + _OUTSIDE_BRACKETS)
_EQUALS = re.compile(r"\s*=\s*" + _OUTSIDE_BRACKETS)
_KEY = re.compile(r"[$a-zA-Z0-9._-]*", re.ASCII)


@attrs.frozen(kw_only=True)
class Change:
    """What is set, and what is deleted."""

    added: dict[str, str]
    deleted: tuple[str, ...]


def change_of(options: Options) -> Change:
    """What the options ask for; `ToolError` when a pair or a key is not one."""
    added: dict[str, str] = {}
    path = options.text("add-config-file")
    if path is not None:
        added.update(_file(path))
    text = options.text("add-config")
    if text is not None:
        added.update(parse_pairs(text))
    for key in added:
        if not _KEY.fullmatch(key):
            raise ToolError(f"Invalid character found for config key: {key}")
    return Change(added=added, deleted=tuple(key.strip() for key in options.texts("delete-config")))


def parse_pairs(text: str) -> dict[str, str]:
    """The settings of --add-config."""
    pairs = _COMMA.split(text)
    while pairs and not pairs[-1]:
        pairs.pop()
    settings = {}
    for pair in pairs:
        parts = _EQUALS.split(pair)
        if len(parts) != 2:
            raise ToolError(
                'requirement failed: Invalid entity config: all configs to be added must be in the format "key=val" or  '
                '"key=[val1,val2]" to group values which contain commas.'
            )
        settings[parts[0].strip()] = re.sub(r"[\[\]]", "", parts[1]).strip()
    return settings


def _file(path: str) -> dict[str, str]:
    try:
        return read_properties(path)
    except ToolError as error:
        if "no such file" in str(error):
            raise JavaError("java.nio.file.NoSuchFileException", path) from None
        raise
