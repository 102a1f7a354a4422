"""Files of a log for the tests of kafka-dump-log: whole ones as our storage writes them, and damaged ones."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from raftkafka.base.disk import Persist
from raftkafka.base.ids import PartitionKey, TopicId
from raftkafka.server.disk import PosixDisk
from raftkafka.storage.compression import Compression
from raftkafka.storage.config import LogConfig
from raftkafka.storage.log_manager import LogManager
from raftkafka.storage.producers import AppendOrigin
from raftkafka.storage.record_batch import (
    CRC_START,
    DELETE_HORIZON_FLAG,
    ControlType,
    Record,
    batches,
    build_batch,
    build_end_transaction_marker,
    patch_log_append_time,
)

TIME = 1_795_493_172_320
NAME = "00000000000000000000"
ONE_SEGMENT = LogConfig(segment_bytes=1 << 20, index_interval_bytes=300)


def varied_records(index: int) -> list[Record]:
    """Two records of a batch: with headers or none, without a key, without a value."""
    headers = [("header", b"x"), ("h2", None)] if index % 2 else []
    key = b"key%d" % index if index % 3 else None
    value = f"값{index}".encode() if index % 4 else None
    return [Record(0, TIME + index, key, value, headers) for _ in range(2)]


def write_log(
    root: Path,
    *,
    config: LogConfig = ONE_SEGMENT,
    batch_count: int = 40,
    marker_every: int = 10,
    records: Callable[[int], list[Record]] = varied_records,
) -> Path:
    """The directory of a partition after a clean stop: every compression, transactions that end every few batches, an epoch for each 30."""
    disk = PosixDisk(str(root))
    manager = LogManager(disk=disk, log_dirs=[""])
    manager.load(0)
    log = manager.create(PartitionKey(TopicId(b"the-topic-id-16b"), 0), "events", config, 0)
    for index in range(batch_count):
        batch = build_batch(
            records(index),
            producer_id=9,
            producer_epoch=1,
            base_sequence=2 * index,
            compression=Compression(index % 5),
            is_transactional=True,
        )
        log.append_as_leader(batch, leader_epoch=index // 30, wall_ms=TIME)
        if index % marker_every == marker_every - 1:
            marker = build_end_transaction_marker(
                producer_id=9, producer_epoch=1, control_type=ControlType.ABORT, coordinator_epoch=0, timestamp=TIME + index
            )
            log.append_as_leader(marker, leader_epoch=index // 30, wall_ms=TIME, origin=AppendOrigin.COORDINATOR)
    manager.clean_shutdown(1)
    for output in manager.drain():
        if isinstance(output, Persist):
            disk.persist(output)
            manager.persisted(output.token)
    return root / "events-0"


def write_damaged(whole: Path, root: Path) -> Path:
    """A directory of what a crash, a disk or a careless hand may leave of such a log; its names say what."""
    root.mkdir()
    data = (whole / f"{NAME}.log").read_bytes()
    starts = [position for position, _ in batches(data)]
    flipped = bytearray(data)
    flipped[70] ^= 1
    files = {
        "00000000000000000001.log": data + b"garbage",
        "00000000000000000002.log": bytes(flipped),
        "00000000000000000003.log": data[:-20],
        "00000000000000000004.log": data + bytes(100),
        "00000000000000000005.log": b"",
        "00000000000000000005.index": b"",
        "00000000000000000005.timeindex": b"",
        "00000000000000000007.log": data[: starts[2]] + data[starts[4] : starts[9]] + data[starts[12] :],
        "00000000000000000008.log": special_batches(),
        "00000000000000000006.log": data,
        "00000000000000000006.index": _raised((whole / f"{NAME}.index").read_bytes(), 3),
        "00000000000000000006.timeindex": _raised((whole / f"{NAME}.timeindex").read_bytes(), 5),
        "00000000000000000006.txnindex": bytes(12),
        "00000000000000000006.snapshot": b"\0\1abcdefgh",
        "x.foo": b"",
    }
    for name, content in files.items():
        (root / name).write_bytes(content)
    return root


def special_batches() -> bytes:
    """Batches with a delete horizon, with the broker's time, with gaps as compaction leaves them, and one without records."""
    horizon = bytearray(build_batch([Record(0, TIME, b"k", None)], base_offset=0))
    (attributes,) = struct.unpack_from(">h", horizon, CRC_START)
    struct.pack_into(">h", horizon, CRC_START, attributes | DELETE_HORIZON_FLAG)
    append_time = bytearray(build_batch([Record(0, TIME, b"k", b"v")], base_offset=1))
    patch_log_append_time(append_time, 0, wall_ms=TIME + 77)
    gaps = build_batch([Record(offset, TIME, b"k", b"v") for offset in (2, 5, 9)], base_offset=2, keep_offsets=True, base_sequence=2)
    return bytes(horizon) + bytes(append_time) + gaps + build_batch([], base_offset=12)


def _raised(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] += 1
    return bytes(changed)
