"""What nodes say of themselves (`Observed`), for people: what it is about, where it happened, a sentence with epochs and offsets."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import attrs

from raftkafka.base.observed import Observed
from raftkafka.simulation.replica_states import QUORUM


class What(enum.Enum):
    """What something is about: the column by which the eye finds it."""

    FAULT = "fault"
    MACHINE = "machine"
    ELECTION = "election"
    LEADER = "leader"
    ISR = "isr"
    HIGH_WATERMARK = "hw"
    LOG = "log"
    BROKER = "broker"
    TOPIC = "topic"
    GROUP = "group"
    CLIENT = "client"
    RAFT = "raft"
    CONTROL = "control"
    MESSAGE = "message"
    VIOLATION = "VIOLATION"
    NODE = "node"


@attrs.frozen
class Said:
    """`where` is a partition, the quorum, or empty."""

    what: What
    where: str
    text: str


Fields = Mapping[str, Any]

_QUORUM_PHRASES: Mapping[str, str] = {
    "started": "starts with epoch {epoch}, log {start_offset}..{end_offset}",
    "prospective": "asks whether it would be elected, in epoch {epoch}",
    "candidate": "asks for votes to lead epoch {epoch}",
    "pre-vote-granted": "would vote for n{to} in epoch {epoch}",
    "vote-granted": "votes for n{to} in epoch {epoch}",
    "vote-refused": "refuses n{to} its vote in epoch {epoch}",
    "became-leader": "LEADS the quorum in epoch {epoch} from offset {start_offset}",
    "following": "follows n{leader} in epoch {epoch}",
    "metadata-leader": "n{leader} leads the quorum in epoch {epoch}",
    "resigned": "resigns in epoch {epoch}: {reason}",
    "epoch-raised": "epoch {was} → {epoch}: {reason}",
    "leader-timed-out": "hears nothing of its leader n{leader} in epoch {epoch}",
    "leader-gone": "its leader n{leader} of epoch {epoch} is gone",
    "round-undecided": "is not elected in epoch {epoch}: no majority in time",
    "round-lost": "is not elected in epoch {epoch}: the {round} is lost",
    "stepped-back": "steps back for n{for_node} in epoch {epoch}",
    "told-to-lead": "is told by n{by} to lead after epoch {epoch}",
    "transferring-leadership": "hands epoch {epoch} over to n{target}",
    "voters": "knows the voters {voters}",
    "observer-joined": "n{node} observes, its log ends at {end_offset}",
    "observer-forgotten": "n{node} observes no longer",
    "another-directory": "n{node} answers with another directory than the voter's: it does not count",
}
_QUORUM_LOG_PHRASES: Mapping[str, str] = {
    "log-truncated": "cuts its log from {was} to {end_offset}, last epoch {last_epoch}",
    "snapshot-saved": "saves a snapshot up to {end_offset}, epoch {epoch}",
    "snapshot-sending": "sends n{to} a snapshot up to {end_offset}",
    "snapshot-installed": "installs a snapshot up to {end_offset}, epoch {epoch}",
    "moved-back": "sends n{replica} entries from {to} on again",
}
_BROKER_PHRASES: Mapping[str, str] = {
    "registered": "is registered with broker epoch {broker_epoch}",
    "unfenced": "is unfenced, broker epoch {broker_epoch}",
    "fenced": "is FENCED, broker epoch {broker_epoch}",
    "broker-registered": "controller registers n{node}, clean restart {clean_restart}",
    "broker-unfenced": "controller unfences n{node}",
    "broker-fenced": "controller FENCES n{node}: {why}",
    "broker-shutting-down": "controller lets n{node} shut down",
    "broker-unregistered": "controller unregisters n{node}",
    "controller-active": "is the active controller in epoch {epoch}, metadata offset {offset}",
    "controller-resigned": "is the active controller no more, epoch {epoch}",
    "registration-refused": "is refused its registration: {error} {message}",
    "heartbeat-refused": "is refused its heartbeat: {error}",
    "controlled-shutdown-began": "begins its shutdown, broker epoch {broker_epoch}",
    "cluster-bootstrapped": "controller bootstraps the cluster",
}
_LEADER_PHRASES: Mapping[str, str] = {
    "became-leader": "LEADS in epoch {leader_epoch} from offset {start_offset}, hw {high_watermark}, isr {isr}",
    "became-follower": "follows n{leader} in epoch {leader_epoch}, log ends at {log_end_offset}",
    "leader-elected": "controller elects n{leader}",
    "leader-moved": "controller moves leadership n{source} → n{target}, epoch {leader_epoch}: {why}",
    "balance-stuck": "controller cannot spread the load: {why}",
    "partition-offline": "has no leader",
    "replica-removed": "removes its replica",
}
_ISR_PHRASES: Mapping[str, str] = {
    "isr-proposed": "proposes isr {isr} → {proposed}, epoch {leader_epoch}",
    "isr-changed": "isr is now {isr}",
    "isr-refused": "is refused isr {proposed}: {error}",
    "isr-shrunk": "controller shrinks isr {old_isr} → {isr}, elr {elr}",
    "isr-expanded": "controller expands isr {old_isr} → {isr}, elr {elr}",
}
_TOPIC_PHRASES: Mapping[str, str] = {
    "topic-created": "controller creates {topic}: {partitions} partitions, {replication_factor} replicas",
    "topic-deleted": "controller deletes {topic}",
    "partitions-created": "controller gives {topic} {count} partitions",
    "reassignment-started": "controller moves replicas {old_replicas} → {replicas}: adds {adding}, will remove {removing}",
    "reassignment-completed": "controller has moved the replicas: {replicas}",
    "replica-moving": "controller moves a replica n{source} → n{target} at {rate} bytes a second: {why}",
    "replica-move-hastened": "controller lets its copy to n{target} go at {rate} bytes a second, was {was}",
    "replica-move-ended": "controller has ended its move of a replica to n{target}",
    "replica-move-cancelled": "controller cancels its move of a replica: {why}",
    "replicas-changed": "controller changes replicas {old_replicas} → {replicas}",
    "config-changed": "controller changes {name} of {resource}",
}
_LOG_KINDS = ("log-", "stray-log", "torn-tail", "fetched-records", "files-", "checkpoint-", "directory-")
_GROUP_KINDS = ("group-", "coordinator-")

_TABLES: tuple[tuple[What, Mapping[str, str]], ...] = (
    (What.LEADER, _LEADER_PHRASES),
    (What.ISR, _ISR_PHRASES),
    (What.TOPIC, _TOPIC_PHRASES),
    (What.BROKER, _BROKER_PHRASES),
)

REPEATED = ("metadata-leader",)
"""What only repeats what another line has said."""


def phrase(observed: Observed) -> Said | None:
    """What a person is told of it; None when another line says it already."""
    kind, fields = observed.kind, observed.fields
    if kind in REPEATED:
        return None
    where = str(fields["partition"]) if "partition" in fields else ""
    if "partition" not in fields and kind in _QUORUM_PHRASES:
        return Said(What.ELECTION, QUORUM, _fill(_QUORUM_PHRASES[kind], fields))
    if not where and kind in _QUORUM_LOG_PHRASES:
        return Said(What.LOG, QUORUM, _fill(_QUORUM_LOG_PHRASES[kind], fields))
    for what, phrases in _TABLES:
        if kind in phrases:
            return Said(what, where, _fill(phrases[kind], fields))
    if kind.startswith(_GROUP_KINDS):
        return _group(kind, fields, where)
    rest = " ".join(f"{name} {_value(value)}" for name, value in fields.items() if name != "partition")
    return Said(What.LOG if kind.startswith(_LOG_KINDS) else What.NODE, where, f"{kind.replace('-', ' ')}: {rest}")


def _group(kind: str, fields: Fields, where: str) -> Said:
    """Coordinators name a partition of the offsets topic by its number."""
    rest = " ".join(f"{name} {_value(value)}" for name, value in fields.items() if name not in ("partition", "group"))
    name = f"{fields['group']} " if "group" in fields else ""
    return Said(What.GROUP, f"__consumer_offsets-{where}" if where.isdigit() else where, f"{name}{kind.replace('-', ' ')}: {rest}")


def _fill(text: str, fields: Fields) -> str:
    """The text with the fields put in; a field that is not there is shown as a question mark."""
    return text.format_map(defaultdict(lambda: "?", {name: _value(value) for name, value in fields.items()}))


def _value(value: Any) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)
