"""A coordinator's log in memory: what is appended is committed at once, or when the test says so."""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.storage.record_batch import batches, patch_offset_and_epoch


class FakeLog:
    """Implements `CoordinatorLog`."""

    def __init__(self, *, commits_at_once: bool = True) -> None:
        self.commits_at_once = commits_at_once
        self.refusal: ApiError | None = None
        self.read_error: Exception | None = None
        self._batches: dict[int, list[tuple[int, bytes]]] = {}
        self._high_watermarks: dict[int, int] = {}
        self._end_offsets: dict[int, int] = {}

    def append(self, partition: int, batch: bytes, now_ms: int) -> int:
        if self.refusal is not None:
            raise self.refusal
        ((_, header),) = batches(batch)
        base_offset = self.end_offset(partition)
        patched = bytearray(batch)
        patch_offset_and_epoch(patched, 0, base_offset=base_offset, leader_epoch=1)
        self._batches.setdefault(partition, []).append((base_offset, bytes(patched)))
        self._end_offsets[partition] = base_offset + header.record_count
        if self.commits_at_once:
            self._high_watermarks[partition] = self._end_offsets[partition]
        return self._end_offsets[partition]

    def start_offset(self, partition: int) -> int:
        return 0

    def end_offset(self, partition: int) -> int:
        return self._end_offsets.get(partition, 0)

    def high_watermark(self, partition: int) -> int:
        return self._high_watermarks.get(partition, 0)

    def commit(self, partition: int) -> int:
        """Commits everything; the new high watermark."""
        self._high_watermarks[partition] = self.end_offset(partition)
        return self._high_watermarks[partition]

    def lose_uncommitted(self, partition: int) -> None:
        """What a failover does to the records that only the old leader had."""
        kept = [(offset, batch) for offset, batch in self._batches.get(partition, []) if offset < self.high_watermark(partition)]
        self._batches[partition] = kept
        self._end_offsets[partition] = self.high_watermark(partition)

    def read(self, partition: int, start_offset: int, max_bytes: int) -> bytes:
        if self.read_error is not None:
            raise self.read_error
        found = bytearray()
        for position, (_, batch) in enumerate(self._batches.get(partition, [])):
            next_start = self._next_start(partition, position)
            if next_start > start_offset and (not found or len(found) + len(batch) <= max_bytes):
                found += batch
        return bytes(found)

    def _next_start(self, partition: int, position: int) -> int:
        later = self._batches[partition][position + 1 :]
        return later[0][0] if later else self.end_offset(partition)
