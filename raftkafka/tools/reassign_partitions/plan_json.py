"""The JSON of kafka-reassign-partitions: which replicas partitions shall have, and which topics are to be moved.

`{"version":1,"partitions":[{"topic":"foo","partition":0,"replicas":[1,2],"log_dirs":["any","/data"]}]}`
`{"version":1,"topics":[{"topic":"foo"}]}`
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import attrs

from raftkafka.base.ids import TopicPartition
from raftkafka.tools.java_order import in_hash_map_order, integer_hash, partition_hash, string_hash
from raftkafka.tools.reassign_partitions.failure import Failed

ANY_LOG_DIR = "any"
_VERSION = 1


class Replica(NamedTuple):
    """A replica; sorted as Apache's tool sorts them, by broker first."""

    broker_id: int
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.broker_id}"


@attrs.frozen(kw_only=True)
class Plan:
    """What a file asks for: the replicas of each partition as often as it is named, and the log directory of some replicas."""

    partitions: tuple[tuple[TopicPartition, tuple[int, ...]], ...]
    log_dirs: Mapping[Replica, str]


def read_json_file(path: str) -> str:
    """The text of a file."""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        raise Failed(f"Unable to read file {path}") from None


def parse_plan(text: str) -> Plan:
    """The plan of a text; partitions may be named twice, which only --execute minds."""
    document = _document(text, "The reassignment is not valid JSON")
    partitions = []
    log_dirs: dict[Replica, str] = {}
    for entry in _entries(document, "partitions"):
        partition = TopicPartition(_field(entry, "topic", str), _field(entry, "partition", int))
        replicas = _list_of(entry, "replicas", int)
        directories = _list_of(entry, "log_dirs", str) if "log_dirs" in entry else [ANY_LOG_DIR] * len(replicas)
        if len(directories) != len(replicas):
            raise Failed(
                f"Size of replicas list {_listed(replicas)} is different from size of log dirs list {_listed(directories)} "
                f"for partition {partition}"
            )
        partitions.append((partition, tuple(replicas)))
        for broker_id, directory in zip(replicas, directories, strict=True):
            if directory != ANY_LOG_DIR:
                log_dirs[Replica(broker_id, *partition)] = directory
    return Plan(partitions=tuple(partitions), log_dirs=log_dirs)


def check_executable(plan: Plan) -> dict[TopicPartition, tuple[int, ...]]:
    """The replicas of each partition; `Failed` when a partition has none, or something is named twice."""
    if not plan.partitions:
        raise Failed("Partition reassignment list cannot be empty")
    if any(not replicas for _, replicas in plan.partitions):
        raise Failed("Partition replica list cannot be empty")
    repeated = _repeated([partition for partition, _ in plan.partitions])
    if repeated:
        named = ",".join(map(str, in_hash_map_order(repeated, partition_hash)))
        raise Failed(f"Partition reassignment contains duplicate topic partitions: {named}")
    twice = [
        f"{partition} contains multiple entries for {','.join(map(str, in_hash_map_order(_repeated(replicas), integer_hash)))}"
        for partition, replicas in plan.partitions
        if _repeated(replicas)
    ]
    if twice:
        raise Failed(f"Partition replica lists may not contain duplicate entries: {'. '.join(twice)}")
    return dict(plan.partitions)


def parse_topics(text: str) -> list[str]:
    """The topics of --topics-to-move-json-file."""
    document = _document(text, None)
    topics = [_field(entry, "topic", str) for entry in _entries(document, "topics")]
    repeated = _repeated(topics)
    if repeated:
        named = ", ".join(in_hash_map_order(repeated, string_hash))
        raise Failed(f"List of topics to reassign contains duplicate entries: [{named}]")
    return topics


def parse_brokers(text: str) -> list[int]:
    """The brokers of --broker-list."""
    brokers = []
    for part in text.split(","):
        try:
            brokers.append(int(part))
        except ValueError:
            raise Failed(f'For input string: "{part}"') from None
    repeated = _repeated(brokers)
    if repeated:
        raise Failed(f"Broker list contains duplicate entries: [{', '.join(map(str, in_hash_map_order(repeated, integer_hash)))}]")
    return brokers


def plan_as_json(replicas: Mapping[TopicPartition, Sequence[int]], log_dirs: Mapping[Replica, str]) -> str:
    """A plan as a file for --reassignment-json-file has it."""
    partitions = [
        {
            "topic": each.topic,
            "partition": each.partition,
            "replicas": list(replicas[each]),
            "log_dirs": [log_dirs.get(Replica(broker_id, *each), ANY_LOG_DIR) for broker_id in replicas[each]],
        }
        for each in sorted(replicas)
    ]
    return json.dumps({"version": _VERSION, "partitions": partitions}, separators=(",", ":"), ensure_ascii=False)


def _document(text: str, complaint: str | None) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Failed("The input string is not a valid JSON" if complaint is None else f"{complaint}: {error}") from None
    if not isinstance(document, dict):
        raise Failed(f"Expected JSON object, received {json.dumps(document)}")
    version = document.get("version", _VERSION)
    if version != _VERSION:
        raise Failed(f"Not supported version field value {version}")
    return document


def _entries(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = document.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Failed(f"`{name}` is not a list of objects")
    return entries


def _field(entry: dict[str, Any], name: str, kind: type) -> Any:
    if name not in entry:
        raise Failed(f"No such field exists: `{name}`")
    value = entry[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Failed(f"Expected `{'Integer' if kind is int else 'String'}` value, received {json.dumps(value)}")
    return value


def _list_of(entry: dict[str, Any], name: str, kind: type) -> list[Any]:
    if name not in entry:
        raise Failed(f"No such field exists: `{name}`")
    values = entry[name]
    if not isinstance(values, list):
        raise Failed(f"Expected JSON array, received {json.dumps(values)}")
    return [_field({name: value}, name, kind) for value in values]


def _repeated(values: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(value for index, value in enumerate(values) if value in values[:index]))


def _listed(values: Sequence[object]) -> str:
    return f"[{', '.join(map(str, values))}]"
