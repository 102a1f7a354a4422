"""Producers and consumers of confluent-kafka that behave as Java's with the same settings, and tell of their troubles in one line.

Settings are Java's (`bootstrap.servers`, `linger.ms`, `fetch.max.wait.ms` ...); what librdkafka calls otherwise is translated. Where its
defaults differ from Java's, Java's count: keys go to the partition where Java puts them, a producer is idempotent unless its settings
forbid it, a consumer reads uncommitted records and may create topics.

Sources: the configuration references of Apache Kafka 4.3 and of librdkafka 2.16; KIP-679 (idempotence by default).
"""

from __future__ import annotations

import logging
import re
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from raftkafka.client.bootstrap import parse_bootstrap
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.java_errors import PACKAGE, default_message, exception_name
from raftkafka.tools.java_settings import check_producer, check_values, may_be_idempotent
from raftkafka.tools.properties_file import librdkafka_settings

if TYPE_CHECKING:
    from raftkafka.client.cluster import ClusterClient

C = TypeVar("C")

DELIVERY_TIMEOUT_MS = 120_000
TRANSACTION_TIMEOUT_MS = 60_000
STATISTICS_MS = 100
QUEUED_RECORDS = 1_000_000
"""So many records may wait in a producer; by bytes `buffer.memory` limits them."""

ASK_TIMEOUT_MS = 5_000

_CONSUMER_GROUP_HEARTBEAT_KEY = 68
_LEGAL_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_SILENT = logging.Logger("librdkafka", logging.CRITICAL + 1)
_NETWORK_CLIENT = "org.apache.kafka.clients.NetworkClient"
_UNREACHABLE = (KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._ALL_BROKERS_DOWN)
_JAVA_NAMES: Mapping[int, tuple[str, str]] = {
    KafkaError._MSG_TIMED_OUT: (PACKAGE + "TimeoutException", "The record was not delivered in time."),
    KafkaError._TIMED_OUT: (PACKAGE + "TimeoutException", "The brokers did not answer in time."),
    KafkaError._TRANSPORT: (PACKAGE + "TimeoutException", "No broker could be reached."),
    KafkaError._ALL_BROKERS_DOWN: (PACKAGE + "TimeoutException", "No broker could be reached."),
    KafkaError._AUTO_OFFSET_RESET: (
        "org.apache.kafka.clients.consumer.NoOffsetForPartitionException",
        "Undefined offset with no reset policy",
    ),
    KafkaError._UNSUPPORTED_FEATURE: (
        PACKAGE + "UnsupportedVersionException",
        "The broker does not support what was asked for.",
    ),
}


def check_bootstrap(bootstrap: str) -> None:
    """`UsageError` when this is no list of `host:port`, `ToolError` when none of the hosts has an address; both in Kafka's words."""
    try:
        addresses = parse_bootstrap(bootstrap)
    except ValueError:
        raise UsageError("Please provide valid host:port like host1:9091,host2:9092\n") from None
    if not any(_resolves(host) for host, _ in addresses):
        raise ToolError(f"No resolvable bootstrap urls given in bootstrap.servers: none of {bootstrap} has an address.")


