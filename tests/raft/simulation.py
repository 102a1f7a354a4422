"""Raft alone in virtual time: some nodes, a network that loses, repeats, reorders and cuts, disks that forget, and proposals. One seed
decides all.

A run has two phases: in the first everything may fail; then all is healed and the cluster must make progress (liveness). The invariants are
checked after every event. `python -m tests.raft.simulation [changing | wiping] SEED [COUNT]` prints the trace of a seed, or runs many; with
`changing` the voters change, with `wiping` they also lose their disks and come back as others.
"""

from __future__ import annotations

import heapq
import itertools
import random
import sys
from collections.abc import Callable, Iterator

import msgpack
import xxhash

from raftkafka.base.disk import Persist
from raftkafka.base.ids import NodeId
from raftkafka.base.rules import Rule
from raftkafka.raft.codec import decode_message, encode_message
from raftkafka.raft.config import RaftConfig
from raftkafka.raft.driver import RaftDriver
from raftkafka.raft.effects import Committed, DriverEffect, SendMessage, SnapshotLoaded
from raftkafka.raft.membership import ChangeRefused
from raftkafka.raft.messages import Entry, EntryKind
from raftkafka.raft.node import NotLeader
from raftkafka.raft.roles import Leader
from raftkafka.raft.voters import Voter
from tests.raft.invariants import Invariants, Violation, require
from tests.raft.sim_node import SimNode
from tests.raft.swarm import Swarm
from tests.raft.wiping import format_disk, has_majority, join_often, wipe_one

FAULTS_MS = 8_000
HEALED_MS = 4_000
QUIET_MS = 2_000


