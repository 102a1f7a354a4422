"""All logs of a node: finding and recovering them at start, creating and deleting them, checkpoints, retention, flushes, the clean stop.

Invariants
- One directory a partition; a log is known by topic id, so a recreated topic never meets the records of its predecessor.
- The marker of a clean stop is gone, and that is stable, before `ready`: whatever a node does after it has begun to serve counts as unclean
  until it stops cleanly (rule D9).
- A checkpointed recovery point was stable when it was written, and the leader epochs up to it are on disk.
- The marker of a clean stop is written when all that it vouches for is stable, and nothing is appended any more from its beginning on.
- A damaged log goes offline alone; a failed disk operation takes the log directory offline with all its logs, and when there is no other
  directory, the process must end (`failure`).
- A log that may lie in a directory that has failed is not created anew in another one.
- A directory without the name of its topic is set aside, never written to.
- The effects are to be carried out in the order given.

Sources: reference/disk-format.md; KIP-112, KIP-858 (failed directories), KIP-966 (the broker epoch in the marker);
reference/replication-rules.md D9.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import attrs

from raftkafka.base.disk import Disk, FileWrite, Persist
from raftkafka.base.errors import ApiError, CorruptRecord, DiskError, ErrorCode
from raftkafka.base.ids import NO_DIRECTORY_ID, DirectoryId, PartitionKey, TopicPartition
from raftkafka.base.observed import Observed, observed
from raftkafka.base.rules import NO_RULES, Rule, Rules
from raftkafka.storage.checkpoints import CLEAN_SHUTDOWN_FILE, PARTITION_METADATA_FILE, encode_clean_shutdown, encode_partition_metadata
from raftkafka.storage.cleaner import CleanerSettings, LogCleaner
from raftkafka.storage.config import LONG_MAX, LogConfig
from raftkafka.storage.log_directory import LogDirectory
from raftkafka.storage.log_flushes import Flush, LogFlushes
from raftkafka.storage.log_loading import Found, FoundLog, Generation, find_logs, open_found, replaced_logs, write_generation
from raftkafka.storage.log_placement import LogPlacement
from raftkafka.storage.log_relocation import LogRelocation, Ports
from raftkafka.storage.log_removal import LogRemoval
from raftkafka.storage.log_retention import LogRetention
from raftkafka.storage.partition_log import PartitionLog

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
        self.failure: str | None = None
        """Why the process must end: the disk of the last log directory has failed. As long as it ran it would keep the leaderships of logs
        that it can neither write nor read, and no other replica would take over."""
        self.broker_epoch = CLEAN_EPOCH_UNKNOWN
        """The epoch of this process, once it is known: no log is created before."""
        self.on_replaced: Callable[[PartitionLog], None] | None = None
        """Called with the log that has just taken the place of the one of its partition, in another directory."""
        self._disk = disk
        self._settings = settings or LogManagerSettings()
        self._rng = rng or random.Random(0)
        self.placement = LogPlacement(log_dirs)
        self._logs: dict[PartitionKey, PartitionLog] = {}
        self._high_watermarks: dict[PartitionKey, int] = {}
        self._outputs: list[Persist | Observed] = []
        self._flushes = LogFlushes(self._outputs_append)
        self._removal = LogRemoval(disk, self._rng, self._observe)
        self.moves = LogRelocation(
            disk=disk,
            rng=self._rng,
            placement=self.placement,
            flushes=self._flushes,
            removal=self._removal,
            ports=Ports(
                logs_in=lambda directory: [self._logs[key] for key in self.placement.keys_in(directory)],
                log_of=self.get,
                high_watermark=lambda log: self.checkpointed_high_watermark(log.key),
                replaced=self._log_replaced,
                directory_failed=self._directory_failed,
                observe=self._observe,
            ),
            disabled_rules=self._settings.disabled_rules,
        )
        self._withdrawing: dict[LogDirectory, None] = {}
        self._loaded = False
        self._stopping = False
        self._checkpoint_due_ms = FAR_FUTURE_MS
        self.retention = LogRetention(
            self._logs,
            self._removal,
            interval_ms=self._settings.retention_check_interval_ms,
            high_watermark=lambda key: self.high_watermark_of(key),  # noqa: PLW0108 (its owner sets another later)
            observe=self._observe,
            report_offline=self._report_offline,
        )
        """Deletes the records that are too old or too many."""
        self.high_watermark_of: Callable[[PartitionKey], int] = self.checkpointed_high_watermark
        """How far a log is committed at this moment; who knows better than the checkpoints says so here."""
        self.cleaner = LogCleaner(
            disk=disk,
            settings=self._settings.cleaner,
            disabled_rules=self._settings.disabled_rules,
            limit=self._cleanable_end,
            hosts=lambda log: self._logs.get(log.key) is log,
            persist=lambda paths: self._flushes.begin(Flush(), syncs=paths),
            observe=self._observe,
        )

    @property
    def ready(self) -> bool:
        """Whether it is safe to serve: the markers of the last process's clean stop are gone for good."""
        return self._loaded and not self._withdrawing

    @property
    def shut_down(self) -> bool:
        """Whether a clean stop is complete: everything is stable, and so is the marker that says so."""
        return self._stopping and not self._flushes.under_way

    def load(self, wall_ms: int) -> None:
        """Opens all logs, recovering those that need it. Serve only when `ready`."""
        del wall_ms
        directories = self.placement.directories
        self._in_each(lambda directory: directory.load_identity(self._disk))
        if self.placement.online_ids():
            self._in_each(_require_identity)
        epochs = list(dict.fromkeys(directory.clean_broker_epoch for directory in directories))
        if len(epochs) == 1 and epochs[0] is not None:
            self.previous_broker_epoch = epochs[0]
        self._in_each(lambda directory: directory.load_checkpoints(self._disk, self._observe))
        found: dict[str, Found] = {}
        self._in_each(lambda directory: found.update({directory.path: find_logs(self._disk, directory, self._observe)}))
        replaced = replaced_logs(log for each in found.values() for log in each.logs)
        self._in_each(lambda directory: self._load_logs(found[directory.path], replaced))
        self.moves.has_been_replaced(replaced)
        self._in_each(lambda directory: self.moves.begin_anew(found[directory.path].copies))
        self._loaded = True
        if Rule.WITHDRAW_MARKER not in self._settings.disabled_rules:
            self._withdraw_markers()
        self.retention.begin()
        self._checkpoint_due_ms = 0

    def get(self, key: PartitionKey) -> PartitionLog | None:
        """The log of a partition."""
        return self._logs.get(key)

    def __iter__(self) -> Iterator[PartitionLog]:
        return iter(self._logs.values())

    def __len__(self) -> int:
        return len(self._logs)

    def create(
        self,
        key: PartitionKey,
        topic: str,
        config: LogConfig,
        now_ms: int,
        *,
        directory_id: DirectoryId = NO_DIRECTORY_ID,
        is_new: bool = True,
    ) -> PartitionLog:
        """The log of a partition, created empty when there is none. A log of another topic id in its place is deleted.

        `directory_id` is where the metadata has it. Refuses (KAFKA_STORAGE_ERROR) to create one that is not new while a directory that may
        hold it does not work.
        """
        log = self._logs.get(key)
        if log is not None:
            log.configure(config)
            return log
        while True:
            try:
                directory = self.placement.choose(TopicPartition(topic, key.partition), directory_id, is_new=is_new)
            except ApiError:
                self.placement.lost(key)
                raise
            try:
                log = self._create_in(directory, key, topic, config, now_ms)
            except DiskError as error:
                if not self.placement.several:
                    raise
                self._directory_failed(directory, str(error))
                continue
            self._add(directory, log)
            if not is_new:
                self.placement.created_anew(key)
            return log

    def delete(self, key: PartitionKey, now_ms: int) -> None:
        """Takes a log out of service at once; its files go after `file.delete.delay.ms`, or stay when the disk does not let us."""
        log = self._logs.pop(key, None)
        self.moves.forget(key)
        directory = self.placement.get(key)
        self.placement.remove(key)
        if log is None or directory is None:
            return
        self._high_watermarks.pop(key, None)
        self._flushes.forget(key)
        for segment in log.segments:
            segment.close()
        due_ms = now_ms + log.config.file_delete_delay_ms
        if self._removal.schedule(directory, log.directory, f"{log.topic}-{log.partition}", due_ms=due_ms):
            self._checkpoint_due_ms = now_ms  # so that a new topic of the same name does not find these offsets

    def move(self, place: TopicPartition, path: str) -> None:
        """Moves the log of a partition to another directory, or remembers where it is to be created.

        Refuses with LOG_DIR_NOT_FOUND, KAFKA_STORAGE_ERROR, or REPLICA_NOT_AVAILABLE when there is no log yet.
        """
        target = self.placement.named(path)
        if target is None:
            raise ApiError(ErrorCode.LOG_DIR_NOT_FOUND, f"{path} is no log directory of this broker")
        if target.offline_reason is not None:
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, f"the log directory {path} is offline: {target.offline_reason}")
        log = next((log for log in self._logs.values() if (log.topic, log.partition) == place), None)
        if log is None:
            self.placement.want(place, target)
            raise ApiError(ErrorCode.REPLICA_NOT_AVAILABLE, f"this broker has no replica of {place} yet")
        self.moves.move(log, target)

    def space(self, directory: LogDirectory) -> tuple[int, int]:
        """The bytes of a directory's file system, and those that can still be used; raises `DiskError`."""
        return self._disk.space(directory.path)

    def checkpointed_high_watermark(self, key: PartitionKey) -> int:
        """The high watermark as last told or as found on disk; 0 when there is none."""
        known = self._high_watermarks.get(key)
        if known is not None:
            return known
        log, directory = self._logs.get(key), self.placement.get(key)
        if log is None or directory is None:
            return 0
        return directory.high_watermarks.get(TopicPartition(log.topic, log.partition), 0)

    def checkpoint(self, high_watermarks: Mapping[PartitionKey, int]) -> None:
        """Takes note of high watermarks and writes all checkpoint files that have changed."""
        self._high_watermarks.update((key, offset) for key, offset in high_watermarks.items() if key in self._logs)
        self._write_checkpoints()

    def tick(self, now_ms: int, wall_ms: int) -> None:
        """Does what is due: retention, delayed deletions, flushes, checkpoints, moves."""
        self.retention.tick(now_ms, wall_ms)
        if now_ms >= self._checkpoint_due_ms:
            self._checkpoint_due_ms = now_ms + self._settings.checkpoint_interval_ms
            self._write_checkpoints()
        if not self._stopping and self.moves.tick(now_ms, delete_delay_ms=self._settings.default_config.file_delete_delay_ms):
            self._checkpoint_due_ms = now_ms
        self._removal.tick(now_ms)
        self.cleaner.tick(now_ms, wall_ms)
        self._flushes.tick(now_ms, self.placement.of)

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do."""
        deadline = min(
            self.retention.next_deadline_ms(),
            self._checkpoint_due_ms,
            self._removal.next_deadline_ms(),
            self.cleaner.next_deadline_ms(),
            self._flushes.deadline_ms(),
        )
        return deadline if self._stopping else min(deadline, self.moves.next_deadline_ms())

    @property
    def has_news(self) -> bool:
        """Whether since the last `drain` there is something for it, or a log that wants to be flushed, which moves the deadline."""
        return self._flushes.asked or bool(self._outputs)

    def drain(self) -> list[Persist | Observed]:
        """What to carry out, in order."""
        outputs, self._outputs = self._outputs, []
        self._flushes.asked = False
        return outputs

    def persisted(self, token: int) -> None:
        """A `Persist` is stable."""
        flush = self._flushes.ended(token)
        for log, end_offset in flush.logs:
            log.flushed(end_offset)
        self.cleaner.persisted(token)
        flush.done()

    def persist_failed(self, token: int, error: DiskError) -> None:
        """A `Persist` failed: what of its logs is stable is unknown, so they go offline with their directory, which denies it the marker of
        a clean stop."""
        flush = self._flushes.ended(token)
        for log, _ in flush.logs:
            log.failed(error)
            self._report_offline(log, str(error))
        if flush.directory is not None and self.placement.several:
            self._directory_failed(flush.directory, str(error))
        elif not self.ready:
            self.failure = f"the marker of the last clean stop cannot be withdrawn: {error}"
        self.cleaner.persist_failed(token, error)

    def clean_shutdown(self, broker_epoch: int) -> None:
        """Closes all logs, for good. In each directory everything becomes stable, and then the marker of a clean stop is written.

        The process may end once `shut_down`. A log that is offline, or a failure on the way, denies the marker: the next start has to look
        at everything in that directory.
        """
        self._stopping = True
        self.cleaner.stop()
        self.moves.stop()
        for directory in list(self.placement.online()):
            logs = [self._logs[key] for key in self.placement.keys_in(directory)] if self.placement.several else list(self._logs.values())
            self._close(directory, logs, broker_epoch)

    def _close(self, directory: LogDirectory, logs: Sequence[PartitionLog], broker_epoch: int) -> None:
        flushed: list[tuple[PartitionLog, int]] = []
        syncs: list[str] = []
        for log in logs:
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
        is_clean = all(log.offline_reason is None for log in logs)
        for log in logs:
            log.offline_reason = log.offline_reason or STOPPING
        if Rule.SYNC_BEFORE_MARKER in self._settings.disabled_rules:
            syncs = []

        def write_marker() -> None:
            if is_clean:
                marker = FileWrite(directory.file(CLEAN_SHUTDOWN_FILE), encode_clean_shutdown(broker_epoch))
                self._flushes.begin(Flush(directory=directory), writes=[*self._checkpoint_files(directory), marker])

        self._flushes.begin(Flush(directory=directory, logs=flushed, done=write_marker), syncs=syncs)

    # Loading.

    def _in_each(self, do: Callable[[LogDirectory], object]) -> None:
        """Does it in each directory that works. One where it cannot be done has failed; when it is the only one, that is for the caller."""
        for directory in list(self.placement.online()):
            try:
                do(directory)
            except (DiskError, CorruptRecord) as error:
                if not self.placement.several:
                    raise
                self._directory_failed(directory, str(error))

    def _load_logs(self, found: Found, replaced: Sequence[FoundLog]) -> None:
        for each in found.logs:
            if not any(each is other for other in replaced):
                log = open_found(
                    self._disk,
                    each,
                    config=self._settings.default_config,
                    observe=self._observe,
                    disabled_rules=self._settings.disabled_rules,
                )
                self._add(each.directory, log)

    def _withdraw_markers(self) -> None:
        """An empty marker counts as none: replacing is atomic and stable, where a deletion might be undone by a power failure."""
        self._withdrawing = {directory: None for directory in self.placement.online() if directory.clean}
        for directory in self._withdrawing:
            flush = Flush(directory=directory, done=partial(self._withdrawing.pop, directory))
            self._flushes.begin(flush, writes=[FileWrite(directory.file(CLEAN_SHUTDOWN_FILE), b"")])

    # Where logs are.

    def _create_in(self, directory: LogDirectory, key: PartitionKey, topic: str, config: LogConfig, now_ms: int) -> PartitionLog:
        name = f"{topic}-{key.partition}"
        self._delete_predecessor(topic, key, now_ms)
        for each in list(self.placement.online()):
            self._removal.set_aside(each, name)
        path = directory.file(name)
        self._disk.make_dir(path)
        self._disk.replace_file(f"{path}/{PARTITION_METADATA_FILE}", encode_partition_metadata(key.topic_id))
        if self.placement.several:
            write_generation(self._disk, path, Generation(self.broker_epoch))
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
        return log

    def _add(self, directory: LogDirectory, log: PartitionLog) -> None:
        self._logs[log.key] = log
        self.placement.put(log.key, directory)
        log.on_flush_wanted = self._want_flush
        log.on_recovery_point_lowered = self._recovery_point_lowered
        log.on_disk_failure = self._disk_failed

    def _log_replaced(self, directory: LogDirectory, log: PartitionLog) -> None:
        """A log has moved: this is it, from here on."""
        self._flushes.forget(log.key)
        self._add(directory, log)
        if log.config.compact:
            self.cleaner.note(log)
        if self.on_replaced is not None:
            self.on_replaced(log)

    def _delete_predecessor(self, topic: str, key: PartitionKey, now_ms: int) -> None:
        if any(self._disk.exists(directory.file(f"{topic}-{key.partition}")) for directory in self.placement.online()):
            for other in [log.key for log in self._logs.values() if log.topic == topic and log.partition == key.partition]:
                self._outputs.append(observed("log-replaced", topic=topic, partition=key.partition))
                self.delete(other, now_ms)

    # Failures.

    def _observe(self, event: Observed) -> None:
        self._outputs.append(event)

    def _outputs_append(self, persist: Persist) -> None:
        self._outputs.append(persist)

    def _report_offline(self, log: PartitionLog, reason: str) -> None:
        self._outputs.append(observed("log-offline", topic=log.topic, partition=log.partition, reason=reason))

    def _disk_failed(self, log: PartitionLog) -> None:
        """A stop that is under way goes on: it ends the process anyway, and its marker is denied."""
        if self._stopping:
            return
        if not self.placement.several:
            self.failure = f"the only log directory has failed: {log.offline_reason}"
            return
        directory = self.placement.get(log.key)
        if directory is not None and log is self._logs.get(log.key):
            self._directory_failed(directory, log.offline_reason or "")

    def _directory_failed(self, directory: LogDirectory, reason: str) -> None:
        """Takes all of it offline; only the end of the process brings it back."""
        if directory.offline_reason is not None:
            return
        keys = self.placement.failed(directory, reason)
        self._outputs.append(observed("log-directory-failed", path=directory.path, reason=reason, logs=len(keys)))
        for key in keys:
            log = self._logs[key]
            log.offline_reason = log.offline_reason or f"its log directory has failed: {reason}"
        self.moves.give_up(directory)
        self._withdrawing.pop(directory, None)  # the marker that stays there has another epoch than that of the next clean stop
        if not any(True for _ in self.placement.online()) and not self._stopping:
            self.failure = f"every log directory has failed, the last one with: {reason}"

    # Work that is done now and then.

    def _want_flush(self, log: PartitionLog) -> None:
        self._flushes.want(log)
        if log.config.compact:
            self.cleaner.note(log)

    def _cleanable_end(self, log: PartitionLog) -> int:
        """Up to where a log is committed, and free of open transactions."""
        if Rule.CLEAN_BELOW_HIGH_WATERMARK in self._settings.disabled_rules:
            return log.log_end_offset
        return log.last_stable_offset(min(self.high_watermark_of(log.key), log.log_end_offset))

    def _write_checkpoints(self) -> None:
        """A checkpoint that cannot be written is written the next time: an older one is right too, it only makes a recovery longer. Where
        there are other directories, this one counts as failed."""
        for log in self._logs.values():
            if log.epochs.dirty and log.offline_reason is None:
                try:
                    log.write_checkpoints()
                except ApiError as error:
                    self._report_offline(log, error.message)
        for directory in list(self.placement.online()):
            self._write_checkpoints_of(directory)

    def _write_checkpoints_of(self, directory: LogDirectory) -> None:
        for write in self._checkpoint_files(directory):
            try:
                self._disk.replace_file(write.path, write.data)
            except DiskError as error:
                directory.not_written(write)
                self._outputs.append(observed("checkpoint-not-written", path=write.path, reason=str(error)))
                if self.placement.several and not self._stopping:
                    self._directory_failed(directory, str(error))
                    break

    def _recovery_point_lowered(self, log: PartitionLog) -> None:
        self._write_checkpoints_of(self.placement.of(log.key))

    def _checkpoint_files(self, directory: LogDirectory) -> list[FileWrite]:
        """The checkpoint files whose content has changed."""
        logs = (log for key, log in self._logs.items() if self.placement.of(key) is directory)
        return directory.changed_checkpoints(logs, lambda log: self.checkpointed_high_watermark(log.key))


def _require_identity(directory: LogDirectory) -> None:
    """Where the others know who they are, one that does not is not what it was: an empty mount point."""
    if directory.directory_id == NO_DIRECTORY_ID:
        raise CorruptRecord(f"{directory.path} has no meta.properties")
