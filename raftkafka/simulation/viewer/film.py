"""What a run looked like: its messages with the times of their sending and arrival, its events, and every state of every replica.

The page reads it as JSON: times are microseconds; machines, kinds and texts are numbers of tables, as most are repeated.

Invariant: the film of a seed is the same, to the byte, whoever makes it.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from raftkafka.base.observed import Observed
from raftkafka.broker.node_port import NodePort
from raftkafka.simulation.events import US_PER_MS
from raftkafka.simulation.messages import Kind, MessageReader
from raftkafka.simulation.narrator import Narrator, TraceLine
from raftkafka.simulation.replica_states import ReplicaChange, ReplicaState, ReplicaStates
from raftkafka.simulation.run import Result
from raftkafka.simulation.world import World

NEVER = -1
"""The arrival of a message that was lost."""

MACHINE_STATES = {
    "starts": "up",
    "goes on": "up",
    "is paused": "paused",
    "is killed": "down",
    "loses power": "down",
    "stopped cleanly": "down",
    "process ends": "down",
}
"""What a line about a machine says of it, by its first words."""

KINDS = tuple(kind.value for kind in Kind)


class Texts:
    """A table of texts, each named by its place."""

    def __init__(self) -> None:
        self.table: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Where the text is; it is added when it is new."""
        found = self._places.get(text)
        if found is None:
            found = self._places[text] = len(self.table)
            self.table.append(text)
        return found


class Film:
    """A watcher that keeps everything."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._heap = world.heap
        self._states = ReplicaStates(world)
        self._narrator = Narrator(world, self._tell)
        self._reader = MessageReader(self._states.topic_name)
        self._lanes = Texts()
        self._texts = Texts()
        self._subjects = Texts()
        self._messages: list[list[int]] = []
        self._under_way: dict[tuple[int, str], deque[tuple[bytes, list[list[int]]]]] = {}
        self._events: list[list[int]] = []
        self._replicas: dict[tuple[str, str], list[list[Any]]] = {}
        self._machines: dict[str, list[list[Any]]] = {}
        for name in world.machines:
            self._lanes.place(name)

    # What a watcher is told

    def line(self, who: str, text: str) -> None:
        if who in self._world.machines:
            for words, state in MACHINE_STATES.items():
                if text.startswith(words):
                    self._machines.setdefault(who, []).append([self._heap.now_us, state])
        self._narrator.line(who, text)

    def observed(self, who: str, what: Observed) -> None:
        self._narrator.observed(who, what)

    def sent(self, connection: int, source: str, target: str, data: bytes | None) -> None:
        if data is None:
            return
        rows: list[list[int]] = []
        for message in self._reader.read(connection, source, data):
            row = [
                self._heap.now_us,
                NEVER,
                self._lanes.place(source),
                self._lanes.place(target),
                KINDS.index(message.kind.value),
                (1 if message.is_answer else 0) + (2 if message.idle else 0),
                self._texts.place(message.name),
                self._texts.place(message.text),
            ]
            rows.append(row)
        self._messages.extend(rows)
        self._under_way.setdefault((connection, source), deque()).append((data, rows))

    def arrived(self, connection: int, source: str, target: str, data: bytes) -> None:
        under_way = self._under_way.get((connection, source))
        while under_way:
            sent, rows = under_way.popleft()
            if sent is data:
                for row in rows:
                    row[1] = self._heap.now_us
                return

    def settled(self, who: str, node: NodePort) -> None:
        for change in self._states.changes(who, node):
            self._replicas.setdefault((change.subject, change.who), []).append(self._state_row(change))
            self._narrator.changed(change)

    # What the page is given

    def content(self, result: Result) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "seed": result.seed,
            "profile": result.profile.name,
            "digest": result.digest,
            "virtual_ms": result.virtual_ms,
            "acknowledged": result.acknowledged,
            "violations": [
                {"invariant": each.invariant, "text": each.text, "before": each.before, "after": each.after} for each in result.violations
            ],
            "end_us": self._heap.now_us,
            "lanes": self._lanes.table,
            "nodes": len(self._world.machines),
            "kinds": KINDS,
            "texts": self._texts.table,
            "subjects": self._subjects.table,
            "messages": self._messages,
            "events": self._events,
            "faults": self._faults(result),
            "machines": self._machines,
            "replicas": [{"subject": subject, "who": who, "states": states} for (subject, who), states in sorted(self._replicas.items())],
        }

    def _faults(self, result: Result) -> list[list[Any]]:
        begin_us = self._world.start_us
        heal_us = begin_us + result.profile.drawn(result.seed).duration_ms * US_PER_MS
        return [
            [
                begin_us + fault.at_ms * US_PER_MS,
                min(begin_us + (fault.at_ms + fault.duration_ms) * US_PER_MS, heal_us),
                list(fault.machines or self._world.machines),
                fault.kind.value,
                str(fault),
            ]
            for fault in result.plan.faults
        ]

    def _tell(self, line: TraceLine) -> None:
        self._events.append(
            [
                line.at_us,
                self._lanes.place(line.who),
                self._texts.place(line.what.value),
                self._subjects.place(line.where),
                self._texts.place(line.text),
            ]
        )

    def _state_row(self, change: ReplicaChange) -> list[Any]:
        state: ReplicaState = change.after
        return [
            self._heap.now_us,
            state.role,
            state.leader_epoch,
            state.log_start_offset,
            state.log_end_offset,
            state.high_watermark,
            list(state.isr),
            list(state.proposed_isr),
            [list(each) for each in state.epochs],
        ]