class Simulation:
    """The event heap and all that hangs on it."""

    def __init__(
        self,
        seed: int,
        *,
        swarm: Swarm | None = None,
        disabled_rules: frozenset[Rule] = frozenset(),
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.swarm = swarm or Swarm.draw(self.rng)
        self.config = RaftConfig(
            max_append_bytes=self.rng.choice((100, 1_000, 1 << 20)),
            max_in_flight=self.rng.choice((2, 32)),
            snapshot_chunk_bytes=self.rng.choice((2_000, 1 << 19)),
            disabled_rules=disabled_rules,
        )
        self.now_ms = 1_000
        self.faults = True
        self.quiet = False
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._trace = trace
        self.digest = xxhash.xxh3_64()
        self.cut: set[tuple[NodeId, NodeId]] = set()
        self.proposed = 0
        self.voter_changes = 0
        self.wipes = 0
        self.acknowledged: list[bytes] = []
        voters = [NodeId(i + 1) for i in range(self.swarm.voters)]
        observers = [NodeId(i + 1 + len(voters)) for i in range(self.swarm.observers)]
        self.nodes = {node_id: SimNode(node_id) for node_id in voters + observers}
        named = self.swarm.wipes or self.rng.random() < 0.5
        self.voters = {voter: self.nodes[voter].as_voter if named else Voter() for voter in voters}
        if self.swarm.wipes:
            for node in self.nodes.values():
                format_disk(node, self.voters if node.node_id in voters else {})
        self.invariants = Invariants(self.voters, self.nodes)

    # -- the run

    def run(self) -> None:
        """Both phases; raises `Violation`."""
        self.start_all()
        if self.swarm.wipes:
            join_often(self)
        self.after(self.swarm.fault_every_ms, self._fault)
        self.after(1, self._propose_often)
        self._run_until(self.now_ms + FAULTS_MS)
        self._heal()
        self._run_until(self.now_ms + HEALED_MS)
        self._check_progress()

    def start_all(self) -> None:
        for node in self.nodes.values():
            self._start(node)

    def leader(self) -> SimNode | None:
        """The running leader of the highest epoch."""
        leaders = [node for node in self.running() if isinstance(node.state.role, Leader)]
        return max(leaders, key=lambda node: node.state.epoch, default=None)

    def milliseconds_to_a_leader(self) -> int:
        """Runs until a leader has committed the first entry of its epoch, which is when it can act."""
        start_ms = self.now_ms
        while (node := self.leader()) is None or node.state.high_watermark <= node.state.role.start_offset:  # type: ignore[union-attr]
            self.now_ms, _, event = heapq.heappop(self._events)
            event()
        return self.now_ms - start_ms

    def kill_leader(self, *, is_noticed: bool) -> None:
        """Kills it; with `is_noticed` the others learn at once that its process is gone."""
        node = self.leader()
        assert node is not None
        node.driver = None
        node.disk.kill()
        if is_noticed:
            for other in self.running():
                self.after(self.rng.randint(1, 5), self._guarded(other, lambda driver: driver.peer_lost(node.node_id, self.now_ms)))

    def _run_until(self, end_ms: int) -> None:
        while self._events and self._events[0][0] <= end_ms:
            self.now_ms, _, event = heapq.heappop(self._events)
            event()
        self.now_ms = end_ms

    def after(self, delay_ms: int, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now_ms + delay_ms, next(self._order), event))

    def say(self, text: str) -> None:
        line = f"{self.now_ms:6} {text}"
        self.digest.update(line.encode())
        if self._trace is not None:
            self._trace(line)

    # -- nodes

    def _start(self, node: SimNode) -> None:
        node.incarnation += 1
        node.driver = RaftDriver(
            node_id=node.node_id,
            directory_id=node.directory_id,
            voters={} if self.swarm.wipes else self.voters,
            disk=node.disk,
            directory="raft",
            config=self.config,
            rng=random.Random(self.rng.random()),
        )
        node.values, node.applied, node.applied_epoch, node.snapshot_at = [], 0, 0, 0
        if self.swarm.wipes:
            for contact in self.nodes:
                if contact != node.node_id:
                    node.driver.met(contact)
        node.driver.start(self.now_ms)
        self.say(f"start {node.node_id}")
        self.invariants.check_started(node)
        self.settle(node)

    def stop(self, node: SimNode, *, power_failure: bool) -> None:
        self.say(f"{'power off' if power_failure else 'kill'} {node.node_id}")
        node.driver = None
        if power_failure:
            node.disk.crash(self.rng)
        else:
            node.disk.kill()
        if self.rng.random() < 0.5:
            for other in self.running():
                self.after(self.rng.randint(1, 20), self._guarded(other, lambda d: d.peer_lost(node.node_id, self.now_ms)))

    def running(self) -> list[SimNode]:
        return [node for node in self.nodes.values() if node.driver is not None]

    def _guarded(self, node: SimNode, action: Callable[[RaftDriver], object]) -> Callable[[], None]:
        """The action happens only if the node is still the same process."""
        incarnation = node.incarnation

        def event() -> None:
            if node.driver is not None and node.incarnation == incarnation:
                action(node.driver)
                self.settle(node)

        return event

    def settle(self, node: SimNode) -> None:
        assert node.driver is not None
        for effect in node.driver.drain():
            self.invariants.check_effect(node, effect)
            self._carry_out(node, effect)
        node.note_durable()
        self.invariants.check_state(node)
        deadline_ms = node.driver.next_deadline_ms()
        self.after(max(deadline_ms - self.now_ms, 0), self._guarded_tick(node, deadline_ms))

    def _guarded_tick(self, node: SimNode, deadline_ms: int) -> Callable[[], None]:
        incarnation = node.incarnation

        def event() -> None:
            if node.driver is not None and node.incarnation == incarnation and node.driver.next_deadline_ms() == deadline_ms:
                node.driver.tick(self.now_ms)
                assert node.driver.next_deadline_ms() > self.now_ms
                self.settle(node)

        return event

    def _carry_out(self, node: SimNode, effect: DriverEffect) -> None:
        match effect:
            case SendMessage(to=to):
                self._send(node, to, effect)
            case Persist():
                delay_ms = self.rng.randint(1, self.swarm.persist_ms if self.faults else 2)
                self.after(delay_ms, self._guarded(node, lambda driver: self._persist(node, driver, effect)))
            case Committed(entries=entries):
                self._apply(node, entries)
                self.say(f"{node.node_id} committed below {entries[-1].offset + 1}")
            case SnapshotLoaded(end_offset=end_offset, epoch=epoch, data=data):
                node.values = msgpack.unpackb(data)
                node.applied, node.applied_epoch, node.snapshot_at = end_offset, epoch, end_offset
                committed = [e.data for e in self.invariants.committed[:end_offset] if e.kind is EntryKind.DATA]
                require(node.values == committed, f"Q8: the snapshot of node {node.node_id} differs from what was committed")
                self.say(f"{node.node_id} loaded the snapshot at {end_offset}")
            case _:
                self.say(f"{node.node_id} {effect}")

    def _persist(self, node: SimNode, driver: RaftDriver, effect: Persist) -> None:
        node.disk.persist(effect)
        driver.persisted(effect.token, self.now_ms)

    def _apply(self, node: SimNode, entries: tuple[Entry, ...]) -> None:
        require(entries[0].offset == node.applied, f"Q18: node {node.node_id} was handed {entries[0].offset} after {node.applied}")
        node.values += [entry.data for entry in entries if entry.kind is EntryKind.DATA]
        node.applied, node.applied_epoch = entries[-1].offset + 1, entries[-1].epoch
        if isinstance(node.state.role, Leader):
            self.acknowledged += [entry.data for entry in entries if entry.kind is EntryKind.DATA and entry.epoch == node.state.epoch]
        if node.applied - node.snapshot_at >= self.swarm.snapshot_every:
            node.snapshot_at = node.applied
            self.after(self.rng.randint(0, 50), self._snapshot(node, node.applied, node.applied_epoch, msgpack.packb(node.values)))

    def _snapshot(self, node: SimNode, end_offset: int, epoch: int, data: bytes) -> Callable[[], None]:
        return self._guarded(node, lambda driver: driver.save_snapshot(end_offset, epoch, data, self.now_ms))

    # -- the network

    def _send(self, node: SimNode, to: NodeId, effect: SendMessage) -> None:
        self.say(f"{node.node_id} -> {to} {effect.message}")
        encoded = msgpack.packb(encode_message(effect.message))
        for _ in self._copies():
            delay_ms = self.rng.randint(1, self.swarm.delay_ms if self.faults else 2)
            self.after(delay_ms, lambda: self._deliver(node.node_id, to, encoded))

    def _copies(self) -> Iterator[int]:
        if not self.faults:
            return iter(range(1))
        lost = self.rng.random() < self.swarm.loss
        return iter(range(0 if lost else 2 if self.rng.random() < self.swarm.repeat else 1))

    def _deliver(self, source: NodeId, to: NodeId, encoded: bytes) -> None:
        node = self.nodes[to]
        if node.driver is not None and (source, to) not in self.cut:
            node.driver.receive(source, decode_message(msgpack.unpackb(encoded)), self.now_ms)
            self.settle(node)

    # -- faults and load

    def _fault(self) -> None:
        if not self.faults:
            return
        self.after(self.rng.randint(1, 2 * self.swarm.fault_every_ms), self._fault)
        stopped = [node for node in self.nodes.values() if node.driver is None]
        if self.rng.random() < self.swarm.partitions:
            self._cut_or_heal()
        elif self.swarm.voter_changes and self.rng.random() < self.swarm.voter_changes:
            self._change_voters()
        elif self.swarm.wipes and self.rng.random() < self.swarm.wipes:
            wipe_one(self)
        elif stopped and self.rng.random() < 0.6:
            self._start(self.rng.choice(stopped))
        elif self.rng.random() < 0.1:
            everyone_fails = self.rng.random() < 0.5
            for node in self.running():
                self.stop(node, power_failure=everyone_fails)
        elif running := self.running():
            leaders = [node for node in running if isinstance(node.state.role, Leader)]
            node = self.rng.choice(leaders or running) if self.rng.random() < 0.5 else self.rng.choice(running)
            if leaders and self.rng.random() < 0.2:
                self._guarded(leaders[0], lambda driver: driver.transfer_leadership(None, self.now_ms))()
            else:
                self.stop(node, power_failure=self.rng.random() < self.swarm.power_failures)

    def _change_voters(self) -> None:
        """Whoever thinks that it leads is asked to add or to remove a node."""
        leaders = [node for node in self.running() if isinstance(node.state.role, Leader)]
        if not leaders:
            return
        node, subject = self.rng.choice(leaders), self.rng.choice(list(self.nodes))
        assert node.driver is not None
        left = {voter_id: voter for voter_id, voter in node.state.voters.items() if voter_id != subject}
        if self.swarm.wipes and not has_majority(self, left):
            return  # the leader may not know yet whose disk is gone
        try:
            if subject in node.state.voters:
                if len(node.state.voters) > 2 or self.rng.random() < 0.3:
                    node.driver.remove_voter(subject, None, self.now_ms)
                    self.say(f"{node.node_id} removes {subject}")
            else:
                node.driver.add_voter(subject, self.nodes[subject].as_voter, self.now_ms)
                self.say(f"{node.node_id} adds {subject}")
        except (NotLeader, ChangeRefused) as refusal:
            self.say(f"{node.node_id} does not change the voters: {refusal}")
            return
        self.voter_changes += 1
        self.settle(node)

    def _cut_or_heal(self) -> None:
        self.cut.clear()
        if self.rng.random() < 0.6:
            side = {node_id for node_id in self.nodes if self.rng.random() < 0.5}
            self.cut |= {(a, b) for a in side for b in self.nodes if b not in side}
            if self.rng.random() < 0.7:
                self.cut |= {(b, a) for a, b in self.cut}
        self.say(f"cut {sorted(self.cut)}")

    def _heal(self) -> None:
        self.say("heal")
        self.faults = False
        self.cut.clear()
        for node in self.nodes.values():
            if node.driver is None:
                self._start(node)

    def _propose_often(self) -> None:
        if self.quiet:
            return
        self.after(self.rng.randint(1, 2 * self.swarm.propose_every_ms), self._propose_often)
        leaders = [node for node in self.running() if isinstance(node.state.role, Leader)]
        for node in leaders[:2]:
            self._propose(node, self.rng.choice((1, 1, 2, 5)))

    def _propose(self, node: SimNode, count: int) -> None:
        assert node.driver is not None
        records = [f"value-{self.proposed + i}".encode() for i in range(count)]
        self.proposed += count
        try:
            node.driver.propose(records, self.now_ms)
        except NotLeader:
            return
        self.settle(node)

    # -- the end

    def _check_progress(self) -> None:
        leaders = [node for node in self.running() if isinstance(node.state.role, Leader)]
        require(len(leaders) == 1, f"liveness: {len(leaders)} leaders after all was healed")
        committed_before = len(self.invariants.committed)
        self._propose(leaders[0], 3)
        self.quiet = True
        self._run_until(self.now_ms + QUIET_MS)
        require(len(self.invariants.committed) > committed_before, "liveness: nothing is committed after all was healed")
        applied = {node.node_id: node.applied for node in self.nodes.values()}
        require(set(applied.values()) == {leaders[0].state.log.end_offset}, f"liveness: not all nodes have all of the log: {applied}")
        committed_values = set(leaders[0].values)
        require(all(value in committed_values for value in self.acknowledged), "Q4: an acknowledged value is gone")
        voters, wiped = leaders[0].state.voters, [node for node in self.nodes.values() if node.lost_disks]
        require(all(node.node_id in voters and node.state.is_voter for node in wiped), f"liveness: a wiped node has no vote: {voters}")


