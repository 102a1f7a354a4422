"""Properties files of clients (`--command-config`, `--producer.config`, `--consumer.config`) and single settings (`--command-property`).

`librdkafka_settings` turns Java's client settings into those of confluent-kafka: most have the same name, some another, some only make
sense in Java (serializers, interceptors, metrics), some librdkafka lacks; of the last a warning tells.

Sources: the configuration references of Apache Kafka 4.3 (clients) and of librdkafka 2.16 (CONFIGURATION.md).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from raftkafka.tools.errors import ToolError, UsageError

_RENAMED: Mapping[str, tuple[str, int]] = {
    "fetch.max.wait.ms": ("fetch.wait.max.ms", 1),
    "send.buffer.bytes": ("socket.send.buffer.bytes", 1),
    "receive.buffer.bytes": ("socket.receive.buffer.bytes", 1),
    "max.request.size": ("message.max.bytes", 1),
    "buffer.memory": ("queue.buffering.max.kbytes", 1024),
    "socket.connection.setup.timeout.ms": ("socket.connection.setup.timeout.ms", 1),
    "request.timeout.ms": ("request.timeout.ms", 1),
}
"""Java's key: librdkafka's key, and how many of Java's units are one of librdkafka's."""

_ONLY_JAVA = re.compile(
    r"(.*\.)?(serializer|deserializer)(\..*)?|interceptor\.classes|metrics?\..*|metric\.reporters|auto\.include\.jmx\.reporter|enable\.metrics\.push"
    r"|partitioner\.(adaptive\..*|availability\..*|ignore\.keys)|max\.poll\.records|default\.api\.timeout\.ms|config\.providers(\..*)?"
    r"|exclude\.internal\.topics|throw\.on\.fetch\..*|internal\..*|security\.providers|max\.block\.ms|reconnect\.backoff\.max|metadata\.max\.idle\.ms"
    r"|transaction\.two\.phase\.commit\.enable|share\..*|line\.reader|bootstrap\.controllers"
)
"""Keys that act only inside a Java client: ignored in silence."""

_ASSIGNORS = {
    "RangeAssignor": "range",
    "RoundRobinAssignor": "roundrobin",
    "CooperativeStickyAssignor": "cooperative-sticky",
    "StickyAssignor": "cooperative-sticky",
}
_PARTITIONERS = {"RoundRobinPartitioner": "random", "DefaultPartitioner": "murmur2_random", "UniformStickyPartitioner": "murmur2_random"}
_JAAS_FIELD = re.compile(r"(username|password)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s;]+))")

_KNOWN = frozenset(
    """
    acks allow.auto.create.topics api.version.fallback.ms api.version.request api.version.request.timeout.ms auto.commit.interval.ms
    auto.offset.reset batch.num.messages batch.size bootstrap.servers broker.address.family broker.address.ttl builtin.features check.crcs
    client.dns.lookup client.id client.rack compression.codec compression.level compression.type connections.max.idle.ms
    coordinator.query.interval.ms debug delivery.timeout.ms dr_msg_cb enable.auto.commit enable.auto.offset.store enable.gapless.guarantee
    enable.idempotence enable.metrics.push enable.partition.eof enable.sasl.oauthbearer.unsecure.jwt fetch.error.backoff.ms fetch.max.bytes
    fetch.message.max.bytes fetch.min.bytes fetch.queue.backoff.ms fetch.wait.max.ms group.id group.instance.id group.protocol
    group.protocol.type group.remote.assignor heartbeat.interval.ms internal.termination.signal isolation.level linger.ms
    log.connection.close log.queue log.thread.name log_level max.in.flight max.in.flight.requests.per.connection max.partition.fetch.bytes
    max.poll.interval.ms message.copy.max.bytes message.max.bytes message.send.max.retries message.timeout.ms metadata.broker.list
    metadata.max.age.ms metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy partition.assignment.strategy partitioner
    plugin.library.paths queue.buffering.backpressure.threshold queue.buffering.max.kbytes queue.buffering.max.messages
    queue.buffering.max.ms queued.max.messages.kbytes queued.min.messages receive.message.max.bytes reconnect.backoff.max.ms
    reconnect.backoff.ms request.required.acks request.timeout.ms retries retry.backoff.max.ms retry.backoff.ms sasl.kerberos.keytab
    sasl.kerberos.kinit.cmd sasl.kerberos.min.time.before.relogin sasl.kerberos.principal sasl.kerberos.service.name sasl.mechanism
    sasl.mechanisms sasl.oauthbearer.client.id sasl.oauthbearer.client.secret sasl.oauthbearer.config sasl.oauthbearer.extensions
    sasl.oauthbearer.method sasl.oauthbearer.scope sasl.oauthbearer.token.endpoint.url sasl.password sasl.username security.protocol
    session.timeout.ms socket.blocking.max.ms socket.connection.setup.timeout.ms socket.keepalive.enable socket.max.fails
    socket.nagle.disable socket.receive.buffer.bytes socket.send.buffer.bytes socket.timeout.ms ssl.ca.certificate.stores ssl.ca.location
    ssl.ca.pem ssl.certificate.location ssl.certificate.pem ssl.cipher.suites ssl.crl.location ssl.curves.list
    ssl.endpoint.identification.algorithm ssl.engine.location ssl.key.location ssl.key.password ssl.key.pem ssl.keystore.location
    ssl.keystore.password ssl.providers ssl.sigalgs.list statistics.interval.ms sticky.partitioning.linger.ms topic.blacklist
    topic.metadata.propagation.max.ms topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.interval.ms
    topic.metadata.refresh.sparse transaction.timeout.ms transactional.id
    """.split()  # noqa: SIM905
)


def read_properties(path: str) -> dict[str, str]:
    """The settings of a properties file, the last one where a key comes twice. `ToolError` when there is none or it is not one."""
    from raftkafka.broker.properties import PropertiesError, parse_properties

    try:
        text = Path(path).read_text()
    except OSError as error:
        raise ToolError(f"{path}: {(error.strerror or 'it cannot be read').lower()}") from None
    except UnicodeDecodeError:
        raise ToolError(f"{path}: this is not a text file") from None
    try:
        return {entry.key: entry.value for entry in parse_properties(text, source=path)}
    except PropertiesError as error:
        raise ToolError(str(error)) from None


def parse_settings(pairs: Iterable[str]) -> dict[str, str]:
    """The settings of `key=value` arguments; a key alone is a key with an empty value, as for Apache's tools."""
    settings = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if not key:
            raise UsageError(f"Invalid command line properties: {pair}")
        settings[key] = value
    return settings


