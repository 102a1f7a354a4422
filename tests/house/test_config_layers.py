"""Where a setting comes from, what DescribeConfigs says, and which values are refused, in the words of Apache Kafka 4.3.1's tools."""

import pytest

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.metadata.config_checks import check_broker_configs, check_topic_configs
from raftkafka.metadata.config_defs import (
    BROKER_DEFS,
    DYNAMIC_ONLY_DEFS,
    GROUP_DEFS,
    OUR_DEFAULTS,
    TOPIC_DEFS,
    parse_value,
)
from raftkafka.metadata.config_layers import (
    BrokerLayers,
    ConfigSource,
    DescribedConfig,
    describe_broker,
    describe_cluster_defaults,
    describe_topic,
)
from raftkafka.metadata.configs import ConfigsImage, ResourceType
from raftkafka.metadata.topic_config import TopicConfigResolver, topic_settings


def shown(described: DescribedConfig) -> str:
    """A line as kafka-configs prints it."""
    synonyms = ", ".join(f"{each.source.name}:{each.name}={each.value}" for each in described.synonyms)
    value = "null" if described.value is None else described.value
    return f"{described.name}={value} sensitive={str(described.sensitive).lower()} synonyms={{{synonyms}}}"


def topic_line(name: str, overrides: dict[str, str], layers: BrokerLayers) -> str:
    (described,) = describe_topic(overrides, layers, names=[name])
    return shown(described)


def test_synonyms_are_in_order_of_precedence() -> None:
    layers = BrokerLayers(cluster={"min.insync.replicas": "1"}, static={"min.insync.replicas": "1"})
    assert topic_line("min.insync.replicas", {"min.insync.replicas": "2"}, layers) == (
        "min.insync.replicas=2 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:min.insync.replicas=2, "
        "DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas=1, STATIC_BROKER_CONFIG:min.insync.replicas=1, "
        "DEFAULT_CONFIG:min.insync.replicas=1}"
    )


def test_synonyms_before_the_keys_own_name_are_trimmed() -> None:
    assert topic_line("retention.ms", {}, BrokerLayers()) == "retention.ms=604800000 sensitive=false synonyms={}"
    assert topic_line("segment.bytes", {}, BrokerLayers()) == (
        "segment.bytes=1073741824 sensitive=false synonyms={DEFAULT_CONFIG:log.segment.bytes=1073741824}"
    )


def test_every_topic_key_but_the_internal_one_is_described() -> None:
    assert len(describe_topic({}, BrokerLayers())) == len(TOPIC_DEFS) - 1


def test_coarser_broker_key_is_given_in_milliseconds() -> None:
    layers = BrokerLayers(static={"log.retention.hours": "2", "log.roll.hours": "1"})
    log = topic_settings({}, layers).log
    assert (log.retention_ms, log.segment_ms) == (7_200_000, 3_600_000)


def test_finer_broker_key_wins_over_coarser() -> None:
    layers = BrokerLayers(static={"log.retention.hours": "2"}, cluster={"log.retention.ms": "5"})
    assert topic_settings({}, layers).log.retention_ms == 5


def test_unlimited_retention_in_hours_stays_unlimited() -> None:
    assert topic_settings({}, BrokerLayers(static={"log.retention.hours": "-1"})).log.retention_ms == -1


def test_precedence_is_topic_then_broker_then_cluster_then_file_then_default() -> None:
    key = "min.insync.replicas"
    layers = {"static": {key: "2"}, "cluster": {key: "3"}, "dynamic": {key: "4"}}
    for count, expected in ((0, 1), (1, 2), (2, 3), (3, 4)):
        chosen = dict(list(layers.items())[:count])
        assert topic_settings({}, BrokerLayers(**chosen)).min_insync_replicas == expected
    assert topic_settings({key: "5"}, BrokerLayers(**layers)).min_insync_replicas == 5


