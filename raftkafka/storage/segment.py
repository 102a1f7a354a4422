"""One segment of a log: a file of batches with its indexes, named after its first offset.

Invariants
- The file holds whole batches with increasing offsets, from `base_offset` on, and ends before `next_offset`.
- The file is created at the first append and opened when first needed: an idle partition costs neither.
- `_boundaries` maps an offset to the position where a batch begins with it (or the file ends before it): those of the newest appends and of
  the last reads, so that a reader who goes on where it stopped costs one dictionary look-up and one read.

Sources: reference/disk-format.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from raftkafka.base.disk import Buffer, Disk, DiskFile
from raftkafka.base.errors import CorruptRecord
from raftkafka.storage.index import OffsetIndex, TimeIndex, TransactionIndex
from raftkafka.storage.record_batch import (
    HEADER,
    HEADER_SIZE,
    LENGTH_OVERHEAD,
    NO_TIMESTAMP,
    BatchHeader,
    check_header,
    decode_records,
    validate,
)

LOG_SUFFIX = ".log"
INDEX_SUFFIX = ".index"
TIME_INDEX_SUFFIX = ".timeindex"
TRANSACTION_INDEX_SUFFIX = ".txnindex"
DELETED_SUFFIX = ".deleted"
SUFFIXES = (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX)

KNOWN_BOUNDARIES = 64
_WALK_CHUNK_BYTES = 8192


class Extent(NamedTuple):
    """A batch as the segment sees it."""

    base_offset: int
    last_offset: int
    size_bytes: int
    max_timestamp: int


class SegmentRead(NamedTuple):
    """Whole batches and the offset behind the last of them."""

    data: Buffer
    next_offset: int


class LogSegment:
    """Batches from `base_offset` to `next_offset`."""

    __slots__ = (
        "_boundaries",
        "_bytes_since_index_entry",
        "_disk",
        "_file",
        "_indexes_loaded",
        "_offset_index",
        "_older_boundaries",
        "_stem",
        "_suffix",
        "_time_index",
        "base_offset",
        "first_timestamp",
        "log_path",
        "max_timestamp",
        "max_timestamp_offset",
        "next_offset",
        "size_bytes",
        "transaction_index",
    )

    def __init__(self, disk: Disk, directory: str, base_offset: int, suffix: str = "") -> None:
        """`suffix` is added to the names of files that are not a segment of their log yet."""
        stem = f"{directory}/{base_offset:020d}"
        self._stem = stem
        self._suffix = suffix
        self._disk = disk
        self._file: DiskFile | None = None
        self._offset_index = OffsetIndex(disk, stem + INDEX_SUFFIX + suffix, base_offset)
        self._time_index = TimeIndex(disk, stem + TIME_INDEX_SUFFIX + suffix, base_offset)
        self._indexes_loaded = True
        self._boundaries: dict[int, int] = {base_offset: 0}
        self._older_boundaries: dict[int, int] = {}
        self._bytes_since_index_entry = 0
        self.log_path = stem + LOG_SUFFIX + suffix
        self.base_offset = base_offset
        self.next_offset = base_offset
        self.size_bytes = 0
        self.first_timestamp = NO_TIMESTAMP
        self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = base_offset
        self.transaction_index = TransactionIndex(disk, stem + TRANSACTION_INDEX_SUFFIX + suffix)

    @property
    def paths(self) -> tuple[str, ...]:
        """All files of the segment, whether they exist or not."""
        return tuple(self._stem + suffix + self._suffix for suffix in SUFFIXES)

    @property
    def offset_index(self) -> OffsetIndex:
        if not self._indexes_loaded:
            self._load_indexes()
        return self._offset_index

    @property
    def time_index(self) -> TimeIndex:
        if not self._indexes_loaded:
            self._load_indexes()
        return self._time_index

    def append(self, buffer: Buffer, extents: Sequence[Extent], index_interval_bytes: int) -> None:
        """Writes whole batches, in one call to the disk, and takes note of where they lie."""
        file = self._file
        if file is None:
            file = self._open(create=True)
        file.append((buffer,))
        position = self.size_bytes
        since_entry = self._bytes_since_index_entry
        boundaries = self._boundaries
        for base_offset, last_offset, size_bytes, max_timestamp in extents:
            if max_timestamp > self.max_timestamp:
                self.max_timestamp = max_timestamp
                self.max_timestamp_offset = last_offset
            if since_entry > index_interval_bytes:
                self.offset_index.append(last_offset, position)
                self._time_index.append(self.max_timestamp, self.max_timestamp_offset)
                since_entry = 0
            since_entry += size_bytes
            boundaries[base_offset] = position
            position += size_bytes
        if self.size_bytes == 0:
            self.first_timestamp = extents[0].max_timestamp
        self._bytes_since_index_entry = since_entry
        self.size_bytes = position
        self.next_offset = last_offset + 1
        self._remember(last_offset + 1, position)

    def read(self, start_offset: int, *, end_offset: int, max_bytes: int, at_least_one_batch: bool) -> SegmentRead:
        """Whole batches from the one that contains `start_offset` (or the next one) to before the one that contains `end_offset`."""
        position, _ = self._locate(start_offset)
        limit, next_offset = (self.size_bytes, self.next_offset) if end_offset >= self.next_offset else self._locate(end_offset)
        length = limit - position
        if length <= max_bytes:
            data: Buffer = self._read(position, length) if length > 0 else b""
        else:
            data, next_offset = self._read_cut(position, max_bytes, at_least_one_batch, start_offset)
        if data:
            self._remember(next_offset, position + len(data))
        return SegmentRead(data, next_offset)

    def find(self, offset: int) -> tuple[int, int]:
        """The position and base offset of the batch that contains `offset`, or of the next one; the end when there is none."""
        for position, header in self.walk(self.offset_index.floor(offset)):
            if header.base_offset + header.last_offset_delta >= offset:
                return position, header.base_offset
        return self.size_bytes, self.next_offset

    def walk(self, position: int = 0) -> Iterator[tuple[int, BatchHeader]]:
        """The position and header of every batch from `position`, which must be the start of one. Their records are not read."""
        while position + HEADER_SIZE <= self.size_bytes:
            chunk = self._read(position, min(_WALK_CHUNK_BYTES, self.size_bytes - position))
            inside = 0
            while inside + HEADER_SIZE <= len(chunk):
                header = BatchHeader._make(HEADER.unpack_from(chunk, inside))
                check_header(header)
                yield position + inside, header
                inside += header.batch_length + LENGTH_OVERHEAD
            if inside == 0:
                raise CorruptRecord(f"{self.log_path}: the file ends at {position + len(chunk)} instead of {self.size_bytes}")
            position += inside

    def read_batch(self, position: int, header: BatchHeader) -> bytes:
        """The whole batch at `position`."""
        return self._read(position, header.size_bytes)

    def read_bytes(self, position: int, length: int) -> bytes:
        """The file's bytes, whatever they are: for recovery."""
        return self._read(position, length)

    def create_file(self) -> None:
        """Creates the file now rather than at the first append."""
        self._open(create=True)

    def file_size_bytes(self) -> int:
        """The size of the file, whatever it holds: for recovery."""
        return self._open(create=True).size_bytes

    def offset_for_timestamp(self, timestamp: int, start_offset: int) -> tuple[int, int] | None:
        """The (timestamp, offset) of the first record at or behind `start_offset` that is not before `timestamp`."""
        if timestamp > self.max_timestamp:
            return None
        from_offset = max(self.time_index.floor(timestamp), start_offset)
        for position, header in self.walk(self.find(from_offset)[0]):
            if header.max_timestamp < timestamp:
                continue
            for record in decode_records(self.read_batch(position, header)):
                if record.timestamp >= timestamp and record.offset >= start_offset:
                    return record.timestamp, record.offset
        return None

    def offset_of_max_timestamp(self) -> tuple[int, int] | None:
        """The (timestamp, offset) of the first record with the latest time."""
        if self.size_bytes == 0:
            return None
        for position, header in self.walk(self.find(self.max_timestamp_offset)[0]):
            if header.max_timestamp == self.max_timestamp:
                for record in decode_records(self.read_batch(position, header)):
                    if record.timestamp == self.max_timestamp:
                        return record.timestamp, record.offset
        return self._latest_of_all_batches()

    def first_batch_timestamp(self) -> int:
        """The latest time in the first batch; `NO_TIMESTAMP` when there is none."""
        return next((header.max_timestamp for _, header in self.walk()), NO_TIMESTAMP)

    def truncate_to(self, offset: int) -> int:
        """Removes the batch that contains `offset` and all behind it; returns the new end offset."""
        position, base_offset = self.find(offset)
        if position < self.size_bytes:
            self.cut(position, end_offset=min(offset, base_offset))
            self.next_offset = self._last_batch_end()  # compaction may have left nothing right before
            self._forget_boundaries()
        return self.next_offset

    def cut(self, position: int, *, end_offset: int) -> None:
        """Cuts the file at `position`, the start of a batch; the segment now ends with `end_offset`."""
        self._open(create=False).truncate(position)
        self.size_bytes = position
        self.next_offset = end_offset
        self._forget_boundaries()
        self.offset_index.truncate_to_position(position)
        self.time_index.truncate_to(end_offset)
        self.transaction_index.truncate_to(end_offset)
        self._bytes_since_index_entry = position - self.offset_index.last_position()
        self._derive_max_timestamp()

    def load_tail(self) -> None:
        """After a clean stop: finds the end of the segment from the last index entry on; `CorruptRecord` when batches do not lead to it."""
        self.size_bytes = self._open(create=False).size_bytes
        self._load_indexes()
        self.transaction_index.load()
        last = None
        end = 0
        for position, header in self.walk(self._offset_index.last_position()):
            validate(self.read_batch(position, header))
            last, end = header, position + header.size_bytes
        if end != self.size_bytes:
            raise CorruptRecord(f"{self.log_path}: the batches end at {end}, the file at {self.size_bytes}")
        self.next_offset = last.next_offset if last else self.base_offset
        self._forget_boundaries()
        self._bytes_since_index_entry = self.size_bytes - self._offset_index.last_position()
        self._derive_max_timestamp()

    def load_sealed(self, next_base_offset: int) -> None:
        """Takes a segment that is no longer written as it is; its end and its latest time come from its neighbour and its time index.

        Without an entry there its batches are asked: a segment of no known time would be taken for one that is too old to keep.
        """
        self.size_bytes = self._open(create=False).size_bytes
        self.next_offset = next_base_offset
        self._forget_boundaries()
        self.transaction_index.load()
        self._load_indexes()
        last = self._time_index.last()
        self.max_timestamp, self.max_timestamp_offset = last or (NO_TIMESTAMP, self.base_offset)
        if last is None:
            self._note_times_from(0)
        self.release()

    def adopt(self, extents: Sequence[Extent], index_interval_bytes: int) -> None:
        """After a recovery scan: builds the indexes anew from the batches found; what the file holds behind them is cut.

        The transaction index is left empty: it follows from the producers' states.
        """
        self._offset_index.clear()
        self._time_index.clear()
        self.transaction_index.clear()
        self._indexes_loaded = True
        self._bytes_since_index_entry = 0
        self.max_timestamp = NO_TIMESTAMP
        position = 0
        for extent in extents:
            if extent.max_timestamp > self.max_timestamp:
                self.max_timestamp, self.max_timestamp_offset = extent.max_timestamp, extent.last_offset
            if self._bytes_since_index_entry > index_interval_bytes:
                self._offset_index.append(extent.last_offset, position)
                self._time_index.append(self.max_timestamp, self.max_timestamp_offset)
                self._bytes_since_index_entry = 0
            self._bytes_since_index_entry += extent.size_bytes
            position += extent.size_bytes
        file = self._open(create=True)
        if file.size_bytes > position:
            file.truncate(position)
        self.size_bytes = position
        self.next_offset = extents[-1].last_offset + 1 if extents else self.base_offset
        self.first_timestamp = extents[0].max_timestamp if extents else NO_TIMESTAMP
        self._forget_boundaries()

    def seal(self) -> None:
        """Adds the last time entry, by which the next start knows the segment's time; nothing may be appended to it afterwards."""
        if self.max_timestamp != NO_TIMESTAMP:
            self.time_index.append(self.max_timestamp, self.max_timestamp_offset)

    def write_indexes(self, *, closing: bool) -> None:
        """Brings the index files up to date; `closing` seals the segment."""
        if closing:
            self.seal()
        if self._indexes_loaded:
            self._offset_index.write()
            self._time_index.write()

    def release(self) -> None:
        """Lets go of memory that can be read again; for segments that are not written any more. Their index files must be up to date."""
        if self._indexes_loaded:
            self._offset_index = OffsetIndex(self._disk, self._offset_index.path, self.base_offset)
            self._time_index = TimeIndex(self._disk, self._time_index.path, self.base_offset)
            self._indexes_loaded = False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def retire(self) -> list[str]:
        """Closes the segment and renames its files, which belong to no log from then on; returns their paths, to be deleted later.

        The log itself goes first: indexes without one are taken for what is left of a deletion.
        """
        self.close()
        retired = []
        for path in self.paths:
            if self._disk.exists(path):
                self._disk.rename(path, path + DELETED_SUFFIX)
                retired.append(path + DELETED_SUFFIX)
        return retired

    def delete(self) -> None:
        """Closes the segment and removes its files."""
        self.close()
        for path in self.paths:
            self._disk.delete(path)

    def _read(self, position: int, length: int) -> bytes:
        file = self._file
        if file is None:
            file = self._open(create=False)
        return file.read(position, length)

    def _open(self, *, create: bool) -> DiskFile:
        if self._file is None:
            self._file = self._disk.open(self.log_path, create=create)
        return self._file

    def _load_indexes(self) -> None:
        self._offset_index.load()
        self._time_index.load()
        self._indexes_loaded = True

    def _read_cut(self, position: int, max_bytes: int, at_least_one_batch: bool, start_offset: int) -> tuple[Buffer, int]:
        """As many whole batches as `max_bytes` allow; the first one in any case when `at_least_one_batch`."""
        data = self._read(position, max_bytes) if max_bytes >= HEADER_SIZE else b""
        end = max(self.offset_index.floor_position(position + len(data)) - position, 0)
        next_offset = start_offset
        while end + HEADER_SIZE <= len(data):
            header = BatchHeader._make(HEADER.unpack_from(data, end))
            check_header(header)
            if end + header.size_bytes > len(data):
                next_offset = header.base_offset
                break
            end += header.size_bytes
        else:
            _, header = next(self.walk(position + end))
            next_offset = header.base_offset
        if end > 0:
            return memoryview(data)[:end], next_offset
        if not at_least_one_batch:
            return b"", start_offset
        _, header = next(self.walk(position))
        return self._read(position, header.size_bytes), header.next_offset

    def _locate(self, offset: int) -> tuple[int, int]:
        """As `find`, from what is remembered where possible."""
        position = self._boundaries.get(offset)
        if position is None:
            position = self._older_boundaries.get(offset)
            if position is None:
                return self.find(offset)
        return position, offset

    def _forget_boundaries(self) -> None:
        self._boundaries = {self.base_offset: 0, self.next_offset: self.size_bytes}
        self._older_boundaries = {}

    def _remember(self, offset: int, position: int) -> None:
        self._boundaries[offset] = position
        if len(self._boundaries) > KNOWN_BOUNDARIES:
            self._older_boundaries = self._boundaries
            self._boundaries = {offset: position}

    def _latest_of_all_batches(self) -> tuple[int, int] | None:
        """Where the latest batch has lost its records to compaction, while its header still has their time."""
        held = [(header.max_timestamp, -position, header) for position, header in self.walk() if header.record_count]
        if not held:
            return None
        latest, position, header = max(held)
        records = decode_records(self.read_batch(-position, header))
        return next((record.timestamp, record.offset) for record in records if record.timestamp == latest)

    def _last_batch_end(self) -> int:
        end_offset = self.base_offset
        for _, header in self.walk(self.offset_index.last_position()):
            end_offset = header.next_offset
        return end_offset

    def _derive_max_timestamp(self) -> None:
        last = self.time_index.last()
        self.max_timestamp, self.max_timestamp_offset = last or (NO_TIMESTAMP, self.base_offset)
        self.first_timestamp = NO_TIMESTAMP
        for _, header in self.walk():
            self.first_timestamp = header.max_timestamp
            break
        self._note_times_from(self.offset_index.last_position())

    def _note_times_from(self, position: int) -> None:
        for _, header in self.walk(position):
            if header.max_timestamp > self.max_timestamp:
                self.max_timestamp, self.max_timestamp_offset = header.max_timestamp, header.last_offset