def librdkafka_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings for confluent-kafka that mean what Java's settings mean; what has no meaning there is left out, with a warning."""
    translated: dict[str, str] = {}
    for key, value in settings.items():
        if key == "sasl.jaas.config":
            translated.update({f"sasl.{field}": a or b or c for field, a, b, c in _JAAS_FIELD.findall(value)})
        elif key == "partition.assignment.strategy":
            translated[key] = ",".join(_ASSIGNORS.get(name.rpartition(".")[2], name) for name in value.split(","))
        elif key in ("partitioner.class", "partitioner"):
            translated["partitioner"] = _PARTITIONERS.get(value.rpartition(".")[2], value)
        elif key in _RENAMED:
            name, unit = _RENAMED[key]
            translated[name] = str(int(value) // unit) if unit > 1 and value.isdecimal() else value
        elif key in _KNOWN:
            translated[key] = _lowered(key, value)
        elif not _ONLY_JAVA.fullmatch(key):
            print(f"WARNING: the setting {key} is ignored: librdkafka, which this tool uses, does not have it.", file=sys.stderr)
    return translated


def _lowered(key: str, value: str) -> str:
    """librdkafka knows the values of some keys in lower case only."""
    return value.lower() if key in ("auto.offset.reset", "isolation.level", "compression.type", "group.protocol") else value
