"""Offsets of a consumer group are a register for each key: what the coordinator says is what was committed last.

group-offset-lost: a commit that was acknowledged (or an offset that was read) is gone: the coordinator names an offset all of whose commits
had ended before that one began. So committed offsets never go back unless somebody committed the lower one again.
group-offset-invented: the coordinator names an offset that nobody has committed, or only in vain.

Source: reference/history-checker.md, extensions of 4.3. The operations `commit` and `committed` are of one group.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator

import attrs

from jepsen_like.checker.operations import NEVER_NS, Completion, Observed
from jepsen_like.checker.values import Anomaly


@attrs.define(eq=False)
class _Register:
    """The commits and reads of one key, in the order of their ends."""

    commits: list[tuple[int | None, Completion]] = attrs.field(factory=list)
    reads: list[tuple[int | None, Completion]] = attrs.field(factory=list)


def group_offset_anomalies(observed: Observed) -> Iterator[Anomaly]:
    """What the coordinator said that cannot be."""
    registers: dict[str, _Register] = {}
    for each in observed.completions:
        if each.f == "commit" and each.known:
            for key, offset in (each.value or {}).items():
                registers.setdefault(key, _Register()).commits.append((offset, each))
        elif each.f == "committed" and each.ok:
            for key, offset in (each.value or {}).items():
                registers.setdefault(key, _Register()).reads.append((offset, each))
    for key, register in sorted(registers.items()):
        yield from _judge(key, register)


def _judge(key: str, register: _Register) -> Iterator[Anomaly]:
    certain = sorted(
        [(each.index, each.invoke_index, offset, each) for offset, each in register.commits if each.ok]
        + [(each.index, each.invoke_index, offset, each) for offset, each in register.reads],
        key=lambda event: event[0],
    )
    ends = [event[0] for event in certain]
    latest = _latest_of_two_offsets(certain)
    commits: dict[int | None, list[Completion]] = {}
    for offset, each in register.commits:
        commits.setdefault(offset, []).append(each)
    spans = {offset: _spans(found) for offset, found in commits.items()}
    for offset, read in register.reads:
        last_end = -1 if offset is None else _last_end(spans.get(offset), read.index)
        if last_end is None:
            text = f"the coordinator said that offset {offset} of {key} was committed, which nobody had done"
            yield Anomaly(kind="group-offset-invented", key=key, text=text, operations=read.operations)
            continue
        before = bisect.bisect_left(ends, read.invoke_index)
        for begun, other, witness in latest[before - 1] if before else ():
            if other != offset and begun > last_end:
                text = f"offset {other} of {key} was committed for the group, and later the coordinator said {offset}"
                yield Anomaly(kind="group-offset-lost", key=key, text=text, operations=(witness.index, *read.operations))
                break


_Event = tuple[int, int, int | None, Completion]


def _latest_of_two_offsets(certain: list[_Event]) -> list[list[tuple[int, int | None, Completion]]]:
    """After each event: the one that began last, and the one that began last among those with another offset."""
    result: list[list[tuple[int, int | None, Completion]]] = []
    best: list[tuple[int, int | None, Completion]] = []
    for _, begun, offset, each in certain:
        by_offset: dict[int | None, tuple[int, int | None, Completion]] = {}
        for candidate in (*best, (begun, offset, each)):
            known = by_offset.get(candidate[1])
            if known is None or candidate[0] > known[0]:
                by_offset[candidate[1]] = candidate
        best = sorted(by_offset.values(), key=lambda candidate: -candidate[0])[:2]
        result.append(best)
    return result


def _spans(commits: list[Completion]) -> tuple[list[int], list[int]]:
    """Begins of the commits of an offset, and for each the latest end up to it."""
    commits = sorted(commits, key=lambda each: each.invoke_index)
    latest: list[int] = []
    for each in commits:
        end = each.index if each.ok else NEVER_NS
        latest.append(max(end, latest[-1]) if latest else end)
    return [each.invoke_index for each in commits], latest


def _last_end(spans: tuple[list[int], list[int]] | None, index: int) -> int | None:
    """The latest end of the commits that began before a line of the history; None when there is none."""
    if spans is None:
        return None
    place = bisect.bisect_left(spans[0], index)
    return spans[1][place - 1] if place else None
