"""What producers write: batches of records whose values are numbers that nobody else writes."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

from raftkafka.simulation.events import Promise
from raftkafka.simulation.workload.known_cluster import Slot
from raftkafka.storage.compression import Compression
from raftkafka.storage.record_batch import CRC_START, Record, build_batch, crc_matches, decode_records, read_header

SEPARATOR = b" "
KEY_COUNT = 8


class BatchState(enum.Enum):
    """Where a batch is on its way. A new one has no sequence number yet."""

    NEW = "new"
    SENT = "sent"
    REFUSED = "refused"
    """It waits a moment before it is sent again."""
    READY = "ready"
    """It is to be sent again."""
    DONE = "done"


@attrs.frozen(kw_only=True)
class Delivery:
    """How a batch ended: `base_offset` when it was acknowledged (-1: the broker only said that it has it), else `error`, and whether it
    certainly is not in the log."""

    error: str | None = None
    base_offset: int = -1
    definite: bool = True


@attrs.define(eq=False, kw_only=True)
class Batch:
    """One batch. `payload` are its bytes, the same whenever it is sent; `unsure` means that some broker may have appended it."""

    slot: Slot
    values: Sequence[int]
    begun_us: int
    done: Promise[Delivery] = attrs.field(factory=Promise)
    state: BatchState = BatchState.NEW
    payload: bytes = b""
    number: int = 0
    """How many batches its queue sent before it."""
    sequence: int = -1
    unsure: bool = False


def build_payload(
    values: Sequence[int],
    *,
    timestamp_ms: int,
    producer_id: int,
    producer_epoch: int,
    base_sequence: int,
    compression: Compression,
    padding_bytes: int,
) -> bytes:
    """The bytes of a batch of these values. The odd ones have a key."""
    padding = SEPARATOR + b"." * padding_bytes if padding_bytes else b""
    records = [Record(0, timestamp_ms, b"k%d" % (value % KEY_COUNT) if value % 2 else None, b"%d" % value + padding) for value in values]
    return build_batch(
        records,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        compression=compression,
    )


def identity_of(data: memoryview, position: int, size_bytes: int) -> bytes:
    """The bytes of a batch that no broker changes: all but offset, epoch and checksum."""
    return bytes(data[position + CRC_START : position + size_bytes])


def values_in(data: memoryview, position: int) -> list[int] | None:
    """The values of a batch, decoded; none when it is damaged or nothing that a producer of a run writes."""
    if not crc_matches(data, read_header(data, position), position):
        return None
    try:
        return [int((record.value or b"").split(SEPARATOR)[0]) for record in decode_records(data, position)]
    except ValueError:
        return None
