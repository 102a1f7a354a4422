"""A replica's log as its file says it, read along: the headers of its batches, without decoding a record.

Invariants
- Looking changes nothing: the bytes are read past the node's own files and caches.
- What was read before is not read again, unless the log was cut or rolled away.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from crc32c import crc32c

from raftkafka.simulation.disk import SimDisk
from raftkafka.storage.partition_log import PartitionLog
from raftkafka.storage.record_batch import CRC_START, HEADER, HEADER_SIZE, LENGTH_OVERHEAD, MAGIC
from raftkafka.storage.segment import LogSegment


class Batch(NamedTuple):
    """A batch as far as replicas must agree on it."""

    base_offset: int
    next_offset: int
    epoch: int
    crc: int

    def __str__(self) -> str:
        return f"[{self.base_offset}, {self.next_offset}) of epoch {self.epoch}, checksum {self.crc:08x}"


class Producer(NamedTuple):
    """What a log says of a producer's newest batch."""

    epoch: int
    last_sequence: int
    last_offset: int


class LogMirror:
    """The batches of one replica's log, in order. `damaged` names the first one whose bytes do not fit its checksum."""

    def __init__(self, disk: SimDisk) -> None:
        self.batches: list[Batch] = []
        self.damaged: Batch | None = None
        self._disk = disk
        self._bases: list[int] = []
        self._places: list[tuple[str, int, int]] = []
        self._segment: LogSegment | None = None
        self._position = 0
        self._last_position = -1
        self._last_header = bytearray()
        self._version = 0

    def update(self, log: PartitionLog) -> int:
        """Reads what is new; the index of the first batch that was not known before (0 when the log was cut)."""
        active = log.segments.active
        if active is not self._segment or (log.config.compact and log.segments.version != self._version):
            return self._read_anew(log)
        data = self._disk.peek(active.log_path)
        if not self._goes_on(active, data):
            return self._read_anew(log)
        known = len(self.batches)
        self._read(active, data)
        return known

    def read_what_is_left(self, log: PartitionLog, *, is_dense: bool = True) -> None:
        """After a disk has lost something: what a recovery would find, batch by batch while each fits its checksum."""
        self.batches, self._bases, self._places = [], [], []
        for segment in log.segments:
            data, position = self._disk.peek(segment.log_path), 0
            while position + HEADER_SIZE <= len(data):
                batch, size_bytes, is_whole = _header(data, position)
                follows = not self.batches or (
                    batch.base_offset == self.batches[-1].next_offset or (not is_dense and batch.base_offset > self.batches[-1].next_offset)
                )
                if not (is_whole and follows and _fits_checksum(data, position, size_bytes, batch.crc)):
                    return
                self.batches.append(batch)
                self._bases.append(batch.base_offset)
                self._places.append((segment.log_path, position, size_bytes))
                position += size_bytes

    @property
    def end_offset(self) -> int:
        return self.batches[-1].next_offset if self.batches else 0

    def batch_at(self, base_offset: int) -> Batch | None:
        """The batch that begins there."""
        index = bisect_left(self._bases, base_offset)
        return self.batches[index] if index < len(self._bases) and self._bases[index] == base_offset else None

    def between(self, start_offset: int, end_offset: int) -> list[Batch]:
        """The batches that begin in [start_offset, end_offset)."""
        return self.batches[bisect_left(self._bases, start_offset) : bisect_left(self._bases, end_offset)]

    def bytes_between(self, start_offset: int, end_offset: int) -> bytes:
        """The batches that begin in [start_offset, end_offset), as they lie in the files."""
        places = self._places[bisect_left(self._bases, start_offset) : bisect_left(self._bases, end_offset)]
        return b"".join(self._disk.peek(path)[position : position + size] for path, position, size in places)

    def holds(self, batch: Batch) -> bool:
        return self.batch_at(batch.base_offset) == batch

    def _goes_on(self, active: LogSegment, data: bytearray) -> bool:
        """Whether the segment still holds, where it was, what was read last."""
        if active.size_bytes < self._position:
            return False
        if self._last_position < 0:
            return not self.batches or self.batches[-1].next_offset <= active.base_offset
        position = self._last_position
        return data[position : position + HEADER_SIZE] == self._last_header

    def _read_anew(self, log: PartitionLog) -> int:
        before = self.batches
        self.batches, self._bases, self._places, self.damaged = [], [], [], None
        self._version = log.segments.version
        for segment in log.segments:
            self._segment, self._position, self._last_position = segment, 0, -1
            if segment.size_bytes:
                self._read(segment, self._disk.peek(segment.log_path))
        common = min(len(before), len(self.batches))
        return common if before[:common] == self.batches[:common] else 0

    def _read(self, segment: LogSegment, data: bytearray) -> None:
        position, end = self._position, segment.size_bytes
        while position + HEADER_SIZE <= end:
            batch, size_bytes, is_whole = _header(data, position)
            if self.damaged is None and not (is_whole and _fits_checksum(data, position, size_bytes, batch.crc)):
                self.damaged = batch
            if not is_whole:
                break
            self.batches.append(batch)
            self._bases.append(batch.base_offset)
            self._places.append((segment.log_path, position, size_bytes))
            self._last_position = position
            position += size_bytes
        self._position = position
        if self._last_position >= 0:
            self._last_header = data[self._last_position : self._last_position + HEADER_SIZE]

    def producers(self, log: PartitionLog) -> dict[int, Producer]:
        """The newest batch of each producer, as the log alone says it."""
        found: dict[int, Producer] = {}
        for fields in self._headers(log):
            base_offset, delta, producer_id, epoch, sequence = fields[0], fields[6], fields[9], fields[10], fields[11]
            if producer_id >= 0:
                found[producer_id] = Producer(epoch, (sequence + delta) & 0x7FFFFFFF, base_offset + delta)
        return found

    def _headers(self, log: PartitionLog) -> Iterator[tuple[int, ...]]:
        for segment in log.segments:
            if not segment.size_bytes:
                continue
            data, position = self._disk.peek(segment.log_path), 0
            while position + HEADER_SIZE <= segment.size_bytes:
                fields = HEADER.unpack_from(data, position)
                yield fields
                position += fields[1] + LENGTH_OVERHEAD


def _header(data: bytearray, position: int) -> tuple[Batch, int, bool]:
    """The batch at a position, its size, and whether it looks like one."""
    base_offset, length, epoch, magic, crc, _, delta, *_ = HEADER.unpack_from(data, position)
    size_bytes = length + LENGTH_OVERHEAD
    return Batch(base_offset, base_offset + delta + 1, epoch, crc), size_bytes, magic == MAGIC and size_bytes >= HEADER_SIZE


def _fits_checksum(data: bytearray, position: int, size_bytes: int, crc: int) -> bool:
    return position + size_bytes <= len(data) and crc32c(data[position + CRC_START : position + size_bytes]) == crc
