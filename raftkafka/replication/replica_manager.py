"""The replicas of a broker: produce, fetch, lead and follow. The one door to this package.

Everything happens in the calls; what became complete by them (acks of producers, long polls of followers and consumers) is answered in
`settle`, which the node calls once for each batch of network input. `drain` gives what is to be sent.

How acks=all is fast: the leader appends; `settle` answers the followers' waiting fetches; each follower appends and sends its next fetch
in the same step; that fetch acknowledges, the high watermark advances, and the same `settle` answers the producer.

Sources: KIP-101, KIP-279, KIP-320, KIP-595 (truncation and fencing), KIP-497, KIP-841, KIP-903, KIP-966 (ISR), KIP-227 (sessions),
KIP-107 (DeleteRecords), KIP-392 (fetch from follower), KIP-951 (leader hints), KIP-1166 (high watermark); reference/replication-rules.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from raftkafka.base.ids import NO_NODE, NodeId, PartitionKey
from raftkafka.base.rules import Rule
from raftkafka.metadata.control_messages import AlterPartitionReply
from raftkafka.metadata.image import MetadataDelta, MetadataImage
from raftkafka.protocol.fetch_codec import FetchRequestData, FetchResponseData
from raftkafka.replication.delete_records import DeleteDone, DeleteRecordsService
from raftkafka.replication.fetch_service import FetchService
from raftkafka.replication.fetcher import FetcherPool
from raftkafka.replication.isr_proposals import IsrProposals
from raftkafka.replication.leader import IsrProposal, Leader
from raftkafka.replication.offset_queries import list_offset, offset_for_leader_epoch
from raftkafka.replication.partition import Partition
from raftkafka.replication.ports import Logs
from raftkafka.replication.produce import ProduceService
from raftkafka.replication.replicas import Replicas
from raftkafka.replication.traffic import TrafficMeter
from raftkafka.replication.transitions import TopicConfig, Transitions
from raftkafka.replication.values import (
    FAR_FUTURE_MS,
    FetchDone,
    HighWatermarkAdvanced,
    ListedOffset,
    ProduceDone,
    ProduceEntry,
    ProducerDescription,
    ReplicaOutput,
    ReplicaSettings,
)
from raftkafka.storage.partition_log import AppendResult, PartitionLog
from raftkafka.storage.producers import AppendOrigin

LOG_START_CHECKPOINT_MS = 100
"""So soon after a deletion the log starts are written: a process that is killed should not bring back what was said to be deleted."""


class ReplicaManager:
    """All replicas of one broker. Methods that answer a client raise `ApiError`, or put its code into the answer."""

    def __init__(self, *, node_id: NodeId, logs: Logs, settings: ReplicaSettings, topic_config: TopicConfig, rng: random.Random) -> None:
        self._logs = logs
        self._settings = settings
        self._replicas = Replicas(node_id, rack_aware=settings.rack_aware_selector, disabled_rules=settings.disabled_rules)
        self._produce = ProduceService(self._replicas)
        self._deletions = DeleteRecordsService(self._replicas)
        self._fetches = FetchService(self._replicas, settings, rng, acknowledged=self._acknowledged)
        self._fetchers = FetcherPool(self._replicas, settings)
        self._proposals = IsrProposals(self._replicas)
        self._transitions = Transitions(
            self._replicas,
            logs,
            topic_config,
            produce=self._produce,
            deletions=self._deletions,
            fetchers=self._fetchers,
            lag_max_ms=settings.replica_lag_time_max_ms,
        )
        self._next_isr_check_ms = FAR_FUTURE_MS
        self._next_checkpoint_ms = FAR_FUTURE_MS
        self._moved_since_checkpoint = False
        self.on_settled: Callable[[Iterable[Partition]], None] | None = None
        """Called with the replicas that something has happened to, for who checks invariants."""
        logs.on_replaced = self._log_replaced

    # Metadata and the controller.

    def apply_metadata(self, image: MetadataImage, delta: MetadataDelta, now_ms: int) -> None:
        """Takes over the newest image. The first one must hold this process's own registration: its broker epoch is taken from there."""
        self._transitions.apply(image, delta, now_ms)
        for node_id in delta.changed_brokers:
            self.broker_seen(node_id)
        if delta.changed_brokers:
            self._expand_all()
            self._deletions.brokers_changed()
        self._fetchers.send_all(now_ms)
        if self._next_isr_check_ms == FAR_FUTURE_MS:
            self._next_isr_check_ms = now_ms + self._settings.replica_lag_time_max_ms // 2
            self._next_checkpoint_ms = now_ms + self._settings.high_watermark_checkpoint_interval_ms

    def _log_replaced(self, log: PartitionLog) -> None:
        """The log of a replica is in another directory now, and is another object."""
        partition = self._replicas.by_key.get(log.key)
        if partition is not None:
            partition.log = log
            self._replicas.touched[partition] = None

    def alter_partition_reply(self, reply: AlterPartitionReply | None, now_ms: int) -> None:
        """The controller's answer to the last `SendAlterPartition`; None when there was none."""
        for leader in self._proposals.reply(reply, now_ms):
            leader.partition.state_changed = True
            self._replicas.touched[leader.partition] = None

    def _expand(self, leader: Leader, fetching: NodeId = NO_NODE) -> None:
        proposal = leader.propose_expansion(fetching)
        if proposal is not None:
            self._submit(leader, proposal)

    def _submit(self, leader: Leader, proposal: IsrProposal) -> None:
        self._proposals.submit(leader, proposal)
        if self.on_settled is not None:
            self.on_settled((leader.partition,))

    def _expand_all(self) -> None:
        for partition in self._replicas.by_key.values():
            if partition.leader is not None:
                self._expand(partition.leader)
                self._reconsider(partition.leader)

    def _reconsider(self, leader: Leader) -> None:
        """Who is about to join the ISR holds the high watermark back. When it may join no more, nothing else would tell."""
        if len(leader.isr) <= len(leader.followers):
            self._replicas.touched[leader.partition] = None

    def broker_gone(self, node_id: NodeId) -> None:
        """That broker's process has certainly ended: until it is seen again it is not counted on for acks=all."""
        self._replicas.gone[node_id] = None

    def broker_seen(self, node_id: NodeId) -> None:
        """That broker lives: it fetches, it answers, or the metadata has news of it (which tell by themselves whether it is in the ISR)."""
        self._replicas.gone.pop(node_id, None)

    # Producers.

    def produce(self, entries: Sequence[ProduceEntry], *, acks: int, timeout_ms: int, wall_ms: int, now_ms: int, done: ProduceDone) -> None:
        """Appends each entry as leader; `done` gets one result an entry, now or in a later `settle` or `tick`."""
        self._produce.produce(entries, acks=acks, timeout_ms=timeout_ms, wall_ms=wall_ms, now_ms=now_ms, done=done)

    def append_local(self, key: PartitionKey, batch: bytes, *, wall_ms: int, now_ms: int) -> AppendResult:
        """Appends a coordinator's batch with the guarantees of acks=all: it is durable when the high watermark passes it."""
        leader = self._replicas.find(key).require_leader()
        return self._produce.append(
            leader, bytearray(batch), origin=AppendOrigin.COORDINATOR, needs_min_isr=True, wall_ms=wall_ms, now_ms=now_ms
        )

    def delete_records(self, entries: Sequence[tuple[PartitionKey, int]], *, timeout_ms: int, now_ms: int, done: DeleteDone) -> None:
        """Deletes what is before an offset, as leader; `done` gets one result an entry, now or when the live replicas have done so too."""
        self._deletions.delete(entries, timeout_ms=timeout_ms, now_ms=now_ms, done=done)

    # Fetches of consumers and followers.

    def fetch(self, request: FetchRequestData, *, version: int, now_ms: int, done: FetchDone) -> None:
        """Serves a fetch, its session included; `done` is called now, or in a later `settle`, `tick` or `fetch` of the same session."""
        if request.replica_id >= 0:
            self.broker_seen(NodeId(request.replica_id))
            self._replicas.throttle.now_ms = now_ms
        self._fetches.fetch(request, version=version, now_ms=now_ms, done=done)

    def _acknowledged(self, leader: Leader, follower: NodeId, now_ms: int) -> None:
        """A follower told what it has."""
        if self._deletions.waiting:
            self._deletions.low_watermark_moved(leader)
        if leader.advance_high_watermark(now_ms):
            self._replicas.touched[leader.partition] = None
        if len(leader.isr) <= len(leader.followers):
            self._expand(leader, follower)

    # Questions.

    def list_offsets(
        self, key: PartitionKey, timestamp: int, *, isolation_level: int, current_leader_epoch: int, replica_id: int
    ) -> ListedOffset:
        """Answers ListOffsets; a client (`replica_id` below 0) sees only what is committed."""
        partition = self._replicas.find(key)
        partition.check_leader_epoch(current_leader_epoch)
        may_lag = not self._replicas.applies(Rule.LATEST_AFTER_CATCH_UP)
        return list_offset(partition, timestamp, isolation_level=isolation_level, from_client=replica_id < 0, may_lag=may_lag)

    def offset_for_leader_epoch(self, key: PartitionKey, *, current_leader_epoch: int, epoch: int) -> tuple[int, int]:
        """The largest known epoch not above `epoch` and its end offset, (-1, -1) when `epoch` is above all (KIP-279, KIP-320)."""
        partition = self._replicas.find(key)
        partition.check_leader_epoch(current_leader_epoch)
        return offset_for_leader_epoch(partition, epoch)

    def describe_producers(self, key: PartitionKey) -> list[ProducerDescription]:
        """The producers that this partition's log remembers; only the leader answers."""
        leader = self._replicas.find(key).require_leader()
        return [
            ProducerDescription(
                producer_id=entry.producer_id,
                producer_epoch=entry.producer_epoch,
                last_sequence=entry.last_sequence,
                last_timestamp_ms=entry.last_timestamp,
                coordinator_epoch=entry.coordinator_epoch,
                current_txn_first_offset=entry.transaction_first_offset if entry.transaction_first_offset >= 0 else None,
            )
            for entry in leader.partition.log.producers.entries
        ]

    def high_watermark(self, key: PartitionKey) -> int:
        """Up to where (exclusive) the partition is committed as far as this replica knows."""
        return self._replicas.find(key).high_watermark

    def hosted_high_watermark(self, key: PartitionKey) -> int:
        """As `high_watermark`; 0 of a partition that is not hosted (yet)."""
        partition = self._replicas.by_key.get(key)
        return 0 if partition is None else partition.high_watermark

    def log_start_offset(self, key: PartitionKey) -> int:
        return self._replicas.find(key).log.log_start_offset

    def read_local(self, key: PartitionKey, start_offset: int, max_bytes: int) -> bytes:
        """Batches up to the log end, for a coordinator that replays its partition; empty at the end."""
        log = self._replicas.find(key).require_leader().partition.log
        return b"".join(log.read(start_offset, max_bytes=max_bytes).records)

    def watch_high_watermark(self, key: PartitionKey) -> None:
        """From now on `HighWatermarkAdvanced` is reported for this partition, while it is hosted here."""
        self._replicas.watched[key] = None

    def partition(self, key: PartitionKey) -> Partition | None:
        """The hosted replica, for status reports and tests."""
        return self._replicas.by_key.get(key)

    @property
    def hosted(self) -> Mapping[PartitionKey, Partition]:
        """All hosted replicas, for who checks invariants; nobody outside changes them."""
        return self._replicas.by_key

    @property
    def traffic(self) -> TrafficMeter:
        """What the leaders among the replicas have counted."""
        return self._replicas.traffic

    def fetched_from(self, key: PartitionKey) -> list[NodeId]:
        """The brokers that the partition is fetched from: its leader, or nobody."""
        return self._fetchers.fetched_from(key)

    # Links to leaders.

    def leader_link_opened(self, leader_id: NodeId, now_ms: int) -> None:
        """The link is open: fetching begins with a new session."""
        self._fetchers.link_opened(leader_id, now_ms)

    def fetch_failed(self, leader_id: NodeId, now_ms: int) -> None:
        """The link has closed or could not be opened: nothing that was sent on it will be answered."""
        self._fetchers.failed(leader_id, now_ms)

    def fetch_response(self, leader_id: NodeId, response: FetchResponseData, now_ms: int) -> None:
        """The answer to the oldest outstanding `SendFetch`; its records may be reused after the call."""
        self._fetchers.response(leader_id, response, now_ms)

    # Settling, time, outputs.

    def settle(self, now_ms: int) -> None:
        """Answers everything that became complete; costs what was touched."""
        replicas = self._replicas
        replicas.throttle.now_ms = now_ms
        while replicas.touched:
            touched, replicas.touched = replicas.touched, {}
            for partition in touched:
                self._settle_partition(partition, now_ms)
            self._fetches.settle()
            if self.on_settled is not None:
                self.on_settled(touched)
        self._proposals.send(now_ms)
        if replicas.log_starts_moved:
            replicas.log_starts_moved = False
            self._next_checkpoint_ms = min(self._next_checkpoint_ms, now_ms + LOG_START_CHECKPOINT_MS)

    def _settle_partition(self, partition: Partition, now_ms: int) -> None:
        leader = partition.leader
        if leader is not None:
            leader.advance_high_watermark(now_ms)
            if leader.acks:
                self._produce.high_watermark_advanced(leader)
        end_moved = partition.log.log_end_offset != partition.seen_end_offset
        high_watermark_moved = partition.high_watermark != partition.seen_high_watermark
        state_changed = partition.state_changed
        partition.seen_end_offset = partition.log.log_end_offset
        partition.seen_high_watermark = partition.high_watermark
        partition.state_changed = False
        if high_watermark_moved:
            self._moved_since_checkpoint = True
        if partition.fetches:
            self._fetches.partition_changed(
                partition, end_moved=end_moved, high_watermark_moved=high_watermark_moved, state_changed=state_changed, now_ms=now_ms
            )
        if high_watermark_moved and partition.key in self._replicas.watched:
            self._replicas.outputs.append(HighWatermarkAdvanced(partition.key, partition.high_watermark))
        if leader is not None and (high_watermark_moved or state_changed) and len(leader.isr) <= len(leader.followers):
            self._expand(leader)

    def tick(self, now_ms: int, wall_ms: int) -> None:
        """Does what is due: time-outs, lingering fetches, ISR shrinking, checkpoints, retries. `settle` follows it."""
        self._replicas.throttle.now_ms = now_ms
        if self._transitions.unfinished:
            self._transitions.go_on(now_ms)
            self._fetchers.send_all(now_ms)
        self._produce.tick(now_ms)
        self._deletions.tick(now_ms)
        self._fetches.tick(now_ms)
        self._fetchers.tick(now_ms)
        for leader in self._proposals.tick(now_ms):
            self._expand(leader)
        if now_ms >= self._next_isr_check_ms:
            self._next_isr_check_ms = now_ms + self._settings.replica_lag_time_max_ms // 2
            self._shrink_all(now_ms)
        if now_ms >= self._next_checkpoint_ms:
            self._next_checkpoint_ms = now_ms + self._settings.high_watermark_checkpoint_interval_ms
            self.checkpoint_high_watermarks()
            self._fetches.sessions.expire(now_ms)

    def _shrink_all(self, now_ms: int) -> None:
        for partition in self._replicas.by_key.values():
            if partition.leader is not None:
                proposal = partition.leader.propose_shrink(now_ms)
                if proposal is not None:
                    self._submit(partition.leader, proposal)
                self._reconsider(partition.leader)

    def log_start_moved(self, key: PartitionKey) -> None:
        """Retention has moved the start of a log: followers are told with the next answer."""
        partition = self._replicas.by_key.get(key)
        if partition is not None:
            partition.state_changed = True
            self._replicas.touched[partition] = None

    def checkpoint_high_watermarks(self) -> None:
        """Writes the checkpoints, and notices log starts that retention moved: idle consumers and followers are told."""
        for partition in self._replicas.by_key.values():
            if partition.log.log_start_offset != partition.seen_log_start_offset:
                partition.seen_log_start_offset = partition.log.log_start_offset
                self._moved_since_checkpoint = True
                partition.truncate_high_watermark()
                partition.state_changed = True
                self._replicas.touched[partition] = None
        if self._moved_since_checkpoint:
            self._moved_since_checkpoint = False
            self._logs.checkpoint({key: partition.high_watermark for key, partition in self._replicas.by_key.items()})

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do."""
        if self._transitions.unfinished:
            return 0
        return min(
            self._produce.deadlines.next_ms(),
            self._deletions.deadlines.next_ms(),
            self._fetches.deadlines.next_ms(),
            self._fetchers.next_deadline_ms(),
            self._proposals.next_deadline_ms(),
            self._next_isr_check_ms,
            self._next_checkpoint_ms,
        )

    @property
    def has_applied_all(self) -> bool:
        """Whether every replica is what the metadata that was given last says."""
        return not self._transitions.unfinished

    def drain(self) -> list[ReplicaOutput]:
        """What is to be sent and told, in order."""
        outputs = self._replicas.outputs
        if outputs:
            self._replicas.outputs = []
        return outputs
