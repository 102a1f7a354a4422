"""server.properties to BrokerConfig: what acts, what is refused, and what the refusal tells a person to do."""

import socket
from pathlib import Path

import pytest

from raftkafka.base.ids import NodeId
from raftkafka.base.rules import BROKEN_RULES_KEY
from raftkafka.broker.config import ACTING_KEYS, BrokerConfig
from raftkafka.broker.config_loader import ConfigError, config_from_properties, load_config
from raftkafka.broker.listeners import HostPort
from raftkafka.metadata.config_defs import BROKER_DEFS

GOOD = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "listeners": "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:19092",
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": "1@127.0.0.1:19092,2@127.0.0.1:19093",
    "log.dirs": "/data/a,/data/b",
}
CONFIGS = Path(__file__).parents[2] / "configs"


def made(**changes: str | None) -> BrokerConfig:
    """The good configuration with changes; dots are underscores, None removes."""
    named = {key.replace("_", "."): value for key, value in changes.items()}
    return config_from_properties({key: value for key, value in (GOOD | named).items() if value is not None})


def problems(**changes: str | None) -> str:
    with pytest.raises(ConfigError) as raised:
        made(**changes)
    return str(raised.value)


def test_good_configuration_has_typed_attributes() -> None:
    config = made()
    assert config.node_id == 1
    assert (config.is_broker, config.is_controller) == (True, True)
    assert [each.name for each in config.broker_listeners] == ["PLAINTEXT"]
    assert config.controller_listener is not None
    assert config.controller_listener.port == 19092
    assert config.quorum_voters == {NodeId(1): HostPort("127.0.0.1", 19092), NodeId(2): HostPort("127.0.0.1", 19093)}
    assert (config.log_dirs, config.metadata_log_dir) == (("/data/a", "/data/b"), "/data/a")
    assert config.inter_broker_listener_name == "PLAINTEXT"
    assert config.notices == ()


def test_controller_listener_is_not_advertised_to_clients() -> None:
    assert [each.name for each in made().advertised_listeners] == ["PLAINTEXT"]


def test_listeners_default_to_loopback() -> None:
    assert BROKER_DEFS["listeners"].default == "PLAINTEXT://127.0.0.1:9092"


def test_exposed_listener_is_pointed_out() -> None:
    config = made(listeners="PLAINTEXT://10.0.0.1:9092,CONTROLLER://127.0.0.1:19092")
    assert config.notices == ("PLAINTEXT listens on 10.0.0.1:9092 without authentication.",)


def test_every_acting_key_is_a_known_one() -> None:
    assert {*BROKER_DEFS, BROKEN_RULES_KEY} >= ACTING_KEYS, "one key is our own and not Kafka's"


def test_key_without_effect_is_accepted_and_named() -> None:
    notice = "accepted, but without effect here, since one event loop does all work: num.network.threads"
    assert made(num_network_threads="3").notices == (notice,)


def test_all_problems_are_reported_at_once() -> None:
    text = problems(node_id=None, process_roles="boss", num_partitions="0")
    assert "node.id: it must be set" in text
    assert "'boss' is not a role" in text
    assert "Invalid value 0 for configuration num.partitions: Value must be at least 1" in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"log_dris": "/x"}, "unknown key. Did you mean log.dirs?"),
        ({"zookeeper_connect": "x:2181"}, "The Raft quorum in the nodes takes ZooKeeper's place"),
        ({"advertised_host_name": "x"}, "Use advertised.listeners="),
        ({"retention_ms": "1"}, "it is called log.retention.ms here"),
        ({"authorizer_class_name": "x.Y"}, "would protect nothing here"),
        ({"num_partitions": "many"}, "Not a number of type INT"),
        ({"auto_create_topics_enable": "yes"}, "either true or false"),
        ({"compression_type": "zip"}, "String must be one of: uncompressed, zstd"),
        ({"node_id": "-1"}, "not a number from 0"),
        ({"broker_id": "2"}, "make them equal"),
        ({"listeners": "PLAINTEXT://127.0.0.1:9092"}, "a controller needs the listener CONTROLLER"),
        ({"listeners": "CONTROLLER://127.0.0.1:19092"}, "a broker needs a listener for clients"),
        ({"listeners": "PLAINTEXT:127.0.0.1:9092"}, "is not NAME://host:port"),
        ({"listeners": "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9092"}, "port 9092 is used by both"),
        ({"listeners": "PLAINTEXT://127.0.0.1:99999,CONTROLLER://127.0.0.1:1"}, "from 0 to 65535"),
        ({"listeners": "PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:19092"}, "Set advertised.listeners=PLAINTEXT://<name"),
        ({"listeners": "SSL://127.0.0.1:9092,CONTROLLER://127.0.0.1:19092"}, "asks for SSL, which is not served yet"),
        ({"listeners": "LAN://127.0.0.1:9092,CONTROLLER://127.0.0.1:19092"}, "Add LAN:PLAINTEXT to listener.security.protocol.map"),
        ({"controller_quorum_voters": "2@127.0.0.1:1"}, "it does not name this node. Add 1@"),
        ({"controller_quorum_voters": "one@host:1"}, "is not <node id>@<host>:<port>"),
        ({"controller_quorum_voters": None}, "For one node alone write controller.quorum.voters=1@"),
        ({"inter_broker_listener_name": "LAN"}, "there is no listener LAN"),
        ({"broker_session_timeout_ms": "100"}, "must be less than broker.session.timeout.ms (100)"),
        ({"process_roles": "broker"}, "belongs to controllers"),
    ],
)
def test_refusal_says_what_to_do(changes: dict[str, str | None], says: str) -> None:
    assert says in problems(**changes)


