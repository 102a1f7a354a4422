"""A lane: the effects of one machine, executed strictly in order, where a `Persist` holds back all that follow it.

Each machine has a lane of its own (the Raft node, each coordinator ...), so an fsync of the metadata log never delays a produce.

Invariant: an effect pushed after a `Persist` is released only after `persisted(token)` for that `Persist`.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from raftkafka.base.disk import Persist

Effect = TypeVar("Effect")


class Lane(Generic[Effect]):
    """`push` effects in order; `take` those that may run now. A taken `Persist` blocks the lane until `persisted` is told its token."""

    def __init__(self) -> None:
        self._queue: deque[Effect | Persist] = deque()
        self._waiting_for: int | None = None

    @property
    def blocked(self) -> bool:
        """Whether a `Persist` is under way."""
        return self._waiting_for is not None

    def push(self, effect: Effect | Persist) -> None:
        """Adds an effect at the end."""
        self._queue.append(effect)

    def take(self) -> list[Effect | Persist]:
        """The effects that may run now, in order; ends with a `Persist` when one is reached."""
        taken: list[Effect | Persist] = []
        while self._queue and self._waiting_for is None:
            effect = self._queue.popleft()
            taken.append(effect)
            if isinstance(effect, Persist):
                self._waiting_for = effect.token
        return taken

    def persisted(self, token: int) -> None:
        """The `Persist` with this token is stable: what follows it may run."""
        assert token == self._waiting_for, f"persisted {token}, but the lane waits for {self._waiting_for}"
        self._waiting_for = None
