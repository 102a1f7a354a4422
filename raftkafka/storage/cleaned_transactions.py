"""Which transactions the cleaner meets on its way through a log: what was aborted goes, and a marker goes when nothing else is left of it.

Invariants
- Batches are shown in the order of the log, each once.
- A marker is dispensable only when no batch of its transaction was met before it.

Sources: KIP-98 (transactions), KIP-534 (when a marker may go).
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.storage.index import AbortedTransaction
from raftkafka.storage.record_batch import BatchHeader, ControlType, EndTransactionMarker


class CleanedTransactions:
    """`aborted` are the aborted transactions of the range to be cleaned, in any order."""

    def __init__(self, aborted: Sequence[AbortedTransaction]) -> None:
        self.kept: list[AbortedTransaction] = []
        """Aborted transactions whose marker was met and of which data was left: the index of the cleaned segment needs them."""
        self._expected = sorted(aborted, key=lambda each: each.first_offset, reverse=True)
        self._aborted: dict[int, AbortedTransaction] = {}
        self._with_data: dict[int, None] = {}

    def is_aborted(self, header: BatchHeader) -> bool:
        """Whether a data batch is of an aborted transaction."""
        if not header.is_transactional:
            return False
        self._advance(header.last_offset)
        self._with_data[header.producer_id] = None
        return header.producer_id in self._aborted

    def is_dispensable(self, header: BatchHeader, marker: EndTransactionMarker | None) -> bool:
        """Whether nothing is left that a control batch speaks of. `marker` is None for one without records, or of another kind."""
        if marker is None:
            return header.record_count == 0
        self._advance(header.last_offset)
        has_data = self._with_data.pop(header.producer_id, 0) is None
        if marker.control_type is ControlType.ABORT:
            aborted = self._aborted.pop(header.producer_id, None)
            if aborted is not None and has_data:
                self.kept.append(aborted)
        return not has_data

    def _advance(self, offset: int) -> None:
        while self._expected and self._expected[-1].first_offset <= offset:
            aborted = self._expected.pop()
            self._aborted[aborted.producer_id] = aborted
