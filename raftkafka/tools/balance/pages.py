"""The answer of BalanceCluster as sections of rows, for whichever way of printing.

Sentences and headings are the same on a terminal and in a pipe, so that what a person saw can be searched for.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from raftkafka.protocol.messages.balance_cluster import (
    BalanceClusterBroker,
    BalanceClusterMove,
    BalanceClusterPartition,
    BalanceClusterRecentMove,
    BalanceClusterResponse,
)
from raftkafka.tools.balance.asking import LeaderCounts

BAR_WIDTH = 24
WARM, HOT = 1.1, 1.3
"""From so many times the mean on a broker is shown as warm, or hot."""
LEADER = "leader"


@attrs.frozen(kw_only=True)
class Bar:
    """A length, and where on it the mean is, both as parts of the whole width; `heat` is the load as a multiple of the mean."""

    filled: float
    mean: float
    heat: float


Cell = str | Bar


@attrs.frozen(kw_only=True)
class Section:
    """A sentence, perhaps with a table under it. Numbers are the columns with a heading in `right`."""

    sentence: str
    headings: tuple[str, ...] = ()
    right: frozenset[str] = frozenset()
    rows: tuple[tuple[Cell, ...], ...] = ()


def balance_page(response: BalanceClusterResponse, *, executed: bool, partitions_shown: int) -> list[Section]:
    """Brokers, moves with their reasons, the verdict, the busiest partitions, and what was moved lately."""
    sections = [_brokers(response), _moves(response, executed=executed)]
    if response.partitions and partitions_shown:
        sections.append(_partitions(response.partitions[:partitions_shown], of=len(response.partitions)))
    if response.recent:
        sections.append(_recent(response.recent))
    return sections


def metadata_page(counts: Sequence[LeaderCounts]) -> list[Section]:
    """What can be shown of a cluster that does not know BalanceCluster."""
    away = sum(max(0, each.preferred - each.leaders) for each in counts)
    rows = tuple((str(each.broker_id), str(each.leaders), str(each.preferred), str(each.replicas)) for each in counts)
    if away:
        are = "is not with its preferred replica" if away == 1 else "are not with their preferred replicas"
        advice = f"{_count(away, 'leadership')} {are}: `kafka-leader-election --election-type preferred --all-topic-partitions` moves back."
    else:
        advice = "Every broker leads as many partitions as it is the preferred leader of."
    headings = ("BROKER", "LEADERS", "PREFERRED", "REPLICAS")
    return [
        Section(
            sentence="These brokers do not know BalanceCluster, which is raftkafka's own: nothing is known of their load. Metadata says:",
            headings=headings,
            right=frozenset(headings),
            rows=rows,
        ),
        Section(sentence=advice),
    ]


def rate(bytes_per_second: float) -> str:
    """Bytes a second, in three digits."""
    return f"{amount(bytes_per_second)}/s"


def amount(size_bytes: float) -> str:
    """Bytes, in three digits with a unit of powers of ten."""
    value, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if abs(value) < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"


def _brokers(response: BalanceClusterResponse) -> Section:
    active = [broker for broker in response.brokers if broker.state == "active"]
    mean = sum(broker.load for broker in active) / len(active) if active else 0.0
    headings = ["BROKER", "RACK", "STATE", "LEADERS", "REPLICAS", "IN", "OUT", "REQ/S", "LOAD", "OF MEAN", "", "AFTER"]
    rows = [_broker_row(broker, response, mean) for broker in response.brokers]
    if not any(broker.rack for broker in response.brokers):
        del headings[1]
        rows = [row[:1] + row[2:] for row in rows]
    known = "" if response.settled else "; not all of them have reported yet"
    return Section(
        sentence=f"{_count(len(active), 'broker')} active, mean load {rate(mean)}, strategy {response.strategy}{known}",
        headings=tuple(headings),
        right=frozenset({"BROKER", "LEADERS", "REPLICAS", "IN", "OUT", "REQ/S", "LOAD", "OF MEAN", "AFTER"}),
        rows=tuple(rows),
    )


def _broker_row(broker: BalanceClusterBroker, response: BalanceClusterResponse, mean: float) -> tuple[Cell, ...]:
    heat = broker.load / mean if mean else 0.0
    widest = max(2 * mean, *(each.load for each in response.brokers), 1)
    return (
        str(broker.broker_id),
        broker.rack or "-",
        broker.state.replace("_", " "),
        str(broker.leaders),
        str(broker.replicas),
        rate(broker.bytes_in),
        rate(broker.bytes_out),
        str(broker.requests),
        rate(broker.load),
        f"{100 * heat:.0f} %" if mean else "-",
        Bar(filled=broker.load / widest, mean=mean / widest, heat=heat),
        rate(broker.load_after),
    )


def _moves(response: BalanceClusterResponse, *, executed: bool) -> Section:
    verdict = response.verdict[:1].upper() + response.verdict[1:]
    if not response.moves:
        done = "Nothing was moved" if executed else "Nothing to move"
        return Section(sentence=f"{done}. {verdict}.")
    count = _count(len(response.moves), "move")
    head = f"{count} made" if executed else f"The next round would make {count} (--execute makes them now)"
    return Section(
        sentence=f"{head}; then: {response.verdict}",
        headings=("PARTITION", "MOVE", "WHY"),
        rows=tuple((f"{move.topic}-{move.partition}", _arrow(move), move.reason) for move in response.moves),
    )


def _arrow(move: BalanceClusterMove) -> str:
    if move.kind == LEADER:
        return f"leader {move.source} to {move.target}"
    return f"replica {move.source} to {move.target}, then on {_ids(move.replicas_after)}"


def _partitions(partitions: Sequence[BalanceClusterPartition], *, of: int) -> Section:
    rows = tuple(
        (
            f"{each.topic}-{each.partition}",
            str(each.leader),
            _ids(each.replicas),
            _ids(each.isr),
            rate(each.bytes_in),
            rate(each.bytes_out),
            str(each.requests),
            amount(each.size),
            f"{each.resting_ms / 1000:.0f} s" if each.resting_ms > 0 else "-",
        )
        for each in partitions
    )
    shown = f"The busiest {len(rows)} of {of} partitions with traffic" if len(rows) < of else f"{_count(of, 'partition')} with traffic"
    return Section(
        sentence=shown,
        headings=("PARTITION", "LEADER", "REPLICAS", "ISR", "IN", "OUT", "REQ/S", "SIZE", "RESTS"),
        right=frozenset({"LEADER", "IN", "OUT", "REQ/S", "SIZE", "RESTS"}),
        rows=rows,
    )


def _recent(moves: Sequence[BalanceClusterRecentMove]) -> Section:
    return Section(
        sentence="Moved by itself lately",
        headings=("AGO", "PARTITION", "MOVE", "WHY"),
        right=frozenset({"AGO"}),
        rows=tuple(
            (f"{move.age_ms / 1000:.0f} s", f"{move.topic}-{move.partition}", f"{move.kind} {move.source} to {move.target}", move.reason)
            for move in moves
        ),
    )


def _ids(node_ids: Sequence[int]) -> str:
    return ",".join(map(str, node_ids))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
