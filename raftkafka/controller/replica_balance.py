"""A fair share of replicas for each broker, and none for one that goes: which replicas to move, as few as possible.

`fair_share` is for a broker that has come, `drain` for one that goes. Both only plan; a reassignment carries the plan out.

The algorithm
1. Each broker that takes replicas is to have `total / brokers` of them, rounded up or down. From the broker with the most a replica goes to
   the one with the fewest that can take it; where racks forbid every direct move, by way of others (the shortest chain of moves, found
   breadth first). This ends when no chain leads from a broker to one that has at least two fewer.
2. Of the replicas that could make such a move the one is taken whose topic is the most unevenly spread between the two brokers, then the
   one whose size brings their bytes nearest: each broker gets its share of every topic, and of the bytes.
3. Preferred leaderships are levelled in the same way, by the order of replicas alone, which copies nothing; first of partitions that move
   anyway.
Draining puts each replica of the broker on the one with the fewest, in a rack that the partition is not in yet if there is one, and levels
afterwards, but moves only what was drained.

Invariants (property tests): a partition has as many replicas as before, on different brokers, and never in fewer racks, unless the only
broker of a rack is drained; without racks the brokers end within one of each other and no plan needs fewer moves; planned again nothing
moves.

Sources: docs/elastic.md. The chains are augmenting paths, as for semi-matchings of least cost (Harvey, Ladner, Lovász, Tamir 2006).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.controller.replica_plan import (
    PlacedBroker,
    PlacedPartition,
    Racks,
    ReplicaMove,
    ReplicaPlan,
    moved,
    replaced,
    shares_of,
    takers,
)
from raftkafka.metadata.records import NodeIds


def fair_share(brokers: Sequence[PlacedBroker], partitions: Sequence[PlacedPartition]) -> ReplicaPlan:
    """As few moves as possible after which each broker that takes replicas has its share of replicas and of preferred leaderships."""
    board = _Board(brokers, partitions, takers(brokers))
    for partition in partitions:
        if not partition.resting:
            board.release(partition)
    _level(board)
    return _plan(board, brokers, partitions, lambda old, new: _why_shared(board, old, new))


def drain(node_id: NodeId, brokers: Sequence[PlacedBroker], partitions: Sequence[PlacedPartition]) -> ReplicaPlan:
    """Moves everything off one broker, evenly spread; refuses (INVALID_REPLICATION_FACTOR) when a partition has nowhere to go."""
    board = _Board(brokers, partitions, [taker for taker in takers(brokers) if taker != node_id])
    for partition in partitions:
        if node_id in partition.replicas:
            target = _target_of_drained(board, partition, node_id)
            board.put(partition.key, node_id, target)
            board.release(partition, only=target)
    _level(board)
    return _plan(board, brokers, partitions, lambda old, new: _why_drained(node_id, old, new))


def _target_of_drained(board: _Board, partition: PlacedPartition, node_id: NodeId) -> NodeId:
    free = [taker for taker in board.takers if taker not in partition.replicas]
    if not free:
        left = f"{len(board.takers)} other live broker{'' if len(board.takers) == 1 else 's'}"
        reason = f"{partition.name} has {len(partition.replicas)} replicas, and there would be only {left} for them."
        raise ApiError(ErrorCode.INVALID_REPLICATION_FACTOR, f"Broker {node_id} cannot be drained: {reason}")

    def rank(taker: NodeId) -> tuple[int, int, int, NodeId]:
        racks = board.racks.count(replaced(partition.replicas, node_id, taker))
        return -racks, board.count[taker], board.size[taker], taker

    return min(free, key=rank)


class _Board:
    """Who has which replicas in the course of the planning."""

    def __init__(self, brokers: Sequence[PlacedBroker], partitions: Sequence[PlacedPartition], targets: Sequence[NodeId]) -> None:
        self.racks = Racks(brokers)
        self.takers = list(targets)
        self.replicas = {partition.key: partition.replicas for partition in partitions}
        self.sizes = {partition.key: partition.size for partition in partitions}
        self.original = dict(self.replicas)
        self.count = dict.fromkeys(targets, 0)
        self.size = dict.fromkeys(targets, 0)
        self.preferred = dict.fromkeys(targets, 0)
        self._of_topic: dict[tuple[NodeId, TopicId], int] = {}
        self._needed_racks: dict[PartitionKey, int] = {}
        self._movable: dict[NodeId, dict[TopicId, dict[PartitionKey, None]]] = {taker: {} for taker in targets}
        self._reorderable: dict[PartitionKey, None] = {}
        for partition in partitions:
            for replica in partition.replicas:
                self._count(partition.key, replica, 1)
            self._count_preferred(partition.replicas[0], 1)

    def release(self, partition: PlacedPartition, *, only: NodeId | None = None) -> None:
        """From now on its replicas may be moved (or only that one), and its leadership."""
        key = partition.key
        self._needed_racks[key] = self.racks.count(self.replicas[key])
        self._reorderable[key] = None
        for replica in self.replicas[key]:
            if replica in self._movable and only in (None, replica):
                self._movable[replica].setdefault(key.topic_id, {})[key] = None

    # --- replicas

    def put(self, key: PartitionKey, source: NodeId, target: NodeId) -> None:
        """A replica of `source` is on `target` instead, at its place in the order."""
        before = self.replicas[key]
        self.replicas[key] = replaced(before, source, target)
        self._count(key, source, -1)
        self._count(key, target, 1)
        if before[0] == source:
            self._count_preferred(source, -1)
            self._count_preferred(target, 1)
        there = self._movable.get(source, {}).get(key.topic_id)
        if there is not None and key in there:
            del there[key]
            self._movable[target].setdefault(key.topic_id, {})[key] = None

    def movable(self, source: NodeId, target: NodeId) -> PartitionKey | None:
        """The best partition to move between these two; None when there is none."""
        wanted = (self.size[source] - self.size[target]) / max(1, self.count[source] - self.count[target])
        held = self._movable[source]
        by_surplus = sorted(held, key=lambda topic: (self._on(target, topic) - self._on(source, topic), topic))
        for topic in by_surplus:
            allowed = [key for key in held[topic] if self._is_allowed(key, source, target)]
            if allowed:
                return min(allowed, key=lambda key: (abs(self.sizes[key] - wanted), key))
        return None

    def _is_allowed(self, key: PartitionKey, source: NodeId, target: NodeId) -> bool:
        replicas = self.replicas[key]
        if target in replicas:
            return False
        return self.racks.count(replaced(replicas, source, target)) >= self._needed_racks[key]

    # --- preferred leaderships

    def promote(self, key: PartitionKey, source: NodeId, target: NodeId) -> None:
        """`target` leads instead of `source` when both are well."""
        self._count_preferred(source, -1)
        self._count_preferred(target, 1)
        self.replicas[key] = (target, *(replica for replica in self.replicas[key] if replica != target))

    def promotable(self, source: NodeId, target: NodeId) -> PartitionKey | None:
        """The best partition whose leadership `source` can leave to `target`."""
        first_of = [key for key in self._reorderable if self.replicas[key][0] == source and target in self.replicas[key]]
        return min(first_of, key=lambda key: (self.replicas[key] == self.original[key], key), default=None)

    # --- counts

    def _on(self, node_id: NodeId, topic: TopicId) -> int:
        return self._of_topic.get((node_id, topic), 0)

    def _count(self, key: PartitionKey, node_id: NodeId, change: int) -> None:
        self._of_topic[node_id, key.topic_id] = self._on(node_id, key.topic_id) + change
        if node_id in self.count:
            self.count[node_id] += change
            self.size[node_id] += change * self.sizes[key]

    def _count_preferred(self, node_id: NodeId, change: int) -> None:
        if node_id in self.preferred:
            self.preferred[node_id] += change


Step = tuple[PartitionKey, NodeId, NodeId]
"""A partition, and the brokers that it goes from and to."""


def _level(board: _Board) -> None:
    """Levels first the replicas and then the preferred leaderships."""
    while any(_make(_replica_chain(board, donor), board.put) for donor in _by_count(board.takers, board.count, board.size)):
        pass
    while any(_make(_leader_chain(board, donor), board.promote) for donor in _by_count(board.takers, board.preferred, board.count)):
        pass


def _by_count(nodes: Sequence[NodeId], count: dict[NodeId, int], then: dict[NodeId, int]) -> list[NodeId]:
    return sorted(nodes, key=lambda node_id: (-count[node_id], -then[node_id], node_id))


def _replica_chain(board: _Board, donor: NodeId) -> list[Step]:
    return _chain(donor, _by_count(board.takers, board.count, board.size)[::-1], board.count, board.movable)


def _leader_chain(board: _Board, donor: NodeId) -> list[Step]:
    return _chain(donor, _by_count(board.takers, board.preferred, board.count)[::-1], board.preferred, board.promotable)


def _chain(
    donor: NodeId,
    nodes: Sequence[NodeId],
    count: dict[NodeId, int],
    edge: Callable[[NodeId, NodeId], PartitionKey | None],
) -> list[Step]:
    """The shortest chain of moves from `donor` to a broker that has at least two fewer, the last move first; empty when there is none.

    No partition is in a chain twice: each of two moves of it may keep its racks, and both together cost it one.
    """
    if count[donor] < 2 + min(count.values()):
        return []
    step_to: dict[NodeId, Step | None] = {donor: None}
    used: dict[NodeId, Collection[PartitionKey]] = {donor: ()}
    queue = [donor]
    for node in queue:
        for target in nodes:
            key = edge(node, target) if target not in step_to else None
            if key is None or key in used[node]:
                continue
            step_to[target] = (key, node, target)
            used[target] = (*used[node], key)
            if count[target] <= count[donor] - 2:
                return _unwound(step_to, target)
            queue.append(target)
    return []


def _unwound(step_to: dict[NodeId, Step | None], target: NodeId) -> list[Step]:
    chain = []
    step = step_to[target]
    while step is not None:
        chain.append(step)
        step = step_to[step[1]]
    return chain


def _make(chain: list[Step], make: Callable[[PartitionKey, NodeId, NodeId], None]) -> bool:
    for step in chain:
        make(*step)
    return bool(chain)


# --- the answer


def _plan(
    board: _Board,
    brokers: Sequence[PlacedBroker],
    partitions: Sequence[PlacedPartition],
    why: Callable[[NodeIds, NodeIds], str],
) -> ReplicaPlan:
    moves = tuple(
        ReplicaMove(
            key=each.key,
            name=each.name,
            old_replicas=each.replicas,
            new_replicas=board.replicas[each.key],
            size=each.size,
            why=why(each.replicas, board.replicas[each.key]),
        )
        for each in partitions
        if board.replicas[each.key] != each.replicas
    )
    after = shares_of(brokers, moved(partitions, moves))
    return ReplicaPlan(moves=moves, before=shares_of(brokers, partitions), after=after, verdict=_verdict(board))


def _verdict(board: _Board) -> str:
    if not board.takers:
        return "no live broker takes replicas"
    fewest, most = min(board.count.values()), max(board.count.values())
    if most - fewest <= 1:
        return f"every broker has {_between(fewest, most)} replicas"
    poorest, richest = (min(board.takers, key=lambda each: (sign * board.count[each], each)) for sign in (1, -1))
    return (
        f"broker {richest} has {most} replicas and broker {poorest} {fewest}; no further one may move, because of racks or moves under way"
    )


def _why_shared(board: _Board, old: NodeIds, new: NodeIds) -> str:
    share = _share(sum(board.count.values()), len(board.takers))
    added = [replica for replica in new if replica not in old]
    if added:
        removed = [replica for replica in old if replica not in new]
        return f"the share of each broker is {share} replicas: one less on broker {_ids(removed)}, one more on broker {_ids(added)}"
    leaders = _share(sum(board.preferred.values()), len(board.takers))
    return f"the share of each broker is to lead {leaders} partitions: broker {new[0]} instead of {old[0]}"


def _why_drained(node_id: NodeId, old: NodeIds, new: NodeIds) -> str:
    added = [replica for replica in new if replica not in old]
    return f"broker {node_id} is drained; of those that may take this, broker {_ids(added)} has the fewest replicas"


def _share(total: int, brokers: int) -> str:
    return _between(total // brokers, -(-total // brokers))


def _between(fewest: int, most: int) -> str:
    return str(fewest) if fewest == most else f"{fewest} or {most}"


def _ids(nodes: Sequence[NodeId]) -> str:
    return ", ".join(map(str, nodes))
