"""The worked example of docs/balancing.md, computed by the planner; `python -m tests.controller.balance_example` writes it there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.controller.load_balance import BalanceLimits, LoadedPartition, PartitionLoad, broker_loads, plan_leaders

PAGE = Path(__file__).parents[2] / "docs" / "balancing.md"
BEGIN, END = "<!-- example -->\n", "<!-- end of example -->\n"
MB = 1_000_000.0
BROKERS = (NodeId(1), NodeId(2), NodeId(3))


@attrs.frozen(kw_only=True)
class Rates:
    """What one partition of the example has, in MB/s and requests a second."""

    mb_in: float
    mb_out: float
    requests: float


FIRST = tuple(
    Rates(mb_in=mb_in, mb_out=mb_out, requests=requests)
    for mb_in, mb_out, requests in (
        (4.0, 4.0, 200),
        (2.0, 2.0, 150),
        (1.5, 3.0, 120),
        (1.0, 1.0, 100),
        (1.0, 0.0, 80),
        (0.5, 1.0, 60),
        (0.5, 0.5, 50),
        (0.2, 0.2, 20),
    )
)
LATER = (Rates(mb_in=0.5, mb_out=0.5, requests=50), *FIRST[1:4], Rates(mb_in=4.0, mb_out=4.0, requests=200), *FIRST[5:])
"""The load shifts from partition 0 to partition 4."""


def example() -> str:
    """The text between the marks of the page."""
    partitions = [_partition(index, rates, leader=BROKERS[0]) for index, rates in enumerate(FIRST)]
    partitions, first = _round(partitions)
    shifted = [_partition(index, rates, leader=partitions[index].leader) for index, rates in enumerate(LATER)]
    _, second = _round(shifted)
    return "\n".join(
        [
            "```",
            *_partition_table(FIRST),
            "",
            *first,
            "```",
            "",
            "Then the load shifts from partition 0 to partition 4. To move partition 4 alone would leave broker 2 at 25.75; a swap does",
            "better (it is one step: both its lines show the loads after it):",
            "",
            "```",
            *second,
            "```",
            "",
        ]
    )


def page_with(text: str) -> str:
    """The page with this example."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{text}{END}{after}"


def _partition(index: int, rates: Rates, *, leader: NodeId) -> LoadedPartition:
    return LoadedPartition(
        key=PartitionKey(TopicId(bytes(16)), index),
        name=f"orders-{index}",
        leader=leader,
        replicas=BROKERS,
        candidates=BROKERS,
        load=PartitionLoad(bytes_in=rates.mb_in * MB, bytes_out=rates.mb_out * MB, requests=rates.requests),
    )


def _round(partitions: Sequence[LoadedPartition]) -> tuple[list[LoadedPartition], list[str]]:
    """One round: the partitions after it, and its lines."""
    plan = plan_leaders(BROKERS, partitions, BalanceLimits())
    loads = dict(broker_loads(BROKERS, partitions))
    lines = [
        f"{'':22}" + "".join(f"{f'broker {broker}':>11}" for broker in BROKERS) + f"{'hottest / mean':>17}",
        _loads_line("before", loads),
    ]
    for move in plan.moves:
        loads[move.source], loads[move.target] = move.source_load_after, move.target_load_after
        lines.append(_loads_line(f"{move.name}: {move.source} to {move.target}", loads))
    lines.append(f"then: {plan.verdict}")
    leaders = {move.key: move.target for move in plan.moves}
    return [attrs.evolve(each, leader=leaders.get(each.key, each.leader)) for each in partitions], lines


def _partition_table(rates: Sequence[Rates]) -> Iterator[str]:
    yield f"{'':12}{'in':>6}{'out':>6}{'requests':>10}{'to lead':>10}{'to follow':>11}{'shift':>8}"
    for index, each in enumerate(rates):
        partition = _partition(index, each, leader=BROKERS[0])
        lead, follow = partition.load.of_leader(len(BROKERS)), partition.load.of_follower
        yield (
            f"{partition.name:12}{each.mb_in:6.1f}{each.mb_out:6.1f}{each.requests:10.0f}"
            f"{lead / MB:10.2f}{follow / MB:11.2f}{partition.shift / MB:8.2f}"
        )


def _loads_line(what: str, loads: Mapping[NodeId, float]) -> str:
    mean = sum(loads.values()) / len(loads)
    cells = "".join(f"{loads[broker] / MB:11.2f}" for broker in BROKERS)
    return f"{what:22}{cells}{max(loads.values()) / mean:17.2f}"


if __name__ == "__main__":
    PAGE.write_text(page_with(example()))
