"""Records for tests."""

from __future__ import annotations

from raftkafka.storage.record_batch import Record


def record(value: bytes, *, key: bytes | None = None, timestamp: int = 1_700_000_000_000) -> Record:
    """A record without headers; its offset is given by the batch."""
    return Record(offset=0, timestamp=timestamp, key=key, value=value, headers=())
