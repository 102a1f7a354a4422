"""A file system in memory that forgets, at a power failure, what was not made stable.

Model of a power failure (`crash`), after the ordered journal of ext4 and xfs:
- Of a file, what was stable at the last `Persist` that named it survives. Of the bytes appended since, a prefix of random length survives
  (a torn write); sometimes the end of that prefix reads as zeros, as a block does that was allocated but never written. A truncation below
  the stable size may or may not have reached the disk.
- Creations, renames, deletions and replacements of small files happened in order: a prefix of those since the last `Persist` survives. A
  replaced small file holds its old or its new content, never a mixture.

A process kill (`kill`) loses nothing, but closes all open files, as a power failure does.

Invariants
- Nothing here depends on anything but the calls made and the `random.Random` given to `crash`.
- What a `Persist` named is, after any crash, exactly what it was when the `Persist` was carried out, or with later writes partly applied.
"""

from __future__ import annotations

import functools
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from raftkafka.base.disk import Buffer, DiskFile, Persist
from raftkafka.base.errors import DiskError

JOURNAL_LIMIT = 10_000
"""Directory changes that may be pending at once; older ones become stable by themselves, as a journal is committed in the background."""


class _Content:
    """The bytes of a file: `data` as read now; the stable version is `data[:stable_size] + cut_stable_tail`."""

    __slots__ = ("cut_stable_tail", "data", "stable_size")

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.stable_size = 0
        self.cut_stable_tail = b""

    def truncate(self, size_bytes: int) -> None:
        if size_bytes < self.stable_size:
            self.cut_stable_tail = bytes(self.data[size_bytes : self.stable_size]) + self.cut_stable_tail
            self.stable_size = size_bytes
        del self.data[size_bytes:]

    def make_stable(self) -> None:
        self.stable_size = len(self.data)
        self.cut_stable_tail = b""

    def lose_unstable(self, rng: random.Random) -> None:
        """Becomes what a disk might hold after a power failure."""
        if self.cut_stable_tail and rng.random() < 0.5:
            self.data[self.stable_size :] = self.cut_stable_tail
        else:
            unstable = len(self.data) - self.stable_size
            kept = rng.choice((0, unstable, rng.randint(0, unstable)))
            del self.data[self.stable_size + kept :]
            if kept and rng.random() < 0.25:
                zeros = rng.randint(1, min(kept, 4096))
                self.data[-zeros:] = bytes(zeros)
        self.make_stable()


class _Directory:
    __slots__ = ("children",)

    def __init__(self) -> None:
        self.children: dict[str, _Directory | _Content] = {}

    def contents(self) -> Iterator[_Content]:
        """All files below, in an order that depends on names only."""
        for name in sorted(self.children):
            child = self.children[name]
            if isinstance(child, _Content):
                yield child
            else:
                yield from child.contents()


class _OpenFile:
    """`DiskFile` over a `_Content`; dead once its disk was killed or crashed."""

    __slots__ = ("_content", "_disk", "_generation", "_path")

    def __init__(self, disk: SimDisk, path: str, content: _Content) -> None:
        self._disk = disk
        self._generation = disk.generation
        self._path = path
        self._content = content

    @property
    def path(self) -> str:
        return self._path

    @property
    def size_bytes(self) -> int:
        return len(self._content.data)

    def append(self, buffers: Sequence[Buffer]) -> None:
        self._check()
        self._disk.take_space(self._path, sum(map(len, buffers)))
        for buffer in buffers:
            self._content.data += buffer

    def read(self, position: int, length: int) -> bytes:
        self._check()
        return bytes(memoryview(self._content.data)[position : position + length])

    def truncate(self, size_bytes: int) -> None:
        self._check()
        if size_bytes > len(self._content.data):
            raise DiskError(self._path, f"cannot truncate to {size_bytes} bytes: the file has {len(self._content.data)}")
        self._content.truncate(size_bytes)

    def close(self) -> None:
        self._generation = -1

    def _check(self) -> None:
        if self._generation != self._disk.generation:
            raise DiskError(self._path, "the file is closed")
        if self._disk.failing:
            self._disk.refuse_failing(self._path)