SWARMS: dict[str, Callable[[random.Random], Swarm]] = {"changing": Swarm.draw_changing, "wiping": Swarm.draw_wiping}
"""By the first argument; without it the seed draws one of its own."""


def run_seed(seed: int, kind: str | None = None, *, disabled_rules: frozenset[Rule] = frozenset()) -> Simulation:
    """Runs one seed, of a kind of `SWARMS`; a `Violation` or an assertion of the code under test names the seed."""
    swarm = SWARMS[kind](random.Random(seed)) if kind is not None else None
    simulation = Simulation(seed, swarm=swarm, disabled_rules=disabled_rules)
    try:
        simulation.run()
    except AssertionError as error:
        kind = "" if isinstance(error, Violation) else f"{type(error).__name__}: "
        raise Violation(f"seed {seed} at {simulation.now_ms} ms: {kind}{error}") from error
    return simulation


def main(arguments: list[str]) -> None:
    kind = arguments.pop(0) if arguments[0] in SWARMS else None
    first, *more = map(int, arguments)
    if not more:
        Simulation(first, swarm=SWARMS[kind](random.Random(first)) if kind is not None else None, trace=print).run()
        return
    wipes = sum(run_seed(seed, kind).wipes for seed in range(first, first + more[0]))
    print(f"{more[0]} seeds without a violation" + (f", {wipes} disks lost" if wipes else ""))


if __name__ == "__main__":
    main(sys.argv[1:])
