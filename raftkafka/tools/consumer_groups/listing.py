"""--list: the names of the groups, or a table of their types and states, of all groups or of some."""

from __future__ import annotations

import attrs

from raftkafka.client.cluster import ClusterClient
from raftkafka.tools.consumer_groups.groups import listed_groups
from raftkafka.tools.errors import UsageError
from raftkafka.tools.options import Options
from raftkafka.tools.tables import padded

_STATES = ("Empty", "Reconciling", "CompletingRebalance", "Assigning", "Dead", "PreparingRebalance", "Stable")
_TYPES = ("Consumer", "Classic")
_NAME_WIDTH, _NAME_ROOM, _COLUMN_WIDTH = 15, 10, 20


@attrs.frozen(kw_only=True)
class Wanted:
    """Which groups are listed, and what of them is shown besides the name."""

    states: tuple[str, ...]
    types: tuple[str, ...]
    with_state: bool
    with_type: bool


def wanted_groups(options: Options) -> Wanted:
    """What the options ask for; `UsageError` when a state or type is none."""
    return Wanted(
        states=_chosen(options.text("state"), _STATES, "state list"),
        types=_chosen(options.text("type"), _TYPES, "types list"),
        with_state=options.has("state"),
        with_type=options.has("type"),
    )


async def list_groups(cluster: ClusterClient, wanted: Wanted) -> None:
    """Prints the groups."""
    groups = await listed_groups(cluster, states=wanted.states, types=wanted.types)
    if not wanted.with_state and not wanted.with_type:
        for group in groups:
            print(group.group_id)
        return
    widths = [max([_NAME_WIDTH, *(len(group.group_id) for group in groups)]) + _NAME_ROOM, _COLUMN_WIDTH, _COLUMN_WIDTH]
    rows = [
        ("GROUP", "TYPE", "STATE"),
        *((group.group_id, (group.group_type or "unknown").capitalize(), group.group_state) for group in groups),
    ]
    shown = [index for index, is_shown in enumerate((True, wanted.with_type, wanted.with_state)) if is_shown]
    for row in rows:
        print(padded([row[index] for index in shown], [widths[index] for index in shown]))


def _chosen(text: str | None, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    if not text:
        return ()
    by_lower = {name.lower(): name for name in known}
    given = [part.strip().lower() for part in text.split(",")]
    if any(part not in by_lower for part in given):
        raise UsageError(f"Invalid {what} '{text}'. Valid {what.split()[0].rstrip('s')}s are: {', '.join(known)}")
    return tuple(by_lower[part] for part in given)
