"""What may not be set dynamically, in the codes and words that a running Apache Kafka 4.3.1 answered with."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.metadata.config_checks import (
    check_broker_configs,
    check_client_metrics_configs,
    check_group_bounds,
    check_group_configs,
    check_thread_counts,
    check_topic_configs,
    parse_connection_overrides,
    refusal_of_broker_value,
)
from raftkafka.metadata.config_defs import BROKER_DEFS, TOPIC_DEFS, ConfigType, canonical_text
from raftkafka.metadata.config_layers import BrokerLayers
from raftkafka.metadata.topic_config import topic_settings

THROTTLED = "leader.replication.throttled.replicas"
DYNAMIC = "Invalid value org.apache.kafka.common.config.ConfigException: {} for configuration Invalid dynamic configuration"


def refusal(check: object, *given: object, **named: object) -> tuple[ErrorCode, str]:
    with pytest.raises(ApiError) as refused:
        check(*given, **named)  # type: ignore[operator]
    return refused.value.code, refused.value.message


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ({"retention.ms": "-2"}, "Invalid value -2 for configuration retention.ms: Value must be at least -1"),
        ({"retention.ms": ""}, "Invalid value  for configuration retention.ms: Not a number of type LONG"),
        ({"segment.bytes": "5"}, "Invalid value 5 for configuration segment.bytes: Value must be at least 1048576"),
        ({"cleanup.policy": "none"}, "Invalid value none for configuration cleanup.policy: String must be one of: compact, delete"),
        (
            {"compression.gzip.level": "0"},
            "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
        ),
        ({"compression.zstd.level": "77"}, "Invalid value 77 for configuration compression.zstd.level: Value must be no more than 22"),
        (
            {"min.cleanable.dirty.ratio": "2"},
            "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
        ),
        ({"preallocate": "maybe"}, "Invalid value maybe for configuration preallocate: Expected value to be either true or false"),
        (
            {THROTTLED: "foo"},
            f"Invalid value [foo] for configuration {THROTTLED}: {THROTTLED} must be the literal '*' or a list of replicas in the "
            "following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        ),
        (
            {"min.compaction.lag.ms": "100", "max.compaction.lag.ms": "10"},
            "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (10)",
        ),
        (
            {"remote.storage.enable": "true"},
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
        ),
        ({"no.such": "1"}, "Unknown topic config name: no.such"),
    ],
)
def test_topics(configs: dict[str, str], message: str) -> None:
    assert refusal(check_topic_configs, configs) == (ErrorCode.INVALID_CONFIG, message)


@pytest.mark.parametrize("configs", [{"cleanup.policy": ""}, {THROTTLED: "*"}, {THROTTLED: "0:1,1:2"}, {"retention.ms": " 100 "}])
def test_topics_may_have(configs: dict[str, str]) -> None:
    check_topic_configs(configs)


def test_blanks_and_repetitions_are_not_kept() -> None:
    assert canonical_text(TOPIC_DEFS["retention.ms"], " 100 ") == "100"
    assert canonical_text(TOPIC_DEFS["cleanup.policy"], "compact, delete,compact") == "compact,delete"


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ({"num.partitions": "5", "node.id": "7"}, "Cannot update these configs dynamically: [node.id, num.partitions]"),
        ({"log.cleaner.threads": "abc"}, "Invalid value abc for configuration log.cleaner.threads: Not a number of type INT"),
        ({"log.retention.ms": "0"}, "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1"),
        (
            {"leader.replication.throttled.rate": "-1"},
            "Invalid value -1 for configuration leader.replication.throttled.rate: Value must be at least 0",
        ),
        (
            {"ssl.keystore.password": "secret"},
            "These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.keystore.password]",
        ),
        (
            {"log.cleaner.dedupe.buffer.size": "5"},
            "requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
        ),
        (
            {"principal.builder.class": "foo"},
            "Invalid value foo for configuration principal.builder.class: Class foo could not be found.",
        ),
        ({"log.roll.ms": "-5"}, "Invalid value -5 for configuration segment.ms: Value must be at least 1"),
    ],
)
def test_brokers(configs: dict[str, str], message: str) -> None:
    assert refusal(check_broker_configs, configs, per_broker=True) == (ErrorCode.INVALID_REQUEST, message)


def test_what_belongs_to_one_broker_is_no_default_of_all() -> None:
    message = "Cannot update these configs at default cluster level, broker id must be specified: [listeners]"
    assert refusal(check_broker_configs, {"listeners": "PLAINTEXT://:1"}, per_broker=False) == (ErrorCode.INVALID_REQUEST, message)


@pytest.mark.parametrize("name", ["no.such.key", "listener.name.plaintext.ssl.keystore.password", "listener.name.x.max.connections"])
def test_brokers_may_have_keys_of_plugins_and_of_listeners(name: str) -> None:
    check_broker_configs({name: "5"}, per_broker=True)


def test_retention_without_limit_is_minus_one_for_topics_whatever_its_negative_number() -> None:
    check_broker_configs({"log.retention.ms": "-2"}, per_broker=True)
    assert topic_settings({}, BrokerLayers(dynamic={"log.retention.ms": "-2"})).log.retention_ms == -1


def test_every_default_passes_its_own_checks() -> None:
    for name, definition in BROKER_DEFS.items():
        if definition.default and definition.type is not ConfigType.CLASS:
            assert refusal_of_broker_value(name, definition.default) == ""


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("log.cleaner.threads", "0", DYNAMIC.format("Log cleaner threads should be at least 1")),
        (
            "log.cleaner.threads",
            "17",
            DYNAMIC.format("Log cleaner threads cannot be increased to more than double the current value 8"),
        ),
        (
            "num.io.threads",
            "17",
            DYNAMIC.format(
                "Dynamic thread count update validation failed for num.io.threads=17, value should not be greater than double the current "
                "value 8"
            ),
        ),
    ],
)
def test_thread_counts_change_in_steps(name: str, value: str, message: str) -> None:
    assert refusal(check_thread_counts, {name: value}, lambda key: 8) == (ErrorCode.INVALID_REQUEST, message)
    check_thread_counts({name: "16"}, lambda key: 8)


def broker_default(name: str) -> str:
    return BROKER_DEFS[name].default or ""


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ({"no.such": "1"}, "Unknown group config name: no.such"),
        (
            {"consumer.session.timeout.ms": "abc"},
            "Invalid value abc for configuration consumer.session.timeout.ms: Not a number of type INT",
        ),
        (
            {"share.auto.offset.reset": "foo"},
            "Invalid value foo for configuration share.auto.offset.reset: Invalid value `foo` for configuration share.auto.offset.reset. "
            "The value must be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
        ),
    ],
)
def test_groups(configs: dict[str, str], message: str) -> None:
    assert refusal(check_group_configs, configs) == (ErrorCode.INVALID_CONFIG, message)


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        (
            {"consumer.session.timeout.ms": "100"},
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (
            {"consumer.heartbeat.interval.ms": "46000"},
            "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms",
        ),
    ],
)
def test_groups_keep_within_the_bounds_of_the_broker(configs: dict[str, str], message: str) -> None:
    check_group_configs(configs)
    assert refusal(check_group_bounds, configs, broker_default) == (ErrorCode.INVALID_CONFIG, message)
    check_group_bounds({"consumer.session.timeout.ms": "50000", "consumer.heartbeat.interval.ms": "10000"}, broker_default)


@pytest.mark.parametrize(
    ("configs", "code", "message"),
    [
        (
            {"interval.ms": "10"},
            ErrorCode.INVALID_REQUEST,
            "Invalid value 10 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        ),
        ({"no.such": "1"}, ErrorCode.INVALID_REQUEST, "Unknown client metrics configuration: no.such"),
        ({"match": "foo"}, ErrorCode.INVALID_CONFIG, "Illegal client matching pattern: foo"),
        ({"match": "foo=bar"}, ErrorCode.INVALID_CONFIG, "Illegal client matching pattern: foo=bar"),
        ({"match": "client_id=["}, ErrorCode.INVALID_CONFIG, "Illegal client matching pattern: client_id=["),
    ],
)
def test_client_metrics(configs: dict[str, str], code: ErrorCode, message: str) -> None:
    assert refusal(check_client_metrics_configs, configs) == (code, message)


def test_overrides_of_connections_are_pairs() -> None:
    assert parse_connection_overrides("10.0.0.1:5, ::1:7") == {"10.0.0.1": 5, "::1": 7}
    assert refusal(parse_connection_overrides, "foo")[0] is ErrorCode.INVALID_REQUEST
