"""The checks against slow, obvious twins, on histories drawn at random."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from jepsen_like.checker.cycles import LEVELS, cannot_have_cycles, cycles, dependency_graph, strongly_connected
from jepsen_like.checker.lost_writes import lost_writes
from jepsen_like.checker.operations import observe
from jepsen_like.checker.version_orders import duplicates, version_orders
from jepsen_like.history import History, OpType
from tests.jepsen_like.build import Script

OUTCOMES = st.sampled_from([OpType.OK, OpType.OK, OpType.INFO, OpType.FAIL])
RECORDS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=4)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Sends, polls and transactions, some at the same time, with offsets that mostly make no sense."""
    script = Script(ww_deps=draw(st.booleans()))
    begun: dict[int, tuple[int, str, list[int], OpType]] = {}
    fresh = itertools.count()
    for _ in range(draw(st.integers(1, 10))):
        process = draw(st.integers(1, 3))
        if process in begun:
            index, f, values, outcome = begun.pop(process)
            result: list[object] = [["send", "x", [draw(st.none() | st.integers(0, 5)), value]] for value in values]
            if f != "send":
                result.append(["poll", {"x": [list(record) for record in draw(RECORDS)]}])
            script.end(index, result, outcome)
        else:
            f = draw(st.sampled_from(["send", "poll", "txn"]))
            values = [next(fresh) for _ in range(0 if f == "poll" else draw(st.integers(1, 2)))]
            micro: list[object] = [["send", "x", value] for value in values]
            begun[process] = (script.begin(process, f, [*micro, *([] if f == "send" else [["poll"]])]), f, values, draw(OUTCOMES))
    return script.history()


@given(histories())
def test_lost_writes_and_duplicates_are_those_of_the_definition(history: History) -> None:
    observed = observe(history)
    pairs = {(record[0], record[1]) for each in observed.completions for record in each.reads.get("x", ())}
    committed = observed.committed.get("x", {})
    pairs |= {(offset, value) for value, offset in committed.items() if offset is not None}
    places = sorted({offset for offset, _ in pairs})
    read = {value for each in observed.completions if each.ok for _, value in each.reads.get("x", ())}
    firsts = [min(places.index(offset) for offset, value in pairs if value == each) for each in read]
    lost = {
        value
        for value in committed
        if value not in read and firsts and any(pair[1] == value for pair in pairs)
        if max(places.index(offset) for offset, each in pairs if each == value) <= max(firsts)
    }
    twice = {value for _, value in pairs if sum(each == value for _, each in pairs) > 1}
    orders = version_orders(observed)
    assert {int(each.text.split()[1]) for each in lost_writes(observed, orders)} == lost
    assert {int(each.text.split()[1]) for each in duplicates(observed, orders)} == twice


@given(histories())
def test_a_cycle_is_named_by_the_smallest_graph_that_has_it(history: History) -> None:
    observed = observe(history)
    orders = version_orders(observed)
    graph = dependency_graph(observed, orders)
    nodes = graph.nodes
    all_realtime = [[b for b, y in enumerate(nodes) if x.ok and x.index < y.invoke_index] for x in nodes]
    edges = {**graph.edges, "realtime": all_realtime}

    def has_cycle(kinds: tuple[str, ...]) -> bool:
        reached = [{target for kind in kinds for target in edges[kind][node]} for node in range(len(nodes))]
        for middle, node in itertools.product(range(len(nodes)), range(len(nodes))):
            if middle in reached[node]:
                reached[node] |= reached[middle]
        return any(node in targets for node, targets in enumerate(reached))

    found = {each.kind for each in cycles(observed, orders)}
    first = next((name for name, kinds in LEVELS if has_cycle(kinds)), None)
    names = [name for name, _ in LEVELS]
    assert min(found, key=names.index, default=None) == first
    if cannot_have_cycles(observed) and not observed.option("ww_deps"):
        assert first is None


@given(st.lists(st.lists(st.integers(0, 7), max_size=3), min_size=8, max_size=8))
def test_components_are_the_nodes_that_reach_each_other(edges: list[list[int]]) -> None:
    reached = [{node, *targets} for node, targets in enumerate(edges)]
    for middle, node in itertools.product(range(8), range(8)):
        if middle in reached[node]:
            reached[node] |= reached[middle]
    expected = {tuple(other for other in range(8) if other in reached[node] and node in reached[other]) for node in range(8)}
    assert {tuple(component) for component in strongly_connected(edges)} == expected
