"""--describe: what a group has read and has left to read, its members, or its state."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import attrs

from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.find_coordinator import FindCoordinatorRequest
from raftkafka.tools.consumer_groups.failure import print_error, raise_for
from raftkafka.tools.consumer_groups.groups import DEAD, EMPTY, Committed, Group, Member, committed_offsets, listed_groups, required_group
from raftkafka.tools.consumer_groups.log_offsets import LATEST, leaderless_partitions, log_offsets
from raftkafka.tools.options import Options
from raftkafka.tools.tables import padded

MISSING = "-"
_WIDTH = 15
_INSTANCE_WIDTH = 17
_ASSIGNMENT_WIDTH = 20
_COORDINATOR_WIDTH = 25
_REBALANCING = ("PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling")


@attrs.frozen(kw_only=True)
class OffsetRow:
    """One partition of a group: where its reader is, and where the partition ends. None where it is not known."""

    partition: TopicPartition
    committed: Committed | None
    end_offset: int | None
    member: Member | None

    @property
    def lag(self) -> int | None:
        """How many records are left to read."""
        return None if self.committed is None or self.end_offset is None else self.end_offset - self.committed.offset


async def describe(cluster: ClusterClient, options: Options) -> None:
    """Prints the groups that the options name, in the order of their names."""
    if options.has("all-groups"):
        names = [group.group_id for group in await listed_groups(cluster)]
    else:
        names = options.texts("group")
    groups = [await required_group(cluster, name) for name in sorted(dict.fromkeys(names))]
    verbose = options.has("verbose")
    if options.has("members"):
        for group in groups:
            _warn(group)
            print_members(group, verbose=verbose)
    elif options.has("state"):
        coordinators = [await _coordinator(cluster, group.group_id) for group in groups]
        for group, coordinator in zip(groups, coordinators, strict=True):
            if _warn(group):
                print_state(group, coordinator, verbose=verbose)
    else:
        tables = [await _offset_rows(cluster, group) for group in groups]
        for group, rows in zip(groups, tables, strict=True):
            if _warn(group) and rows:
                print_offsets(group, rows, verbose=verbose)


def _warn(group: Group) -> bool:
    """Says when the group has no members or is changing; False when there is nothing to show of it."""
    sys.stdout.flush()
    if group.state == DEAD:
        print_error(f"Consumer group '{group.group_id}' does not exist.")
        return False
    if group.state == EMPTY:
        print(f"\nConsumer group '{group.group_id}' has no active members.", file=sys.stderr)
    elif group.state in _REBALANCING:
        print(f"\nWarning: Consumer group '{group.group_id}' is rebalancing.", file=sys.stderr)
    return True


# --- offsets


async def _offset_rows(cluster: ClusterClient, group: Group) -> list[OffsetRow]:
    """Those with most partitions first, then what nobody reads now."""
    committed = await committed_offsets(cluster, group.group_id)
    members = sorted((member for member in group.members if member.assignment), key=lambda member: -len(member.assignment))
    assigned = dict.fromkeys(partition for member in members for partition in member.assignment)
    partitions = list(dict.fromkeys([*assigned, *committed]))
    leaderless = await leaderless_partitions(cluster, partitions)
    ends = await log_offsets(cluster, [each for each in partitions if each not in leaderless], LATEST)

    def rows(of: Iterable[TopicPartition], member: Member | None) -> list[OffsetRow]:
        return [
            OffsetRow(partition=partition, committed=committed.get(partition), end_offset=ends.get(partition), member=member)
            for partition in sorted(of)
        ]

    shown = [row for member in members for row in rows(member.assignment, member)]
    return [*shown, *rows((partition for partition in committed if partition not in assigned), None)]


def print_offsets(group: Group, rows: Sequence[OffsetRow], *, verbose: bool) -> None:
    """Prints a table of the group's partitions; with their leader epochs when it is verbose."""
    header = ["GROUP", "TOPIC", "PARTITION", "LEADER-EPOCH", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"]
    cells = [
        [
            group.group_id,
            row.partition.topic,
            row.partition.partition,
            _or_missing(row.committed and row.committed.leader_epoch),
            _or_missing(row.committed and row.committed.offset),
            _or_missing(row.end_offset),
            _or_missing(row.lag),
            row.member.member_id if row.member else MISSING,
            row.member.host if row.member else MISSING,
            row.member.client_id if row.member else MISSING,
        ]
        for row in rows
    ]
    widths = [*(_widest(cells, column) for column in (0, 1)), 10, *[_WIDTH] * 4, *(_widest(cells, column) for column in (7, 8))]
    _print_table([header, *cells], widths, without=() if verbose else (3,))


# --- members


def print_members(group: Group, *, verbose: bool) -> None:
    """Prints a table of the group's members; with their partitions when it is verbose."""
    header = ["GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS"]
    header += ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT", "UPGRADED"]
    cells = [
        [
            group.group_id,
            member.member_id,
            member.instance_id,
            member.host,
            member.client_id,
            len(member.assignment),
            _or_missing(member.epoch),
            _assignment_text(member.assignment),
            _or_missing(member.target_epoch),
            _assignment_text(member.target_assignment),
            MISSING if member.is_upgraded is None else str(member.is_upgraded).lower(),
        ]
        for member in group.members
    ]
    widths = [
        _widest(cells, 0),
        _widest(cells, 1),
        _widest(cells, 2, at_least=_INSTANCE_WIDTH),
        _widest(cells, 3),
        _widest(cells, 4),
        _WIDTH,
        _WIDTH,
        _widest(cells, 7, at_least=_ASSIGNMENT_WIDTH),
        _WIDTH,
        _widest(cells, 9, at_least=_ASSIGNMENT_WIDTH),
    ]
    migrates = {member.is_upgraded for member in group.members} >= {True, False}
    hidden: tuple[int, ...] = () if any(member.instance_id for member in group.members) else (2,)
    if not verbose:
        hidden += (6, 7, 8, 9, 10)
    elif not migrates:
        hidden += (10,)
    lines = _lines([header, *cells], widths, without=hidden)
    trailing = "" if verbose else " "
    print()
    for line in lines:
        print(line + trailing)


def _assignment_text(partitions: Sequence[TopicPartition]) -> str:
    """`topic-a:0,1;topic-b:2`; `-` when there is none."""
    by_topic: dict[str, list[int]] = {}
    for partition in sorted(partitions):
        by_topic.setdefault(partition.topic, []).append(partition.partition)
    texts = (f"{topic}:{','.join(map(str, numbers))}" for topic, numbers in by_topic.items())
    return ";".join(sorted(texts)) or MISSING


# --- state


async def _coordinator(cluster: ClusterClient, group_id: str) -> str:
    response = await cluster.ask(FindCoordinatorRequest(key=group_id, key_type=0, coordinator_keys=[group_id]))
    found = response.coordinators[0] if response.coordinators else response
    raise_for(found.error_code, found.error_message)
    return f"{found.host}:{found.port}  ({found.node_id})"


def print_state(group: Group, coordinator: str, *, verbose: bool) -> None:
    """Prints the group's state in a table of one row; with its epochs when it is verbose."""
    header = ["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH", "#MEMBERS"]
    cells = [
        group.group_id,
        coordinator,
        group.assignor or MISSING,
        group.state,
        _or_missing(group.epoch),
        _or_missing(group.target_epoch),
        len(group.members),
    ]
    widths = [max(_WIDTH, len(group.group_id)), max(_COORDINATOR_WIDTH, len(coordinator)), 20, 20, _WIDTH, 25]
    _print_table([header, cells], widths, without=() if verbose else (4, 5))


# --- tables


def _or_missing(value: object | None) -> str:
    return MISSING if value is None else str(value)


def _widest(cells: Sequence[Sequence[object]], column: int, *, at_least: int = _WIDTH) -> int:
    return max([at_least, *(len(str(row[column])) for row in cells)])


def _print_table(rows: Sequence[Sequence[object]], widths: Sequence[int], *, without: Sequence[int]) -> None:
    print("\n" + "\n".join(_lines(rows, widths, without=without)))


def _lines(rows: Sequence[Sequence[object]], widths: Sequence[int], *, without: Sequence[int]) -> list[str]:
    shown = [column for column in range(len(rows[0])) if column not in without]
    return [padded([row[column] for column in shown], [widths[column] for column in shown if column < len(widths)]) for row in rows]
