"""Every broker key of Apache Kafka acts, or has a sentence that says why it does not: no key is taken and forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import raftkafka
from raftkafka.base.rules import BROKEN_RULES_KEY
from raftkafka.broker.config import ACTING_KEYS, ATTRIBUTE_OF_KEY, DERIVED_KEYS
from raftkafka.broker.idle_keys import no_effect_notices, reason_without_effect
from raftkafka.metadata.config_defs import BROKER_DEFS, ConfigType
from raftkafka.metadata.config_layers import BrokerLayers
from raftkafka.metadata.topic_config import topic_settings

SOURCES = Path(raftkafka.__file__).parent
FALLBACK_KEYS = sorted(ACTING_KEYS - set(DERIVED_KEYS) - set(ATTRIBUTE_OF_KEY) - {BROKEN_RULES_KEY})


@pytest.mark.parametrize("key", sorted(BROKER_DEFS))
def test_key_acts_or_says_why_not(key: str) -> None:
    acts, reason = key in ACTING_KEYS, reason_without_effect(key)
    assert acts or reason, "a key that is set must act, or broker/idle_keys.py must say why it has no effect"
    assert not (acts and reason), f"it acts, and broker/idle_keys.py says that it does not: {reason}"


def test_what_a_key_sets_is_read_somewhere() -> None:
    text = "\n".join(path.read_text() for path in SOURCES.rglob("*.py") if path != SOURCES / "broker" / "config.py")
    read = set(re.findall(r"\.([a-z][a-z0-9_]+)\b", text))
    assert [key for key, attribute in ATTRIBUTE_OF_KEY.items() if attribute not in read] == []


@pytest.mark.parametrize("key", FALLBACK_KEYS)
def test_broker_key_changes_the_settings_of_topics(key: str) -> None:
    definition = BROKER_DEFS[key]
    match definition.type:
        case ConfigType.BOOLEAN:
            other = "true" if definition.default == "false" else "false"
        case ConfigType.LIST | ConfigType.STRING:
            other = {"log.cleanup.policy": "compact", "log.message.timestamp.type": "LogAppendTime", "compression.type": "zstd"}[key]
        case ConfigType.DOUBLE:
            other = "0.25"
        case _:
            other = "7" if key != "log.segment.bytes" else "2000000"
    assert topic_settings({}, BrokerLayers(static={key: other})) != topic_settings({}, BrokerLayers())


def test_keys_without_effect_are_named_once_with_the_reason() -> None:
    notices = no_effect_notices(["num.io.threads", "ssl.protocol", "num.network.threads", "num.partitions"], acting=ACTING_KEYS)
    assert notices == [
        "accepted, but without effect here, since one event loop does all work: num.io.threads, num.network.threads",
        "accepted, but without effect here, since only PLAINTEXT listeners are served: ssl.protocol",
    ]
