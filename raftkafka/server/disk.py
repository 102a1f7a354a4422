"""The machine's file system as the `Disk` port: `os.writev` appends, `os.pread` reads, `fdatasync` in `persist`.

Invariants
- Everything but `persist` is called from the one thread that runs the node; `persist` runs in worker threads, several at once,
  and opens descriptors of its own.
- A file counts as stable only when its directory entry is: `persist` also syncs every directory on the way to the path in which
  an entry was made, renamed or deleted since that directory was last synced.
- After a failed `fdatasync` the page cache may have dropped the data: it is never tried again, the caller gets `DiskError`.
- A path has at most one file object that appends to it (its size is kept here, not asked of the kernel each time).

Descriptors are opened when first used and closed again above `max_open_files` (with a second chance for what was used lately), so that
thousands of idle segments cost none. Sources: fsync(2), open(2); "Can Applications Recover from fsync Failures?" (ATC 2020).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Iterator, Sequence

from raftkafka.base.disk import Buffer, Persist
from raftkafka.base.errors import DiskError

MAX_OPEN_FILES = 2048
MAX_BUFFERS_PER_WRITE = 1024
"""IOV_MAX of Linux."""

REPLACING_SUFFIX = ".replacing"
"""Of the temporary file that becomes the new content; left behind by a crash, and never listed."""

_CLOSED = -1


class PosixFile:
    """A `DiskFile`. It survives a rename of its path or directory, and the loss of its descriptor to another file."""

    __slots__ = ("_descriptor", "_disk", "_path", "_size_bytes", "recently_used")

    def __init__(self, disk: PosixDisk, path: str) -> None:
        self._disk = disk
        self._path = path
        self._descriptor = _CLOSED
        self._size_bytes = 0
        self.recently_used = False

    @property
    def path(self) -> str:
        return self._path

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def append(self, buffers: Sequence[Buffer]) -> None:
        descriptor = self._descriptor if self._descriptor >= 0 else self._reopen()
        self.recently_used = True
        try:
            if len(buffers) == 1:
                wanted = len(buffers[0])
                written = os.pwrite(descriptor, buffers[0], self._size_bytes)
            else:
                wanted = sum(map(len, buffers))
                written = os.pwritev(descriptor, buffers[:MAX_BUFFERS_PER_WRITE], self._size_bytes)
            if written != wanted:
                _write_rest(descriptor, buffers, start=self._size_bytes, written=written)
        except OSError as error:
            raise _disk_error(self._path, error) from error
        self._size_bytes += wanted

    def read(self, position: int, length: int) -> bytes:
        descriptor = self._descriptor if self._descriptor >= 0 else self._reopen()
        self.recently_used = True
        try:
            return os.pread(descriptor, length, position)
        except OSError as error:
            raise _disk_error(self._path, error) from error

    def truncate(self, size_bytes: int) -> None:
        descriptor = self._descriptor if self._descriptor >= 0 else self._reopen()
        try:
            os.ftruncate(descriptor, size_bytes)
        except OSError as error:
            raise _disk_error(self._path, error) from error
        self._size_bytes = size_bytes

    def close(self) -> None:
        self.release_descriptor()
        self._disk.forget(self)

    def attach(self, *, create: bool) -> None:
        """Opens the descriptor for the first time and learns the size."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        try:
            self._descriptor = os.open(self._disk.absolute(self._path), flags, 0o644)
            self._size_bytes = os.fstat(self._descriptor).st_size
        except OSError as error:
            raise _disk_error(self._path, error) from error

    def release_descriptor(self) -> None:
        """Closes the descriptor; the next use opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = _CLOSED

    def renamed(self, new_path: str) -> None:
        """The path is another now; an open descriptor stays valid."""
        self._path = new_path

    def _reopen(self) -> int:
        self._disk.refuse_failing(self._path)
        try:
            self._descriptor = os.open(self._disk.absolute(self._path), os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise _disk_error(self._path, error) from error
        self._disk.opened(self)
        return self._descriptor


class PosixDisk:
    """The `Disk` under one root directory. An absolute path names what lies outside of the root (a second `log.dirs` entry)."""

    def __init__(self, root: str, *, max_open_files: int = MAX_OPEN_FILES) -> None:
        self.root = os.path.abspath(root)
        self._max_open_files = max_open_files
        self._files: dict[str, dict[PosixFile, None]] = {}
        self._open: dict[PosixFile, None] = {}
        self._unsynced_directories: set[str] = set()
        self._failing: tuple[str, ...] = ()
        self._directory_lock = threading.Lock()

    def fail(self, directories: Sequence[str]) -> None:
        """Nothing in these directories can be read or written from now on, as on a device that has died: a fault on purpose."""
        self._failing = tuple(os.path.abspath(self.absolute(directory)) for directory in directories)
        for file in [file for file in self._open if self._fails(file.path)]:
            file.release_descriptor()
            del self._open[file]

    def refuse_failing(self, path: str) -> None:
        """Raises `DiskError` for a path in a directory that was made to fail."""
        if self._failing and self._fails(path):
            raise DiskError(path, "input/output error, on purpose")

    def _fails(self, path: str) -> bool:
        absolute = self.absolute(path)
        return any(absolute == directory or absolute.startswith(f"{directory}/") for directory in self._failing)

    def open(self, path: str, *, create: bool = False) -> PosixFile:
        self.refuse_failing(path)
        file = PosixFile(self, path)
        is_new = create and not self.exists(path)
        file.attach(create=create)
        if is_new:
            self._entry_changed(path)
        self._files.setdefault(os.path.dirname(path), {})[file] = None
        self.opened(file)
        return file

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.absolute(path)) and not (self._failing and self._fails(path))

    def list_dir(self, path: str) -> list[str]:
        self.refuse_failing(path)
        try:
            names = os.listdir(self.absolute(path))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _disk_error(path, error) from error
        return sorted(name for name in names if not name.endswith(REPLACING_SUFFIX))

    def make_dir(self, path: str) -> None:
        self.refuse_failing(path)
        absolute = self.absolute(path)
        if os.path.isdir(absolute):
            return
        parent = os.path.dirname(path)
        if parent and parent != path:
            self.make_dir(parent)
        try:
            if parent:
                os.mkdir(absolute)
            else:
                os.makedirs(absolute, exist_ok=True)
        except OSError as error:
            raise _disk_error(path, error) from error
        self._entry_changed(path)

    def read_file(self, path: str) -> bytes:
        self.refuse_failing(path)
        try:
            with open(self.absolute(path), "rb") as file:
                return file.read()
        except OSError as error:
            raise _disk_error(path, error) from error

    def replace_file(self, path: str, data: bytes) -> None:
        self.refuse_failing(path)
        absolute = self.absolute(path)
        temporary = absolute + REPLACING_SUFFIX
        try:
            with open(temporary, "wb", buffering=0) as file:
                file.write(data)
            os.replace(temporary, absolute)
        except OSError as error:
            raise _disk_error(path, error) from error
        self._entry_changed(path)

    def rename(self, path: str, new_path: str) -> None:
        self.refuse_failing(path)
        self.refuse_failing(new_path)
        try:
            os.replace(self.absolute(path), self.absolute(new_path))
        except OSError as error:
            raise _disk_error(path, error) from error
        self._entry_changed(path)
        self._entry_changed(new_path)
        self._rename_open_files(path, new_path)

    def delete(self, path: str) -> None:
        self.refuse_failing(path)
        absolute = self.absolute(path)
        try:
            if os.path.isdir(absolute) and not os.path.islink(absolute):
                shutil.rmtree(absolute)
            else:
                os.unlink(absolute)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _disk_error(path, error) from error
        self._entry_changed(path)

    def space(self, path: str) -> tuple[int, int]:
        self.refuse_failing(path)
        try:
            found = os.statvfs(self.absolute(path))
        except OSError as error:
            raise _disk_error(path, error) from error
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize

    def persist(self, persist: Persist) -> None:
        for write in persist.writes:
            self.refuse_failing(write.path)
            try:
                self._replace_synced(self.absolute(write.path), write.data)
                self._unsynced_directories.add(os.path.dirname(self.absolute(write.path)))
                self._sync_directories(write.path)
            except OSError as error:
                raise _disk_error(write.path, error) from error
        for path in persist.syncs:
            self.refuse_failing(path)
            try:
                _sync_path(self.absolute(path))
                self._sync_directories(path)
            except OSError as error:
                raise _disk_error(path, error) from error

    def absolute(self, path: str) -> str:
        """The path as the kernel is told it."""
        return os.path.join(self.root, path)

    def opened(self, file: PosixFile) -> None:
        """A file took a descriptor: others give theirs back when there are too many."""
        self._open[file] = None
        while len(self._open) > self._max_open_files:
            oldest = next(iter(self._open))
            del self._open[oldest]
            if oldest is file or oldest.recently_used:
                oldest.recently_used = False
                self._open[oldest] = None
            else:
                oldest.release_descriptor()

    def forget(self, file: PosixFile) -> None:
        """A file was closed by its owner."""
        self._open.pop(file, None)
        directory = os.path.dirname(file.path)
        siblings = self._files.get(directory)
        if siblings is not None:
            siblings.pop(file, None)
            if not siblings:
                del self._files[directory]

    def _entry_changed(self, path: str) -> None:
        # Only after the change itself: a sync under way then either sees the change or leaves the directory marked.
        self._unsynced_directories.add(os.path.dirname(self.absolute(path)))

    def _rename_open_files(self, path: str, new_path: str) -> None:
        siblings = self._files.get(os.path.dirname(path), {})
        for file in [file for file in siblings if file.path == path]:
            del siblings[file]
            file.renamed(new_path)
            self._files.setdefault(os.path.dirname(new_path), {})[file] = None
        moved = self._files.pop(path, None)
        if moved:
            for file in moved:
                file.renamed(new_path + file.path[len(path) :])
            self._files.setdefault(new_path, {}).update(moved)

    def _replace_synced(self, absolute: str, data: bytes) -> None:
        temporary = f"{absolute}.{threading.get_ident()}{REPLACING_SUFFIX}"
        with open(temporary, "wb", buffering=0) as file:
            file.write(data)
            os.fsync(file.fileno())
        os.replace(temporary, absolute)

    def _sync_directories(self, path: str) -> None:
        # The lock makes a second persist wait for the sync that the first one took upon itself.
        with self._directory_lock:
            for directory in self._directories_above(path):
                if directory in self._unsynced_directories:
                    self._unsynced_directories.discard(directory)
                    _sync_path(directory)

    def _directories_above(self, path: str) -> Iterator[str]:
        directory = os.path.dirname(self.absolute(path))
        while True:
            yield directory
            parent = os.path.dirname(directory)
            if directory == self.root or parent == directory:
                return
            directory = parent


def _write_rest(descriptor: int, buffers: Sequence[Buffer], *, start: int, written: int) -> None:
    """Writes what one system call left over: a short write, or more buffers than it takes."""
    rest = memoryview(b"".join(buffers))[written:]
    position = start + written
    while rest:
        count = os.pwrite(descriptor, rest, position)
        rest = rest[count:]
        position += count


def _sync_path(absolute: str) -> None:
    """Makes a file's data, or a directory's entries, stable. A path that is gone has nothing to keep but its absence."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(absolute, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def _disk_error(path: str, error: OSError) -> DiskError:
    if error.errno == errno.ENOSPC:
        return DiskError(path, "the disk is full")
    return DiskError(path, error.strerror or str(error))
