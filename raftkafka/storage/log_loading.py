"""What the log directories hold at a start: logs, copies that were under way to another directory, and the rest of deleted ones.

Invariants
- Of one partition there is one log. A crash while a log was replaced by its copy in another directory (`log_moves`) leaves both. Each says
  how often the partition had moved when it was made (`GENERATION_FILE`): the later one has everything that the other one has.
- A copy that had not replaced its log yet is worth nothing: it goes, and the move begins anew.

Sources: reference/disk-format.md (names and suffixes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from raftkafka.base.disk import Disk
from raftkafka.base.errors import CorruptRecord
from raftkafka.base.ids import TopicId, TopicPartition
from raftkafka.base.observed import Observed, observed
from raftkafka.storage.checkpoints import PARTITION_METADATA_FILE, decode_partition_metadata
from raftkafka.storage.log_directory import LogDirectory
from raftkafka.storage.log_removal import DELETE_SUFFIX

FUTURE_SUFFIX = "-future"
GENERATION_FILE = "move-generation"
"""In the directory of a log that was moved: a number, which every move makes greater."""


@attrs.frozen(kw_only=True)
class FoundLog:
    """The directory of a log."""

    directory: LogDirectory
    name: str
    place: TopicPartition
    topic_id: TopicId
    generation: int = 0

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


def replaced_logs(logs: Iterable[FoundLog]) -> list[FoundLog]:
    """Those of which there is a later one in another directory."""
    by_place: dict[TopicPartition, list[FoundLog]] = {}
    for log in logs:
        by_place.setdefault(log.place, []).append(log)
    replaced = []
    for same in by_place.values():
        kept = max(same, key=lambda log: log.generation)
        replaced += [log for log in same if log is not kept]
    return replaced


def read_generation(disk: Disk, directory: str) -> int:
    """How often the log in this directory has moved, as far as it says."""
    path = f"{directory}/{GENERATION_FILE}"
    text = disk.read_file(path) if disk.exists(path) else b""
    return int(text) if text.isdigit() else 0


def write_generation(disk: Disk, directory: str, generation: int) -> str:
    """Makes the log in this directory the later one of two; returns the path that is to be made stable."""
    path = f"{directory}/{GENERATION_FILE}"
    disk.replace_file(path, str(generation).encode())
    return path
