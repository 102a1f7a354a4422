"""Taking the directories of logs out of the way: those that are deleted, later for good, and those that belong to nobody. The files of
segments that retention has taken out are deleted here too.

Invariants
- A directory that is to be deleted has lost its name at once: a new log of that name never meets its files.
- At most `DELETIONS_PER_TICK` directories or files go at a time: a topic of a thousand partitions must not hold the node up until
  others take it for dead.
- What is left over by a crash is deleted at the next start (by its suffix).

Sources: `file.delete.delay.ms`; reference/disk-format.md (the suffixes).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable

from raftkafka.base.disk import Disk
from raftkafka.base.errors import DiskError
from raftkafka.base.ids import id_to_text, random_id
from raftkafka.base.observed import Observed, observed
from raftkafka.storage.config import LONG_MAX
from raftkafka.storage.log_directory import LogDirectory

DELETIONS_PER_TICK = 20
DELETE_SUFFIX = "-delete"
STRAY_SUFFIX = "-stray"
MAX_NAME_LENGTH = 255


class LogRemoval:
    """The directories that wait for their end."""

    def __init__(self, disk: Disk, rng: random.Random, observe: Callable[[Observed], None]) -> None:
        self._disk = disk
        self._rng = rng
        self._observe = observe
        self._due: list[tuple[int, str]] = []  # a heap

    def schedule(self, directory: LogDirectory, path: str, name: str, *, due_ms: int) -> bool:
        """Renames the directory of a log and deletes it when due; false when the disk does not let us."""
        new_path = directory.file(unique_name(name, DELETE_SUFFIX, self._rng))
        try:
            self._disk.rename(path, new_path)
        except DiskError as error:
            self._observe(observed("log-not-deleted", directory=path, reason=str(error)))
            return False
        heapq.heappush(self._due, (due_ms, new_path))
        return True

    def schedule_files(self, paths: Iterable[str], *, due_ms: int) -> None:
        """Deletes files, which are part of no log any more, when due."""
        for path in paths:
            heapq.heappush(self._due, (due_ms, path))

    def set_aside(self, directory: LogDirectory, name: str) -> None:
        """Whatever is in the place of a new log belongs to no topic that is known: its name was lost, or it could not be deleted."""
        path = directory.file(name)
        if self._disk.exists(path):
            new_path = directory.file(unique_name(name, STRAY_SUFFIX, self._rng))
            self._disk.rename(path, new_path)
            self._observe(observed("directory-set-aside", directory=path, new_name=new_path))

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do."""
        return self._due[0][0] if self._due else LONG_MAX

    def tick(self, now_ms: int) -> None:
        """Deletes a few of the directories and files that are due; what the disk refuses, the next start tries again."""
        for _ in range(DELETIONS_PER_TICK):
            if not self._due or now_ms < self._due[0][0]:
                return
            _, path = heapq.heappop(self._due)
            try:
                self._disk.delete(path)
            except DiskError as error:
                self._observe(observed("files-not-deleted", directory=path, reason=str(error)))


def unique_name(name: str, suffix: str, rng: random.Random) -> str:
    """A name for the directory of a log that nothing else has: cut where the file system would not take it."""
    suffix = f".{id_to_text(random_id(rng))}{suffix}"
    return name[: MAX_NAME_LENGTH - len(suffix)] + suffix
