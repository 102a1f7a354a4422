"""All logs of a node: finding and recovering them at start, creating and deleting them, checkpoints, retention, flushes, the clean stop.

Invariants
- One directory a partition; a log is known by topic id, so a recreated topic never meets the records of its predecessor.
- The marker of a clean stop is gone, and that is stable, before `ready`: whatever a node does after it has begun to serve counts as unclean
  until it stops cleanly (rule D9).
- A checkpointed recovery point was stable when it was written, and the leader epochs up to it are on disk.
- The marker of a clean stop is written when all that it vouches for is stable, and nothing is appended any more from its beginning on.
- One log that fails goes offline alone; when its disk failed and there is no other log directory, the process must end (`failure`).
- A directory without the name of its topic is set aside, never written to.
- At most one `Persist` is under way; the effects are to be carried out in the order given.

Sources: reference/disk-format.md; KIP-966 (the broker epoch in the marker); reference/replication-rules.md D9.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Mapping, Sequence

import attrs

from raftkafka.base.disk import Disk, FileWrite, Persist
from raftkafka.base.errors import ApiError, CorruptRecord, DiskError
from raftkafka.base.ids import PartitionKey, TopicPartition, id_to_text, random_id
from raftkafka.base.observed import Observed, observed
from raftkafka.base.rules import NO_RULES, Rule, Rules
from raftkafka.storage.checkpoints import (
    CLEAN_SHUTDOWN_FILE,
    HIGH_WATERMARK_FILE,
    LOG_START_OFFSET_FILE,
    PARTITION_METADATA_FILE,
    RECOVERY_POINT_FILE,
    decode_clean_shutdown,
    decode_offsets,
    decode_partition_metadata,
    encode_clean_shutdown,
    encode_offsets,
    encode_partition_metadata,
)
from raftkafka.storage.config import LONG_MAX, LogConfig
from raftkafka.storage.partition_log import PartitionLog
from raftkafka.storage.recovery import open_log

DELETIONS_PER_TICK = 20
FAR_FUTURE_MS = LONG_MAX
DELETE_SUFFIX = "-delete"
STRAY_SUFFIX = "-stray"
STOPPING = "the broker is stopping"
MAX_NAME_LENGTH = 255
CLEAN_EPOCH_UNKNOWN = -1


@attrs.frozen(kw_only=True)
class LogManagerSettings:
    """`default_config` holds until the topic's own config is set on the log (`configure`); until then nothing is deleted."""

    default_config: LogConfig = attrs.field(factory=LogConfig)
    retention_check_interval_ms: int = 300_000
    checkpoint_interval_ms: int = 60_000
    """How often recovery points and log start offsets are written, beside each call of `checkpoint`."""
    disabled_rules: Rules = NO_RULES
    """Rules broken on purpose; see `base.rules`."""


@attrs.define
class _Directory:
    """One log directory and what its checkpoint files say."""

    path: str
    clean: bool = False
    recovery_points: dict[TopicPartition, int] = attrs.field(factory=dict)
    high_watermarks: dict[TopicPartition, int] = attrs.field(factory=dict)
    log_start_offsets: dict[TopicPartition, int] = attrs.field(factory=dict)
    written: dict[str, bytes] = attrs.field(factory=dict)
    log_count: int = 0

    def file(self, name: str) -> str:
        return f"{self.path}/{name}" if self.path else name


