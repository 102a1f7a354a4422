"""AlterClientQuotas (key 49), versions 0 to 1."""

from __future__ import annotations

from raftkafka.protocol.schema import BOOL, FLOAT64, INT16, INT32, STRING, array, field, message, struct


@struct
class EntityData:
    entity_type: str = field(STRING, "0+")
    entity_name: str | None = field(STRING, "0+", nullable="0+")


@struct
class OpData:
    key: str = field(STRING, "0+")
    value: float = field(FLOAT64, "0+")
    remove: bool = field(BOOL, "0+")


@struct
class EntryData:
    entity: list[EntityData] = field(array(EntityData), "0+")
    ops: list[OpData] = field(array(OpData), "0+")


@message("0-1", flexible="1+")
class AlterClientQuotasRequest:
    entries: list[EntryData] = field(array(EntryData), "0+")
    validate_only: bool = field(BOOL, "0+")


@struct
class AlteredEntryData:
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "0+", nullable="0+")
    entity: list[EntityData] = field(array(EntityData), "0+")


@message("0-1", flexible="1+")
class AlterClientQuotasResponse:
    throttle_time_ms: int = field(INT32, "0+")
    entries: list[AlteredEntryData] = field(array(AlteredEntryData), "0+")
