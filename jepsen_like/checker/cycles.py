"""Cycles of dependencies between operations: G0 (writes alone) and G1c (reads too), with what else they need as a suffix.

    ww        the writer of a value -> the writer of the next value of the key (only with the option "ww_deps")
    wr        the writer of a value -> who read it
    process   an operation of a process -> its next
    realtime  an operation that ended -> one that began afterwards

Edges of real time are reduced: those that follow from others are left out, so that there are about as many for each operation as others
run at the same time. Components are found with Tarjan's algorithm, without recursion.

Where no operation both writes and reads, ww edges are off and nothing is read before its sending begins, there can be no cycle, and none is
looked for: order the operations by their ends, but a writer no later than its first reader ends; every edge goes forward in that order.

Source: reference/history-checker.md, 4.3 point 10; Adya, Weak Consistency (1999), for G0 and G1c; Tarjan (1972).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import attrs

from jepsen_like.checker.operations import Completion, Observed
from jepsen_like.checker.values import Anomaly
from jepsen_like.checker.version_orders import VersionOrder
from jepsen_like.history import Process

Edges = list[list[int]]

LEVELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("G0", ("ww",)),
    ("G1c", ("ww", "wr")),
    ("G0-process", ("ww", "process")),
    ("G1c-process", ("ww", "wr", "process")),
    ("G0-realtime", ("ww", "process", "realtime")),
    ("G1c-realtime", ("ww", "wr", "process", "realtime")),
)
"""A cycle is named by the first of these graphs that has it."""

MAX_STARTS = 50
"""From so many operations of a component a shortest cycle is looked for."""


@attrs.define(eq=False)
class Graph:
    """Operations, and for each kind of edge the successors of each."""

    nodes: list[Completion]
    edges: dict[str, Edges]


def cycles(observed: Observed, orders: dict[str, VersionOrder]) -> Iterator[Anomaly]:
    """A shortest cycle of each strongly connected component."""
    if not observed.option("ww_deps") and cannot_have_cycles(observed):
        return
    graph = dependency_graph(observed, orders)
    all_edges = [[target for kind in graph.edges.values() for target in kind[node]] for node in range(len(graph.nodes))]
    for component in strongly_connected(all_edges):
        if len(component) > 1:
            yield _cycle_of(graph, component)


def cannot_have_cycles(observed: Observed) -> bool:
    """The case in which no cycle can be; see the top of this file."""
    for each in observed.completions:
        if each.reads and each.known:
            if each.sends:
                return False
            for key, records in each.reads.items():
                writers = observed.writer_of.get(key, {})
                for record in records:
                    writer = writers.get(record[1])
                    if writer is not None and each.index < writer.invoke_index:
                        return False
    return True


def dependency_graph(observed: Observed, orders: dict[str, VersionOrder]) -> Graph:
    """The graph over all operations that may have happened and that wrote or read something."""
    nodes = [each for each in observed.completions if each.known and (each.sends or each.reads)]
    number = {each.index: i for i, each in enumerate(nodes)}
    return Graph(
        nodes=nodes,
        edges={
            "ww": _ww(observed, orders, number) if observed.option("ww_deps") else [[] for _ in nodes],
            "wr": _wr(observed, nodes, number),
            "process": _process(nodes),
            "realtime": _realtime(nodes),
        },
    )


def _ww(observed: Observed, orders: dict[str, VersionOrder], number: dict[int, int]) -> Edges:
    edges: Edges = [[] for _ in number]
    for key, order in orders.items():
        writers = observed.writer_of.get(key, {})
        before: int | None = None
        for value in order.by_index:
            now = number.get(writers[value].index) if value in writers else None
            if before is not None and now is not None and before != now:
                edges[before].append(now)
            before = now
    return edges


def _wr(observed: Observed, nodes: Sequence[Completion], number: dict[int, int]) -> Edges:
    edges: Edges = [[] for _ in nodes]
    for reader, each in enumerate(nodes):
        writers: set[int] = set()
        for key, records in each.reads.items():
            of_key = observed.writer_of.get(key, {})
            for record in records:
                writer = of_key.get(record[1])
                found = number.get(writer.index) if writer is not None else None
                if found is not None and found != reader and found not in writers:
                    writers.add(found)
                    edges[found].append(reader)
    return edges


def _process(nodes: Sequence[Completion]) -> Edges:
    edges: Edges = [[] for _ in nodes]
    last: dict[Process, int] = {}
    for number, each in enumerate(nodes):
        if each.process in last:
            edges[last[each.process]].append(number)
        last[each.process] = number
    return edges


def _realtime(nodes: Sequence[Completion]) -> Edges:
    """Walks through time with those that have ended and are not yet before another that has ended."""
    edges: Edges = [[] for _ in nodes]
    moments = sorted([(each.invoke_index, False, number) for number, each in enumerate(nodes)] + _ends(nodes))
    ended: list[int] = []
    for _, is_end, number in moments:
        if is_end:
            begun = nodes[number].invoke_index
            ended = [each for each in ended if nodes[each].index > begun]
            ended.append(number)
        else:
            for each in ended:
                edges[each].append(number)
    return edges


def _ends(nodes: Sequence[Completion]) -> list[tuple[int, bool, int]]:
    """Only an ok operation is known to be over when it ends."""
    return [(each.index, True, number) for number, each in enumerate(nodes) if each.ok]


def strongly_connected(edges: Edges) -> Iterator[list[int]]:
    """The strongly connected components of a graph, each with its nodes in order; those of one node too."""
    order = [0] * len(edges)
    low = [0] * len(edges)
    on_stack = [False] * len(edges)
    stack: list[int] = []
    count = 0
    for root in range(len(edges)):
        if order[root]:
            continue
        count += 1
        order[root] = low[root] = count
        stack.append(root)
        on_stack[root] = True
        work = [(root, iter(edges[root]))]
        while work:
            node, successors = work[-1]
            for target in successors:
                if not order[target]:
                    count += 1
                    order[target] = low[target] = count
                    stack.append(target)
                    on_stack[target] = True
                    work.append((target, iter(edges[target])))
                    break
                if on_stack[target] and order[target] < low[node]:
                    low[node] = order[target]
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == order[node]:
                    place = _place(stack, node)
                    component = stack[place:]
                    del stack[place:]
                    for each in component:
                        on_stack[each] = False
                    yield sorted(component)


def _place(stack: list[int], node: int) -> int:
    """Where a node is on the stack, from the top: the work is that of its component."""
    place = len(stack) - 1
    while stack[place] != node:
        place -= 1
    return place


def _cycle_of(graph: Graph, component: list[int]) -> Anomaly:
    inside = set(component)
    for name, kinds in LEVELS:
        best: list[int] = []
        for start in component[:MAX_STARTS]:
            found = _shortest(graph, kinds, inside, start)
            if found and (not best or len(found) < len(best)):
                best = found
        if best:
            return _anomaly(graph, name, kinds, best)
    return _anomaly(graph, LEVELS[-1][0], LEVELS[-1][1], component)


def _shortest(graph: Graph, kinds: Sequence[str], inside: set[int], start: int) -> list[int]:
    """The shortest way from an operation back to itself."""
    came_from: dict[int, int] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for kind in kinds:
            for target in graph.edges[kind][node]:
                if target == start:
                    way = [node]
                    while way[-1] != start:
                        way.append(came_from[way[-1]])
                    return way[::-1]
                if target in inside and target not in came_from:
                    came_from[target] = node
                    queue.append(target)
    return []


_WORDS = {"ww": "wrote just before", "wr": "wrote what was read by", "process": "came in its process before", "realtime": "ended before"}


def _anomaly(graph: Graph, name: str, kinds: Sequence[str], way: list[int]) -> Anomaly:
    steps = []
    for node, target in zip(way, [*way[1:], way[0]], strict=True):
        kind = next((kind for kind in kinds if target in graph.edges[kind][node]), kinds[-1])
        steps.append(f"{graph.nodes[node].index} {_WORDS[kind]} {graph.nodes[target].index}")
    text = "operations depend on each other in a circle: " + ", ".join(steps)
    return Anomaly(kind=name, key=None, text=text, operations=tuple(graph.nodes[node].index for node in way))
