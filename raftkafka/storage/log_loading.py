"""What the log directories hold at a start: logs, copies that were under way to another directory, and the rest of deleted ones.

Invariants
- Of one partition there is one log. A crash while a log was replaced by its copy in another directory (`log_moves`) leaves both. So does a
  directory that comes back after the replica was removed, and added again, without it. Each log says when it was made (`Generation`):
  the later one is the log.
- A copy that had not replaced its log yet is worth nothing: it goes, and the move begins anew.

Sources: reference/disk-format.md (names and suffixes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import attrs

from raftkafka.base.disk import Disk
from raftkafka.base.errors import CorruptRecord
from raftkafka.base.ids import PartitionKey, TopicId, TopicPartition
from raftkafka.base.observed import Observed, observed
from raftkafka.base.rules import Rules
from raftkafka.storage.checkpoints import PARTITION_METADATA_FILE, decode_partition_metadata
from raftkafka.storage.config import LogConfig
from raftkafka.storage.log_directory import LogDirectory
from raftkafka.storage.log_removal import DELETE_SUFFIX
from raftkafka.storage.partition_log import PartitionLog
from raftkafka.storage.recovery import open_log

FUTURE_SUFFIX = "-future"
GENERATION_FILE = "generation"
"""In the directory of a log, where a node has several directories: its `Generation`, as two numbers."""


class Generation(NamedTuple):
    """When a log was made: the epoch of the broker that created it, and how often it has moved since.

    The later of two is greater: a log in a directory that has failed does not move, and another one is created in a later process.
    """

    broker_epoch: int = -1
    moves: int = 0


@attrs.frozen(kw_only=True)
class FoundLog:
    """The directory of a log."""

    directory: LogDirectory
    name: str
    place: TopicPartition
    topic_id: TopicId
    generation: Generation = attrs.field(factory=Generation)

    @property
    def path(self) -> str:
        return self.directory.file(self.name)


@attrs.define
class Found:
    """What there is."""

    logs: list[FoundLog] = attrs.field(factory=list)
    copies: list[FoundLog] = attrs.field(factory=list)
    """Of moves that were under way."""


def find_logs(disk: Disk, directory: LogDirectory, observe: Callable[[Observed], None]) -> Found:
    """Looks through one log directory; what was being deleted goes. `DiskError` when it cannot be read."""
    found = Found()
    for name in disk.list_dir(directory.path):
        path = directory.file(name)
        if name.endswith(DELETE_SUFFIX):
            disk.delete(path)
            continue
        is_copy = name.endswith(FUTURE_SUFFIX)
        topic, dash, number = (name.rpartition(".")[0] if is_copy else name).rpartition("-")
        if not dash or not number.isdigit() or not disk.exists(f"{path}/{PARTITION_METADATA_FILE}"):
            continue
        try:
            topic_id = decode_partition_metadata(disk.read_file(f"{path}/{PARTITION_METADATA_FILE}"))
        except CorruptRecord as error:
            observe(observed("log-ignored", directory=path, reason=str(error)))
            continue
        place, generation = TopicPartition(topic, int(number)), read_generation(disk, path)
        log = FoundLog(directory=directory, name=name, place=place, topic_id=topic_id, generation=generation)
        (found.copies if is_copy else found.logs).append(log)
    return found


def open_found(
    disk: Disk, found: FoundLog, *, config: LogConfig, observe: Callable[[Observed], None], disabled_rules: Rules
) -> PartitionLog:
    """Opens a log with what the checkpoints of its directory say of it, recovering it unless the last process stopped cleanly there."""
    directory, place = found.directory, found.place
    log = open_log(
        disk,
        found.path,
        topic=place.topic,
        partition=place.partition,
        topic_id=found.topic_id,
        config=config,
        log_start_offset=directory.log_start_offsets.get(place, 0),
        recovery_point=directory.recovery_points.get(place, 0),
        clean=directory.clean,
        observe=observe,
        disabled_rules=disabled_rules,
    )
    clean_end_offset = directory.clean_end_offsets.get(place, 0)
    log.clean_end_offset = clean_end_offset if clean_end_offset <= log.log_end_offset else 0
    return log


def replaced_logs(logs: Iterable[FoundLog]) -> list[FoundLog]:
    """Those of which there is a later one in another directory."""
    by_key: dict[PartitionKey, list[FoundLog]] = {}
    for log in logs:
        by_key.setdefault(PartitionKey(log.topic_id, log.place.partition), []).append(log)
    replaced = []
    for same in by_key.values():
        kept = max(same, key=lambda log: log.generation)
        replaced += [log for log in same if log is not kept]
    return replaced


def read_generation(disk: Disk, directory: str) -> Generation:
    """When the log in this directory was made; before all others when it does not say."""
    path = f"{directory}/{GENERATION_FILE}"
    try:
        broker_epoch, moves = disk.read_file(path).split() if disk.exists(path) else (b"-1", b"0")
        return Generation(int(broker_epoch), int(moves))
    except ValueError:
        return Generation()


def write_generation(disk: Disk, directory: str, generation: Generation) -> str:
    """Notes when the log in this directory was made; returns the path that is to be made stable."""
    path = f"{directory}/{GENERATION_FILE}"
    disk.replace_file(path, b"%d %d" % generation)
    return path
