"""Brokers are killed, frozen, cut off, stopped under load: nothing acknowledged is lost, repeated or out of order; the cluster heals.

The load is an idempotent acks=all producer and a group consumer (`workload.py`), on a topic of three partitions, three replicas each and
`min.insync.replicas=2`. Times without an acknowledgement are held to loose bounds here; `make bench` measures them.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from cluster.processes import send_signal, start_process
from tests.cluster.real_cluster import RealCluster, eventually
from tests.cluster.workload import PARTITIONS, Load, load_on

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

Start = Callable[..., RealCluster]

KILL_GAP_S = 5.0
STOP_GAP_S = 3.0

IMPATIENT = {"request.timeout.ms": 3000, "socket.timeout.ms": 5000, "topic.metadata.refresh.interval.ms": 1000}
"""For faults that leave connections open: the client must find out on its own, which takes librdkafka minutes by default. (A leader that
is cut off from the controllers does not know that it leads no more; nor does it with Apache Kafka.)"""


def leader_that_is_not_the_controller(cluster: RealCluster, topic: str) -> int:
    controller = cluster.controller_id()
    return next(leader for leader in (cluster.leader_of(topic, partition) for partition in range(PARTITIONS)) if leader != controller)


def kill_and_heal(cluster: RealCluster, load: Load, node_id: int) -> None:
    """Kills a node, requires that all partitions go on without it, and starts it again."""
    killed_at = time.monotonic()
    cluster.kill(node_id)
    load.writer.wait_for_acks()
    assert load.writer.longest_gap_s(killed_at) < KILL_GAP_S
    cluster.start(node_id)
    cluster.wait_healed()
    load.writer.wait_for_acks()


def test_killed_leader(own_cluster: Start) -> None:
    cluster = own_cluster()
    with load_on(cluster) as load:
        kill_and_heal(cluster, load, leader_that_is_not_the_controller(cluster, load.topic))
        load.finish_and_verify()
        assert load.writer.errors == []


def test_killed_controller_that_leads_partitions_too(own_cluster: Start) -> None:
    cluster = own_cluster()
    with load_on(cluster) as load:
        controller = cluster.controller_id()
        assert controller in {cluster.leader_of(load.topic, partition) for partition in range(PARTITIONS)}
        kill_and_heal(cluster, load, controller)
        load.finish_and_verify()
        assert load.writer.errors == []


def test_every_node_killed_in_turn_with_the_active_controller_first_each_time(own_cluster: Start) -> None:
    cluster = own_cluster()
    with load_on(cluster) as load:
        for _ in range(3):
            kill_and_heal(cluster, load, cluster.controller_id())
        load.finish_and_verify()
        assert load.writer.errors == []


def test_all_nodes_killed_at_once_and_started_again(own_cluster: Start) -> None:
    cluster = own_cluster()
    with load_on(cluster) as load:
        cluster.kill(1, 2, 3)
        time.sleep(0.5)
        cluster.start(1, 2, 3)
        cluster.wait_healed()
        load.writer.wait_for_acks()
        load.finish_and_verify()
        assert load.writer.errors == []


def test_two_of_three_killed_leave_no_false_acknowledgement_and_all_heals(own_cluster: Start) -> None:
    """The quorum is gone with them and nobody shrinks the ISR; the leader that is left knows that its followers are gone, and says so."""
    cluster = own_cluster()
    with load_on(cluster, **IMPATIENT) as load:
        survivor = cluster.leader_of(load.topic, 0)
        others = [node_id for node_id in cluster.node_ids if node_id != survivor]
        cluster.kill(*others)
        time.sleep(0.5)  # What was replicated before the kill may still be on its way to the producer.
        acknowledged, seen = load.writer.ack_count, len(load.reader.seen[0])
        time.sleep(3)
        assert load.writer.ack_count == acknowledged
        assert seen > 0
        error = produce_one(cluster, load.topic, b"refused", retries=0, partition=0)
        assert error is not None
        assert error.code() == KafkaError.NOT_ENOUGH_REPLICAS
        assert read_values(cluster, load.topic, count=1)
        cluster.start(*others)
        cluster.wait_healed()
        load.writer.wait_for_acks()
        load.finish_and_verify()


def test_two_of_three_replicas_killed_refuse_producers_while_reads_go_on(own_cluster: Start) -> None:
    """Among five nodes the quorum stays: the ISR shrinks to the one replica left, below `min.insync.replicas`."""
    cluster = own_cluster(node_count=5)
    cluster.create_topic("guarded", replicas=3, config={"min.insync.replicas": "2"})
    assert produce_one(cluster, "guarded", b"before") is None
    found = cluster.partition_view("guarded")
    assert found is not None
    killed = found.replicas[1:]
    cluster.kill(*killed)
    eventually(lambda: (view := cluster.partition_view("guarded")) and view.isr == found.replicas[:1], what="an ISR of one")

    error = produce_one(cluster, "guarded", b"refused", retries=0)
    assert error is not None
    assert error.code() == KafkaError.NOT_ENOUGH_REPLICAS
    assert read_values(cluster, "guarded", count=2, patience_s=3) == [b"before"]

    cluster.start(*killed)
    cluster.wait_healed()
    assert produce_one(cluster, "guarded", b"after") is None
    assert read_values(cluster, "guarded", count=2) == [b"before", b"after"]


def produce_one(cluster: RealCluster, topic: str, value: bytes, *, partition: int = -1, **settings: object) -> KafkaError | None:
    """Produces one record with acks=all; the error if it was refused."""
    errors: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"} | settings)
    producer.produce(topic, value, partition=partition, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(20) == 0
    return errors[0]


def read_values(cluster: RealCluster, topic: str, *, count: int, patience_s: float = 10.0) -> list[bytes]:
    """The first values of a topic's first partition, as far as they come in time."""
    # It must not commit: where the group's coordinator is dead, closing would wait for that longer than other groups' sessions last.
    client = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "nobody", "enable.auto.commit": False})
    try:
        client.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        return [message.value() for message in client.consume(count, patience_s) if message.error() is None]
    finally:
        client.close()


