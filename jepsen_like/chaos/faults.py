"""What can be done to a cluster, by name: each a function that does it and returns what it did and how to undo it.

To add one: write a function `(cluster, rng) -> InForce` and name it in `FAULTS` with a sentence. `nemesis` begins it, waits, and undoes it.

Invariants
- Chance comes from the generator given, so that a seed draws the same faults; who leads when a fault comes is the cluster's own doing.
- A fault that does not say "all" leaves a majority of the nodes running and connected to each other, or at least overlapping majorities:
  what min.insync.replicas promises must hold, and mostly the cluster should even go on.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from random import Random

import attrs

from jepsen_like.chaos.proxy import Pair
from jepsen_like.chaos.systems import Cluster

MAX_DELAY_MS = 300


class UnknownFault(ValueError):
    """Nobody knows a fault of this name; the text names the nearest one."""


@attrs.frozen(kw_only=True)
class InForce:
    """A fault that has begun: on which nodes, in words, and how it ends."""

    nodes: Sequence[int]
    text: str
    undo: Callable[[], None]


Begin = Callable[[Cluster, Random], InForce]


@attrs.frozen
class Fault:
    """`duration_s`: from how long to how long it lasts."""

    sentence: str
    begin: Begin
    duration_s: tuple[float, float] = (4.0, 10.0)


def faults_named(text: str) -> tuple[str, ...]:
    """The faults of a list separated by commas; `UnknownFault` for the first that is none."""
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for name in names:
        if name not in FAULTS:
            near = difflib.get_close_matches(name, FAULTS, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise UnknownFault(f"there is no fault {name!r}. {hint}Those there are: {', '.join(FAULTS)}.")
    if not names:
        raise UnknownFault(f"no fault is named. Those there are: {', '.join(FAULTS)}.")
    return names


# --- whom it meets


def _victim(cluster: Cluster, rng: Random) -> tuple[int, str]:
    """A node and what it is: any one, the leader of some partition, or the active controller."""
    kind = rng.choice(("any", "leader", "controller"))
    anyone = rng.choice(cluster.node_ids)
    place = rng.random()
    view = cluster.view() if kind != "any" else None
    if view is not None and kind == "controller" and view.quorum.leader_id in cluster.node_ids:
        return view.quorum.leader_id, f"node {view.quorum.leader_id}, the active controller"
    if view is not None and kind == "leader":
        led = [each for each in view.partitions if each.leader_id in cluster.node_ids and not each.topic.startswith("__")]
        if led:
            chosen = led[int(place * len(led))]
            return chosen.leader_id, f"node {chosen.leader_id}, which leads {chosen.topic}-{chosen.partition}"
    return anyone, f"node {anyone}"


# --- processes


def _kill(cluster: Cluster, rng: Random) -> InForce:
    node_id, what = _victim(cluster, rng)
    cluster.kill([node_id])
    return InForce(nodes=[node_id], text=f"kill {what}", undo=lambda: cluster.start([node_id]))


def _kill_all(cluster: Cluster, _rng: Random) -> InForce:
    cluster.kill(cluster.node_ids)
    return InForce(nodes=cluster.node_ids, text="kill all nodes at once", undo=lambda: cluster.start(cluster.node_ids))


def _pause(cluster: Cluster, rng: Random) -> InForce:
    node_id, what = _victim(cluster, rng)
    cluster.pause([node_id])
    return InForce(nodes=[node_id], text=f"freeze {what}", undo=lambda: cluster.resume([node_id]))


def _stop(cluster: Cluster, rng: Random) -> InForce:
    node_id, what = _victim(cluster, rng)
    cluster.stop([node_id])
    return InForce(nodes=[node_id], text=f"stop {what}, cleanly", undo=lambda: cluster.start([node_id]))


def _rolling(cluster: Cluster, rng: Random) -> InForce:
    """Stops the first node at once; the undoing starts it and does the same with the others, one after the other."""
    order = rng.sample(cluster.node_ids, len(cluster.node_ids))
    cluster.stop(order[:1])

    def undo() -> None:
        cluster.start(order[:1])
        for node_id in order[1:]:
            _wait_unfenced(cluster)
            cluster.stop([node_id])
            cluster.start([node_id])

    return InForce(nodes=order, text=f"restart nodes {_list(order)} one after the other", undo=undo)


def _wait_unfenced(cluster: Cluster) -> None:
    from jepsen_like.chaos.systems import wait_until

    wait_until(cluster.is_well, timeout_s=30)


# --- the network


def _cut(cluster: Cluster, pairs: Sequence[Pair], nodes: Sequence[int], text: str) -> InForce:
    cluster.shape(cuts=pairs)
    return InForce(nodes=nodes, text=text, undo=cluster.shape)


def _both(a: int, others: Sequence[int]) -> list[Pair]:
    return [pair for b in others if b != a for pair in ((a, b), (b, a))]


def _isolate(cluster: Cluster, rng: Random) -> InForce:
    node_id, what = _victim(cluster, rng)
    return _cut(cluster, _both(node_id, cluster.node_ids), [node_id], f"cut {what}, off from all others")


def _isolate_leader(cluster: Cluster, rng: Random) -> InForce:
    anyone = rng.choice(cluster.node_ids)
    place = rng.random()
    view = cluster.view()
    led = sorted({each.leader_id for each in view.partitions if each.leader_id in cluster.node_ids}) if view else []
    node_id = led[int(place * len(led))] if led else anyone
    return _cut(cluster, _both(node_id, cluster.node_ids), [node_id], f"cut node {node_id}, a leader, off from all others")


def _pair(cluster: Cluster, rng: Random) -> InForce:
    a, b = rng.sample(cluster.node_ids, 2) if len(cluster.node_ids) > 1 else (1, 1)
    return _cut(cluster, _both(a, [b]), [a, b], f"cut nodes {a} and {b} off from each other: the others still reach both (a bridge)")


def _one_way(cluster: Cluster, rng: Random) -> InForce:
    node_id, what = _victim(cluster, rng)
    others = [each for each in cluster.node_ids if each != node_id]
    if rng.random() < 0.5:
        others = others[: 1 + int(rng.random() * len(others))]
    if rng.random() < 0.5:
        pairs, text = [(node_id, each) for each in others], f"nothing passes from {what}, to {_list(others)}; the way back is open"
    else:
        pairs, text = [(each, node_id) for each in others], f"nothing passes from {_list(others)} to {what}; the way back is open"
    return _cut(cluster, pairs, [node_id, *others], text)


def _ring(cluster: Cluster, rng: Random) -> InForce:
    """Each node reaches a majority, no two the same: with three nodes one pair is cut, with five each sees its two neighbours."""
    order = rng.sample(cluster.node_ids, len(cluster.node_ids))
    count = len(order)
    reach = count // 2 // 2 + (count // 2) % 2
    pairs = [
        (order[i], order[j]) for i in range(count) for j in range(count) if i != j and min((i - j) % count, (j - i) % count) > max(1, reach)
    ]
    if not pairs:
        return _pair(cluster, rng)
    return _cut(cluster, pairs, order, f"a ring of majorities: {_list(order)}, each reaches its neighbours only")


def _halves(cluster: Cluster, rng: Random) -> InForce:
    order = rng.sample(cluster.node_ids, len(cluster.node_ids))
    minority = sorted(order[: (len(order) - 1) // 2])
    majority = [each for each in cluster.node_ids if each not in minority]
    pairs = [pair for each in minority for pair in _both(each, majority)]
    return _cut(cluster, pairs, minority, f"cut {_list(minority)} off from {_list(majority)}")


_PARTITIONS: tuple[Begin, ...] = (_isolate, _isolate_leader, _pair, _one_way, _ring, _halves)


def _any_partition(cluster: Cluster, rng: Random) -> InForce:
    return rng.choice(_PARTITIONS)(cluster, rng)


def _delay(cluster: Cluster, rng: Random) -> InForce:
    node_id, what = _victim(cluster, rng)
    delays: dict[Pair, int] = {}
    for pair in _both(node_id, cluster.node_ids):
        delays[pair] = rng.randint(10, MAX_DELAY_MS)
    cluster.shape(delays_ms=delays)
    longest = max(delays.values(), default=0)
    return InForce(nodes=[node_id], text=f"frames of {what}, from and to others, take up to {longest} ms longer", undo=cluster.shape)


def _list(node_ids: Sequence[int]) -> str:
    return ", ".join(map(str, node_ids))


FAULTS: Mapping[str, Fault] = {
    "kill": Fault("SIGKILL to a node (any, a partition's leader, or the active controller), and a start a while later", _kill),
    "kill-all": Fault("SIGKILL to all nodes at once, and their start: memory is lost, the page cache is not", _kill_all, (1.0, 3.0)),
    "pause": Fault("SIGSTOP to a node, SIGCONT a while later: it was away and does not know it", _pause, (3.0, 15.0)),
    "stop": Fault("a clean stop of a node, and a start a while later", _stop, (1.0, 6.0)),
    "rolling": Fault("a clean restart of every node, one after the other", _rolling, (1.0, 3.0)),
    "partition": Fault("one of the partitions below, drawn each time", _any_partition, (5.0, 15.0)),
    "isolate": Fault("a node is cut off from all others", _isolate, (5.0, 15.0)),
    "isolate-leader": Fault("the leader of a partition is cut off from all others", _isolate_leader, (5.0, 15.0)),
    "bridge": Fault("two nodes are cut off from each other, the others reach both", _pair, (5.0, 15.0)),
    "one-way": Fault("nothing passes from a node to others, or from others to it; the way back is open", _one_way, (5.0, 15.0)),
    "ring": Fault("every node reaches a majority, no two the same one", _ring, (5.0, 15.0)),
    "halves": Fault("a minority is cut off from the majority", _halves, (5.0, 15.0)),
    "delay": Fault(f"frames of a node take 10 to {MAX_DELAY_MS} ms longer, each way another time", _delay, (5.0, 15.0)),
}

DEFAULT_FAULTS = "kill,pause,stop,rolling,partition,delay,kill-all"