def test_lone_controller_may_name_only_itself_as_bootstrap_server() -> None:
    config = made(controller_quorum_voters=None, controller_quorum_bootstrap_servers="localhost:19092")
    assert config.quorum_voters == {NodeId(1): HostPort("localhost", 19092)}


def test_bootstrap_servers_are_asked_who_votes() -> None:
    config = made(controller_quorum_voters=None, controller_quorum_bootstrap_servers="a:1,b:2")
    assert (config.quorum_voters, config.quorum_contacts) == ({}, (HostPort("a", 1), HostPort("b", 2)))


def test_override_beats_environment_beats_file(tmp_path: Path) -> None:
    path = tmp_path / "server.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in GOOD.items()) + "num.partitions=1\nfetch.max.bytes=2048\n")
    environ = {"KAFKA_NUM_PARTITIONS": "2", "KAFKA_FETCH_MAX_BYTES": "4096", "KAFKA_HEAP_OPTS": "-Xmx1g"}
    config = load_config(path, environ=environ, overrides=["num.partitions=3"])
    assert (config.num_partitions, config.fetch_max_bytes) == (3, 4096)


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("KAFKA_LOG_RETENTION_HOUR", "$KAFKA_LOG_RETENTION_HOUR: log.retention.hour: unknown key. Did you mean log.retention.hours?"),
        ("KAFKA_ZOOKEEPER_CONNECT", "takes ZooKeeper's place"),
    ],
)
def test_variable_that_is_mistyped_or_gone_is_refused(tmp_path: Path, variable: str, says: str) -> None:
    path = tmp_path / "server.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in GOOD.items()))
    with pytest.raises(ConfigError) as raised:
        load_config(path, environ={variable: "1"})
    assert says in str(raised.value)


def test_variables_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "server.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in GOOD.items()))
    others = ("HEAP_OPTS", "OPTS", "JMX_OPTS", "JMX_PORT", "LOG4J_OPTS", "JVM_PERFORMANCE_OPTS", "GC_LOG_OPTS", "HOME", "VERSION", "DEBUG")
    assert load_config(path, environ={f"KAFKA_{name}": "x" for name in others}).notices == ()


def test_advertised_listeners_alone_in_the_environment_open_every_interface(tmp_path: Path) -> None:
    path = tmp_path / "server.properties"
    path.write_text("node.id=2\nprocess.roles=broker\ncontroller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@c:1\n")
    config = load_config(path, environ={"KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://me:9092"})
    assert [(each.host, each.port) for each in config.listeners] == [("0.0.0.0", 9092)]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load_config(tmp_path / "none.properties")


def test_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        load_config(path)


def test_dynamic_values_lie_over_the_static_ones() -> None:
    changed = made().dynamic({"max.connections": "7", "no.such.key": "1", "log.retention.ms": "1"})
    assert changed.max_connections == 7


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.properties")), ids=lambda path: path.stem)
def test_example_file_is_good(path: Path) -> None:
    assert load_config(path).notices == ()


@pytest.mark.parametrize(("host", "known_as"), [("127.0.0.1", "127.0.0.1"), ("", socket.gethostname()), ("0.0.0.0", socket.gethostname())])
def test_other_controllers_are_told_an_address_that_they_can_reach(host: str, known_as: str) -> None:
    config = made(listeners=f"PLAINTEXT://127.0.0.1:9092,CONTROLLER://{host}:9093", advertised_listeners="PLAINTEXT://127.0.0.1:9092")
    assert config.controller_endpoint is not None
    assert (config.controller_endpoint.name, config.controller_endpoint.host, config.controller_endpoint.port) == (
        "CONTROLLER",
        known_as,
        9093,
    )


def test_only_a_controller_joins_the_quorum() -> None:
    assert "only a controller can join the quorum" in problems(
        process_roles="broker",
        listeners="PLAINTEXT://127.0.0.1:9092",
        controller_quorum_voters="2@127.0.0.1:9093",
        controller_quorum_auto_join_enable="true",
    )
