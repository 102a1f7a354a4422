"""The rates that the controller believes: right when steady, never beyond what was reported, never counted twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.controller.load_balance import PartitionLoad
from raftkafka.controller.load_reports import HALF_LIFE_MS, LoadReports
from raftkafka.metadata.control_messages import PartitionTraffic
from tests.controller.balance_world import BalanceWorld

TOPIC_ID = TopicId(b"t" * 16)
KEY = PartitionKey(TOPIC_ID, 0)
INTERVAL_MS = 500
ONE, TWO = NodeId(1), NodeId(2)


class Heard:
    """Load reports with a clock. Rates are bytes in a second; bytes out are twice as many, and each request has 100."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.reports = LoadReports()
        self.reports.begin(self.now_ms)

    def beat(
        self, node_id: int, rates: dict[int, float], *, epoch: int = 1, over_ms: int = INTERVAL_MS, led_ms: int | None = None, at: int = 0
    ) -> None:
        """A heartbeat that reaches over `over_ms`, `at` milliseconds after the last thing that happened."""
        self.now_ms += at
        led = over_ms if led_ms is None else led_ms
        traffic = tuple(
            PartitionTraffic(
                topic_id=TOPIC_ID,
                partition=partition,
                leader_epoch=epoch,
                led_ms=led,
                bytes_in=round(rate * led / 1_000),
                bytes_out=2 * round(rate * led / 1_000),
                requests=round(rate * led / 100_000),
                size=10,
            )
            for partition, rate in rates.items()
        )
        self.reports.heard(NodeId(node_id), interval_ms=over_ms, traffic=traffic, now_ms=self.now_ms)

    def steady(self, node_id: int, rates: dict[int, float], *, for_ms: int, epoch: int = 1) -> None:
        for _ in range(for_ms // INTERVAL_MS):
            self.beat(node_id, rates, epoch=epoch, at=INTERVAL_MS)

    def rate(self, partition: int = 0) -> float:
        return self.reports.load_of(PartitionKey(TOPIC_ID, partition)).bytes_in


def test_the_first_report_is_believed() -> None:
    heard = Heard()
    heard.beat(1, {0: 100_000})
    assert heard.reports.load_of(KEY) == PartitionLoad(bytes_in=100_000, bytes_out=200_000, requests=1_000)
    assert heard.reports.size_of(KEY) == 10


@pytest.mark.parametrize(("before", "after"), [(0, 100_000), (100_000, 10_000), (100_000, 0)])
def test_a_steady_rate_is_met_after_three_half_lives(before: float, after: float) -> None:
    heard = Heard()
    heard.steady(1, {0: before, 1: 1} if before else {1: 1}, for_ms=20_000)
    heard.steady(1, {0: after, 1: 1} if after else {1: 1}, for_ms=3 * HALF_LIFE_MS)
    assert abs(heard.rate() - after) <= abs(before - after) / 8 + 1


def test_what_is_idle_is_dropped() -> None:
    heard = Heard()
    heard.steady(1, {0: 1_000, 1: 1_000}, for_ms=5_000)
    heard.steady(1, {1: 1_000}, for_ms=30_000)
    assert [key.partition for key, _ in heard.reports.loaded()] == [1]
    assert heard.rate() == 0


def test_a_pause_makes_no_spike() -> None:
    """A broker, or this controller, stood still for 5 s: what was counted before and after comes at once, over all of the time."""
    heard = Heard()
    heard.steady(1, {0: 100_000}, for_ms=10_000)
    heard.beat(1, {0: 60_000}, over_ms=5_000, at=5_000)
    assert 60_000 <= heard.rate() <= 100_000
    heard.beat(1, {0: 100_000}, over_ms=1, at=0)
    heard.beat(1, {0: 100_000}, at=INTERVAL_MS)
    assert 60_000 <= heard.rate() <= 100_000


def test_a_report_whose_answer_got_lost_comes_again_and_counts_once() -> None:
    heard, other = Heard(), Heard()
    for each in (heard, other):
        each.steady(1, {0: 10_000}, for_ms=10_000)
    heard.beat(1, {0: 90_000}, at=500)
    heard.beat(1, {0: 90_000}, over_ms=1_000, at=500)
    other.beat(1, {0: 90_000}, at=500)
    other.beat(1, {0: 90_000}, at=500)
    assert heard.rate() == pytest.approx(other.rate())


def test_the_load_moves_with_the_leadership() -> None:
    heard = Heard()
    for _ in range(20):
        heard.beat(1, {0: 100_000}, at=250)
        heard.beat(2, {1: 5_000}, at=250)
    heard.beat(1, {0: 100_000}, led_ms=0, at=250)  # it led until a moment ago
    assert heard.rate() == pytest.approx(100_000)
    heard.beat(2, {0: 100_000}, epoch=2, led_ms=300, at=250)
    assert heard.rate() == pytest.approx(100_000)
    heard.beat(1, {0: 100_000}, at=10)  # a late report of the old leader
    heard.steady(1, {2: 1}, for_ms=5_000)
    assert heard.rate() == pytest.approx(100_000)
    assert sum(load.bytes_in for key, load in heard.reports.loaded() if key == KEY) == pytest.approx(100_000)


def test_what_a_lost_broker_led_keeps_its_load_for_a_while_and_then_fades() -> None:
    heard = Heard()
    heard.steady(1, {0: 100_000}, for_ms=5_000)
    heard.reports.forget(ONE)
    heard.steady(2, {1: 1_000}, for_ms=2_000)
    assert heard.rate() == pytest.approx(100_000)
    heard.steady(2, {1: 1_000}, for_ms=60_000)
    assert heard.rate() == 0


def test_it_is_settled_when_every_broker_has_reported_three_times() -> None:
    heard = Heard()
    heard.steady(1, {}, for_ms=1_500)
    assert heard.reports.is_settled([ONE])
    assert not heard.reports.is_settled([ONE, TWO])
    heard.steady(2, {}, for_ms=1_500)
    assert heard.reports.is_settled([ONE, TWO])
    heard.reports.forget(TWO)  # its process is a new one
    heard.beat(2, {}, over_ms=0)
    assert not heard.reports.is_settled([ONE, TWO])
    heard.reports.begin(heard.now_ms)
    assert not heard.reports.is_settled([ONE])


def test_what_a_heartbeat_does_not_name_is_summed_up() -> None:
    heard = Heard()
    heard.reports.heard(ONE, interval_ms=500, traffic=(), rest=(1_000, 3_000, 5), now_ms=heard.now_ms)
    assert heard.reports.rest_of(ONE) == PartitionLoad(bytes_in=2_000, bytes_out=6_000, requests=10)
    assert heard.reports.rest_of(TWO) == PartitionLoad()


BEATS = st.lists(
    st.tuples(
        st.integers(1, 3),  # which broker
        st.integers(0, 3_000),  # how much later it is heard
        st.integers(1, 6_000),  # over how much time it reports
        st.one_of(st.none(), st.integers(0, 700)),  # how much of it it has led
        st.integers(1, 4),  # the leader epoch that it knows
        st.dictionaries(st.integers(0, 2), st.integers(0, 1_000_000), max_size=3),
        st.booleans(),  # whether it is forgotten then
    ),
    max_size=40,
)


@given(BEATS)
def test_a_rate_is_never_below_zero_nor_above_its_peak(beats: list[tuple[int, int, int, int | None, int, dict[int, int], bool]]) -> None:
    heard = Heard()
    peaks: dict[int, float] = {}
    for node_id, later_ms, over_ms, led_ms, epoch, rates, is_forgotten in beats:
        led = over_ms if led_ms is None else min(led_ms, over_ms)
        for partition, rate in rates.items():
            counted = round(rate * led / 1_000)
            peaks[partition] = max(peaks.get(partition, 0.0), counted * 1_000 / led if led else 0.0)
        heard.beat(node_id, {key: float(rate) for key, rate in rates.items()}, epoch=epoch, over_ms=over_ms, led_ms=led, at=later_ms)
        for partition, peak in peaks.items():
            assert -1e-9 <= heard.rate(partition) <= peak * (1 + 1e-9)
        if is_forgotten:
            heard.reports.forget(NodeId(node_id))


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 900)), min_size=1, max_size=30))
def test_a_steady_rate_stays_itself_whoever_leads_and_whenever_it_reports(moves: list[tuple[int, int]]) -> None:
    """The leadership wanders; old and new leader report at their own times, and each says over how much time it counted."""
    heard = Heard()
    leader, epoch, led_since_ms = 1, 1, heard.now_ms
    last_ms = dict.fromkeys((1, 2, 3), heard.now_ms)
    heard.steady(1, {0: 1_000_000}, for_ms=3_000)
    last_ms[1] = heard.now_ms

    def beat(node_id: int) -> None:
        over_ms = heard.now_ms - last_ms[node_id]
        last_ms[node_id] = heard.now_ms
        led_ms = min(over_ms, heard.now_ms - led_since_ms) if node_id == leader else 0
        known = {0: 1_000_000.0} if node_id == leader or over_ms > heard.now_ms - led_since_ms else {}
        heard.beat(node_id, known, epoch=epoch if node_id == leader else epoch - 1, over_ms=over_ms, led_ms=led_ms)

    for target, wait_ms in moves:
        heard.now_ms += wait_ms
        if target != leader:
            previous, leader, epoch, led_since_ms = leader, target, epoch + 1, heard.now_ms
            beat(previous)
        heard.now_ms += 100
        beat(leader)
        assert heard.rate() == pytest.approx(1_000_000, rel=0.001)


def test_nothing_is_left_of_what_a_lost_broker_led_when_its_traffic_has_ended_too() -> None:
    """The controller forgets a broker that it fences: nobody else would say that those partitions are idle."""
    world = BalanceWorld()
    world.create("t", [[1, 2, 3]])
    world.write("t", 0, 1_000_000.0)
    world.pass_time(5_000)
    assert [each.partition for each in world.balance().partitions] == [0]
    world.traffic.clear()
    world.kill(1)
    world.silent.add(1)
    world.pass_time(60_000)
    assert world.balance().partitions == []