class SimDisk:
    """`Disk` in memory. `capacity_bytes` limits what may be appended in total (a full disk); `None` for no limit."""

    def __init__(self, *, capacity_bytes: int | None = None) -> None:
        self.capacity_bytes = capacity_bytes
        self.failing: tuple[str, ...] = ()
        """Directories where nothing can be read or written any more, as on a device that has died."""
        self.generation = 0
        self.erasures = 0
        """How often it was replaced by an empty one."""
        self.persist_count = 0
        self._root = _Directory()
        self._undo: deque[Callable[[], None]] = deque()

    def open(self, path: str, *, create: bool = False) -> DiskFile:
        """Opens a file; with `create` a missing one is created (its directory must exist)."""
        self.refuse_failing(path)
        parent, name = self._parent(path)
        child = parent.children.get(name)
        if child is None and create:
            child = _Content()
            self._link(parent, name, child)
        if not isinstance(child, _Content):
            raise DiskError(path, "no such file" if child is None else "is a directory")
        return _OpenFile(self, path, child)

    def exists(self, path: str) -> bool:
        return self._find(path) is not None and not self._fails(path)

    def list_dir(self, path: str) -> list[str]:
        self.refuse_failing(path)
        node = self._find(path)
        return sorted(node.children) if isinstance(node, _Directory) else []

    def make_dir(self, path: str) -> None:
        self.refuse_failing(path)
        node = self._root
        for part in _parts(path):
            child = node.children.get(part)
            if child is None:
                child = _Directory()
                self._link(node, part, child)
            if not isinstance(child, _Directory):
                raise DiskError(path, f"{part} is a file")
            node = child

    def read_file(self, path: str) -> bytes:
        self.refuse_failing(path)
        node = self._find(path)
        if not isinstance(node, _Content):
            raise DiskError(path, "no such file" if node is None else "is a directory")
        return bytes(node.data)

    def peek(self, path: str) -> bytearray:
        """The very bytes of a file, not to be changed or held: for who looks on from outside. Nothing when there is no such file."""
        node = self._find(path)
        return node.data if isinstance(node, _Content) else bytearray()

    def replace_file(self, path: str, data: bytes) -> None:
        self.take_space(path, len(data))
        parent, name = self._parent(path)
        content = _Content(data)
        content.make_stable()  # the journal decides whether a crash keeps the old or the new one
        self._link(parent, name, content)

    def rename(self, path: str, new_path: str) -> None:
        self.refuse_failing(path)
        self.refuse_failing(new_path)
        old_parent, old_name = self._parent(path)
        new_parent, new_name = self._parent(new_path)
        node = old_parent.children.get(old_name)
        if node is None:
            raise DiskError(path, "no such file")
        replaced = new_parent.children.get(new_name)
        if isinstance(replaced, _Directory) and replaced.children:
            raise DiskError(new_path, "the directory is not empty")
        del old_parent.children[old_name]
        new_parent.children[new_name] = node

        def undo() -> None:
            _set_child(new_parent, new_name, replaced)
            old_parent.children[old_name] = node

        self._journal(undo)

    def delete(self, path: str) -> None:
        self.refuse_failing(path)
        parent, name = self._parent(path)
        node = parent.children.pop(name, None)
        if node is not None:
            self._journal(lambda: parent.children.__setitem__(name, node))

    def space(self, path: str) -> tuple[int, int]:
        """There is no end to it unless it is said so."""
        self.refuse_failing(path)
        return -1, -1 if self.capacity_bytes is None else self.capacity_bytes

    def persist(self, persist: Persist) -> None:
        """Carries out a `Persist` at once. Directory changes become stable as a whole, as one journal commit makes them."""
        self.persist_count += 1
        for path in (*(write.path for write in persist.writes), *persist.syncs):
            self.refuse_failing(path)
        for write in persist.writes:
            self.replace_file(write.path, write.data)
        for path in persist.syncs:
            node = self._find(path)
            if isinstance(node, _Content):
                node.make_stable()
        self._undo.clear()

    def kill(self) -> None:
        """The process that had this disk is gone: nothing is lost, all open files are closed."""
        self.generation += 1

    def crash(self, rng: random.Random) -> None:
        """Power failure: loses a random part of what was not stable; what is left is stable."""
        self.kill()
        for _ in range(rng.choice((0, len(self._undo), rng.randint(0, len(self._undo))))):
            self._undo.pop()()
        self._undo.clear()
        for content in self._root.contents():
            content.lose_unstable(rng)

    def erase(self) -> None:
        """An empty disk takes its place, for good."""
        self.kill()
        self.erasures += 1
        self._root = _Directory()
        self._undo.clear()

    def unstable_range(self, path: str) -> tuple[int, int]:
        """From where on, and up to where, the bytes of a file were never made stable."""
        node = self._find(path)
        return (node.stable_size, len(node.data)) if isinstance(node, _Content) else (0, 0)

    def flip_bit(self, path: str, position: int, bit: int = 0) -> None:
        """Latent damage: one bit of a file changes behind everybody's back."""
        node = self._find(path)
        if not isinstance(node, _Content):
            raise DiskError(path, "no such file")
        node.data[position] ^= 1 << bit

    def refuse_failing(self, path: str) -> None:
        """Raises `DiskError` for a path in a directory that has failed."""
        if self.failing and self._fails(path):
            raise DiskError(path, "input/output error")

    def _fails(self, path: str) -> bool:
        return any(path == directory or path.startswith(f"{directory}/") for directory in self.failing)

    def take_space(self, path: str, size_bytes: int) -> None:
        """Accounts for bytes about to be written; raises `DiskError` when the disk is full, or has failed."""
        self.refuse_failing(path)
        if self.capacity_bytes is not None:
            if size_bytes > self.capacity_bytes:
                raise DiskError(path, "no space left on the disk")
            self.capacity_bytes -= size_bytes

    def _find(self, path: str) -> _Directory | _Content | None:
        node: _Directory | _Content | None = self._root
        for part in _parts(path):
            if not isinstance(node, _Directory):
                return None
            node = node.children.get(part)
        return node

    def _parent(self, path: str) -> tuple[_Directory, str]:
        *parents, name = _parts(path)
        parent = self._find("/".join(parents))
        if not isinstance(parent, _Directory):
            raise DiskError(path, "its directory does not exist")
        return parent, name

    def _link(self, parent: _Directory, name: str, node: _Directory | _Content) -> None:
        replaced = parent.children.get(name)
        if isinstance(replaced, _Directory):
            raise DiskError(name, "is a directory")
        parent.children[name] = node
        self._journal(lambda: _set_child(parent, name, replaced))

    def _journal(self, undo: Callable[[], None]) -> None:
        self._undo.append(undo)
        if len(self._undo) > JOURNAL_LIMIT:
            self._undo.popleft()


@functools.lru_cache(maxsize=10_000)
def _parts(path: str) -> tuple[str, ...]:
    return tuple([part for part in path.split("/") if part not in ("", ".")])


def _set_child(parent: _Directory, name: str, node: _Directory | _Content | None) -> None:
    if node is None:
        parent.children.pop(name, None)
    else:
        parent.children[name] = node
