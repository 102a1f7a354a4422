"""The files of the metadata log as lines: segments of entries, the snapshot, the vote, the voters that formatting named.

Unlike Apache Kafka's metadata log they are not made of record batches, so the lines are our own, in the manner of the segment's: one for
every batch (a frame), and below it one for every record, as JSON with the type named as KRaft names it. The records of one entry are one
decision: they take effect together.

Sources: `raft.store` and `raft.frames` (the layout), `metadata.records`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from raftkafka.base.errors import CorruptRecord, DecodeError
from raftkafka.base.ids import id_to_text
from raftkafka.metadata.image import read_snapshot
from raftkafka.metadata.records import Record, decode_batch
from raftkafka.protocol.json_form import camel_case, compact
from raftkafka.raft.frames import decode_frame, next_frame_position
from raftkafka.raft.messages import EntryKind
from raftkafka.raft.store import INITIAL_VOTERS_FILE
from raftkafka.raft.voters import decode_voters

_SEGMENT = re.compile(r"log-(\d+)-(\d+)")
_NAMES = ("snapshot", "vote", INITIAL_VOTERS_FILE)
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def is_raft_file(path: Path) -> bool:
    """Whether a file of this name belongs to the metadata log."""
    return path.name in _NAMES or _SEGMENT.fullmatch(path.name) is not None


def dump_raft_file(path: Path, *, contents: bool) -> Iterator[str]:
    """The lines of a file of the metadata log; with `contents` also what its records say. `CorruptRecord` when it is damaged as a whole."""
    data = path.read_bytes()
    if path.name == "vote":
        _, epoch, voted_for = _whole_frame(path, data)
        yield f"epoch: {epoch} votedFor: {-1 if voted_for is None else voted_for}"
    elif path.name == INITIAL_VOTERS_FILE:
        yield _voters(_whole_frame(path, data)[1])
    elif path.name == "snapshot":
        yield from _dump_snapshot(_whole_frame(path, data), contents=contents)
    else:
        yield from _dump_segment(path, data, contents=contents)


def record_json(record: Record) -> dict[str, Any]:
    """A metadata record as JSON in KRaft's manner."""
    fields = {attribute.name: _plain(getattr(record, attribute.name)) for attribute in attrs.fields(type(record))}
    type_name = _WORD.sub("_", type(record).__name__).upper()
    return {"type": type_name, "version": 0, "data": {camel_case(name): value for name, value in fields.items()}}


def _dump_segment(path: Path, data: bytes, *, contents: bool) -> Iterator[str]:
    named = _SEGMENT.fullmatch(path.name)
    assert named is not None
    yield f"Log starting offset: {int(named[2])}"
    position = 0
    while (found := next_frame_position(data, position)) is not None:
        if found > position:
            yield f"Found {found - position} invalid bytes at position {position} of {path.name}"
        frame = decode_frame(data, found)
        assert frame is not None
        value, position = frame
        yield from _frame_lines(value, found, position - found, contents=contents)
    if position < len(data):
        yield f"Found {len(data) - position} invalid bytes at the end of {path.name}"


def _frame_lines(value: Any, position: int, size_bytes: int, *, contents: bool) -> Iterator[str]:
    stable_offset, base_offset, epoch, kind, entries = value
    yield (
        f"baseOffset: {base_offset} lastOffset: {base_offset + len(entries) - 1} count: {len(entries)} epoch: {epoch}"
        f" kind: {EntryKind(kind).name} stableOffset: {stable_offset} position: {position} size: {size_bytes} isvalid: true"
    )
    if not contents:
        return
    for offset, entry in enumerate(entries, base_offset):
        if kind != EntryKind.DATA:
            voters = f" {_voters(entry)}" if kind == EntryKind.VOTERS else ""
            yield f"| offset: {offset} controlType: {EntryKind(kind).name}{voters}"
            continue
        try:
            records = decode_batch(entry)
        except DecodeError as error:
            yield f"| offset: {offset} payload: Error at {offset}, skipping. {error}"
            continue
        yield from (f"| offset: {offset} payload: {compact(record_json(record))}" for record in records)


def _dump_snapshot(value: Any, *, contents: bool) -> Iterator[str]:
    _, end_offset, epoch, first_segment, data, *later = value
    yield f"Snapshot end offset: {end_offset}, epoch: {epoch}"
    snapshot = read_snapshot(data)
    yield f"clusterId: {snapshot.cluster_id} firstSegment: {first_segment} count: {len(snapshot.records)} size: {len(data)}"
    if contents:
        if later and later[0]:
            yield f"| controlType: VOTERS {_voters(later[0])}"
        yield from (f"| payload: {compact(record_json(record))}" for record in snapshot.records)


def _voters(data: bytes) -> str:
    """A set of voters as JSON; what is wrong with it, when it is none."""
    try:
        voters = decode_voters(data)
    except DecodeError as error:
        return f"Error, skipping. {error}"
    shown = [
        {
            "voterId": node_id,
            "voterDirectoryId": None if voter.directory_id is None else id_to_text(voter.directory_id),
            "endpoints": [{"name": name, "host": host, "port": port} for name, host, port in voter.endpoints],
        }
        for node_id, voter in voters.items()
    ]
    return compact({"voters": shown})


def _whole_frame(path: Path, data: bytes) -> Any:
    frame = decode_frame(data, 0)
    if frame is None:
        raise CorruptRecord(f"{path} is damaged: its checksum does not match.")
    return frame[0]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return id_to_text(value) if len(value) == 16 else value.hex()
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
