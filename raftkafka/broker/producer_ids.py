"""Producer ids for idempotent producers, taken from blocks that the controller gives to one broker only.

Invariant: no two producers of the cluster ever get the same id, whatever broker they ask and whichever broker restarts.
Sources: KIP-98 (producer ids), KIP-631 (ProducerIdsRecord, AllocateProducerIds).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.broker.channel import ControllerChannel
from raftkafka.broker.control import ControlReply
from raftkafka.metadata.control_messages import AllocateProducerIds, AllocateProducerIdsReply

REQUEST_TIMEOUT_MS = 10_000

Done = Callable[[int | ApiError], None]


class ProducerIds:
    """`allocate` answers with an id at once while the block lasts, else when the controller has given the next one."""

    def __init__(self, channel: ControllerChannel, *, node_id: NodeId, broker_epoch: Callable[[], int]) -> None:
        self._channel = channel
        self._node_id = node_id
        self._broker_epoch = broker_epoch
        self._next_id = 0
        self._end_id = 0
        self._waiting: deque[Done] = deque()
        self._now_ms = 0

    def allocate(self, done: Done, now_ms: int) -> None:
        """Calls `done` with a new producer id, or with the refusal."""
        self._now_ms = now_ms
        self._waiting.append(done)
        if self._next_id < self._end_id:
            self._serve()
        elif len(self._waiting) == 1:
            self._ask()

    def _ask(self) -> None:
        request = AllocateProducerIds(node_id=self._node_id, broker_epoch=self._broker_epoch())
        self._channel.request(request, self._allocated, deadline_ms=self._now_ms + REQUEST_TIMEOUT_MS)

    def _allocated(self, reply: ControlReply | None) -> None:
        if isinstance(reply, AllocateProducerIdsReply) and reply.error == ErrorCode.NONE:
            self._next_id = reply.first_producer_id
            self._end_id = reply.first_producer_id + reply.count
            self._serve()
            if self._waiting:  # more than a block holds
                self._ask()
            return
        refusal = ApiError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, "the controller gave no producer ids yet")
        waiting, self._waiting = self._waiting, deque()
        for done in waiting:
            done(refusal)

    def _serve(self) -> None:
        while self._waiting and self._next_id < self._end_id:
            done = self._waiting.popleft()
            self._next_id += 1
            done(self._next_id - 1)
