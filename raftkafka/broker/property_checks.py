"""Keys of a properties file that are refused, with the sentence for each.

Sources: the removals of Apache Kafka 4.0 (KIP-896, KIP-724, KIP-866); DESIGN section 4 "Settings".
"""

from __future__ import annotations

from collections.abc import Mapping

from raftkafka.base.rules import BROKEN_RULES_KEY
from raftkafka.broker.properties import PropertyEntry
from raftkafka.metadata.config_defs import BROKER_DEFS, TOPIC_DEFS, nearest_names

_GONE_KEYS: Mapping[str, str] = {
    "advertised.host.name": "Use advertised.listeners=PLAINTEXT://<host>:<port>.",
    "advertised.port": "Use advertised.listeners=PLAINTEXT://<host>:<port>.",
    "broker.id.generation.enable": "Set node.id.",
    "control.plane.listener.name": "Use controller.listener.names.",
    "delegation.token.master.key": "Use delegation.token.secret.key.",
    "group.coordinator.new.enable": "Remove it.",
    "host.name": "Use listeners=PLAINTEXT://<host>:<port>.",
    "inter.broker.protocol.version": "Remove it: the cluster's feature level takes its place.",
    "log.message.downconversion.enable": "Remove it: records are never converted down.",
    "log.message.format.version": "Remove it: records are always in format 2.",
    "log.message.timestamp.difference.max.ms": "Use log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms.",
    "offsets.commit.required.acks": "Remove it: offset commits are always acks=all.",
    "port": "Use listeners=PLAINTEXT://<host>:<port>.",
    "reserved.broker.max.id": "Set node.id.",
}
_GONE_PREFIXES: Mapping[str, str] = {
    "zookeeper.": "The Raft quorum in the nodes takes ZooKeeper's place. Set process.roles and controller.quorum.voters instead.",
    "password.encoder.": "It belonged to ZooKeeper. Remove it.",
}
_PROTECTING_KEYS: Mapping[str, str] = {
    "alter.config.policy.class.name": "policies are Java classes",
    "authorizer.class.name": "authorizers are Java classes, and ACLs are not served yet",
    "client.quota.callback.class": "quota callbacks are Java classes",
    "create.topic.policy.class.name": "policies are Java classes",
}
"""Keys whose owner relies on them to forbid something: accepted without effect, they would be a hole."""

_PLUGIN_PREFIXES = ("listener.name.", "rsm.config.", "rlmm.config.", "sasl.", "ssl.", "metrics.", "confluent.")


def refusal_of_key(entry: PropertyEntry) -> str | None:
    """The sentence that refuses a key; None when the key may be set."""
    key, where = entry.key, f"{entry.origin}: {entry.key}"
    if key in _PROTECTING_KEYS and entry.value:
        return f"{where}: {_PROTECTING_KEYS[key]}, so it would protect nothing here. Remove it to go on without."
    if key in BROKER_DEFS or key == BROKEN_RULES_KEY:
        return None
    if key in _GONE_KEYS:
        return f"{where}: this key is gone since Kafka 4.0. {_GONE_KEYS[key]}"
    for prefix, hint in _GONE_PREFIXES.items():
        if key.startswith(prefix):
            return f"{where}: this key is gone since Kafka 4.0. {hint}"
    if key.startswith(_PLUGIN_PREFIXES):
        return None
    if key in TOPIC_DEFS:
        synonyms = TOPIC_DEFS[key].broker_synonyms
        hint = f" As the default of all topics it is called {synonyms[0]} here." if synonyms else ""
        return f"{where}: this is a key of topics.{hint}"
    near = nearest_names(key, BROKER_DEFS)
    hint = f"Did you mean {near[0]}?" if near else "`raftkafka config keys` lists the known ones."
    return f"{where}: unknown key. {hint}"


def is_gone(key: str) -> bool:
    """Whether Kafka 4 has removed the key."""
    return key in _GONE_KEYS or key.startswith(tuple(_GONE_PREFIXES))
