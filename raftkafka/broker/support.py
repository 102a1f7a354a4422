"""What is served, as a table that the README shows: generated from the API registry and from what the handlers say they do not do.

A handler's docstring ends with a paragraph that begins with "Not implemented:" when something of its API is missing; nothing is kept twice.
"""

from __future__ import annotations

import importlib
import inspect
import re

import attrs

from raftkafka.broker.handlers import SERVED
from raftkafka.protocol.registry import APIS

_NOT_IMPLEMENTED = re.compile(r"Not implemented:\s+(.*)", re.DOTALL)


@attrs.frozen(kw_only=True)
class SupportRow:
    """One API. `missing` says in the handler's words what of it is not implemented; empty when nothing is."""

    key: int
    name: str
    min_version: int
    max_version: int
    missing: str


def support_rows() -> list[SupportRow]:
    """The served APIs by key."""
    rows = []
    for key in sorted(SERVED):
        api = APIS[key]
        module = importlib.import_module(f"raftkafka.broker.handlers.{SERVED[key]}")
        found = _NOT_IMPLEMENTED.search(inspect.getdoc(module) or "")
        missing = " ".join(found.group(1).split()).rstrip(".") if found else ""
        rows.append(SupportRow(key=key, name=api.name, min_version=api.min_version, max_version=api.max_version, missing=missing))
    return rows


def support_table() -> str:
    """The rows as a Markdown table."""
    lines = ["| key | API | versions | not implemented |", "| ---: | --- | --- | --- |"]
    for row in support_rows():
        versions = str(row.min_version) if row.min_version == row.max_version else f"{row.min_version} to {row.max_version}"
        lines.append(f"| {row.key} | {row.name} | {versions} | {row.missing} |")
    return "\n".join(lines)
