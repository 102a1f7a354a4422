"""The small text files of a log directory: offset checkpoints, leader epochs, partition metadata, the clean-shutdown marker.

Invariants
- A damaged file raises `CorruptRecord` on decoding, and what it held is derived again or taken as unknown: never half of it.

Sources: reference/disk-format.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from raftkafka.base.errors import CorruptRecord
from raftkafka.base.ids import TopicId, TopicPartition, id_from_text, id_to_text

RECOVERY_POINT_FILE = "recovery-point-offset-checkpoint"
HIGH_WATERMARK_FILE = "replication-offset-checkpoint"
LOG_START_OFFSET_FILE = "log-start-offset-checkpoint"
CLEANER_OFFSET_FILE = "cleaner-offset-checkpoint"
LEADER_EPOCH_FILE = "leader-epoch-checkpoint"
PARTITION_METADATA_FILE = "partition.metadata"
OFFSET_GAPS_FILE = "offset-gaps"
"""Not Kafka's: an empty file in the directory of a log whose offsets may leave gaps, since it, or the leader it followed, was compacted.
The checksum of a batch does not cover its base offset; in any other log a gap in what was never made stable is damage."""
CLEAN_SHUTDOWN_FILE = ".kafka_cleanshutdown"
VERSION = 0


def encode_offsets(offsets: Mapping[TopicPartition, int]) -> bytes:
    """An offset checkpoint: one offset a partition."""
    return _encode_lines(f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items())


def decode_offsets(data: bytes) -> dict[TopicPartition, int]:
    """The offsets of a checkpoint."""
    offsets: dict[TopicPartition, int] = {}
    for line in _decode_lines(data):
        try:
            topic, partition, offset = line.split(" ")
            offsets[TopicPartition(topic, int(partition))] = int(offset)
        except ValueError:
            raise CorruptRecord(f"{line!r} is not a line of an offset checkpoint") from None
    return offsets


def encode_leader_epochs(entries: Iterable[tuple[int, int]]) -> bytes:
    """A leader-epoch checkpoint: (epoch, start offset), oldest first."""
    return _encode_lines(f"{epoch} {start_offset}" for epoch, start_offset in entries)


def decode_leader_epochs(data: bytes) -> list[tuple[int, int]]:
    """The entries of a leader-epoch checkpoint."""
    entries: list[tuple[int, int]] = []
    for line in _decode_lines(data):
        try:
            epoch, start_offset = line.split(" ")
            entries.append((int(epoch), int(start_offset)))
        except ValueError:
            raise CorruptRecord(f"{line!r} is not a line of a leader-epoch checkpoint") from None
    return entries


def encode_partition_metadata(topic_id: TopicId) -> bytes:
    """What a partition's directory says of the topic it belongs to."""
    return f"version: {VERSION}\ntopic_id: {id_to_text(topic_id)}".encode()


def decode_partition_metadata(data: bytes) -> TopicId:
    """The topic id that a partition's directory belongs to."""
    fields = dict(line.partition(": ")[::2] for line in data.decode(errors="replace").splitlines())
    try:
        if int(fields["version"]) != VERSION:
            raise ValueError
        return TopicId(id_from_text(fields["topic_id"].strip()))
    except (KeyError, ValueError):
        raise CorruptRecord(f"{data!r} is not a partition.metadata file") from None


def encode_clean_shutdown(broker_epoch: int) -> bytes:
    """The marker of a clean stop: everything is stable, and this was the broker's epoch."""
    return json.dumps({"version": VERSION, "brokerEpoch": broker_epoch}, separators=(",", ":")).encode()


def decode_clean_shutdown(data: bytes) -> int:
    """The broker epoch of the process that stopped cleanly."""
    try:
        return int(json.loads(data)["brokerEpoch"])
    except (ValueError, KeyError, TypeError):
        raise CorruptRecord(f"{data!r} is not a clean-shutdown marker") from None


def _encode_lines(lines: Iterable[str]) -> bytes:
    body = list(lines)
    return "\n".join([str(VERSION), str(len(body)), *body, ""]).encode()


def _decode_lines(data: bytes) -> list[str]:
    lines = data.decode(errors="replace").splitlines()
    try:
        version, count = int(lines[0]), int(lines[1])
    except (ValueError, IndexError):
        raise CorruptRecord("the checkpoint has no header") from None
    if version != VERSION or count != len(lines) - 2:
        raise CorruptRecord(f"a checkpoint of version {version} with {len(lines) - 2} of {count} lines")
    return lines[2:]
