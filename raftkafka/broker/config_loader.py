"""From `server.properties`, environment and overrides to a checked `BrokerConfig`.

Invariants
- All problems of a configuration are reported at once, each with where it was set and what to do.
- A key nobody knows, and one that would promise protection which is not there, is refused; a known one without effect is named in a notice.

Sources: Apache Kafka 4.3.1's keys and checks (`metadata.config_defs`); KIP-631 and KIP-595 for roles and voters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from raftkafka.base.ids import NodeId
from raftkafka.base.rules import BROKEN_RULES_KEY, NO_RULES, Rules, UnknownRule, names_of, rules_named
from raftkafka.broker.config import ACTING_KEYS, ATTRIBUTE_OF_KEY, BrokerConfig
from raftkafka.broker.idle_keys import no_effect_notices
from raftkafka.broker.listeners import (
    HostPort,
    ListenerError,
    advertised_from,
    check_advertised,
    is_exposed,
    parse_host_port,
    parse_listeners,
    parse_protocol_map,
    parse_voters,
    reachable,
)
from raftkafka.broker.properties import PropertiesError, PropertyEntry, environment_entries, parse_override, parse_properties
from raftkafka.broker.property_checks import is_gone, refusal_of_key
from raftkafka.metadata.config_checks import refusal_of_broker_value
from raftkafka.metadata.config_defs import BROKER_DEFS, InvalidValue, nearest_names, parse_value
from raftkafka.metadata.control_messages import ListenerEndpoint

Parsed = TypeVar("Parsed")

MISTYPED_LIKENESS = 0.93


class ConfigError(Exception):
    """The configuration cannot be used; every problem is a sentence that says what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def load_config(path: Path | str, *, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> BrokerConfig:
    """Reads a properties file; `KAFKA_...` variables of `environ` win over it, and `overrides` ("key=value") over both."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        entries = parse_properties(text, source=str(path))
        chosen = [parse_override(item) for item in overrides]
    except FileNotFoundError:
        raise ConfigError([f"{path}: there is no such file. Examples are in configs/, or let `make cluster` write them."]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: it is not text in UTF-8. Is it really a properties file?"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: it cannot be read: {error.strerror}."]) from None
    except PropertiesError as error:
        raise ConfigError([str(error)]) from None
    from_file = {entry.key for entry in entries}
    return config_from_entries([*entries, *_from_environment(environ or {}, from_file), *chosen])


def config_from_properties(properties: Mapping[str, str]) -> BrokerConfig:
    """The configuration of these keys and values alone."""
    return config_from_entries([PropertyEntry(key, value, "given") for key, value in properties.items()])


def config_from_entries(entries: Sequence[PropertyEntry]) -> BrokerConfig:
    """The configuration of entries, later ones winning; raises `ConfigError` with every problem."""
    notices: list[str] = []
    winning: dict[str, PropertyEntry] = {}
    for entry in entries:
        earlier = winning.get(entry.key)
        if earlier is not None and earlier.value != entry.value:
            notices.append(f"{entry.key} is set at {earlier.origin} and again at {entry.origin}: the latter counts.")
        winning[entry.key] = entry
    problems = [problem for entry in winning.values() if (problem := refusal_of_key(entry))]
    if problems:
        raise ConfigError(problems)
    reader = _Reader(winning)
    config = reader.read(notices)
    if reader.problems or config is None:
        raise ConfigError(reader.problems)
    return config


def _from_environment(environ: Mapping[str, str], from_file: set[str]) -> list[PropertyEntry]:
    """The environment's settings; a variable that is no key is left alone, unless it is one but for a letter.

    Only advertised listeners given: listen on every interface at the same ports, as Apache's image does.
    """
    entries = [entry for entry in environment_entries(environ) if entry.key in BROKER_DEFS or is_gone(entry.key) or _is_mistyped(entry.key)]
    given = {entry.key: entry for entry in entries}
    advertised = given.get("advertised.listeners")
    if advertised is not None and "listeners" not in given and "listeners" not in from_file:
        parts = [part.rpartition("://")[0] + "://0.0.0.0:" + part.rpartition(":")[2] for part in advertised.value.split(",")]
        entries.append(PropertyEntry("listeners", ",".join(parts), advertised.origin))
    return entries


def _is_mistyped(key: str) -> bool:
    """Whether a variable nobody knows (there are many that begin with KAFKA_) is a key but for a letter."""
    return bool(nearest_names(key, BROKER_DEFS, likeness=MISTYPED_LIKENESS))


class _Reader:
    """Reads typed values from entries and gathers the problems instead of stopping at the first."""

    def __init__(self, entries: Mapping[str, PropertyEntry]) -> None:
        self._entries = entries
        self.problems: list[str] = []

    def read(self, notices: list[str]) -> BrokerConfig | None:
        values = {attribute: self._typed(key) for key, attribute in ATTRIBUTE_OF_KEY.items()}
        self._typed_rest()
        roles = self._roles()
        node_id = self._node_id()
        controller_names = self._names("controller.listener.names")
        listeners, advertised = self._listeners(controller_names)
        voters, contacts = self._quorum(node_id, roles, listeners, controller_names)
        if self.problems:
            return None
        brokers = tuple(each for each in listeners if each.name not in controller_names)
        controllers = tuple(each for each in listeners if each.name in controller_names)
        self._check_roles(roles, node_id, brokers, controllers, controller_names, voters, contacts)
        inter_broker = self._inter_broker_name(brokers) if "broker" in roles else ""
        self._check_times(values)
        broken = self._broken_rules()
        if self.problems:
            return None
        log_dirs = self._log_dirs()
        static = {key: entry.value for key, entry in self._entries.items() if key in BROKER_DEFS}
        notices += no_effect_notices(self._entries, acting=ACTING_KEYS)
        if broken:
            notices.append(f"RULES ARE BROKEN ON PURPOSE, records may be lost: {names_of(broken)}")
        notices += [
            f"{each.name} listens on {each.host or 'every interface'}:{each.port} without authentication."
            for each in listeners
            if is_exposed(each)
        ]
        return BrokerConfig(
            node_id=node_id,
            process_roles=roles,
            listeners=listeners,
            broker_listeners=brokers,
            controller_listener=controllers[0] if controllers else None,
            controller_listener_name=controller_names[0],
            controller_endpoint=next(
                iter(reachable([*(each for each in advertised if each.name in controller_names), *controllers])), None
            ),
            advertised_listeners=tuple(each for each in advertised if each.name not in controller_names),
            inter_broker_listener_name=inter_broker,
            quorum_voters=voters,
            quorum_contacts=contacts,
            log_dirs=log_dirs,
            metadata_log_dir=self._text("metadata.log.dir") or log_dirs[0],
            static=static,
            notices=tuple(notices),
            disabled_rules=broken,
            **values,
        )

    def _text(self, key: str) -> str:
        entry = self._entries.get(key)
        return entry.value if entry is not None else BROKER_DEFS[key].default or ""

    def _origin(self, key: str) -> str:
        entry = self._entries.get(key)
        return f"{entry.origin}: {key}" if entry is not None else key

    def _problem(self, key: str, text: str) -> None:
        self.problems.append(f"{self._origin(key)}: {text}")

    def _typed(self, key: str) -> Any:
        """The value of a key, or its default; None when it has neither, or is wrong (then a problem is noted)."""
        entry = self._entries.get(key)
        text = entry.value if entry is not None else BROKER_DEFS[key].default
        if text is None or (text == "" and BROKER_DEFS[key].default is None):
            return None
        try:
            return parse_value(BROKER_DEFS[key], text)
        except InvalidValue as error:
            self.problems.append(f"{entry.origin if entry else 'default'}: {error}.")
            return None

    def _typed_rest(self) -> None:
        """Checks the values of the keys that are no attribute here; nobody should find a typing error by its effect."""
        for key in self._entries:
            if key in BROKER_DEFS and key not in ATTRIBUTE_OF_KEY and BROKER_DEFS[key].default is not None:
                self._typed(key)
        if not self.problems:
            for key, entry in self._entries.items():
                reason = refusal_of_broker_value(key, entry.value) if key in BROKER_DEFS and entry.value else ""
                if reason:
                    self._problem(key, f"{reason.removeprefix('requirement failed: ').rstrip('.')}.")

    def _names(self, key: str) -> tuple[str, ...]:
        return tuple(name.strip().upper() for name in self._text(key).split(",") if name.strip())

    def _roles(self) -> tuple[str, ...]:
        roles = tuple(sorted({role.strip() for role in self._text("process.roles").split(",") if role.strip()}))
        if not roles:
            self._problem("process.roles", "it must be set. Write process.roles=broker,controller for a node that is both.")
        for role in roles:
            if role not in ("broker", "controller"):
                self._problem("process.roles", f"{role!r} is not a role. The roles are broker and controller.")
        return roles

    def _node_id(self) -> NodeId:
        text, alias = self._text("node.id"), self._text("broker.id")
        if not text and alias != "-1":
            text = alias
        if not text:
            self._problem("node.id", "it must be set. Write node.id=1 (every node of a cluster has its own).")
            return NodeId(-1)
        if not text.isdigit() or int(text) >= 2**31:
            self._problem("node.id", f"{text!r} is not a number from 0 to 2147483647.")
            return NodeId(-1)
        if alias not in ("-1", text):
            self._problem("broker.id", f"it is {alias} but node.id is {text}. Remove broker.id, or make them equal.")
        return NodeId(int(text))

    def _parsed(self, key: str, parse: Callable[[], Parsed], otherwise: Parsed) -> Parsed:
        try:
            return parse()
        except ListenerError as error:
            self._problem(key, str(error))
            return otherwise

    def _listeners(self, controller_names: Sequence[str]) -> tuple[tuple[ListenerEndpoint, ...], tuple[ListenerEndpoint, ...]]:
        """What to listen on and what to tell others."""
        map_key = "listener.security.protocol.map"
        no_protocols: dict[str, str] = {}
        no_listeners: tuple[ListenerEndpoint, ...] = ()
        protocols = self._parsed(map_key, lambda: parse_protocol_map(self._text(map_key), controller_names=controller_names), no_protocols)
        if not protocols:
            return no_listeners, no_listeners
        listeners = self._parsed("listeners", lambda: parse_listeners(self._text("listeners"), protocols=protocols), no_listeners)
        key = "advertised.listeners"
        if not self._text(key):
            advertised, key = advertised_from(listeners), "listeners"
        else:
            advertised = self._parsed(key, lambda: parse_listeners(self._text(key), protocols=protocols), no_listeners)
        clients = [each for each in advertised if each.name not in controller_names]
        self._parsed(key, lambda: check_advertised(clients), None)
        return listeners, advertised

    def _quorum(
        self, node_id: NodeId, roles: Sequence[str], listeners: Sequence[ListenerEndpoint], controller_names: Sequence[str]
    ) -> tuple[dict[NodeId, HostPort], tuple[HostPort, ...]]:
        """The voters, from `controller.quorum.voters`; or where to ask who they are, from `controller.quorum.bootstrap.servers`. A
        controller that names only itself there is the only voter.
        """
        no_voters: dict[NodeId, HostPort] = {}
        voters_key, servers_key = "controller.quorum.voters", "controller.quorum.bootstrap.servers"
        if self._text(voters_key):
            return self._parsed(voters_key, lambda: parse_voters(self._text(voters_key)), no_voters), ()
        servers = [item for item in self._text(servers_key).split(",") if item.strip()]
        if not servers:
            self._problem(voters_key, f"it must be set. For one node alone write {voters_key}={max(node_id, 0)}@127.0.0.1:9093.")
            return no_voters, ()
        no_addresses: list[HostPort] = []
        addresses = self._parsed(servers_key, lambda: [parse_host_port(item) for item in servers], no_addresses)
        own_ports = [each.port for each in listeners if each.name in controller_names]
        if "controller" in roles and len(addresses) == 1 and addresses[0].port in own_ports:
            return {node_id: addresses[0]}, ()
        return no_voters, tuple(addresses)

    def _check_roles(
        self,
        roles: Sequence[str],
        node_id: NodeId,
        brokers: Sequence[ListenerEndpoint],
        controllers: Sequence[ListenerEndpoint],
        controller_names: Sequence[str],
        voters: Mapping[NodeId, HostPort],
        contacts: Sequence[HostPort],
    ) -> None:
        names = ", ".join(controller_names)
        if not controller_names:
            self._problem("controller.listener.names", "it must be set. Write controller.listener.names=CONTROLLER.")
        elif "controller" in roles and not controllers:
            self._problem("listeners", f"a controller needs the listener {names}. Add {controller_names[0]}://127.0.0.1:9093.")
        elif "controller" not in roles and controllers:
            self._problem("listeners", f"{names} belongs to controllers, and this node is only a broker. Remove it from listeners.")
        if "broker" in roles and not brokers:
            self._problem("listeners", "a broker needs a listener for clients. Add PLAINTEXT://127.0.0.1:9092.")
        if "broker" not in roles and brokers:
            extra = ", ".join(each.name for each in brokers)
            self._problem("listeners", f"{extra} is for clients, and this node is only a controller. Remove it, or add the role broker.")
        if "controller" not in roles and self._typed("controller.quorum.auto.join.enable"):
            self._problem(
                "controller.quorum.auto.join.enable", "only a controller can join the quorum. Remove it, or add the role controller."
            )
        if "controller" in roles and node_id not in voters and not contacts:
            self._problem("controller.quorum.voters", f"it does not name this node. Add {node_id}@<host>:<controller port>.")
        if "controller" not in roles and node_id in voters:
            self._problem("process.roles", f"node {node_id} is a voter of the quorum, so it needs the role controller.")

    def _inter_broker_name(self, brokers: Sequence[ListenerEndpoint]) -> str:
        named = self._text("inter.broker.listener.name").upper()
        names = [each.name for each in brokers]
        if named and named not in names:
            self._problem("inter.broker.listener.name", f"there is no listener {named}. The listeners are {', '.join(names)}.")
        return named or next(iter(names), "")

    def _broken_rules(self) -> Rules:
        entry = self._entries.get(BROKEN_RULES_KEY)
        try:
            return rules_named(entry.value) if entry is not None else NO_RULES
        except UnknownRule as error:
            self._problem(BROKEN_RULES_KEY, str(error))
            return NO_RULES

    def _log_dirs(self) -> tuple[str, ...]:
        text = self._text("log.dirs") or self._text("log.dir")
        return tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))

    def _check_times(self, values: Mapping[str, Any]) -> None:
        """Pairs of durations that make no sense together; the first must be below the second."""
        for low, high in (
            ("broker.heartbeat.interval.ms", "broker.session.timeout.ms"),
            ("replica.fetch.wait.max.ms", "replica.lag.time.max.ms"),
            ("replica.fetch.wait.max.ms", "replica.socket.timeout.ms"),
            ("group.min.session.timeout.ms", "group.max.session.timeout.ms"),
        ):
            low_value, high_value = values[ATTRIBUTE_OF_KEY[low]], values[ATTRIBUTE_OF_KEY[high]]
            if low_value >= high_value:
                self._problem(low, f"it is {low_value}, which must be less than {high} ({high_value}).")