def test_killed_group_coordinator_keeps_the_members_and_their_committed_offsets(own_cluster: Start) -> None:
    cluster = own_cluster()
    with load_on(cluster) as load:
        group = "two-members"
        members = [member_of(cluster, group, load.topic) for _ in range(2)]
        seen: list[tuple[int, int]] = []

        def read_on() -> bool:
            batches = [member.consume(500, 0.05) for member in members]
            for message in (message for batch in batches for message in batch):
                assert message.error() is None, message.error()
                seen.append((message.partition(), message.offset()))
            everything_is_read = {partition for partition, _ in seen} == set(range(PARTITIONS)) and len(seen) > 1000
            # Both read in this round: a member that has only just joined has nothing to commit yet.
            return everything_is_read and all(batches) and sorted(len(member.assignment()) for member in members) == [1, 2]

        eventually(read_on, what="both members read")
        held = [member.assignment() for member in members]
        for member in members:
            member.commit(asynchronous=False)
        committed = committed_offsets(members)
        cluster.kill(coordinator_of(cluster, group))
        seen.clear()
        eventually(read_on, what="both members read on")
        assert [member.assignment() for member in members] == held
        assert len(seen) == len(set(seen)), "records were read twice"
        assert committed_offsets(members) == committed
        for member in members:
            member.close()
        load.writer.stop()


def member_of(cluster: RealCluster, group: str, topic: str) -> Consumer:
    settings = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    member = Consumer({"bootstrap.servers": cluster.bootstrap} | settings)
    member.subscribe([topic])
    return member


def committed_offsets(members: list[Consumer]) -> dict[int, int]:
    """What the members have committed for the partitions they hold."""
    return {each.partition: each.offset for member in members for each in member.committed(member.assignment(), timeout=10)}


def coordinator_of(cluster: RealCluster, group: str) -> int:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    return int(admin.describe_consumer_groups([group])[group].result(10).coordinator.id)


def test_clean_stop_of_a_leader_is_hardly_felt(own_cluster: Start) -> None:
    cluster = own_cluster()
    with load_on(cluster) as load:
        leader = leader_that_is_not_the_controller(cluster, load.topic)
        began = time.monotonic()
        cluster.stop(leader)
        load.writer.wait_for_acks()
        assert load.writer.longest_gap_s(began) < STOP_GAP_S
        cluster.start(leader)
        cluster.wait_healed()
        load.finish_and_verify()
        assert load.writer.errors == []


def test_rolling_restart_of_all_nodes(own_cluster: Start) -> None:
    cluster = own_cluster()
    with load_on(cluster) as load:
        for node_id in cluster.node_ids:
            cluster.stop(node_id)
            cluster.start(node_id)
            cluster.wait_healed()
        load.writer.wait_for_acks()
        load.finish_and_verify()
        assert load.writer.errors == []


def test_frozen_leader_loses_its_partitions_and_comes_back_without_harm(own_cluster: Start) -> None:
    cluster = own_cluster()
    with load_on(cluster, **IMPATIENT) as load:
        leader = cluster.leader_of(load.topic, 0)
        cluster.pause(leader)
        eventually(lambda: (view := cluster.partition_view(load.topic, 0)) and view.leader_id not in (leader, -1), what="another leader")
        load.writer.wait_for_acks()
        cluster.resume(leader)
        cluster.wait_healed()
        load.writer.wait_for_acks()
        load.finish_and_verify()
        assert load.writer.errors == []


@pytest.mark.parametrize("one_way", [False, True], ids=["both ways", "one way"])
def test_leader_cut_off_from_the_others(own_cluster: Start, one_way: bool) -> None:
    """Clients still reach it: it must not acknowledge what the others do not have."""
    cluster = own_cluster()
    with load_on(cluster, **IMPATIENT) as load:
        leader = cluster.leader_of(load.topic, 0)
        cluster.partition(leader, one_way=one_way)
        eventually(lambda: _moved(cluster, load.topic, leader), what="another leader", timeout_s=30)
        load.writer.wait_for_acks()
        cluster.heal()
        cluster.wait_healed()
        load.writer.wait_for_acks()
        load.finish_and_verify()


def _moved(cluster: RealCluster, topic: str, leader: int) -> bool:
    found = cluster.partition_view(topic, 0)
    return found is not None and found.leader_id not in (leader, -1)


def test_cut_that_comes_while_a_node_starts_is_obeyed_and_does_not_end_it(own_cluster: Start) -> None:
    cluster = own_cluster(node_count=1)
    for delay_s in (0.0, 0.05, 0.15):
        cluster.kill(1)
        cluster.node(1).faults_path.unlink(missing_ok=True)
        before = cluster.log_of(1).count("network-cut")
        start_process(cluster.node(1))
        time.sleep(delay_s)
        cluster.node(1).faults_path.write_text('{"cut_to": [9]}')
        send_signal(cluster.node(1), signal.SIGUSR1)
        eventually(lambda before=before: cluster.log_of(1).count("network-cut") > before, what="the cut is read")
        assert [node.node_id for node in cluster.running()] == [1]
