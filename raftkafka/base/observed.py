"""What a person may want to know, as a value: log line, metric, trace line and golden test come from this one stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class Observed:
    """One thing that happened inside a machine. `kind` is kebab-case (`became-leader`, `isr-shrunk`, `vote-refused`)."""

    kind: str
    fields: Mapping[str, Any] = attrs.field(factory=dict)

    def __str__(self) -> str:
        return " ".join([self.kind, *(f"{name}={value}" for name, value in self.fields.items())])


def observed(kind: str, /, **fields: Any) -> Observed:
    """`Observed` with keyword fields, in the order given."""
    return Observed(kind, fields)