class LogManager:
    """The logs of one node. Outputs of `drain`: `Persist` (report it with `persisted`) and `Observed`."""

    def __init__(
        self, *, disk: Disk, log_dirs: Sequence[str], settings: LogManagerSettings | None = None, rng: random.Random | None = None
    ) -> None:
        self.previous_broker_epoch = CLEAN_EPOCH_UNKNOWN
        """The broker epoch of the process that stopped cleanly here; -1 when the last one did not, or there was none."""
        self.ready = False
        """Whether it is safe to serve: the clean-shutdown marker of the last process is gone for good."""
        self.failure: str | None = None
        """Why the process must end: the disk of the only log directory has failed. As long as it ran it would keep the leaderships of logs
        that it can neither write nor read, and no other replica would take over. (With several directories it goes on; Kafka, too, ends
        when the last one has failed.)"""
        self._disk = disk
        self._settings = settings or LogManagerSettings()
        self._rng = rng or random.Random(0)
        self._directories = [_Directory(path) for path in log_dirs]
        self._logs: dict[PartitionKey, PartitionLog] = {}
        self._places: dict[PartitionKey, _Directory] = {}
        self._high_watermarks: dict[PartitionKey, int] = {}
        self._outputs: list[Persist | Observed] = []
        self._flush_asked = False
        self._next_token = 1
        self._in_flight: dict[int, list[tuple[PartitionLog, int]]] = {}
        self._flush_wanted: dict[PartitionKey, PartitionLog] = {}
        self._stopping = False
        self._closing_token = 0
        self._marker_epoch: int | None = None
        """The broker epoch for the marker of a clean stop; None when something denies it."""
        self._deletions: list[tuple[int, str]] = []  # a heap
        self._checkpoint_due_ms = FAR_FUTURE_MS
        self._retention_due_ms = FAR_FUTURE_MS

    @property
    def shut_down(self) -> bool:
        """Whether a clean stop is complete: everything is stable, and so is the marker that says so."""
        return self._stopping and not self._in_flight

    def load(self, wall_ms: int) -> None:
        """Opens all logs, recovering those that need it. Serve only when `ready`."""
        del wall_ms
        markers = [self._load_marker(directory) for directory in self._directories]
        epochs = {epoch for epoch in markers if epoch is not None}
        if all(directory.clean for directory in self._directories) and len(epochs) == 1:
            self.previous_broker_epoch = epochs.pop()
        for directory in self._directories:
            directory.recovery_points = self._load_offsets(directory, RECOVERY_POINT_FILE)
            directory.high_watermarks = self._load_offsets(directory, HIGH_WATERMARK_FILE)
            directory.log_start_offsets = self._load_offsets(directory, LOG_START_OFFSET_FILE)
            for name in self._disk.list_dir(directory.path):
                self._load_entry(directory, name)
        withdrawn = [directory.file(CLEAN_SHUTDOWN_FILE) for directory in self._directories if directory.clean]
        if withdrawn and Rule.WITHDRAW_MARKER not in self._settings.disabled_rules:
            # An empty marker counts as none: replacing is atomic and stable, where a deletion might be undone by a power failure.
            self._persist([], writes=[FileWrite(path, b"") for path in withdrawn])
        else:
            self.ready = True
        self._retention_due_ms = self._checkpoint_due_ms = 0

    def get(self, key: PartitionKey) -> PartitionLog | None:
        """The log of a partition."""
        return self._logs.get(key)

    def __iter__(self) -> Iterator[PartitionLog]:
        return iter(self._logs.values())

    def __len__(self) -> int:
        return len(self._logs)

    def create(self, key: PartitionKey, topic: str, config: LogConfig, now_ms: int) -> PartitionLog:
        """The log of a partition, created empty when there is none. A log of another topic id in its place is deleted."""
        log = self._logs.get(key)
        if log is not None:
            log.configure(config)
            return log
        directory = min(self._directories, key=lambda candidate: candidate.log_count)
        name = f"{topic}-{key.partition}"
        self._delete_predecessor(topic, key, now_ms)
        self._set_aside(name)
        path = directory.file(name)
        self._disk.make_dir(path)
        self._disk.replace_file(f"{path}/{PARTITION_METADATA_FILE}", encode_partition_metadata(key.topic_id))
        for offsets in (directory.recovery_points, directory.high_watermarks, directory.log_start_offsets):
            offsets.pop(TopicPartition(topic, key.partition), None)
        log = PartitionLog(
            disk=self._disk,
            directory=path,
            topic=topic,
            partition=key.partition,
            topic_id=key.topic_id,
            config=config,
            disabled_rules=self._settings.disabled_rules,
        )
        log.configure(config)
        self._add(directory, log)
        return log

    def delete(self, key: PartitionKey, now_ms: int) -> None:
        """Takes a log out of service at once; its files go after `file.delete.delay.ms`, or stay when the disk does not let us."""
        log = self._logs.pop(key, None)
        if log is None:
            return
        directory = self._places.pop(key)
        directory.log_count -= 1
        self._high_watermarks.pop(key, None)
        self._flush_wanted.pop(key, None)
        for segment in log.segments:
            segment.close()
        new_path = directory.file(self._unique_name(f"{log.topic}-{log.partition}", DELETE_SUFFIX))
        try:
            self._disk.rename(log.directory, new_path)
        except DiskError as error:
            self._outputs.append(observed("log-not-deleted", directory=log.directory, reason=str(error)))
            return
        heapq.heappush(self._deletions, (now_ms + log.config.file_delete_delay_ms, new_path))
        self._checkpoint_due_ms = now_ms  # so that a new topic of the same name does not find these offsets

    def checkpointed_high_watermark(self, key: PartitionKey) -> int:
        """The high watermark as last told or as found on disk; 0 when there is none."""
        known = self._high_watermarks.get(key)
        if known is not None:
            return known
        log, directory = self._logs.get(key), self._places.get(key)
        if log is None or directory is None:
            return 0
        return directory.high_watermarks.get(TopicPartition(log.topic, log.partition), 0)

    def checkpoint(self, high_watermarks: Mapping[PartitionKey, int]) -> None:
        """Takes note of high watermarks and writes all checkpoint files that have changed."""
        self._high_watermarks.update((key, offset) for key, offset in high_watermarks.items() if key in self._logs)
        self._write_checkpoints()

    def tick(self, now_ms: int, wall_ms: int) -> None:
        """Does what is due: retention, delayed deletions, flushes, checkpoints."""
        if now_ms >= self._retention_due_ms:
            self._retention_due_ms = now_ms + self._settings.retention_check_interval_ms
            self._apply_retention(wall_ms)
        if now_ms >= self._checkpoint_due_ms:
            self._checkpoint_due_ms = now_ms + self._settings.checkpoint_interval_ms
            self._write_checkpoints()
        self._delete_files(now_ms)
        if self._flush_wanted and not self._in_flight:
            self._flush(now_ms)

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do."""
        deadline = min(self._retention_due_ms, self._checkpoint_due_ms)
        if self._deletions:
            deadline = min(deadline, self._deletions[0][0])
        if self._flush_wanted and not self._in_flight:
            deadline = min(deadline, *(log.flush_deadline_ms() for log in self._flush_wanted.values()))
        return deadline

    @property
    def has_news(self) -> bool:
        """Whether since the last `drain` there is something for it, or a log that wants to be flushed, which moves the deadline."""
        return self._flush_asked or bool(self._outputs)

    def drain(self) -> list[Persist | Observed]:
        """What to carry out, in order."""
        outputs, self._outputs = self._outputs, []
        self._flush_asked = False
        return outputs

    def persisted(self, token: int) -> None:
        """A `Persist` is stable."""
        for log, end_offset in self._in_flight.pop(token):
            log.flushed(end_offset)
        self.ready = True
        if token == self._closing_token and self._marker_epoch is not None:
            self._write_marker(self._marker_epoch)

    def persist_failed(self, token: int, error: DiskError) -> None:
        """A `Persist` failed: what of its logs is stable is unknown, so they go offline, and a stop under way is no clean one."""
        self._marker_epoch = None
        for log, _ in self._in_flight.pop(token):
            log.failed(error)
            self._report_offline(log, str(error))

    def clean_shutdown(self, broker_epoch: int) -> None:
        """Closes all logs, for good. Two effects follow one another: everything becomes stable, then the marker of a clean stop is written.

        The process may end once `shut_down`. A log that is offline, or a failure on the way, denies the marker: the next start has to look
        at everything.
        """
        self._stopping = True
        flushed: list[tuple[PartitionLog, int]] = []
        syncs: list[str] = []
        for log in self._logs.values():
            if log.offline_reason is not None or not log.needs_close:
                continue
            try:
                log.close()
                plan = log.plan_flush(log.log_end_offset)
            except ApiError as error:
                self._report_offline(log, error.message)
                continue
            flushed.append((log, plan.end_offset))
            syncs += plan.syncs
        self._marker_epoch = None if any(log.offline_reason is not None for log in self._logs.values()) else broker_epoch
        for log in self._logs.values():
            log.offline_reason = log.offline_reason or STOPPING
        if Rule.SYNC_BEFORE_MARKER in self._settings.disabled_rules:
            syncs = []
        self._closing_token = self._persist(flushed, syncs=syncs)

    def _write_marker(self, broker_epoch: int) -> None:
        writes: list[FileWrite] = []
        for directory in self._directories:
            writes += self._checkpoint_files(directory)
        writes += [FileWrite(directory.file(CLEAN_SHUTDOWN_FILE), encode_clean_shutdown(broker_epoch)) for directory in self._directories]
        self._persist([], writes=writes)

    # Loading.

    def _load_marker(self, directory: _Directory) -> int | None:
        path = directory.file(CLEAN_SHUTDOWN_FILE)
        if not self._disk.exists(path):
            return None
        data = self._disk.read_file(path)
        try:
            epoch = decode_clean_shutdown(data)
        except CorruptRecord:
            return None
        directory.clean = True
        return epoch

    def _load_offsets(self, directory: _Directory, name: str) -> dict[TopicPartition, int]:
        """A checkpoint; one that is damaged counts as empty, which is always safe, only slower."""
        path = directory.file(name)
        if not self._disk.exists(path):
            return {}
        data = self._disk.read_file(path)
        try:
            offsets = decode_offsets(data)
        except CorruptRecord as error:
            self._outputs.append(observed("checkpoint-damaged", path=path, reason=str(error)))
            return {}
        directory.written[name] = data
        return offsets

    def _load_entry(self, directory: _Directory, name: str) -> None:
        path = directory.file(name)
        if name.endswith(DELETE_SUFFIX):
            self._disk.delete(path)
            return
        topic, dash, number = name.rpartition("-")
        if not dash or not number.isdigit() or not self._disk.exists(f"{path}/{PARTITION_METADATA_FILE}"):
            return
        try:
            topic_id = decode_partition_metadata(self._disk.read_file(f"{path}/{PARTITION_METADATA_FILE}"))
        except CorruptRecord as error:
            self._outputs.append(observed("log-ignored", directory=path, reason=str(error)))
            return
        place = TopicPartition(topic, int(number))
        log = open_log(
            self._disk,
            path,
            topic=topic,
            partition=place.partition,
            topic_id=topic_id,
            config=self._settings.default_config,
            log_start_offset=directory.log_start_offsets.get(place, 0),
            recovery_point=directory.recovery_points.get(place, 0),
            clean=directory.clean,
            observe=self._outputs.append,
            disabled_rules=self._settings.disabled_rules,
        )
        self._add(directory, log)

    def _add(self, directory: _Directory, log: PartitionLog) -> None:
        self._logs[log.key] = log
        self._places[log.key] = directory
        directory.log_count += 1
        log.on_flush_wanted = self._want_flush
        log.on_disk_failure = self._disk_failed

    def _delete_predecessor(self, topic: str, key: PartitionKey, now_ms: int) -> None:
        if any(self._disk.exists(directory.file(f"{topic}-{key.partition}")) for directory in self._directories):
            for other in [log.key for log in self._logs.values() if log.topic == topic and log.partition == key.partition]:
                self._outputs.append(observed("log-replaced", topic=topic, partition=key.partition))
                self.delete(other, now_ms)

    def _set_aside(self, name: str) -> None:
        """Whatever is in the place of a new log belongs to no topic that is known: its name was lost, or it could not be deleted."""
        for directory in self._directories:
            path = directory.file(name)
            if self._disk.exists(path):
                new_path = directory.file(self._unique_name(name, STRAY_SUFFIX))
                self._disk.rename(path, new_path)
                self._outputs.append(observed("directory-set-aside", directory=path, new_name=new_path))

    def _unique_name(self, name: str, suffix: str) -> str:
        suffix = f".{id_to_text(random_id(self._rng))}{suffix}"
        return name[: MAX_NAME_LENGTH - len(suffix)] + suffix

    def _report_offline(self, log: PartitionLog, reason: str) -> None:
        self._outputs.append(observed("log-offline", topic=log.topic, partition=log.partition, reason=reason))

    def _disk_failed(self, log: PartitionLog) -> None:
        """A stop that is under way goes on: it ends the process anyway, and its marker is denied."""
        if len(self._directories) == 1 and not self._stopping:
            self.failure = f"the only log directory has failed: {log.offline_reason}"

    # Work that is done now and then.

    def _want_flush(self, log: PartitionLog) -> None:
        self._flush_wanted[log.key] = log
        self._flush_asked = True

    def _flush(self, now_ms: int) -> None:
        """Gathers what is due into one `Persist`."""
        flushed: list[tuple[PartitionLog, int]] = []
        syncs: list[str] = []
        for log in list(self._flush_wanted.values()):
            try:
                plan = log.needs_flush(now_ms)
            except ApiError:
                del self._flush_wanted[log.key]
                continue
            if plan is not None:
                flushed.append((log, plan.end_offset))
                syncs += plan.syncs
            if log.flush_deadline_ms() == FAR_FUTURE_MS:
                del self._flush_wanted[log.key]
        if syncs:
            self._persist(flushed, syncs=syncs)

    def _apply_retention(self, wall_ms: int) -> None:
        for log in self._logs.values():
            if log.offline_reason is not None:
                continue
            try:
                deleted = log.retention(wall_ms, self.checkpointed_high_watermark(log.key))
            except ApiError as error:
                self._report_offline(log, error.message)
                continue
            if deleted:
                self._outputs.append(
                    observed(
                        "segments-deleted",
                        topic=log.topic,
                        partition=log.partition,
                        segments=deleted,
                        log_start_offset=log.log_start_offset,
                    )
                )

    def _delete_files(self, now_ms: int) -> None:
        """A few directories at a time: a topic of a thousand partitions must not hold the node up until others take it for dead."""
        for _ in range(DELETIONS_PER_TICK):
            if not self._deletions or now_ms < self._deletions[0][0]:
                return
            _, path = heapq.heappop(self._deletions)
            try:
                self._disk.delete(path)
            except DiskError as error:  # the next start tries again
                self._outputs.append(observed("files-not-deleted", directory=path, reason=str(error)))

    def _write_checkpoints(self) -> None:
        """A checkpoint that cannot be written is written the next time: an older one is right too, it only makes a recovery longer."""
        for log in self._logs.values():
            if log.epochs.dirty and log.offline_reason is None:
                try:
                    log.write_checkpoints()
                except ApiError as error:
                    self._report_offline(log, error.message)
        for directory in self._directories:
            for write in self._checkpoint_files(directory):
                try:
                    self._disk.replace_file(write.path, write.data)
                except DiskError as error:
                    del directory.written[write.path.rpartition("/")[2]]
                    self._outputs.append(observed("checkpoint-not-written", path=write.path, reason=str(error)))

    def _checkpoint_files(self, directory: _Directory) -> list[FileWrite]:
        """The checkpoint files whose content has changed."""
        recovery_points: dict[TopicPartition, int] = {}
        high_watermarks: dict[TopicPartition, int] = {}
        log_start_offsets: dict[TopicPartition, int] = {}
        for key, log in self._logs.items():
            if self._places[key] is not directory:
                continue
            place = TopicPartition(log.topic, log.partition)
            recovery_points[place] = log.recovery_point
            high_watermarks[place] = self.checkpointed_high_watermark(key)
            if log.log_start_offset > 0:
                log_start_offsets[place] = log.log_start_offset
        files: list[FileWrite] = []
        for name, offsets in (
            (RECOVERY_POINT_FILE, recovery_points),
            (HIGH_WATERMARK_FILE, high_watermarks),
            (LOG_START_OFFSET_FILE, log_start_offsets),
        ):
            data = encode_offsets(offsets)
            if directory.written.get(name) != data:
                directory.written[name] = data
                files.append(FileWrite(directory.file(name), data))
        return files

    def _persist(self, flushed: list[tuple[PartitionLog, int]], *, syncs: Sequence[str] = (), writes: Sequence[FileWrite] = ()) -> int:
        token = self._next_token
        self._next_token += 1
        self._in_flight[token] = flushed
        self._outputs.append(Persist(token, writes=tuple(writes), syncs=tuple(syncs)))
        return token
