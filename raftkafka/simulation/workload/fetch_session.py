"""A consumer's fetch session with one broker: only what has changed is asked for again.

Source: KIP-227. Epoch 0 asks for a new session with everything in it; a broker that makes none answers with id 0; an error of the session,
or no answer, begins it anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.protocol.fetch_codec import FetchPartition, FetchRequestData
from raftkafka.simulation.workload.known_cluster import Slot

FINAL_EPOCH = -1
LAST_EPOCH = 2**31 - 1

Forgotten = tuple[str | None, bytes | None, int]


class FetchSession:
    """What the broker holds for this client. With `enabled` false each fetch names everything and makes no session."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._id = 0
        self._epoch = 0
        self._held: dict[Slot, FetchPartition] = {}

    def fill(self, request: FetchRequestData, wanted: Sequence[FetchPartition]) -> None:
        """Puts into a request what must be said so that the broker fetches just what is wanted."""
        if not self._enabled:
            request.partitions, request.session_epoch = list(wanted), FINAL_EPOCH
            return
        now = {_slot_of(partition): partition for partition in wanted}
        if self._epoch == 0:
            request.partitions = list(wanted)
        else:
            request.partitions = [partition for slot, partition in now.items() if self._held.get(slot) != partition]
            request.forgotten = [
                (partition.topic, partition.topic_id, partition.partition) for slot, partition in self._held.items() if slot not in now
            ]
        self._held = now
        request.session_id, request.session_epoch = self._id, self._epoch

    def answered(self, session_id: int) -> None:
        """The broker answered without an error of the session."""
        if not self._enabled:
            return
        if session_id == 0:
            self.begin_anew()
        else:
            self._id = session_id
            self._epoch = self._epoch + 1 if self._epoch < LAST_EPOCH else 1

    def begin_anew(self) -> None:
        """The broker does not know the session, or perhaps did not get the last request."""
        self._id = self._epoch = 0


def _slot_of(partition: FetchPartition) -> Slot:
    assert partition.topic is not None
    return partition.topic, partition.partition
