"""Looks at the replicas of a process whenever its node has settled, and calls the invariants of `replicas` on what has changed."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.broker.parts import Parts
from raftkafka.group.coordinator import OFFSETS_TOPIC
from raftkafka.replication.partition import Partition
from raftkafka.simulation.disk import SimDisk
from raftkafka.simulation.invariants import compaction, directories, metadata, raft, replicas
from raftkafka.simulation.invariants.group_eye import GroupEye
from raftkafka.simulation.invariants.memory import ClusterMemory, PartitionMemory, ProcessMemory, ReplicaView
from raftkafka.simulation.invariants.mirror import LogMirror, Producer
from raftkafka.storage.config import LogConfig

Quorum = tuple[object, ...]
"""What a leader waits for, and what the metadata says that it should."""


@attrs.define(eq=False)
class _Replica:
    """A hosted replica as it was when it was last looked at."""

    name: str
    memory: PartitionMemory
    directory: str
    view: ReplicaView | None = None
    quorum: Quorum | None = None


class ReplicaEye:
    """Of one process. `memory` is shared by all."""

    def __init__(
        self, memory: ClusterMemory, process: ProcessMemory, parts: Parts, disk: SimDisk, *, group_eye: GroupEye, is_damaged: bool
    ) -> None:
        self._memory = memory
        self._process = process
        self._manager = parts.replicas
        self._node_id: NodeId = parts.services.node_id
        self._disk = disk
        self._is_damaged = is_damaged
        self._compacts = parts.services.config.log_cleaner_enable
        self._hosted = parts.replicas.hosted
        self._coordinator = parts.groups
        self._group_eye = group_eye
        self.touched: dict[Partition, None] = {}
        """What `look` is to look at."""
        self._seen: dict[Partition, _Replica] = {}
        parts.replicas.on_settled = self._note_touched

    def look(self) -> None:
        """The node has settled."""
        touched, self.touched = self.touched, {}
        for partition in touched:
            if self._hosted.get(partition.key) is not partition:
                self._removed(partition)
                continue
            replica = self._seen.get(partition)
            if replica is None:
                replica = self._seen[partition] = _Replica(str(partition), self._memory.partition(partition.key), partition.log.directory)
            elif partition.log.directory != replica.directory:
                self._moved(partition, replica)
            view = self._view(partition, replica.name)
            if view != replica.view:
                replica.view = view
                self._changed(partition, replica, view)

    def _note_touched(self, partitions: Iterable[Partition]) -> None:
        self.touched.update(dict.fromkeys(partitions))

    def _moved(self, partition: Partition, replica: _Replica) -> None:
        """The log is in another directory than before."""
        replica.directory = partition.log.directory
        mirror = replica.memory.mirrors.get(self._node_id)
        if mirror is None or replica.view is None or replica.view.log_end_offset != partition.log.log_end_offset:
            return  # there is nothing to compare it with
        start_offset, before = partition.log.log_start_offset, mirror.batches
        mirror.update(partition.log)
        directories.moved_logs_are_whole(
            replica.name,
            self._node_id,
            [batch for batch in before if batch.next_offset > start_offset],
            [batch for batch in mirror.batches if batch.next_offset > start_offset],
        )

    def ended(self) -> None:
        """The process has ended: its replicas are logs on a disk now."""
        for replica in self._seen.values():
            replica.memory.views.pop(self._node_id, None)

    def lost_bytes(self) -> None:
        """The disk of the process that has ended has lost something."""
        for partition, replica in self._seen.items():
            mirror = replica.memory.mirrors.get(self._node_id)
            if mirror is not None:
                mirror.read_what_is_left(partition.log, is_dense=not replica.memory.is_compacted)
                replicas.no_global_loss(replica.name, replica.memory)

    def _removed(self, partition: Partition) -> None:
        """The replica is hosted here no longer."""
        if self._seen.pop(partition, None) is None or partition.key in self._hosted:
            return
        memory = self._memory.partition(partition.key)
        memory.views.pop(self._node_id, None)
        memory.mirrors.pop(self._node_id, None)

    def _changed(self, partition: Partition, replica: _Replica, view: ReplicaView) -> None:
        memory = replica.memory
        before = memory.views.get(self._node_id)
        memory.views[self._node_id] = view
        cut = before is None or view.log_end_offset < before.log_end_offset
        if self._compacts and partition.log.config.compact:
            memory.is_compacted = True
        ends = (view.log_start_offset, view.log_end_offset)
        if view.is_online and (before is None or ends != (before.log_start_offset, before.log_end_offset)):
            self._read_log(partition, view, memory, is_first=before is None)
        replicas.offsets_in_order(view)
        if view.log_start_offset > (before.log_start_offset if before is not None else 0):
            self._log_start_moved(partition, view, memory)
        if memory.is_compacted:
            compaction.clean_below_high_watermark(view, partition.log.clean_end_offset, memory)
        if before is None or before.partition_epoch != view.partition_epoch or before.leads != view.leads:
            self._check_epochs(before, view, memory)
        moved = view.high_watermark != (before.high_watermark if before is not None else -1)
        if moved:
            self._high_watermark_moved(before, view, memory)
        if view.leads:
            self._leads(replica, view, log_or_commit_changed=cut or moved)
            mirror = memory.mirrors.get(self._node_id)
            if partition.topic == OFFSETS_TOPIC and mirror is not None:
                self._group_eye.look(view, memory, mirror, self._coordinator)
        if cut and self._is_registered:
            replicas.leader_candidate_completeness(view, memory)
        if cut and before is not None:
            replicas.no_global_loss(view.name, memory)
        if self._process.owes:
            self._note_caught_up(view, memory)
        if view.leads and (before is None or not before.leads):
            self._note_complete_followers(memory)

    def _log_start_moved(self, partition: Partition, view: ReplicaView, memory: PartitionMemory) -> None:
        config = partition.log.config
        if config.delete and (config.retention_bytes >= 0 or config.retention_ms != LogConfig().retention_ms):
            memory.deletable_end = max(memory.deletable_end, view.log_start_offset)
            if self._memory.expired is not None and partition.topic != OFFSETS_TOPIC:
                self._memory.expired(view.name, view.log_start_offset)
        else:
            replicas.deletion_needs_a_reason(view, memory)

    def _leads(self, replica: _Replica, view: ReplicaView, *, log_or_commit_changed: bool) -> None:
        """The replica leads: what holds of a leader goes on to hold while it appends and nothing else happens."""
        memory = replica.memory
        quorum = (view.isr, view.maximal_isr, view.min_isr, view.is_pending, view.leader_epoch, memory.registration, memory.unclean)
        is_other = quorum != replica.quorum
        if is_other or log_or_commit_changed:
            replicas.leader_completeness(view, memory)
        if is_other:
            replica.quorum = quorum
            replicas.replication_quorum_superset(view, memory)

    def _view(self, partition: Partition, name: str) -> ReplicaView:
        leader, log = partition.leader, partition.log
        base = (
            self._node_id,
            name,
            leader is not None,
            partition.leader_epoch,
            partition.partition_epoch,
            log.log_start_offset,
            log.log_end_offset,
            partition.high_watermark,
            log.offline_reason is None,
            partition.leader_id,
        )
        if leader is None:
            return ReplicaView(*base)
        return ReplicaView(*base, leader.start_offset, leader.isr, leader.maximal_isr, leader.min_isr, leader.pending is not None)

    def _read_log(self, partition: Partition, view: ReplicaView, memory: PartitionMemory, *, is_first: bool) -> None:
        mirror = memory.mirrors.get(self._node_id)
        if mirror is None or is_first:
            mirror = memory.mirrors[self._node_id] = LogMirror(self._disk)
        start = mirror.update(partition.log)
        new = mirror.batches[start:] if start else mirror.batches
        previous = mirror.batches[start - 1] if start else None
        damaged = None if is_first and self._is_damaged else mirror.damaged
        replicas.sound_log(view, new, previous, damaged, is_dense=not memory.is_compacted)
        if memory.is_compacted:
            compaction.cleaning_keeps_places(view, new, memory)
        else:
            replicas.log_matching(view, new, previous, memory)

    def _check_epochs(self, before: ReplicaView | None, view: ReplicaView, memory: PartitionMemory) -> None:
        if before is not None:
            metadata.replica_epochs_monotonic(before, view)
        if view.leads:
            replicas.one_leader_per_epoch(view, memory)
            if before is None or not before.leads or before.leader_epoch != view.leader_epoch:
                self._elected(view, memory)
        replicas.fetcher_sanity(view, self._manager.fetched_from(memory.key))
        registration = memory.registration
        if registration is not None:
            raft.answered_is_committed(view.name, view.node_id, view.partition_epoch, registration.partition_epoch)

    def _elected(self, view: ReplicaView, memory: PartitionMemory) -> None:
        mirror, log = memory.mirrors.get(self._node_id), self._hosted[memory.key].log
        if memory.unclean and view.leader_epoch >= memory.unclean_epoch:
            memory.elected_uncleanly(view, mirror)
        if mirror is None or not view.is_online:
            return
        known = {
            entry.producer_id: Producer(entry.producer_epoch, entry.last_sequence, entry.batches[-1].last_offset)
            for entry in log.producers.entries
            if entry.batches
        }
        replicas.producers_follow_from_the_log(view, mirror.producers(log), known)

    def _high_watermark_moved(self, before: ReplicaView | None, view: ReplicaView, memory: PartitionMemory) -> None:
        if before is not None:
            replicas.high_watermark_monotonic(before, view, memory)
            if view.leads:
                replicas.high_watermark_needs_the_isr(before, view, memory)
        mirror = memory.mirrors.get(self._node_id)
        if memory.is_compacted:
            pass  # what is left of its batches is no longer what was committed
        elif mirror is not None and not memory.unclean:
            start_offset = max(before.high_watermark if before is not None else 0, view.log_start_offset)
            replicas.committed_prefix(view, mirror.between(start_offset, view.high_watermark), memory)
        if not view.leads or view.high_watermark <= memory.true_high_watermark:
            return
        if mirror is not None:
            for batch in mirror.between(memory.true_high_watermark, view.high_watermark):
                memory.committed[batch.base_offset] = batch
                memory.last_committed = batch
        memory.true_high_watermark = memory.losses_at[memory.losses] = view.high_watermark
        for other in memory.views.values():
            if other.log_end_offset < view.high_watermark and self._memory.is_registered(other.node_id):
                replicas.leader_candidate_completeness(other, memory)

    @property
    def _is_registered(self) -> bool:
        return self._memory.is_registered(self._node_id)

    def _note_caught_up(self, view: ReplicaView, memory: PartitionMemory) -> None:
        """A replica that was restarted uncleanly has caught up again."""
        if memory.key in self._process.owes and memory.has_caught_up(view):
            del self._process.owes[memory.key]

    def _note_complete_followers(self, memory: PartitionMemory) -> None:
        """A replica that begins to lead finds others that have all it has: of an empty log they show nothing more when they fetch."""
        for node_id, process in self._memory.processes.items():
            other = memory.views.get(node_id)
            if memory.key in process.owes and other is not None and memory.has_caught_up(other):
                del process.owes[memory.key]
