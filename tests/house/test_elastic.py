"""Growing and shrinking a cluster: what is refused, batched, shown and remembered, without processes."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import attrs
import pytest

from cluster.elastic.moving import BATCH_BYTES, BATCH_PARTITIONS, Target, batches
from cluster.elastic.progress import bytes_text, progress
from cluster.elastic.quorum import require_quorum_without
from cluster.elastic.rolling import FORGET_AFTER_S, Restarted
from cluster.elastic.scaling import next_node
from cluster.elastic.shares import shares_table
from cluster.elastic.view import Broker, ClusterView, Partition, Voter
from cluster.layout import ClusterError, ClusterLayout, new_layout
from cluster.ports import free_range
from raftkafka.base.ids import PartitionKey, TopicId, TopicPartition


def partition(number: int, replicas: tuple[int, ...], *, size: int = 1_000_000, leader: int = 0) -> Partition:
    return Partition(
        key=PartitionKey(TopicId(bytes(16)), number),
        id=TopicPartition("orders", number),
        leader=leader or replicas[0],
        replicas=replicas,
        isr=replicas,
        size=size,
    )


def view(*partitions: Partition, brokers: tuple[int, ...] = (1, 2, 3), voters: tuple[int, ...] = (1, 2, 3)) -> ClusterView:
    return ClusterView(
        brokers=tuple(Broker(node_id=node_id, rack=None, is_fenced=False) for node_id in brokers),
        partitions=partitions,
        voters=tuple(Voter(node_id=node_id, directory_id=bytes(16), log_end_offset=1) for node_id in voters),
        quorum_leader=voters[0],
        quorum_high_watermark=1,
    )


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterLayout:
    monkeypatch.setenv("RAFTKAFKA_HOME", str(tmp_path))
    made = new_layout(name="dev", node_count=3, first_port=free_range(4))
    made.directory.mkdir(parents=True)
    return made


def test_moves_go_in_batches_that_are_bounded_in_number_and_in_bytes() -> None:
    many = [Target(partition=partition(number, (1,)), replicas=(2,)) for number in range(BATCH_PARTITIONS + 1)]
    assert [len(batch) for batch in batches(many)] == [BATCH_PARTITIONS, 1]
    big = [Target(partition=partition(number, (1,), size=BATCH_BYTES // 2), replicas=(2,)) for number in range(3)]
    assert [len(batch) for batch in batches(big)] == [2, 1]
    reordered = [Target(partition=partition(number, (1, 2), size=BATCH_BYTES), replicas=(2, 1)) for number in range(3)]
    assert [len(batch) for batch in batches(reordered)] == [3], "nothing is copied for another order"


def test_a_copy_under_way_arrives_at_its_new_broker_still() -> None:
    moving = attrs.evolve(partition(0, (4, 2, 1)), isr=(1, 2), adding=(4,), removing=(1,))
    assert moving.target == (4, 2)
    assert Target(partition=moving, replicas=(4, 2)).arriving == (4,)
    assert not moving.is_whole


def test_a_voter_whose_absence_leaves_no_majority_stays() -> None:
    require_quorum_without(view(), 1, alive=(1, 2, 3))
    require_quorum_without(view(voters=(2, 3)), 1, alive=())
    with pytest.raises(ClusterError, match="without node 1 only 1 of 2 controllers would be up, which is no majority: start node 3 first"):
        require_quorum_without(view(), 1, alive=(1, 2))
    with pytest.raises(ClusterError, match="node 1 is the only controller"):
        require_quorum_without(view(voters=(1,)), 1, alive=(1, 2, 3))


def test_table_of_shares_shows_what_has_changed() -> None:
    before = view(partition(0, (1, 2)), partition(1, (2, 1)))
    after = view(partition(0, (4, 2)), partition(1, (2, 4)), brokers=(2, 4), voters=(2, 3, 4))
    lines = shares_table(attrs.evolve(before, brokers=before.brokers[:2]), after).splitlines()
    assert [line.split("  ") for line in (" ".join(each.split()) for each in lines)] == [
        ["NODE REPLICAS LEADERS SIZE VOTES"],
        ["1 2 -> - 1 -> - 2.0 MB -> - yes -> -"],
        ["2 2 1 2.0 MB yes"],
        ["4 - -> 2 - -> 1 - -> 2.0 MB - -> yes"],
    ]


def test_progress_is_told_in_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("draining node 4") as tell:
        tell(0.0, "0 of 2 replicas")
        tell(0.5, "1 of 2 replicas")
        tell(1.0, "2 of 2 replicas")
        tell(1.0, "2 of 2 replicas")
    assert capsys.readouterr().out.splitlines() == ["draining node 4: 0 %, 0 of 2 replicas", "draining node 4: 100 %, 2 of 2 replicas"]
    assert [bytes_text(count) for count in (12, 1_500, 2_000_000, 3e9)] == ["12 B", "1.5 kB", "2.0 MB", "3.0 GB"]


def test_a_new_node_gets_the_next_id_on_ports_that_nobody_has(layout: ClusterLayout) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", layout.first_port + 3))
        node = next_node(layout, ["controller", "broker"])
    assert (node.node_id, node.roles) == (4, ("broker", "controller"))
    assert node.port > layout.first_port + 3
    assert next_node(layout, ["broker"]).port == layout.first_port + 3
    for roles in (["controller"], ["broker", "zookeeper"], [""]):
        with pytest.raises(ClusterError, match="is not possible: write ROLES=broker or ROLES=broker,controller"):
            next_node(layout, roles)


def test_what_was_restarted_is_remembered_by_its_process_for_a_while(layout: ClusterLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = {1: 11, 2: 22, 3: 33}
    monkeypatch.setattr("cluster.elastic.rolling.pid_of", lambda node: pids[node.node_id])
    Restarted(layout).add(layout.node(2))
    assert Restarted(layout).node_ids == [2]
    pids[2] = 44  # Somebody has started it again since.
    assert Restarted(layout).node_ids == []
    pids[2] = 22
    long_ago = time.time() - FORGET_AFTER_S - 1
    os.utime(layout.directory / "roll.json", (long_ago, long_ago))
    assert Restarted(layout).node_ids == []
    Restarted(layout).clear()
    assert not (layout.directory / "roll.json").exists()
