"""What Java's clients refuse of their settings before they do anything, in their words: values of a wrong type, and some that do not agree.

librdkafka would refuse other things, in other words, and some not at all.

Sources: ProducerConfig and ConsumerConfig of Apache Kafka 4.3.1, by what its console tools answer; KIP-679 (idempotence by default).
"""

from __future__ import annotations

from collections.abc import Mapping

from raftkafka.tools.errors import ToolError

CONFIG_EXCEPTION = "org.apache.kafka.common.config.ConfigException"
MOST_IN_FLIGHT = 5
DEFAULT_LINGER_MS = 5
DEFAULT_REQUEST_TIMEOUT_MS = 30_000

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "acks": ("all", "-1", "0", "1"),
    "compression.type": ("none", "gzip", "snappy", "lz4", "zstd"),
    "isolation.level": ("read_committed", "read_uncommitted"),
}
_TYPES: Mapping[str, str] = {
    **dict.fromkeys(
        """
        auto.commit.interval.ms batch.size delivery.timeout.ms fetch.max.bytes fetch.max.wait.ms fetch.min.bytes heartbeat.interval.ms
        max.in.flight.requests.per.connection max.partition.fetch.bytes max.poll.interval.ms max.poll.records max.request.size
        receive.buffer.bytes request.timeout.ms retries send.buffer.bytes session.timeout.ms transaction.timeout.ms
        """.split(),  # noqa: SIM905
        "INT",
    ),
    **dict.fromkeys("buffer.memory connections.max.idle.ms linger.ms max.block.ms metadata.max.age.ms retry.backoff.ms".split(), "LONG"),  # noqa: SIM905
}
_BITS = {"INT": 32, "LONG": 64}


def check_values(settings: Mapping[str, str]) -> None:
    """`ToolError` for a value of the wrong type, or that is none of a few."""
    for key, value in settings.items():
        kind = _TYPES.get(key)
        if kind is not None and not _fits(value, _BITS[kind]):
            raise refusal(f"Invalid value {value} for configuration {key}: Not a number of type {kind}")
        choices = _CHOICES.get(key)
        if choices is not None and value not in choices:
            raise refusal(f"Invalid value {value} for configuration {key}: String must be one of: {', '.join(choices)}")


def check_producer(settings: Mapping[str, str]) -> None:
    """`ToolError` for settings of a producer that do not agree."""
    check_values(settings)
    asked_for = settings.get("enable.idempotence", "").lower() == "true"
    if asked_for and settings.get("retries") == "0":
        raise refusal("Must set retries to non-zero when using the idempotent producer.")
    if asked_for and settings.get("acks", "all") not in ("all", "-1"):
        raise refusal("Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.")
    in_flight = int(settings.get("max.in.flight.requests.per.connection", MOST_IN_FLIGHT))
    if in_flight > MOST_IN_FLIGHT and may_be_idempotent(settings):
        raise refusal(
            f"To use the idempotent producer, max.in.flight.requests.per.connection must be set to at most 5. Current value is {in_flight}."
        )
    waiting_ms = int(settings.get("linger.ms", DEFAULT_LINGER_MS)) + int(settings.get("request.timeout.ms", DEFAULT_REQUEST_TIMEOUT_MS))
    if int(settings.get("delivery.timeout.ms", waiting_ms)) < waiting_ms:
        raise refusal("delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms")


def may_be_idempotent(settings: Mapping[str, str]) -> bool:
    """Whether a producer numbers its records: unless it is told not to, or does not wait for all replicas, or never sends again."""
    if settings.get("enable.idempotence", "true").lower() != "true":
        return False
    return settings.get("acks", "all") in ("all", "-1") and settings.get("retries") != "0"


def refusal(text: str) -> ToolError:
    """The error that says this."""
    return ToolError(f"{CONFIG_EXCEPTION}: {text}")


def _fits(text: str, bits: int) -> bool:
    try:
        return -(1 << (bits - 1)) <= int(text.strip()) < 1 << (bits - 1)
    except ValueError:
        return False