def test_internal_segment_bytes_beats_the_minimum_of_segment_bytes() -> None:
    assert topic_settings({"internal.segment.bytes": "1000"}, BrokerLayers()).log.segment_bytes == 1000


def test_password_is_never_shown() -> None:
    (described,) = describe_broker(BrokerLayers(static={"ssl.key.password": "secret"}), names=["ssl.key.password"])
    assert (described.value, described.sensitive) == (None, True)
    assert "secret" not in repr(described)


def test_cluster_defaults_are_only_what_is_set() -> None:
    (described,) = describe_cluster_defaults({"min.insync.replicas": "1"})
    assert shown(described) == ("min.insync.replicas=1 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas=1}")


def test_value_from_the_file_is_named_static() -> None:
    (described,) = describe_broker(BrokerLayers(static={"num.partitions": "3"}), names=["num.partitions"])
    assert (described.value, described.source, described.read_only) == ("3", ConfigSource.STATIC_BROKER_CONFIG, True)


@pytest.mark.parametrize("name", sorted(OUR_DEFAULTS))
def test_our_default_is_allowed(name: str) -> None:
    parse_value(BROKER_DEFS[name], OUR_DEFAULTS[name])


def test_every_default_is_allowed() -> None:
    for definition in (*BROKER_DEFS.values(), *TOPIC_DEFS.values(), *GROUP_DEFS.values(), *DYNAMIC_ONLY_DEFS.values()):
        if definition.default:
            parse_value(definition, definition.default)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("retention.ms", "abc", "Invalid value abc for configuration retention.ms: Not a number of type LONG"),
        ("retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"),
        ("compression.lz4.level", "18", "Value must be no more than 17"),
        ("cleanup.policy", "shred", "String must be one of: compact, delete"),
        ("segment.bytes", "1024", "Value must be at least 1048576"),
        ("leader.replication.throttled.replicas", "x", "[partitionId]:[brokerId]"),
        ("no.such.config", "1", "Unknown topic config name: no.such.config"),
        ("retention.ms", "9223372036854775808", "Not a number of type LONG"),
    ],
)
def test_bad_topic_value_is_refused_in_kafkas_words(name: str, value: str, says: str) -> None:
    with pytest.raises(ApiError) as refused:
        check_topic_configs({name: value})
    assert refused.value.code is ErrorCode.INVALID_CONFIG
    assert says in refused.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [("retention.ms", "-1"), ("cleanup.policy", "compact,delete"), ("compression.gzip.level", "-1"), ("preallocate", "TRUE")],
)
def test_good_topic_value_is_accepted(name: str, value: str) -> None:
    check_topic_configs({name: value})


def test_read_only_broker_key_cannot_be_altered() -> None:
    with pytest.raises(ApiError, match="Cannot update these configs dynamically"):
        check_broker_configs({"num.partitions": "3"}, per_broker=True)


def test_per_broker_key_cannot_be_a_cluster_default() -> None:
    with pytest.raises(ApiError, match="broker id must be specified"):
        check_broker_configs({"listeners": "PLAINTEXT://x:1"}, per_broker=False)


def test_topics_with_equal_overrides_share_their_settings() -> None:
    resolver = TopicConfigResolver(node_id=NodeId(1), static={})
    configs = ConfigsImage(by_resource={(ResourceType.TOPIC, "b"): {"retention.ms": "1"}})
    assert resolver.settings(configs, "a") is resolver.settings(configs, "c")
    assert resolver.settings(configs, "b").log.retention_ms == 1


def test_changed_cluster_default_reaches_every_topic() -> None:
    resolver = TopicConfigResolver(node_id=NodeId(1), static={})
    assert resolver.settings(ConfigsImage(), "a").min_insync_replicas == 1
    changed = ConfigsImage(by_resource={(ResourceType.BROKER, ""): {"min.insync.replicas": "2"}})
    assert resolver.settings(changed, "a").min_insync_replicas == 2
