"""The client quotas aspect of the metadata image: what was set for users, client ids, pairs of them, and IP addresses.

A quota entity names one thing of each of its types, or (None) everybody of that type who has no entity of his own. Which entity's quota
applies to a client is not here (`broker.quotas`): this holds only what was set.

Sources: KIP-13, KIP-124, KIP-546 (quotas by the admin protocol), KIP-599 (controller mutations), KIP-612 (connections by address).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import attrs

from raftkafka.metadata.records import ClientQuotaRecord, QuotaEntity

USER = "user"
CLIENT_ID = "client-id"
IP = "ip"
ENTITY_TYPES = (CLIENT_ID, USER, IP)
"""In the order in which an entity names them."""

PRODUCER_BYTE_RATE = "producer_byte_rate"
CONSUMER_BYTE_RATE = "consumer_byte_rate"
REQUEST_PERCENTAGE = "request_percentage"
CONTROLLER_MUTATION_RATE = "controller_mutation_rate"
CONNECTION_CREATION_RATE = "connection_creation_rate"

_NONE: Mapping[str, float] = MappingProxyType({})


def quota_entity(parts: Iterable[tuple[str, str | None]]) -> QuotaEntity:
    """The entity of these (type, name) pairs, in the order that makes equal entities equal; of one type twice, the last counts."""
    by_type = dict(parts)
    return tuple((entity_type, by_type[entity_type]) for entity_type in ENTITY_TYPES if entity_type in by_type)


@attrs.frozen(kw_only=True)
class ClientQuotasImage:
    """What was set, by entity and key. An entity without a quota is not there."""

    by_entity: Mapping[QuotaEntity, Mapping[str, float]] = attrs.field(factory=dict)

    def get(self, entity: QuotaEntity) -> Mapping[str, float]:
        """The quotas of an entity; empty when none are set."""
        return self.by_entity.get(entity, _NONE)


class ClientQuotasReplay:
    """Replays quota records onto copies of what they touch."""

    __slots__ = ("_base", "_touched")

    def __init__(self, base: ClientQuotasImage) -> None:
        self._base = base
        self._touched: dict[QuotaEntity, dict[str, float]] = {}

    def set(self, record: ClientQuotaRecord) -> None:
        quotas = self._touched.get(record.entity)
        if quotas is None:
            quotas = self._touched[record.entity] = dict(self._base.get(record.entity))
        if record.value is None:
            quotas.pop(record.key, None)
        else:
            quotas[record.key] = record.value

    def finish(self) -> ClientQuotasImage:
        """The new image; the same one when nothing was set."""
        if not self._touched:
            return self._base
        by_entity = dict(self._base.by_entity)
        for entity, quotas in self._touched.items():
            if quotas:
                by_entity[entity] = quotas
            else:
                by_entity.pop(entity, None)
        return ClientQuotasImage(by_entity=by_entity)
