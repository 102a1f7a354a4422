"""The producer snapshot files of a log's directory, each named after the offset before which it tells the producers' states.

Sources: reference/disk-format.md.
"""

from __future__ import annotations

from raftkafka.base.disk import Disk
from raftkafka.base.errors import CorruptRecord
from raftkafka.storage.producers import ProducerStates

SUFFIX = ".snapshot"


def write(disk: Disk, directory: str, producers: ProducerStates, end_offset: int) -> None:
    """Writes the states as of `end_offset`."""
    disk.replace_file(_path(directory, end_offset), producers.encode())


def load_newest(disk: Disk, directory: str, producers: ProducerStates, start_offset: int, end_offset: int) -> int:
    """Loads the newest intact snapshot of an offset in [start_offset, end_offset]; its offset, or `start_offset` when there is none."""
    for offset in reversed(_offsets(disk, directory)):
        if start_offset <= offset <= end_offset:
            try:
                producers.load(disk.read_file(_path(directory, offset)), offset)
            except CorruptRecord:
                producers.clear()
                disk.delete(_path(directory, offset))
            else:
                return offset
    return start_offset


def delete(disk: Disk, directory: str, offset: int) -> None:
    """Deletes the snapshot of exactly this offset."""
    disk.delete(_path(directory, offset))


def delete_after(disk: Disk, directory: str, end_offset: int) -> None:
    """Deletes the snapshots of offsets behind `end_offset`."""
    for offset in reversed(_offsets(disk, directory)):
        if offset > end_offset:
            disk.delete(_path(directory, offset))


def delete_all(disk: Disk, directory: str) -> None:
    delete_after(disk, directory, -1)


def paths_after(disk: Disk, directory: str, offset: int) -> list[str]:
    """The snapshot files of offsets behind `offset`."""
    return [_path(directory, other) for other in _offsets(disk, directory) if other > offset]


def _path(directory: str, offset: int) -> str:
    return f"{directory}/{offset:020d}{SUFFIX}"


def _offsets(disk: Disk, directory: str) -> list[int]:
    stems = [name.removesuffix(SUFFIX) for name in disk.list_dir(directory) if name.endswith(SUFFIX)]
    return sorted(int(stem) for stem in stems if stem.isdigit())
