"""Random walks through kills, restarts, power failures, cuts, late metadata, elections and ISR changes, with the invariants checked at
every step.

The ids are those of reference/replication-rules.md 3.1. The controller of these walks elects from the ISR, or if it is empty from the
eligible leader replicas, and a broker whose disk lost something is in neither, so nothing that was acknowledged may ever be lost.
"""

from __future__ import annotations

import random

import attrs
import pytest

from raftkafka.base.ids import NO_NODE, NodeId
from raftkafka.metadata.image import PartitionRegistration
from raftkafka.metadata.records import BrokerRegistrationChangeRecord, PartitionChangeRecord, Record
from tests.replication.world import KEY, Answer, Node, World

NODES = (1, 2, 3)
STEPS = 120


@attrs.define
class Walk:
    """One walk; everything in it follows from the seed."""

    rng: random.Random
    world: World = attrs.field(factory=lambda: World(min_insync_replicas=2))
    sent: dict[str, Answer] = attrs.field(factory=dict)
    true_high_watermark: int = 0
    told_high_watermarks: dict[int, int] = attrs.field(factory=dict)
    waiting: list[tuple[int, Answer]] = attrs.field(factory=list)

    # What may happen.

    def step(self) -> None:
        self.rng.choices(
            [
                self.produce,
                self.deliver,
                self.pass_time,
                self.kill,
                self.restart,
                self.cut,
                self.heal,
                self.delay_metadata,
                self.elect,
                self.fence,
            ],
            [8, 30, 8, 1, 2, 1, 2, 1, 1, 1],
        )[0]()

    def produce(self) -> None:
        """To any broker that believes to lead, also one that does not any more."""
        leaders = [n for n in NODES if n not in self.world.down and self.partition_leads(n)]
        if leaders:
            value, leader = f"v{len(self.sent)}", self.rng.choice(leaders)
            self.sent[value] = self.world.produce(leader, value, timeout_ms=self.rng.choice((50, 5_000)))
            self.waiting.append((leader, self.sent[value]))

    def partition_leads(self, node_id: int) -> bool:
        partition = self.world[node_id].manager.partition(KEY)
        return partition is not None and partition.leader is not None

    def deliver(self) -> None:
        for _ in range(self.rng.randint(1, 12)):
            self.world.deliver_any(self.rng)

    def pass_time(self) -> None:
        self.world.tick(self.rng.choice((1, 6, 20, 100, 600)))

    def kill(self) -> None:
        if len(self.world.down) < 2:
            node_id = self.rng.choice([n for n in NODES if n not in self.world.down])
            self.world.stop(node_id)
            self.world.metadata_delayed.discard(node_id)
            self.waiting = [(leader, answer) for leader, answer in self.waiting if leader != node_id]
            self.take_out(node_id)

    def take_out(self, node_id: int) -> None:
        """Fences a broker, as the controller does: out of the ISR and out of leadership (KIP-966: the ISR may become empty)."""
        registration = self.registration()
        broker = self.world.image.brokers[NodeId(node_id)]
        records: list[Record] = [BrokerRegistrationChangeRecord(node_id=broker.node_id, broker_epoch=broker.broker_epoch, fenced=True)]
        isr = tuple(n for n in registration.isr if n != node_id)
        change = PartitionChangeRecord(topic_id=KEY.topic_id, partition=0, isr=isr, elr=self.world.elr_after(KEY, isr))
        if registration.leader == node_id:
            alive = [n for n in isr if self.world.image.brokers[n].is_active]
            change = attrs.evolve(change, leader=self.rng.choice(alive) if alive else NO_NODE)
        if registration.leader == node_id or isr != registration.isr:
            records.append(change)
        self.world.decide(*records)
        self.elect_from_elr()

    def elect_from_elr(self) -> None:
        """An empty ISR: an eligible leader replica that is there leads, and is the ISR."""
        registration = self.registration()
        alive = [n for n in registration.elr if self.world.image.brokers[n].is_active and n not in self.world.down]
        if registration.leader == NO_NODE and not registration.isr and alive:
            leader = self.rng.choice(alive)
            elr = tuple(n for n in registration.elr if n != leader)
            self.world.decide(PartitionChangeRecord(topic_id=KEY.topic_id, partition=0, leader=leader, isr=(leader,), elr=elr))

    def registration(self) -> PartitionRegistration:
        registration = self.world.image.partition(KEY)
        assert registration is not None
        return registration

    def restart(self) -> None:
        if self.world.down:
            node_id = self.rng.choice(sorted(self.world.down))
            registration = self.registration()
            elr = tuple(n for n in registration.elr if n != node_id)
            lossy = self.rng.random() < 0.5 and bool(registration.isr or elr)  # the last one that has all: what it loses is lost
            self.told_high_watermarks.pop(node_id, None)
            if lossy and elr != registration.elr:
                self.world.decide(PartitionChangeRecord(topic_id=KEY.topic_id, partition=0, elr=elr))
            self.world.restart(node_id, power_failure=self.rng if lossy else None)
            self.elect_from_elr()

    def fence(self) -> None:
        """A broker loses its session although it runs, or gets it back."""
        node_id = self.rng.choice(NODES)
        if node_id in self.world.down:
            return
        if self.world.image.brokers[NodeId(node_id)].fenced:
            self.world.fence(node_id, fenced=False)
            self.elect_from_elr()
        else:
            self.take_out(node_id)

    def cut(self) -> None:
        self.world.separate(tuple(self.rng.sample(NODES, 2)))  # type: ignore[arg-type]

    def heal(self) -> None:
        self.world.heal()
        self.world.metadata_delayed.clear()
        self.world.publish()

    def delay_metadata(self) -> None:
        self.world.metadata_delayed.add(self.rng.choice(NODES))

    def elect(self) -> None:
        candidates = [n for n in self.world.isr() if self.world.image.brokers[NodeId(n)].is_active]
        if candidates:
            self.world.elect(self.rng.choice(candidates))

    # What must hold.

    def running(self) -> list[Node]:
        return [self.world[n] for n in NODES if n not in self.world.down and self.world[n].manager.partition(KEY) is not None]

    def check(self) -> None:
        nodes = self.running()
        for node in nodes:
            partition = node.partition()
            if partition.leader is not None:
                self.true_high_watermark = max(self.true_high_watermark, partition.high_watermark)
            assert partition.log.log_start_offset <= partition.high_watermark <= partition.log.log_end_offset
            assert partition.high_watermark >= self.told_high_watermarks.get(node.node_id, 0), "D7: a high watermark went back"
            self.told_high_watermarks[node.node_id] = partition.high_watermark
        self.check_isr(nodes)
        self.check_logs(nodes)

    def check_isr(self, nodes: list[Node]) -> None:
        registration = self.registration()
        eligible = {*registration.isr, *registration.elr}
        for node in nodes:
            partition = node.partition()
            if node.node_id in eligible:
                assert partition.log.log_end_offset >= self.true_high_watermark, "D2: an electable replica lacks committed records"
            leader = partition.leader
            if leader is not None and leader.epoch == registration.leader_epoch:
                assert registration.leader == node.node_id
                values = node.values()
                for value, answer in self.sent.items():
                    if answer.times and answer.produced.error_code == 0:
                        assert values[answer.produced.base_offset] == value, "D1: the leader lacks an acknowledged record"
                if len(leader.isr) >= leader.min_isr:
                    assert leader.maximal_isr >= eligible, "D3: an electable replica is not counted"

    def check_logs(self, nodes: list[Node]) -> None:
        logs = [(node.partition().high_watermark, node.records()) for node in nodes]
        for high_watermark, records in logs:
            assert [epoch for epoch, _ in records] == sorted(epoch for epoch, _ in records), "D12"
            for other_high_watermark, others in logs:
                committed = min(high_watermark, other_high_watermark)
                assert records[:committed] == others[:committed], "D4: committed records differ"
                same = [index for index, (one, other) in enumerate(zip(records, others, strict=False)) if one[0] == other[0]]
                assert all(records[index] == others[index] for index in same), "D4: one epoch, one offset, two records"

    def finish(self) -> None:
        """Heals everything and demands progress."""
        world = self.world
        self.heal()
        for node_id in NODES:
            if node_id in world.down:
                self.told_high_watermarks.pop(node_id, None)
                world.restart(node_id)
            elif world.image.brokers[NodeId(node_id)].fenced:
                world.fence(node_id, fenced=False)
            self.elect_from_elr()
        world.advance(8_000, step_ms=50)
        self.check()
        assert sorted(world.isr()) == list(NODES)
        logs = [world[n].records() for n in NODES]
        assert logs[0] == logs[1] == logs[2]
        assert all(world[n].partition().high_watermark == len(logs[0]) for n in NODES)
        assert all(answer.times == 1 for _, answer in self.waiting)


@pytest.mark.parametrize("first_seed", range(0, 100, 10))
def test_nothing_that_was_acknowledged_is_lost(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 10):
        run(seed)


def run(seed: int) -> None:
    """One walk."""
    walk = Walk(random.Random(seed))
    walk.world.slow_replies = True
    walk.world.create_topic()
    try:
        for _ in range(STEPS):
            walk.step()
            walk.check()
        walk.finish()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
