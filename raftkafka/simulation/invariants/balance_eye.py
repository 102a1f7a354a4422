"""Hears what the controllers say of the leaderships that they move by themselves, and calls the invariants of `balance`."""

from __future__ import annotations

import attrs

from raftkafka.base.observed import Observed
from raftkafka.broker.node import BrokerNode
from raftkafka.simulation.events import US_PER_MS
from raftkafka.simulation.invariants import balance
from raftkafka.simulation.world import World

MOVED, COPIED, BEGAN = "leader-moved", "replica-moving", "controller-active"
HOME = "is its first replica"
"""What is said of a leadership that goes home: of one without load neither a cooldown nor a bound is asked."""


@attrs.define(eq=False)
class _Controller:
    """What one active controller has moved because of load, by its own clock."""

    moved_ms: dict[str, int] = attrs.field(factory=dict)
    round_ms: int = -1
    moves_of_round: int = 0


class BalanceEye:
    """Of a whole world. `moves` (of leaders and replicas) and `last_us` are for who waits until nothing moves any more."""

    def __init__(self, world: World) -> None:
        self.moves = 0
        self.last_us = 0
        self._world = world
        self._controllers: dict[str, _Controller] = {}
        world.trace.listeners.append(self.observed)

    def observed(self, who: str, what: Observed) -> None:
        """A node said something."""
        if what.kind == BEGAN:
            self._controllers[who] = _Controller()
        elif what.kind == MOVED and HOME not in str(what.fields["why"]):
            self._moved(who, str(what.fields["partition"]))
        elif what.kind == COPIED:
            self._note()

    def rested_ms(self, since_us: int) -> int:
        """For how long nothing has moved because of load, counted from a moment at most."""
        return (self._world.heap.now_us - max(since_us, self.last_us)) // US_PER_MS

    def _moved(self, who: str, name: str) -> None:
        self._note()
        process, controller = self._world.machines[who].process, self._controllers.setdefault(who, _Controller())
        assert process is not None and isinstance(process.node, BrokerNode)
        config, now_ms = process.node.config, process.now_ms
        moved_ms = controller.moved_ms.get(name)
        if moved_ms is not None:
            balance.moved_leaders_rest(name, now_ms - moved_ms, config.leader_rebalance_load_cooldown_ms)
        controller.moved_ms[name] = now_ms
        controller.moves_of_round = controller.moves_of_round + 1 if controller.round_ms == now_ms else 1
        controller.round_ms = now_ms
        balance.rounds_are_bounded(config.node_id, controller.moves_of_round, config.leader_rebalance_load_moves_max)

    def _note(self) -> None:
        self.moves += 1
        self.last_us = self._world.heap.now_us
