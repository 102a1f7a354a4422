"""What control records say, as text: the ends of transactions, and those of a metadata log of Apache Kafka."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from raftkafka.base.errors import CorruptRecord, DecodeError
from raftkafka.protocol.framing import read_message
from raftkafka.protocol.json_form import compact, to_json
from raftkafka.protocol.messages import kraft_control_records as kraft
from raftkafka.storage.record_batch import ControlType, Record

_TYPE = struct.Struct(">h")
_COORDINATOR_EPOCH = struct.Struct(">i")
_VERSION_BYTES = 2

_KRAFT: Mapping[int, tuple[str, type[Any]]] = {
    ControlType.LEADER_CHANGE: ("LeaderChange:", kraft.LeaderChangeMessage),
    ControlType.SNAPSHOT_HEADER: ("SnapshotHeader", kraft.SnapshotHeaderRecord),
    ControlType.SNAPSHOT_FOOTER: ("SnapshotFooter", kraft.SnapshotFooterRecord),
    ControlType.KRAFT_VERSION: ("KRaftVersion", kraft.KRaftVersionRecord),
    ControlType.KRAFT_VOTERS: ("KRaftVoters", kraft.VotersRecord),
}


def control_text(record: Record) -> str:
    """What a control record says; `CorruptRecord` when it does not say it whole."""
    key, value = record.key or b"", record.value or b""
    if len(key) < _VERSION_BYTES + _TYPE.size:
        raise CorruptRecord(f"The control record at offset {record.offset} does not say its type.")
    number: int = _TYPE.unpack_from(key, _VERSION_BYTES)[0]
    if number in (ControlType.ABORT, ControlType.COMMIT):
        if len(value) < _VERSION_BYTES + _COORDINATOR_EPOCH.size:
            raise CorruptRecord(f"The end-of-transaction marker at offset {record.offset} does not say its coordinator epoch.")
        return f"endTxnMarker: {ControlType(number).name} coordinatorEpoch: {_COORDINATOR_EPOCH.unpack_from(value, _VERSION_BYTES)[0]}"
    named = _KRAFT.get(number)
    if named is None:
        return f"controlType: UNKNOWN({number})"
    name, cls = named
    try:
        version = _TYPE.unpack_from(value)[0]
        return f"{name} {compact(to_json(read_message(cls, version, value)[0], version))}"
    except (struct.error, ValueError, DecodeError) as error:
        raise CorruptRecord(f"The control record at offset {record.offset} cannot be read: {error}") from None
