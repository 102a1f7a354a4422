"""What DescribeConfigs says is, key by key, what Apache Kafka 4.3.1 says in the same situation, but for the defaults that are ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftkafka.metadata.config_defs import OUR_DEFAULTS
from raftkafka.metadata.config_layers import (
    BrokerLayers,
    DescribedConfig,
    describe_broker,
    describe_client_metrics,
    describe_group,
    describe_topic,
)

APACHES = Path(__file__).with_name("apache_kafka_settings.tsv")
LAYERS = BrokerLayers(
    static={
        "advertised.listeners": "PLAINTEXT://127.0.0.1:28092",
        "broker.id": "1",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": "1@127.0.0.1:28192",
        "group.initial.rebalance.delay.ms": "0",
        "listeners": "PLAINTEXT://127.0.0.1:28092,CONTROLLER://127.0.0.1:28192",
        "log.dirs": "/kafka/data",
        "node.id": "1",
        "offsets.topic.replication.factor": "1",
        "process.roles": "broker,controller",
    },
    cluster={"min.insync.replicas": "1"},
)
DESCRIBED = {
    "topic": describe_topic({}, LAYERS),
    "broker": describe_broker(LAYERS),
    "group": describe_group({}, LAYERS),
    "client-metrics": describe_client_metrics({}),
}


def row(config: DescribedConfig) -> list[str]:
    """As a row of the file."""

    def shown(value: str | None) -> str:
        return "null" if value is None else value

    synonyms = ", ".join(f"{int(each.source)}:{each.name}={shown(each.value)}" for each in config.synonyms)
    return [config.name, shown(config.value), str(config.read_only).lower(), str(int(config.type)), synonyms]


def expected(row: list[str]) -> list[str]:
    """Apache's row with the default that is ours."""
    name, value, read_only, type_number, synonyms = row
    if name not in OUR_DEFAULTS:
        return row
    is_default = synonyms == f"5:{name}={value}"
    others = "" if is_default else synonyms.rpartition(", ")[0] + ", "
    return [name, OUR_DEFAULTS[name] if is_default else value, read_only, type_number, f"{others}5:{name}={OUR_DEFAULTS[name]}"]


@pytest.mark.parametrize("kind", list(DESCRIBED))
def test_what_is_described_is_what_apache_kafka_describes(kind: str) -> None:
    rows = [line.split("\t") for line in APACHES.read_text().splitlines() if not line.startswith("#")]
    apaches = {row[1]: expected(row[1:]) for row in rows if row[0] == kind}
    ours = {config.name: row(config) for config in DESCRIBED[kind]}
    assert list(ours) == list(apaches)
    assert ours == apaches
