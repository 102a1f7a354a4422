"""Kafka's broker keys that have no effect here, each with the reason: what one reads at start, once, about keys that were set.

Invariant: every key of Apache Kafka 4.3.1 either acts (`broker.config.ACTING_KEYS`) or has a reason here, never both (a test holds it).

Sources: Apache Kafka 4.3.1's keys (`metadata.config_table`); ARCHITECTURE.md for what is different here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

_NO_THREADS = "one event loop does all work"
_NO_TLS = "only PLAINTEXT listeners are served"
_NO_JAVA = "it names a Java class"
_NO_TIERS = "there is no tiered storage"
_NO_TRANSACTIONS = "transactions are not served yet"
_NO_NEW_GROUPS = "only classic consumer groups are served"
_NO_SHARE_GROUPS = "share groups are not served"
_NO_METRICS = "there are no metric reporters"
_NO_PURGATORY = "what has been answered leaves nothing to purge"
_PUSHES = "the leader of the metadata quorum pushes entries, nobody polls for them"
_CUT_AT_SNAPSHOTS = "the metadata log is cut at every snapshot"

_REASONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        _NO_THREADS,
        (
            "background.threads",
            "group.coordinator.background.threads",
            "group.coordinator.threads",
            "log.cleaner.threads",
            "num.io.threads",
            "num.network.threads",
            "num.recovery.threads.per.data.dir",
            "num.replica.alter.log.dirs.threads",
            "num.replica.fetchers",
            "queued.max.requests",
        ),
    ),
    (
        _NO_TLS,
        (
            "sasl.*",
            "ssl.*",
            "connection.failed.authentication.delay.ms",
            "connections.max.reauth.ms",
            "delegation.token.*",
            "early.start.listeners",
            "principal.builder.class",
            "security.providers",
        ),
    ),
    (_NO_JAVA, ("alter.config.policy.class.name", "authorizer.class.name", "client.quota.callback.class", "config.providers")),
    (_NO_JAVA, ("create.topic.policy.class.name",)),
    (_NO_TIERS, ("remote.*", "log.local.retention.bytes", "log.local.retention.ms", "follower.fetch.last.tiered.offset.enable")),
    (_NO_TRANSACTIONS, ("transaction.*", "transactional.*", "add.partitions.to.txn.*")),
    (_NO_NEW_GROUPS, ("group.consumer.*", "group.streams.*", "group.coordinator.rebalance.protocols")),
    (_NO_SHARE_GROUPS, ("group.share.*", "share.*", "unstable.api.versions.enable")),
    (_NO_METRICS, ("metric.reporters", "metrics.*", "kafka.metrics.*", "telemetry.*")),
    (_NO_PURGATORY, ("*.purgatory.purge.interval.requests",)),
    (
        _PUSHES,
        (
            "controller.quorum.fetch.max.bytes",
            "controller.quorum.fetch.snapshot.max.bytes",
            "controller.quorum.election.backoff.max.ms",
            "metadata.max.idle.interval.ms",
        ),
    ),
    ("entries that are proposed while the disk is busy are written together", ("controller.quorum.append.linger.ms",)),
    (
        _CUT_AT_SNAPSHOTS,
        (
            "metadata.log.segment.bytes",
            "metadata.log.segment.ms",
            "metadata.max.retention.bytes",
            "metadata.max.retention.ms",
            "internal.metadata.*",
        ),
    ),
    (
        "connections between nodes have limits of their own",
        ("controller.socket.timeout.ms", "replica.socket.receive.buffer.bytes", "socket.connection.setup.timeout.*"),
    ),
    (
        "throttles of replication keep their rates over windows of a fixed length",
        ("replication.quota.window.*", "alter.log.dirs.replication.quota.window.*"),
    ),
    ("files grow as they are written", ("log.preallocate",)),
    ("the cleaner works in slices of a fixed size", ("log.cleaner.io.buffer.*",)),
    ("an unclean election that is allowed happens at once", ("unclean.leader.election.interval.ms",)),
    ("features have the levels of this release", ("unstable.feature.versions.enable",)),
    ("the coordinator writes and loads its partition as it comes", ("group.coordinator.append.linger.ms", "offsets.load.buffer.size")),
    ("the coordinator writes and loads its partition as it comes", ("group.coordinator.cached.buffer.max.bytes",)),
    ("offsets are written uncompressed", ("offsets.topic.compression.codec",)),
    ("it is internal to Apache Kafka", ("controller.performance.*", "log.initial.task.delay.ms", "server.max.startup.time.ms")),
    ("producers are forgotten when retention is looked at", ("producer.id.expiration.check.interval.ms",)),
)


def reason_without_effect(key: str) -> str | None:
    """Why a key of Kafka's changes nothing here; None when nothing is known of it."""
    for reason, patterns in _REASONS:
        if any(_matches(pattern, key) for pattern in patterns):
            return reason
    return None


def no_effect_notices(keys: Iterable[str], *, acting: Collection[str]) -> list[str]:
    """One sentence for each reason, naming the keys which were set and change nothing here."""
    grouped: dict[str, list[str]] = {}
    for key in sorted(keys):
        if key not in acting:
            grouped.setdefault(reason_without_effect(key) or "nothing here reads it", []).append(key)
    return [f"accepted, but without effect here, since {reason}: {', '.join(names)}" for reason, names in grouped.items()]


def _matches(pattern: str, key: str) -> bool:
    if pattern.endswith("*"):
        return key.startswith(pattern[:-1])
    if pattern.startswith("*"):
        return key.endswith(pattern[1:])
    return key == pattern
