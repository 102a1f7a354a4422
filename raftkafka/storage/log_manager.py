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

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from raftkafka.base.disk import Disk, FileWrite, Persist
from raftkafka.base.errors import ApiError, CorruptRecord, DiskError
from raftkafka.base.ids import PartitionKey, TopicPartition
from raftkafka.base.observed import Observed, observed
from raftkafka.base.rules import NO_RULES, Rule, Rules
from raftkafka.storage.checkpoints import (
    CLEAN_SHUTDOWN_FILE,
    PARTITION_METADATA_FILE,
    decode_partition_metadata,
    encode_clean_shutdown,
    encode_partition_metadata,
)
from raftkafka.storage.cleaner import CleanerSettings, LogCleaner
from raftkafka.storage.cleaner_retention import Practice
from raftkafka.storage.config import LONG_MAX, LogConfig
from raftkafka.storage.log_directory import LogDirectory
from raftkafka.storage.log_removal import DELETE_SUFFIX, LogRemoval
from raftkafka.storage.partition_log import PartitionLog
from raftkafka.storage.recovery import open_log

FAR_FUTURE_MS = LONG_MAX
STOPPING = "the broker is stopping"
CLEAN_EPOCH_UNKNOWN = -1


@attrs.frozen(kw_only=True)
class LogManagerSettings:
    """`default_config` holds until the topic's own config is set on the log (`configure`); until then nothing is deleted."""

    default_config: LogConfig = attrs.field(factory=LogConfig)
    retention_check_interval_ms: int = 300_000
    checkpoint_interval_ms: int = 60_000
    """How often recovery points and log start offsets are written, beside each call of `checkpoint`."""
    cleaner: CleanerSettings = attrs.field(factory=CleanerSettings)
    disabled_rules: Rules = NO_RULES
    """Rules broken on purpose; see `base.rules`."""


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
        self._directories = [LogDirectory(path) for path in log_dirs]
        self._logs: dict[PartitionKey, PartitionLog] = {}
        self._places: dict[PartitionKey, LogDirectory] = {}
        self._high_watermarks: dict[PartitionKey, int] = {}
        self._outputs: list[Persist | Observed] = []
        self._removal = LogRemoval(disk, self._rng, self._observe)
        self._flush_asked = False
        self._next_token = 1
        self._in_flight: dict[int, list[tuple[PartitionLog, int]]] = {}
        self._flush_wanted: dict[PartitionKey, PartitionLog] = {}
        self._stopping = False
        self._closing_token = 0
        self._marker_epoch: int | None = None
        """The broker epoch for the marker of a clean stop; None when something denies it."""
        self._checkpoint_due_ms = FAR_FUTURE_MS
        self._retention_due_ms = FAR_FUTURE_MS
        self.high_watermark_of: Callable[[PartitionKey], int] = self.checkpointed_high_watermark
        """How far a log is committed at this moment; who knows better than the checkpoints says so here."""
        self.cleaner = LogCleaner(
            disk=disk,
            settings=self._settings.cleaner,
            practice=Practice(),
            limit=self._cleanable_end,
            hosts=lambda log: self._logs.get(log.key) is log,
            persist=lambda paths: self._persist([], syncs=paths),
            observe=self._observe,
        )

    @property
    def shut_down(self) -> bool:
        """Whether a clean stop is complete: everything is stable, and so is the marker that says so."""
        return self._stopping and not self._in_flight

    def load(self, wall_ms: int) -> None:
        """Opens all logs, recovering those that need it. Serve only when `ready`."""
        del wall_ms
        for directory in self._directories:
            directory.load_marker(self._disk)
        epochs = list(dict.fromkeys(directory.clean_broker_epoch for directory in self._directories))
        if len(epochs) == 1 and epochs[0] is not None:
            self.previous_broker_epoch = epochs[0]
        for directory in self._directories:
            directory.load_checkpoints(self._disk, self._observe)
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
        for each in self._directories:
            self._removal.set_aside(each, name)
        path = directory.file(name)
        self._disk.make_dir(path)
        self._disk.replace_file(f"{path}/{PARTITION_METADATA_FILE}", encode_partition_metadata(key.topic_id))
        directory.forget(TopicPartition(topic, key.partition))
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
        due_ms = now_ms + log.config.file_delete_delay_ms
        if self._removal.schedule(directory, log.directory, f"{log.topic}-{log.partition}", due_ms=due_ms):
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
        self._removal.tick(now_ms)
        self.cleaner.tick(now_ms, wall_ms)
        if self._flush_wanted and not self._in_flight:
            self._flush(now_ms)

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do."""
        deadline = min(self._retention_due_ms, self._checkpoint_due_ms, self._removal.next_deadline_ms(), self.cleaner.next_deadline_ms())
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
        self.cleaner.persisted(token)
        if token == self._closing_token and self._marker_epoch is not None:
            self._write_marker(self._marker_epoch)

    def persist_failed(self, token: int, error: DiskError) -> None:
        """A `Persist` failed: what of its logs is stable is unknown, so they go offline, and a stop under way is no clean one."""
        self._marker_epoch = None
        for log, _ in self._in_flight.pop(token):
            log.failed(error)
            self._report_offline(log, str(error))
        self.cleaner.persist_failed(token, error)

    def clean_shutdown(self, broker_epoch: int) -> None:
        """Closes all logs, for good. Two effects follow one another: everything becomes stable, then the marker of a clean stop is written.

        The process may end once `shut_down`. A log that is offline, or a failure on the way, denies the marker: the next start has to look
        at everything.
        """
        self._stopping = True
        self.cleaner.stop()
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

    def _load_entry(self, directory: LogDirectory, name: str) -> None:
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
            observe=self._observe,
            disabled_rules=self._settings.disabled_rules,
        )
        clean_end_offset = directory.clean_end_offsets.get(place, 0)
        log.clean_end_offset = clean_end_offset if clean_end_offset <= log.log_end_offset else 0
        self._add(directory, log)

    def _add(self, directory: LogDirectory, log: PartitionLog) -> None:
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

    def _observe(self, event: Observed) -> None:
        self._outputs.append(event)

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
        if log.config.compact:
            self.cleaner.note(log)

    def _cleanable_end(self, log: PartitionLog) -> int:
        """Up to where a log is committed, and free of open transactions."""
        return log.last_stable_offset(min(self.high_watermark_of(log.key), log.log_end_offset))

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
                    directory.not_written(write)
                    self._outputs.append(observed("checkpoint-not-written", path=write.path, reason=str(error)))

    def _checkpoint_files(self, directory: LogDirectory) -> list[FileWrite]:
        """The checkpoint files whose content has changed."""
        logs = (log for key, log in self._logs.items() if self._places[key] is directory)
        return directory.changed_checkpoints(logs, lambda log: self.checkpointed_high_watermark(log.key))

    def _persist(self, flushed: list[tuple[PartitionLog, int]], *, syncs: Sequence[str] = (), writes: Sequence[FileWrite] = ()) -> int:
        token = self._next_token
        self._next_token += 1
        self._in_flight[token] = flushed
        self._outputs.append(Persist(token, writes=tuple(writes), syncs=tuple(syncs)))
        return token
