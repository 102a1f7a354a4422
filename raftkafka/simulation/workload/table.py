"""A compacted topic as clients use one: keys with values that are replaced and deleted, each key by one writer alone.

Since a key has one writer, which waits for the end of each write, it is known at any time what a reader of the whole topic must find:
the value that was acknowledged last, or one that was written without a known outcome.

Invariants
- Every write has a number, which is in a header of its record, also of a tombstone.
- A write of unknown outcome may come about at any time from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from jepsen_like.history import OpType
from raftkafka.simulation.invariants import compaction
from raftkafka.simulation.workload.known_cluster import Slot, key_of
from raftkafka.simulation.workload.recording import Recording
from raftkafka.storage.record_batch import Record, build_batch

TABLE_TOPIC = "table"
NUMBER_HEADER = "n"
NEVER_US = 1 << 62


@attrs.define(eq=False, kw_only=True)
class TableWrite:
    """A record that was sent. `offset` is known once it was acknowledged."""

    number: int
    slot: Slot
    key: str
    deletes: bool
    begun_us: int
    ended_us: int = NEVER_US
    outcome: OpType | None = None
    offset: int = -1

    def __str__(self) -> str:
        what = "deletion" if self.deletes else "value"
        how = "" if self.outcome is None else f", {self.outcome.value}"
        return f"{what} {self.number}{f' at {self.offset}' if self.offset >= 0 else ''}{how}"


Found = Mapping[str, int]
"""What a reader of a whole partition found: the number of the last record of each key."""


class Table:
    """What was written, in the order of each key's writer."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.writes: dict[tuple[Slot, str], list[TableWrite]] = {}
        self._by_number: dict[int, TableWrite] = {}
        self._at: dict[tuple[Slot, int], int] = {}

    def begin(self, slot: Slot, key: str, *, deletes: bool, now_us: int) -> TableWrite:
        """A write that is about to be sent."""
        write = TableWrite(number=self._recording.next_values(1)[0], slot=slot, key=key, deletes=deletes, begun_us=now_us)
        self._by_number[write.number] = write
        self.writes.setdefault((slot, key), []).append(write)
        return write

    def payload(self, numbers: Sequence[int], *, timestamp_ms: int, padding_bytes: int, **fields: Any) -> bytes:
        """A batch of these writes, as `workload.batch.build_payload` makes others."""
        writes = [self._by_number[number] for number in numbers]
        padding = bytes(padding_bytes)
        return build_batch(
            [
                Record(0, timestamp_ms, write.key.encode(), None if write.deletes else padding, [(NUMBER_HEADER, b"%d" % write.number)])
                for write in writes
            ],
            **fields,
        )

    def seen(self, slot: Slot, record: Record, who: str) -> int:
        """A record was read; its number. Raises `Violation` when that offset holds, or held, another one."""
        number = int(dict(record.headers)[NUMBER_HEADER] or b"-1")
        write = self._by_number.get(number)
        before = self._at.setdefault((slot, record.offset), number)
        is_it = (
            write is not None
            and before == number
            and write.slot == slot
            and (record.key, record.value is None) == (write.key.encode(), write.deletes)
            and write.offset in (-1, record.offset)
        )
        compaction.offsets_keep_their_records(
            f"{who}: {key_of(slot)}", record.offset, str(self._by_number.get(before)), str(write), is_it=is_it
        )
        return number

    def judge(self, slot: Slot, found: Found, *, since_us: int, now_us: int, who: str) -> None:
        """What a reader has found that began at the beginning, and at `since_us`, and got to what was the end then. Raises `Violation`.

        Of a key that is written meanwhile it may find this or that: the record that it would have come to may be replaced by a later one.
        """
        for (place, key), writes in self.writes.items():
            if place != slot or any(write.begun_us > since_us or since_us < write.ended_us < NEVER_US for write in writes):
                continue
            if any(write.outcome is None for write in writes):
                continue
            acknowledged = [write for write in writes if write.outcome is OpType.OK]
            allowed = [*acknowledged[-1:], *(write for write in writes if write.outcome is OpType.INFO)]
            number = found.get(key)
            is_right = number in [write.number for write in allowed] or (
                number is None and (not acknowledged or any(write.deletes for write in allowed))
            )
            compaction.last_value_of_each_key(
                f"{who}: {key_of(slot)}",
                key,
                "nothing" if number is None else str(self._by_number[number]),
                " or ".join(map(str, allowed)) or "nothing",
                is_right=is_right,
            )
