"""Clusters of processes: files, ports, signals and what is printed, with stand-ins for the brokers."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from cluster import commands, processes
from cluster.health import NodeView, PartitionView, QuorumView, best_view
from cluster.layout import (
    ClusterError,
    ClusterLayout,
    NodeLayout,
    NodeState,
    added_node,
    controller_port_of,
    load_layout,
    new_layout,
    save_layout,
)
from cluster.node_files import server_properties, write_node_files
from cluster.ports import free_range, require_free
from cluster.processes import ProcessState, process_state, start_process
from cluster.screen import nodes_table, partitions_report, table
from raftkafka.base.ids import NodeId, id_from_text
from raftkafka.broker.config_loader import load_config
from raftkafka.broker.formatting import required_identity
from raftkafka.raft.store import RaftStore
from raftkafka.raft.voters import VoterSet
from raftkafka.server.disk import PosixDisk
from raftkafka.storage.meta_properties import METADATA_DIRECTORY


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in 10 s"
        time.sleep(0.01)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterLayout:
    monkeypatch.setenv("RAFTKAFKA_HOME", str(tmp_path))
    made = new_layout(name="dev", node_count=3, first_port=free_range(3))
    save_layout(made)
    return made


@pytest.fixture
def running(layout: ClusterLayout, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterLayout]:
    """A cluster of three stand-ins that have come up."""
    command = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]
    monkeypatch.setattr(processes, "broker_command", lambda node: [*command, str(node.properties_path)])
    try:
        for node in layout.nodes:
            write_node_files(layout, node)
            start_process(node)
        for node in layout.nodes:
            eventually(lambda node=node: "standing in" in node.log_path.read_text())  # type: ignore[misc]
        yield layout
    finally:
        if layout.directory.exists():
            commands.clean(name="dev")


def test_generated_properties_make_a_good_configuration(layout: ClusterLayout) -> None:
    for node in layout.nodes:
        write_node_files(layout, node)
        config = load_config(node.properties_path)
        assert (config.node_id, len(config.quorum_contacts), config.notices) == (node.node_id, 3, ())
        assert config.controller_quorum_auto_join_enable
        assert (config.default_replication_factor, config.min_insync_replicas) == (3, 1)
        assert required_identity(config)[0].cluster_id == layout.cluster_id


def test_first_controllers_are_voters_with_their_directories_and_empty_ones_that_come_back_are_not(layout: ClusterLayout) -> None:
    for node in layout.nodes:
        write_node_files(layout, node)
    first = {NodeId(number): id_from_text(text) for number, text in layout.first_voters.items()}
    for node in layout.nodes:
        voters = initial_voters_of(node)
        assert {node_id: voter.directory_id for node_id, voter in voters.items()} == first
        assert directory_id_of(node) == first[NodeId(node.node_id)]
    for known in (layout, attrs.evolve(layout, formed=True)):
        shutil.rmtree(layout.nodes[1].data_dir)
        write_node_files(known, layout.nodes[1])
        assert initial_voters_of(layout.nodes[1]) == {}
        assert directory_id_of(layout.nodes[1]) not in first.values()
    shutil.rmtree(layout.nodes[2].directory)
    write_node_files(attrs.evolve(layout, formed=True), layout.nodes[2])
    assert initial_voters_of(layout.nodes[2]) == {}


def test_addresses_of_the_controllers_follow_them_and_nothing_else_is_touched(layout: ClusterLayout) -> None:
    node = layout.nodes[0]
    write_node_files(layout, node)
    node.properties_path.write_text(node.properties_path.read_text() + "num.partitions=7\n")
    write_node_files(layout.without_node(3), node)
    config = load_config(node.properties_path)
    assert [contact.port for contact in config.quorum_contacts] == [each.controller_port for each in layout.nodes[:2]]
    assert config.num_partitions == 7


def initial_voters_of(node: NodeLayout) -> VoterSet:
    found = RaftStore(PosixDisk(str(node.data_dir)), METADATA_DIRECTORY).load().initial_voters
    assert found is not None
    return found


def directory_id_of(node: NodeLayout) -> bytes:
    return required_identity(load_config(node.properties_path))[0].directory_id


def test_lone_node_asks_for_one_replica() -> None:
    lone = new_layout(name="one", node_count=1, first_port=9092)
    assert "offsets.topic.replication.factor=1" in server_properties(lone, lone.nodes[0])


def test_edited_properties_are_not_written_over(layout: ClusterLayout) -> None:
    node = layout.nodes[0]
    write_node_files(layout, node)
    node.properties_path.write_text("edited")
    write_node_files(layout, node)
    assert node.properties_path.read_text() == "edited"


def test_controller_ports_never_meet_client_ports() -> None:
    for first in (1024, 9092, 55_530, 65_533):
        nodes = new_layout(name="x", node_count=3, first_port=first).nodes
        ports = [port for node in nodes for port in (node.port, node.controller_port)]
        assert len(set(ports)) == 6
        assert all(0 < port <= 65_535 for port in ports)
    assert controller_port_of(9092) == 19092


@pytest.mark.parametrize(("nodes", "port"), [(0, 9092), (99, 9092), (3, 65_534), (3, 80)])
def test_impossible_size_or_port_is_refused(nodes: int, port: int) -> None:
    with pytest.raises(ClusterError):
        new_layout(name="x", node_count=nodes, first_port=port)


def test_name_that_would_leave_the_directory_is_refused() -> None:
    with pytest.raises(ClusterError, match="not a cluster name"):
        load_layout("../x")


def test_layout_is_read_as_it_was_written(layout: ClusterLayout) -> None:
    assert load_layout("dev") == layout
    assert (layout.formed, list(layout.first_voters)) == (False, [1, 2, 3])
    grown = layout.with_node(added_node(layout, port=layout.first_port + 3, roles=["broker"]))
    save_layout(grown)
    assert load_layout("dev") == grown
    assert [node.node_id for node in grown.in_state(NodeState.JOINING)] == [4]


def test_layout_of_an_older_version_is_read(layout: ClusterLayout) -> None:
    (layout.directory / "cluster.json").write_text(json.dumps({"name": "dev", "cluster_id": "x", "nodes": 3, "port": layout.first_port}))
    old = load_layout("dev")
    assert old is not None
    assert (old.nodes, old.next_id, old.formed, old.first_voters) == (layout.nodes, 4, True, {})


def test_id_of_a_node_that_has_gone_is_not_given_again(layout: ClusterLayout) -> None:
    grown = layout.with_node(added_node(layout, port=1, roles=["broker"])).without_node(4)
    assert added_node(grown, port=1, roles=["broker"]).node_id == 5
    with pytest.raises(ClusterError, match=r"has no node 4. Its nodes are 1, 2, 3\."):
        grown.node(4)


def test_node_that_comes_later_asks_the_controllers_for_the_quorum(layout: ClusterLayout) -> None:
    grown = layout.with_node(added_node(layout, port=layout.first_port + 3, roles=["broker"]))
    text = server_properties(grown, grown.node(4))
    assert "process.roles=broker\n" in text
    assert f"controller.quorum.bootstrap.servers={layout.nodes[0].controller_address}," in text
    write_node_files(grown, grown.node(4))
    assert load_config(grown.node(4).properties_path).notices == ()


def test_taken_port_is_named_with_a_way_out(layout: ClusterLayout) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", layout.nodes[1].port))
        holder.listen()
        with pytest.raises(ClusterError, match=rf"port {layout.nodes[1].port} is taken.*make cluster PORT=\d+"):
            require_free(layout.nodes, node_count=3)


def test_existing_cluster_keeps_its_size(layout: ClusterLayout) -> None:
    with pytest.raises(ClusterError, match="exists with NODES=3"):
        commands.up(name="dev", node_count=5, first_port=None)


def test_node_that_ends_while_starting_shows_the_end_of_its_log(layout: ClusterLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [sys.executable, "-c", "raise SystemExit('the disk is on fire')"]
    monkeypatch.setattr(processes, "broker_command", lambda node: [*failing, str(node.properties_path)])
    with pytest.raises(ClusterError, match=r"(?s)ended while starting.*the disk is on fire"):
        commands.up(name="dev", node_count=None, first_port=None)


def test_killed_node_is_stopped_and_says_how_to_return(running: ClusterLayout, capsys: pytest.CaptureFixture[str]) -> None:
    commands.kill(name="dev", node_id=2)
    assert [process_state(node) for node in running.nodes] == [ProcessState.RUNNING, ProcessState.STOPPED, ProcessState.RUNNING]
    assert "make start NODE=2" in capsys.readouterr().out
    with pytest.raises(ClusterError, match="node 2 is not running"):
        commands.kill(name="dev", node_id=2)


def test_paused_node_goes_on_when_resumed_and_can_be_stopped(running: ClusterLayout) -> None:
    node = running.nodes[0]
    commands.pause(name="dev", node_id=1)
    eventually(lambda: process_state(node) is ProcessState.PAUSED)
    commands.resume(name="dev", node_id=1)
    eventually(lambda: process_state(node) is ProcessState.RUNNING)
    commands.pause(name="dev", node_id=1)
    commands.stop(name="dev", node_id=1)
    assert process_state(node) is ProcessState.STOPPED


def test_down_keeps_data_and_clean_deletes_it(running: ClusterLayout) -> None:
    commands.down(name="dev")
    assert all(process_state(node) is ProcessState.STOPPED for node in running.nodes)
    assert running.nodes[0].data_dir.exists()
    commands.clean(name="dev")
    assert not running.directory.exists()


def test_partition_tells_both_sides_and_heal_undoes_it(running: ClusterLayout) -> None:
    def seen(node_id: int) -> dict[str, list[int]] | None:
        path = running.node(node_id).directory / "seen.json"
        return json.loads(path.read_text()) if path.exists() else None

    commands.partition(name="dev", from_ids=[1], to_ids=[2, 3], one_way=False)
    eventually(lambda: seen(1) == {"cut_to": [2, 3], "cut_from": [2, 3]})
    eventually(lambda: seen(2) == {"cut_to": [1], "cut_from": [1]})
    commands.heal(name="dev")
    eventually(lambda: seen(1) == seen(2) == {})


def test_one_way_cut_loses_only_what_the_first_send(running: ClusterLayout) -> None:
    commands.partition(name="dev", from_ids=[1], to_ids=[2], one_way=True)
    cuts = [json.loads(running.node(node_id).faults_path.read_text()) for node_id in (1, 2)]
    assert cuts == [{"cut_to": [2], "cut_from": []}, {"cut_to": [], "cut_from": [1]}]
    assert not running.node(3).faults_path.exists()


def test_node_on_both_sides_is_refused(running: ClusterLayout) -> None:
    with pytest.raises(ClusterError, match="node 2 is on both sides"):
        commands.partition(name="dev", from_ids=[1, 2], to_ids=[2], one_way=False)


def test_pid_of_a_stranger_is_never_signalled(layout: ClusterLayout) -> None:
    node = layout.nodes[0]
    node.directory.mkdir(parents=True)
    node.pid_path.write_text("1\n")
    assert process_state(node) is ProcessState.STOPPED


def test_without_a_cluster_the_way_to_one_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAFTKAFKA_HOME", str(tmp_path))
    with pytest.raises(ClusterError, match="Start one with `make cluster`"):
        commands.down(name="dev")


def view(*, epoch: int, leader: int, fenced: dict[int, bool] | None = None) -> NodeView:
    return NodeView(fenced=fenced or {}, quorum=QuorumView(leader_id=leader, leader_epoch=epoch, high_watermark=1, end_offsets={}))


def test_view_of_the_highest_epoch_counts_and_the_leaders_before_others() -> None:
    views = {1: view(epoch=4, leader=1), 2: view(epoch=5, leader=3), 3: view(epoch=5, leader=3), 4: None}
    assert best_view(views) is views[3]


def test_columns_are_aligned() -> None:
    assert table([["A", "LONG"], ["long", "x"]]) == "A     LONG\nlong  x"


def test_node_lines_show_what_each_node_is(layout: ClusterLayout) -> None:
    states = {1: ProcessState.RUNNING, 2: ProcessState.PAUSED, 3: ProcessState.STOPPED}
    seen = view(epoch=1, leader=1, fenced={1: False, 2: True, 3: True})
    lines = nodes_table(layout, states=states, pids={1: 11, 2: 12, 3: None}, views={1: seen}).splitlines()
    assert [line.split()[2:4] for line in lines[1:]] == [["unfenced", "leader"], ["paused", "follower"], ["stopped", "-"]]


def partition(topic: str, number: int, isr: tuple[int, ...]) -> PartitionView:
    return PartitionView(topic=topic, partition=number, leader_id=isr[0] if isr else -1, replicas=(1, 2, 3), isr=isr)


def test_report_names_replicas_that_are_behind() -> None:
    report = partitions_report([partition("t", 0, (1, 2, 3)), partition("t", 1, (2, 3))])
    assert "1 behind" in report
    assert "1 topic, 2 partitions: node 1 leads 1, node 2 leads 1" in report


def test_report_of_many_partitions_shows_only_those_in_trouble() -> None:
    many = [partition("t", number, (1, 2, 3)) for number in range(500)]
    assert len(partitions_report(many).splitlines()) == 2
    assert "offline" in partitions_report([*many, partition("t", 500, ())])
