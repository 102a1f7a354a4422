"""`raftkafka balance` over answers of a controller that are made up here: what is shown, what is refused, and Apache Kafka's silence."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from raftkafka.base.errors import ErrorCode
from raftkafka.cli.commands import commands
from raftkafka.client.connection import ConnectionBroke
from raftkafka.protocol.messages.balance_cluster import (
    BalanceClusterBroker,
    BalanceClusterMove,
    BalanceClusterPartition,
    BalanceClusterRecentMove,
    BalanceClusterRequest,
    BalanceClusterResponse,
)
from raftkafka.protocol.messages.metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from raftkafka.tools.balance.asking import NotServed, ask_balance, count_leaders
from raftkafka.tools.balance.pages import amount, balance_page, metadata_page, rate
from raftkafka.tools.balance.printing import plain_text, rich_page
from raftkafka.tools.errors import ToolError


def broker(
    broker_id: int, load: int, after: int, *, rack: str | None = None, state: str = "active", leaders: int = 0
) -> BalanceClusterBroker:
    return BalanceClusterBroker(
        broker_id=broker_id, rack=rack, state=state, leaders=leaders, replicas=8, bytes_in=leaders * 500_000, load=load, load_after=after
    )


ONE_MOVE = BalanceClusterResponse(
    strategy="load",
    settled=True,
    verdict="no broker carries more than 5 % above the mean",
    brokers=[broker(1, 40_000_000, 30_000_000, leaders=8), broker(2, 20_000_000, 30_000_000), broker(3, 0, 0, state="shutting_down")],
    moves=[BalanceClusterMove(topic="orders", partition=0, kind="leader", source=1, target=2, reason="broker 1 cools from 40 to 30 MB/s")],
    partitions=[
        BalanceClusterPartition(topic="orders", partition=0, leader=1, replicas=[1, 2], isr=[1, 2], bytes_in=4_000_000, size=123_456_789),
        BalanceClusterPartition(
            topic="orders", partition=7, leader=1, replicas=[2, 1], isr=[1], bytes_out=999, requests=3, resting_ms=8_400
        ),
    ],
    recent=[
        BalanceClusterRecentMove(age_ms=1_600, topic="orders", partition=7, kind="leader", source=2, target=1, reason="broker 2 was hot")
    ],
)

SHOWN = """\
2 brokers active, mean load 30.0 MB/s, strategy load
BROKER  STATE          LEADERS  REPLICAS        IN    OUT  REQ/S       LOAD  OF MEAN                                AFTER
     1  active               8         8  4.0 MB/s  0 B/s      0  40.0 MB/s    133 %  ############|###........  30.0 MB/s
     2  active               0         8     0 B/s  0 B/s      0  20.0 MB/s     67 %  ########....|...........  30.0 MB/s
     3  shutting down        0         8     0 B/s  0 B/s      0      0 B/s      0 %  ............|...........      0 B/s

The next round would make 1 move (--execute makes them now); then: no broker carries more than 5 % above the mean
PARTITION  MOVE           WHY
orders-0   leader 1 to 2  broker 1 cools from 40 to 30 MB/s

2 partitions with traffic
PARTITION  LEADER  REPLICAS  ISR        IN      OUT  REQ/S    SIZE  RESTS
orders-0        1  1,2       1,2  4.0 MB/s    0 B/s      0  123 MB      -
orders-7        1  2,1       1       0 B/s  999 B/s      3     0 B    8 s

