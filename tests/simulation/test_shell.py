"""The simulated shell with small nodes: what a node sees of links, disks, time and its own end."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import DiskError
from raftkafka.simulation.world import Violation, World, WorldSettings

from .fake_nodes import PingNode


class Pair:
    """A world of two ping nodes."""

    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed, make_node=PingNode, settings=WorldSettings(node_count=2))
        self.world.start()

    def node(self, name: str) -> PingNode:
        process = self.world.machines[name].process
        assert process is not None
        assert isinstance(process.node, PingNode)
        return process.node


def test_frames_arrive_in_order_and_answers_wait_for_the_disk() -> None:
    pair = Pair()
    pair.world.run_for(1_000)
    pongs = pair.node("n1").pongs
    assert pongs == list(range(len(pongs)))
    assert len(pongs) > 90


def test_the_bytes_of_a_frame_are_gone_after_the_call() -> None:
    pair = Pair()
    pair.world.run_for(100)
    assert all(bytes(frame) == b"\xa5" * 4 for frame in pair.node("n2").kept_frames)


def test_a_killed_process_closes_its_links_and_connecting_is_refused_until_it_is_back() -> None:
    pair = Pair()
    pair.world.run_for(100)
    pair.world.machines["n2"].kill()
    pair.world.run_for(100)
    calls = pair.node("n1").calls
    assert calls[:3] == ["link_opened", "link_closed refused=False", "link_closed refused=True"]
    pair.world.machines["n2"].start()
    pair.world.run_for(100)
    assert calls[-1] == "link_opened"


def test_a_machine_without_power_is_silent_and_its_old_connections_break_when_it_is_back() -> None:
    pair = Pair()
    pair.world.run_for(100)
    pair.world.machines["n2"].power_off()
    pair.world.run_for(1_000)
    assert pair.node("n1").calls == ["link_opened"]
    pair.world.machines["n2"].start()
    pair.world.run_for(1_000)
    assert pair.node("n1").calls == ["link_opened", "link_closed refused=False", "link_opened"]


def test_a_power_failure_loses_no_more_than_what_was_not_synced() -> None:
    for seed in range(20):
        pair = Pair(seed)
        pair.world.run_for(200)
        answered = list(pair.node("n1").pongs)
        machine = pair.world.machines["n2"]
        machine.power_off()
        content = machine.disk.read_file("pings")
        assert [int.from_bytes(content[index : index + 4], "big") for index in range(0, 4 * len(answered), 4)] == answered


def test_a_cut_holds_frames_back_and_they_arrive_in_order_or_the_connection_breaks() -> None:
    outcomes = set()
    for seed in range(20):
        pair = Pair(seed)
        pair.world.run_for(100)
        before = len(pair.node("n2").pings)
        pair.world.network.cut("n1", "n2")
        pair.world.run_for(500)
        assert len(pair.node("n2").pings) <= before + 1
        pair.world.network.heal("n1", "n2")
        pair.world.run_for(500)
        pings = pair.node("n2").pings
        assert pings == sorted(set(pings))
        outcomes.add("link_closed refused=False" in pair.node("n1").calls)
    assert outcomes == {True, False}


def test_a_paused_process_catches_up_with_all_it_missed() -> None:
    pair = Pair()
    pair.world.run_for(100)
    pair.world.machines["n2"].pause()
    pair.world.run_for(500)
    answered = len(pair.node("n1").pongs)
    pair.world.machines["n2"].resume()
    pair.world.run_for(100)
    pongs = pair.node("n1").pongs
    assert len(pongs) > answered + 45
    assert sorted(pongs) == list(range(len(pongs)))  # syncs that run together end in any order


def test_a_clean_stop_ends_the_process_and_a_start_during_it_follows_it() -> None:
    pair = Pair()
    pair.world.run_for(100)
    machine = pair.world.machines["n2"]
    machine.pause()
    machine.stop()
    machine.start()
    assert machine.process is not None
    old = machine.process
    machine.resume()
    pair.world.run_for(100)
    assert machine.process is not None
    assert machine.process is not old


def test_a_failed_persist_is_told_to_the_node() -> None:
    pair = Pair()
    pair.world.run_for(100)
    pair.world.machines["n2"].disk_behaviour.fail_persist = lambda persist: DiskError(persist.syncs[0], "broken")
    pair.world.run_for(100)
    assert pair.node("n2").calls[-1] == "persist_failed pings"


def test_an_exception_out_of_a_node_is_a_violation() -> None:
    pair = Pair()
    pair.world.run_for(100)

    def break_down() -> None:
        raise AssertionError("a broken invariant")

    pair.node("n2").on_ping = break_down
    with pytest.raises(Violation, match="a broken invariant"):
        pair.world.run_for(100)


def test_checks_are_called_after_every_event() -> None:
    pair = Pair()
    events: list[int] = []
    pair.world.checks.append(lambda world: events.append(world.heap.event_count))
    pair.world.run_for(50)
    assert events == list(range(events[0], events[-1] + 1))


def test_the_digest_follows_from_the_seed() -> None:
    def digest(seed: int) -> str:
        pair = Pair(seed)
        pair.world.run_for(300)
        return pair.world.trace.digest()

    assert digest(5) == digest(5)
    assert digest(5) != digest(6)
