"""A plan of new offsets, and its form as CSV: `topic,partition,offset` for one group, `group,topic,partition,offset` for several.

Sources: RFC 4180; the quoting of Apache's tool: a text longer than 24 characters, or with a blank, comma or quote in it, is quoted.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from raftkafka.base.ids import TopicPartition
from raftkafka.tools.consumer_groups.failure import CommandFailed

Plan = dict[TopicPartition, int]
"""The new offset of each partition."""

_LONGEST_BARE = 24


def plan_as_csv(plans: Mapping[str, Plan], *, with_group: bool) -> str:
    """One line for each partition, each with its line end; with a column for the group when there are several."""
    lines: list[str] = []
    for group_id, plan in plans.items():
        prefix = f"{_quoted(group_id)}," if with_group else ""
        lines.extend(f"{prefix}{_quoted(each.topic)},{each.partition},{offset}\n" for each, offset in plan.items())
    return "".join(lines)


def read_plan(path: str) -> str:
    """The text of a file of --from-file."""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        raise CommandFailed(f"java.io.IOException: Unable to read file {path}") from None


def plan_from_csv(text: str, *, group_id: str | None) -> dict[str, Plan]:
    """The plans of a file by group; `group_id` is the group of lines that name none. `CommandFailed` when a line is no plan."""
    plans: dict[str, Plan] = {}
    for row in csv.reader(text.splitlines()):
        if not row:
            continue
        cells = [cell.strip() for cell in row]
        if len(cells) == 3 and group_id is not None:
            cells.insert(0, group_id)
        if len(cells) != 4 or not cells[2].isdecimal() or not cells[3].lstrip("-").isdecimal():
            expected = "group,topic,partition,offset" if group_id is None else "topic,partition,offset"
            raise CommandFailed(f"the line {','.join(row)!r} of the file is not {expected}")
        plans.setdefault(cells[0], {})[TopicPartition(cells[1], int(cells[2]))] = int(cells[3])
    return plans


def _quoted(text: str) -> str:
    if len(text) <= _LONGEST_BARE and all(character > "," for character in text):
        return text
    return '"' + text.replace('"', '""') + '"'
