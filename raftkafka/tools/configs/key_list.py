"""The keys that kafka-configs can set, for its help: of each entity type those that brokers know."""

from __future__ import annotations

import textwrap

from raftkafka.tools.configs.entities import BROKERS, CLIENT_METRICS, CLIENTS, GROUPS, IPS, TOPICS, USERS

_QUOTAS = ("consumer_byte_rate", "controller_mutation_rate", "producer_byte_rate", "request_percentage")
_CREDENTIALS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_WIDTH = 100


def settable_keys() -> dict[str, list[str]]:
    """The keys of each entity type, sorted."""
    from raftkafka.metadata.config_defs import BROKER_DEFS, CLIENT_METRICS_DEFS, DYNAMIC_ONLY_DEFS, GROUP_DEFS, TOPIC_DEFS, DynamicMode

    dynamic = [name for name, key in BROKER_DEFS.items() if key.mode is not DynamicMode.READ_ONLY and not key.internal]
    return {
        TOPICS: sorted(name for name, key in TOPIC_DEFS.items() if not key.internal),
        BROKERS: sorted({*dynamic, *DYNAMIC_ONLY_DEFS}),
        USERS: sorted((*_CREDENTIALS, *_QUOTAS)),
        CLIENTS: list(_QUOTAS),
        IPS: ["connection_creation_rate"],
        CLIENT_METRICS: sorted(CLIENT_METRICS_DEFS),
        GROUPS: sorted(GROUP_DEFS),
    }


def key_list() -> str:
    """The text that follows the options in the help."""
    lines = ["", "Configs that --add-config and --delete-config take:"]
    for entity_type, names in settable_keys().items():
        lines.append(f"  {entity_type}:")
        lines.extend(textwrap.wrap(", ".join(names), _WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False))
    return "\n".join(lines)
