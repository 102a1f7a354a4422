"""AlterClientQuotas: quotas of users, client ids and IP addresses are set and removed, each entity of a request on its own.

Sources: KIP-546, KIP-599, KIP-612; which values are refused, and in which words, is Apache Kafka 4.3.1's.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence

import attrs

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.observed import observed
from raftkafka.controller.decision import Decision
from raftkafka.metadata.client_quotas import (
    CLIENT_ID,
    CONNECTION_CREATION_RATE,
    CONSUMER_BYTE_RATE,
    CONTROLLER_MUTATION_RATE,
    ENTITY_TYPES,
    IP,
    PRODUCER_BYTE_RATE,
    REQUEST_PERCENTAGE,
    USER,
    quota_entity,
)
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import ClientQuotaRecord, QuotaEntity
from raftkafka.protocol.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    AlteredEntryData,
    EntityData,
    EntryData,
    OpData,
)


@attrs.frozen
class _Kind:
    """The values that a key may have: whole numbers to `largest`, or (None) any."""

    name: str
    largest: int | None


_LONG, _INT, _DOUBLE = _Kind("LONG", 2**63 - 1), _Kind("INT", 2**31 - 1), _Kind("DOUBLE", None)

_CLIENT_KEYS: Mapping[str, _Kind] = {
    PRODUCER_BYTE_RATE: _LONG,
    CONSUMER_BYTE_RATE: _LONG,
    REQUEST_PERCENTAGE: _DOUBLE,
    CONTROLLER_MUTATION_RATE: _DOUBLE,
}
_IP_KEYS: Mapping[str, _Kind] = {CONNECTION_CREATION_RATE: _INT}


def decide_alter_client_quotas(image: MetadataImage, request: AlterClientQuotasRequest) -> Decision:
    """Sets and removes quotas; an entity that is refused leaves the others alone."""
    records: list[ClientQuotaRecord] = []
    entries = []
    seen: dict[QuotaEntity, None] = {}
    for entry in request.entries:
        code, message = ErrorCode.NONE, None
        try:
            records += _records_of(image, entry, seen)
        except ApiError as refusal:
            code, message = refusal.code, refusal.message
        entries.append(AlteredEntryData(error_code=code, error_message=message, entity=entity_data(entry.entity)))
    reply = AlterClientQuotasResponse(entries=entries)
    if request.validate_only:
        return Decision(reply=reply)
    return Decision(
        reply=reply,
        records=records,
        observed=[
            observed(
                "quota-changed",
                entity=entity_text(record.entity),
                key=record.key,
                value="removed" if record.value is None else record.value,
            )
            for record in records
        ],
    )


def entity_data(parts: Sequence[EntityData]) -> list[EntityData]:
    """The parts of an entity as an answer names them: in the order of their types, each once, unknown ones last."""
    by_type = {part.entity_type: part for part in parts}
    known = [by_type.pop(entity_type) for entity_type in ENTITY_TYPES if entity_type in by_type]
    return [*known, *by_type.values()]


def entity_text(entity: QuotaEntity) -> str:
    """An entity for people to read: `user=alice,client-id=<default>`."""
    return ",".join(f"{entity_type}={'<default>' if name is None else name}" for entity_type, name in entity)


def _records_of(image: MetadataImage, entry: EntryData, seen: dict[QuotaEntity, None]) -> list[ClientQuotaRecord]:
    entity = _checked_entity(entry.entity)
    keys = [op.key for op in entry.ops]
    if entity in seen or len(dict.fromkeys(keys)) != len(keys):
        shown = ", ".join(f"{entity_type}={name}" for entity_type, name in entity)
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Ignoring duplicate entity ClientQuotaEntity(entries={{{shown}}})")
    seen[entity] = None
    current = image.quotas.get(entity)
    allowed = _IP_KEYS if entity[0][0] == IP else _CLIENT_KEYS
    records = []
    for op in entry.ops:
        value = None if op.remove else _checked_value(op, allowed)
        if current.get(op.key) != value:
            records.append(ClientQuotaRecord(entity=entity, key=op.key, value=value))
    return records


def _checked_entity(parts: Sequence[EntityData]) -> QuotaEntity:
    if not parts:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Invalid empty client quota entity")
    for part in parts:
        if part.entity_type not in ENTITY_TYPES:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Unhandled client quota entity type: {part.entity_type}")
        if part.entity_name is not None and not part.entity_name:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Empty {part.entity_type} not supported")
    entity = quota_entity((part.entity_type, part.entity_name) for part in parts)
    types = [entity_type for entity_type, _ in entity]
    if IP in types and (USER in types or CLIENT_ID in types):
        reason = "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"
        raise ApiError(ErrorCode.INVALID_REQUEST, reason)
    if types == [IP]:
        _check_address(entity[0][1])
    return entity


def _check_address(address: str | None) -> None:
    """A name is not resolved: what it means may differ from node to node."""
    if address is None:
        return
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"{address} is not a valid IP or resolvable host.") from None


def _checked_value(op: OpData, allowed: Mapping[str, _Kind]) -> float:
    kind = allowed.get(op.key)
    if kind is None:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Invalid configuration key {op.key}")
    value = op.value
    if not value > 0:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Quota {op.key} must be greater than 0")
    if kind.largest is None:
        return value
    if value > kind.largest:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Proposed value for {op.key} is too large for a {kind.name}.")
    if value != math.floor(value):
        raise ApiError(ErrorCode.INVALID_REQUEST, f"{op.key} cannot be a fractional value.")
    return value
