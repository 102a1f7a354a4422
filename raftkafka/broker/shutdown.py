"""The clean stop of a node, step by step: leave the cluster, hand over the metadata quorum, make everything stable, end.

Invariants
- The clean-shutdown marker is written last: it says that every log is complete on disk, and is trusted at the next start (KIP-966).
- No step waits for other nodes without a deadline: a node that is alone still stops.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from raftkafka.base.observed import Observed, observed
from raftkafka.broker.channel import FAR_FUTURE_MS
from raftkafka.broker.lifecycle import BrokerState
from raftkafka.broker.parts import Parts

HAND_OVER_TIMEOUT_MS = 500


class Step(enum.Enum):
    """How far the stop is."""

    SERVING = "serving"
    LEAVING = "leaving"
    HANDING_OVER = "handing-over"
    CLOSING = "closing"
    STOPPED = "stopped"


class Shutdown:
    """`begin` starts it; `advance` is called in every settle and whenever `next_deadline_ms` has come."""

    def __init__(self, parts: Parts, observe: Callable[[Observed], None]) -> None:
        self.step = Step.SERVING
        self._parts = parts
        self._observe = observe
        self._deadline_ms = FAR_FUTURE_MS

    def begin(self, now_ms: int) -> None:
        """Asks the controller to take the leaderships away."""
        if self.step is Step.SERVING:
            self.step = Step.LEAVING
            if self._parts.lifecycle is not None:
                self._parts.lifecycle.begin_shutdown(now_ms)

    def next_deadline_ms(self) -> int:
        return self._deadline_ms

    def advance(self, now_ms: int) -> None:
        """Goes on as far as possible."""
        if self.step is Step.LEAVING and self._has_left():
            self._hand_over(now_ms)
        if self.step is Step.HANDING_OVER and (not self._leads_quorum(now_ms) or now_ms >= self._deadline_ms):
            self._close()
        if self.step is Step.CLOSING and self._parts.logs.shut_down:
            self.step = Step.STOPPED

    def _has_left(self) -> bool:
        lifecycle = self._parts.lifecycle
        return lifecycle is None or lifecycle.state is BrokerState.STOPPED

    def _leads_quorum(self, now_ms: int) -> bool:
        return self._parts.raft.status(now_ms).leader_id == self._parts.services.node_id

    def _hand_over(self, now_ms: int) -> None:
        """An election that the leader asks for itself takes one round trip; waiting for its time-out takes a second."""
        self.step = Step.HANDING_OVER
        self._deadline_ms = now_ms
        if self._leads_quorum(now_ms) and self._parts.raft.transfer_leadership(None, now_ms):
            self._deadline_ms = now_ms + HAND_OVER_TIMEOUT_MS

    def _close(self) -> None:
        self.step = Step.CLOSING
        self._deadline_ms = FAR_FUTURE_MS
        lifecycle, logs = self._parts.lifecycle, self._parts.logs
        self._parts.replicas.checkpoint_high_watermarks()
        # Who never got a broker epoch has touched no log: what its predecessor vouched for is still true.
        broker_epoch = lifecycle.broker_epoch if lifecycle is not None else -1
        logs.clean_shutdown(broker_epoch if broker_epoch >= 0 else logs.previous_broker_epoch)
        self._observe(observed("closing-logs"))
