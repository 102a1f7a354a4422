"""Which log lies in which directory, and where new ones go.

Invariants
- A new log goes where it was assigned or asked for, else to the directory with the fewest logs; never into one that has failed, and into a
  cordoned one only when all are (the controller places nothing on such a broker by itself).
- A log that is not new is made again only when every directory works: one that has failed may hold it.
- `news` names the partitions whose directory may not be what the metadata says. A broker with one directory has no such news.

Sources: KIP-858 (assignments), KIP-113 (a replica is created in the directory that was asked for), KIP-1066 (cordoned directories).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import LOST_DIRECTORY_ID, NO_DIRECTORY_ID, DirectoryId, PartitionKey, TopicPartition
from raftkafka.storage.log_directory import LogDirectory

ALL_CORDONED = "*"


class LogPlacement:
    """The directories of a node and what lies in them."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.directories = [LogDirectory(path) for path in paths]
        self.news: dict[PartitionKey, None] = {}
        self._of: dict[PartitionKey, LogDirectory] = {}
        self._lost: dict[PartitionKey, None] = {}
        self._made_anew: dict[PartitionKey, None] = {}
        self._wanted: dict[TopicPartition, LogDirectory] = {}
        self._cordoned: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether there is more than one directory."""
        return len(self.directories) > 1

    def online(self) -> Iterator[LogDirectory]:
        """Those that work."""
        return (directory for directory in self.directories if directory.offline_reason is None)

    def online_ids(self) -> tuple[DirectoryId, ...]:
        """The ids of those that work; none when they do not say who they are."""
        return tuple(directory.directory_id for directory in self.online() if directory.directory_id != NO_DIRECTORY_ID)

    def named(self, path: str) -> LogDirectory | None:
        """The directory with this path."""
        return next((directory for directory in self.directories if directory.path == path), None)

    def containing(self, path: str) -> LogDirectory | None:
        """The directory in which this path lies."""
        return next((directory for directory in self.directories if path.startswith(f"{directory.path}/")), None)

    def of(self, key: PartitionKey) -> LogDirectory:
        """Where a log is."""
        return self._of[key]

    def get(self, key: PartitionKey) -> LogDirectory | None:
        """Where a log is; None when there is none."""
        return self._of.get(key)

    def keys_in(self, directory: LogDirectory) -> list[PartitionKey]:
        """What lies in a directory."""
        return [key for key, each in self._of.items() if each is directory]

    def put(self, key: PartitionKey, directory: LogDirectory) -> None:
        """The log is there now."""
        self.remove(key)
        self._of[key] = directory
        directory.log_count += 1
        self._changed(key)

    def remove(self, key: PartitionKey) -> None:
        """There is no such log any more."""
        self._lost.pop(key, None)
        directory = self._of.pop(key, None)
        if directory is not None:
            directory.log_count -= 1

    def lost(self, key: PartitionKey) -> None:
        """No directory that works has the log, which should be there."""
        self._lost[key] = None
        self._changed(key)

    def created_anew(self, key: PartitionKey) -> None:
        """A log that should have been there was not, and is empty now."""
        self._made_anew[key] = None

    def is_made_anew(self, key: PartitionKey) -> bool:
        """Whether the controller must still be told that this log is empty, and was not."""
        return key in self._made_anew

    def is_known(self, key: PartitionKey) -> None:
        """The controller has been told of this log."""
        self._made_anew.pop(key, None)

    def failed(self, directory: LogDirectory, reason: str) -> list[PartitionKey]:
        """A directory cannot be used any more; returns what lies there."""
        directory.offline_reason = reason
        keys = self.keys_in(directory)
        for key in keys:
            self._changed(key)
        return keys

    def assignment(self, key: PartitionKey) -> DirectoryId:
        """The directory of a log as the metadata should have it; `NO_DIRECTORY_ID` when there is none, and no choice."""
        if key in self._lost:
            return LOST_DIRECTORY_ID
        directory = self._of.get(key)
        return NO_DIRECTORY_ID if directory is None else directory.directory_id

    def want(self, place: TopicPartition, directory: LogDirectory) -> None:
        """A log that is not there yet is to be created in this directory."""
        self._wanted[place] = directory

    def cordon(self, paths: Sequence[str]) -> None:
        """These directories take no new logs; `*` stands for all."""
        self._cordoned = tuple(paths)

    def is_cordoned(self, directory: LogDirectory) -> bool:
        """Whether it takes no new logs."""
        return ALL_CORDONED in self._cordoned or directory.path in self._cordoned

    def choose(self, place: TopicPartition, assigned: DirectoryId, *, is_new: bool) -> LogDirectory:
        """Where a log is to be created; refuses (KAFKA_STORAGE_ERROR) when nowhere, or when it may lie in a directory that has failed."""
        working = list(self.online())
        if not working or (len(working) < len(self.directories) and not is_new):
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, f"{place} may lie in a log directory that has failed")
        wanted = self._wanted.pop(place, None)
        if wanted is not None and wanted.offline_reason is None:
            return wanted
        if assigned != NO_DIRECTORY_ID:
            for directory in working:
                if directory.directory_id == assigned:
                    return directory
        free = [directory for directory in working if not self.is_cordoned(directory)]
        return min(free or working, key=lambda candidate: candidate.log_count)

    def _changed(self, key: PartitionKey) -> None:
        if self.several:
            self.news[key] = None