def open_producer(
    settings: Mapping[str, str], *, only_failures: bool = False, on_statistics: Callable[[str], None] | None = None
) -> Producer:
    """A producer; `ToolError` in librdkafka's words when it does not accept a setting. With `only_failures` no delivery is told of."""
    check_producer(settings)
    wanted = _wanted(settings, on_statistics)
    if only_failures:
        wanted["delivery.report.only.error"] = True
    wanted.setdefault("partitioner", "murmur2_random")
    wanted.setdefault("acks", "all")
    timeouts = [DELIVERY_TIMEOUT_MS]
    if "transactional.id" in wanted:  # librdkafka does not let a record outlive its transaction
        timeouts.append(int(wanted.get("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)))
    wanted.setdefault("delivery.timeout.ms", str(min(timeouts)))
    wanted.setdefault("queue.buffering.max.messages", str(QUEUED_RECORDS))
    if "transactional.id" not in wanted:
        wanted["enable.idempotence"] = may_be_idempotent(settings)
    return _open(Producer, wanted)


def open_consumer(settings: Mapping[str, str], *, on_statistics: Callable[[str], None] | None = None) -> Consumer:
    """A consumer that remembers for a commit only what `store_offsets` is told; `ToolError` as in `open_producer`."""
    check_values(settings)
    wanted = _wanted(settings, on_statistics)
    wanted.setdefault("isolation.level", "read_uncommitted")
    wanted.setdefault("allow.auto.create.topics", "true")
    wanted.setdefault("enable.auto.offset.store", "false")
    if wanted.get("auto.offset.reset") == "none":
        wanted["auto.offset.reset"] = "error"
    return _open(Consumer, wanted)


def refusal(settings: Mapping[str, str], topic: str | None = None) -> str | None:
    """Why a consumer with these settings would wait for ever, as Java prints the exception; None when it would not, as far as is known.

    librdkafka goes on asking where Java gives up: for a topic that cannot exist, and for a group protocol that the brokers do not know.
    """
    if topic is not None and (not _LEGAL_TOPIC.fullmatch(topic) or topic in (".", "..")):
        return f"{PACKAGE}InvalidTopicException: Invalid topics: [{topic}]"
    if settings.get("group.protocol", "classic").lower() == "consumer" and not _serves(settings, _CONSUMER_GROUP_HEARTBEAT_KEY):
        return (
            f"{PACKAGE}UnsupportedVersionException: The cluster does not support the new CONSUMER group protocol. Set"
            " group.protocol=classic on the consumer configs to revert to the CLASSIC protocol until the cluster is upgraded."
        )
    return None


def end_on_sigterm() -> None:
    """Lets SIGTERM end the tool as an exception does, so that what was begun is finished; the exit code is that of a JVM."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)


def log(level: str, text: str, logger: str, error: str = "") -> None:
    """Prints a line to stderr as Apache's tools log it; `error` goes on a line of its own, as an exception's."""
    now = datetime.now().astimezone()
    print(f"[{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}] {level} {text} ({logger})", file=sys.stderr)
    if error:
        print(error, file=sys.stderr)


def java_error(error: KafkaError) -> str:
    """An error of librdkafka as Java prints the exception: its class and its message."""
    code = error.code()
    if code >= 0:
        return f"{exception_name(code)}: {default_message(code)}"
    name, message = _JAVA_NAMES.get(code, ("org.apache.kafka.common.KafkaException", error.str()))
    return f"{name}: {message}"


def unreachable_warning(client_id: str) -> Callable[[KafkaError], None]:
    """What to do with the errors of a client: each broker that cannot be reached is told of once."""
    told: set[str] = set()

    def on_error(error: KafkaError) -> None:
        unreachable = error.code() in _UNREACHABLE
        text = f"A broker cannot be reached: {_reason(error.str())}" if unreachable else error.str()
        if error.code() != KafkaError._ALL_BROKERS_DOWN and text not in told:
            told.add(text)
            log("WARN", f"[{client_id}] {text}", _NETWORK_CLIENT)

    return on_error


def _wanted(settings: Mapping[str, str], on_statistics: Callable[[str], None] | None) -> dict[str, Any]:
    wanted: dict[str, Any] = dict(librdkafka_settings(settings))
    for key in ("socket.send.buffer.bytes", "socket.receive.buffer.bytes"):
        if wanted.get(key) == "-1":
            wanted[key] = "0"  # both mean that the system decides
    if on_statistics is not None:
        wanted |= {"stats_cb": on_statistics, "statistics.interval.ms": STATISTICS_MS}
    return wanted


def _open(cls: Callable[[dict[str, Any]], C], settings: Mapping[str, Any]) -> C:
    # What librdkafka would print in its own manner is told by the callback.
    wanted: dict[str, Any] = {**settings, "logger": _SILENT, "error_cb": unreachable_warning(settings.get("client.id", "rdkafka"))}
    try:
        return cls(wanted)
    except KafkaException as error:
        raise ToolError(f"{error.args[0].str()}.") from None


def _serves(settings: Mapping[str, str], api_key: int) -> bool:
    """Whether the brokers serve an API; true when they cannot be asked."""
    from raftkafka.base.errors import PeerError
    from raftkafka.client.connection import RequestFailed
    from raftkafka.tools.admin import run_admin

    async def ask(cluster: ClusterClient) -> bool:
        return api_key in cluster.versions()

    try:
        return run_admin(settings["bootstrap.servers"], {**settings, "default.api.timeout.ms": str(ASK_TIMEOUT_MS)}, ask)
    except (RequestFailed, PeerError, ToolError):
        return True


def _resolves(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def _reason(text: str) -> str:
    """librdkafka's text without the name of its thread and what it says of its state."""
    return text.partition(": ")[2].partition(" (after ")[0] or text