Moved by itself lately
AGO  PARTITION  MOVE           WHY
2 s  orders-7   leader 2 to 1  broker 2 was hot"""


def test_page_shows_brokers_moves_with_their_reasons_partitions_and_recent_moves() -> None:
    assert plain_text(balance_page(ONE_MOVE, executed=False, partitions_shown=10)) == SHOWN


def test_page_says_what_was_done_and_why_nothing_is_to_do() -> None:
    assert "1 move made; then: no broker" in plain_text(balance_page(ONE_MOVE, executed=True, partitions_shown=0))
    at_rest = BalanceClusterResponse(strategy="load", verdict="the load is too small to matter", brokers=[broker(1, 0, 0, rack="a")])
    shown = plain_text(balance_page(at_rest, executed=False, partitions_shown=10))
    assert "strategy load; not all of them have reported yet" in shown
    assert "RACK" in shown
    assert "Nothing to move. The load is too small to matter." in shown
    assert "traffic" not in shown


def test_move_of_a_replica_tells_where_the_replicas_will_be() -> None:
    move = BalanceClusterMove(
        topic="t", partition=1, kind="replica", source=1, target=3, replicas_after=[3, 2], reason="no leader can move"
    )
    response = BalanceClusterResponse(strategy="load", settled=True, brokers=[broker(1, 1, 1)], moves=[move])
    assert "t-1        replica 1 to 3, then on 3,2  no leader can move" in plain_text(
        balance_page(response, executed=False, partitions_shown=0)
    )


def test_page_for_a_terminal_says_the_same() -> None:
    from rich.console import Console

    console = Console(width=200, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(rich_page(balance_page(ONE_MOVE, executed=False, partitions_shown=10)))
    for word in ("mean load 30.0 MB/s", "broker 1 cools from 40 to 30 MB/s", "████████████│███", "leader 2 to 1", "8 s"):
        assert word in captured.get()


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (99_940, "99.9 kB"), (123_456_789, "123 MB"), (2e12, "2.0 TB")]
)
def test_amounts_have_three_digits(size_bytes: float, text: str) -> None:
    assert amount(size_bytes) == text
    assert rate(size_bytes) == f"{text}/s"


class FakeCluster:
    """Stands in for a cluster client: answers with a response, or closes the connection, the first `broken` times or always."""

    def __init__(self, response: BalanceClusterResponse | None, *, broken: int = 0) -> None:
        self.response = response
        self.broken = broken
        self.asked: list[BalanceClusterRequest] = []

    async def ask_controller(self, message: BalanceClusterRequest, timeout_s: float | None = None) -> BalanceClusterResponse:
        self.asked.append(message)
        if self.response is None or len(self.asked) <= self.broken:
            raise ConnectionBroke("the connection broke", definite=False)
        return self.response

    async def metadata(self, topics: Any = None) -> MetadataResponse:
        partitions = [
            MetadataResponsePartition(partition_index=index, leader_id=1, replica_nodes=replicas, isr_nodes=replicas)
            for index, replicas in enumerate(([1, 2], [2, 1], [1, 2]))
        ]
        brokers = [MetadataResponseBroker(node_id=2), MetadataResponseBroker(node_id=1)]
        return MetadataResponse(brokers=brokers, topics=[MetadataResponseTopic(name="t", partitions=partitions)])


async def test_brokers_that_close_the_connection_do_not_know_the_request() -> None:
    cluster: Any = FakeCluster(None)
    with pytest.raises(NotServed):
        await ask_balance(cluster, execute=False, timeout_ms=1_000)
    shown = plain_text(metadata_page(await count_leaders(cluster)))
    assert shown.startswith("These brokers do not know BalanceCluster")
    assert "     1        3          2         3\n     2        0          1         3" in shown
    assert "1 leadership is not with its preferred replica:" in shown


async def test_brokers_are_asked_to_execute_only_when_they_know_the_request_and_only_once() -> None:
    ignorant: Any = FakeCluster(None)
    with pytest.raises(NotServed):
        await ask_balance(ignorant, execute=True, timeout_ms=1_000)
    assert [request.execute for request in ignorant.asked] == [False, False]
    knowing: Any = FakeCluster(ONE_MOVE)
    assert await ask_balance(knowing, execute=True, timeout_ms=1_000) is ONE_MOVE
    assert [request.execute for request in knowing.asked] == [False, True]


async def test_one_broken_connection_is_a_broker_that_stops() -> None:
    cluster: Any = FakeCluster(ONE_MOVE, broken=1)
    assert await ask_balance(cluster, execute=False, timeout_ms=1_000) is ONE_MOVE


async def test_refusal_of_the_controller_is_told_in_its_words() -> None:
    cluster: Any = FakeCluster(BalanceClusterResponse(error_code=ErrorCode.NOT_CONTROLLER, error_message="no controller is active"))
    with pytest.raises(ToolError, match="no controller is active"):
        await ask_balance(cluster, execute=False, timeout_ms=1_000)


@pytest.mark.parametrize("other", [["--dry-run"], ["--watch"], ["--watch", "1"]])
def test_execute_stands_alone(other: list[str]) -> None:
    result = CliRunner().invoke(commands, ["balance", "--execute", *other])
    assert (result.exit_code, "--execute goes neither with" in result.output) == (2, True)


def test_nobody_who_listens_is_one_sentence() -> None:
    result = CliRunner().invoke(commands, ["balance", "--bootstrap-server", "127.0.0.1:1", "--timeout", "0.3"])
    assert result.exit_code == 1
    assert "nobody listens on 127.0.0.1:1" in result.output
