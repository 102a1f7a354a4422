"""Quotas of users, clients and IP addresses, and of clients of users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.alter_client_quotas import AlterClientQuotasRequest, EntityData, EntryData, OpData
from raftkafka.protocol.messages.describe_client_quotas import ComponentData, DescribeClientQuotasRequest
from raftkafka.tools.configs.entities import CLIENTS, IPS, USERS, Entities
from raftkafka.tools.configs.settings_text import Change
from raftkafka.tools.errors import ToolError
from raftkafka.tools.java_errors import raise_refusal
from raftkafka.tools.java_numbers import double_text
from raftkafka.tools.java_order import in_hash_map_order, string_hash, string_map_hash

_QUOTA_TYPES = {USERS: "user", CLIENTS: "client-id", IPS: "ip"}
_WORDS = {"user": "user-principal", "client-id": "client-id", "ip": "ip"}
_EXACT, _DEFAULT, _ANY = 0, 1, 2


@attrs.frozen(kw_only=True)
class Quotas:
    """The quotas of one entity: for each of its quota types the name, None for the default."""

    entity: Mapping[str, str | None]
    values: Mapping[str, float]

    @property
    def java_hash(self) -> int:
        return 31 + string_map_hash(self.entity)


async def describe_quotas(cluster: ClusterClient, entities: Entities) -> None:
    """Prints the quotas of the entities that match."""
    for quotas in await _matching(cluster, entities):
        names = [_shown(word, quotas.entity[each]) for each, word in _WORDS.items() if each in quotas.entity]
        keys = in_hash_map_order(quotas.values, string_hash, capacity=len(quotas.values))
        values = ", ".join(f"{key}={double_text(quotas.values[key])}" for key in keys)
        print(f"Quota configs for {', '.join(names)} are {values}")


async def alter_quotas(cluster: ClusterClient, entities: Entities, change: Change) -> None:
    """Sets and deletes quotas of one entity; `ToolError` when one that is to be deleted is not there."""
    matching = await _matching(cluster, entities)
    present = matching[0].values if matching else {}
    unknown = [key for key in change.deleted if key not in present]
    if unknown:
        raise ToolError(f"Invalid config(s): {','.join(unknown)}")
    entity = [
        EntityData(entity_type=_QUOTA_TYPES[each], entity_name=name or None)
        for each, name in zip(entities.types, entities.names, strict=True)
    ]
    ops = [OpData(key=key, value=_number(key, value), remove=False) for key, value in change.added.items()]
    ops += [OpData(key=key, value=0.0, remove=True) for key in change.deleted]
    response = await cluster.ask_controller(AlterClientQuotasRequest(entries=[EntryData(entity=entity, ops=ops)]))
    for entry in response.entries:
        raise_refusal(entry.error_code, entry.error_message)


def _shown(word: str, name: str | None) -> str:
    return f"the default {word}" if name is None else f"{word} '{name}'"


def _number(key: str, text: str) -> float:
    try:
        if "_" in text:
            raise ValueError(text)
        return float(text)
    except ValueError:
        raise ToolError(f"Cannot parse quota configuration value for {key}: {text}") from None


async def _matching(cluster: ClusterClient, entities: Entities) -> Sequence[Quotas]:
    """The entities that have exactly these types, in the order in which Apache's tool shows them."""
    if len(entities.names) > len(entities.types):
        raise ToolError("More entity names specified than entity types")
    components = []
    for index, each in enumerate(entities.types):
        name = entities.names[index] if index < len(entities.names) else None
        match_type = _ANY if name is None else _EXACT if name else _DEFAULT
        components.append(ComponentData(entity_type=_QUOTA_TYPES[each], match_type=match_type, match=name or None))
    response = await cluster.ask(DescribeClientQuotasRequest(components=components, strict=True))
    raise_refusal(response.error_code, response.error_message)
    found = [
        Quotas(
            entity={each.entity_type: each.entity_name for each in entry.entity},
            values={each.key: each.value for each in entry.values},
        )
        for entry in response.entries or ()
    ]
    by_key = {tuple(sorted(each.entity.items(), key=str)): each for each in found}
    return [by_key[key] for key in in_hash_map_order(by_key, lambda key: by_key[key].java_hash, capacity=len(found))]
