"""Answers that wait: until their records are committed, and some until all live brokers have applied them too.

Invariants
- An answer never leaves before everything it rests on is committed (Q18): not even a refusal such as "already exists", which may speak of
  an uncommitted topic.
- Answers whose condition is met leave in the order of their offsets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.controller.sessions import FAR_FUTURE_MS


@attrs.define(eq=False, kw_only=True)
class Answer:
    """An answer on its way out."""

    offset: int
    """The last offset that must be committed."""
    release: Callable[[Any], None]
    reply: Any
    refuse: Callable[[], Any]
    """The answer if this controller is deposed first."""
    applied_by_ms: int | None = None
    late_reply: Any = None
    stops: NodeId | None = None
    """The broker that this answer lets go: whether it has applied is not waited for."""


class WaitingAnswers:
    """Answers by offset, then those whose records are committed but not yet applied everywhere."""

    def __init__(self) -> None:
        self._uncommitted: deque[Answer] = deque()
        self._unapplied: list[Answer] = []

    def add(self, answer: Answer) -> None:
        """Offsets never decrease from one `add` to the next."""
        assert not self._uncommitted or self._uncommitted[-1].offset <= answer.offset
        self._uncommitted.append(answer)

    def release_committed(self, offset: int) -> None:
        """Everything up to `offset` (inclusive) is committed."""
        ready = []
        while self._uncommitted and self._uncommitted[0].offset <= offset:
            answer = self._uncommitted.popleft()
            if answer.applied_by_ms is None:
                ready.append(answer)
            else:
                self._unapplied.append(answer)
        for answer in ready:
            answer.release(answer.reply)

    def release_applied(self, is_applied: Callable[[int, NodeId | None], bool], now_ms: int) -> list[NodeId]:
        """`is_applied(offset, stops)`: whether all live brokers have applied up to and including it. Returns whom it lets go."""
        if not self._unapplied:
            return []
        kept, ready, stopped = [], [], []
        for answer in self._unapplied:
            assert answer.applied_by_ms is not None
            if is_applied(answer.offset, answer.stops):
                ready.append((answer, answer.reply))
                if answer.stops is not None:
                    stopped.append(answer.stops)
            elif now_ms >= answer.applied_by_ms:
                ready.append((answer, answer.reply if answer.late_reply is None else answer.late_reply))
            else:
                kept.append(answer)
        self._unapplied = kept
        for answer, reply in ready:
            answer.release(reply)
        return stopped

    def next_deadline_ms(self) -> int:
        return min((answer.applied_by_ms for answer in self._unapplied if answer.applied_by_ms is not None), default=FAR_FUTURE_MS)

    def refuse_all(self) -> None:
        """This controller is deposed: nobody knows here whether what is uncommitted will be committed."""
        answers = [*self._unapplied, *self._uncommitted]
        self._unapplied = []
        self._uncommitted = deque()
        for answer in answers:
            answer.release(answer.refuse())
