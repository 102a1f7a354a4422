"""The leader of one partition: who has what, the in-sync replicas, and how far the log is committed.

Invariants (ids of reference/replication-rules.md)
- The high watermark never goes back, never advances while the committed ISR is smaller than min.insync.replicas (KIP-966), and is never
  above the log end of any member of the *maximal* ISR, the union of the committed ISR and a proposal in flight (D3, KIP-497).
- At most one ISR proposal is in flight. One whose outcome is unknown stays pending until metadata with a newer partition epoch arrives.
- A new leader epoch forgets all that was known of the followers: only what a follower acknowledged in this epoch counts (KIP-320,
  and the reassignment race of replication-rules.md).

Expansion asks for all of: the follower's log end is at or above the high watermark and the start of this leader epoch; it fetched in this
epoch; it is unfenced, stays, and fetched with its current broker epoch (KIP-841, KIP-903); nothing is in flight; the high watermark has
reached the start of the epoch. The last one is waived while the ISR is under its minimum: then the high watermark is frozen and could
never reach it.
"""

from __future__ import annotations

from collections import deque

import attrs

from raftkafka.base.ids import NO_NODE, NodeId
from raftkafka.base.rules import Rule
from raftkafka.metadata.control_messages import AlterPartitionItem, IsrMember
from raftkafka.metadata.topics import RECOVERED, PartitionRegistration
from raftkafka.replication.partition import Partition
from raftkafka.replication.produce import AckWaiter
from raftkafka.replication.replicas import Replicas

UNKNOWN_OFFSET = -1


class FollowerProgress:
    """What the leader knows of one follower in this leader epoch."""

    __slots__ = (
        "broker_epoch",
        "last_caught_up_ms",
        "last_fetch_leader_end",
        "last_fetch_ms",
        "log_end_offset",
        "log_start_offset",
        "node_id",
    )

    def __init__(self, node_id: NodeId, *, in_sync: bool, now_ms: int) -> None:
        self.node_id = node_id
        self.log_end_offset = UNKNOWN_OFFSET
        self.log_start_offset = UNKNOWN_OFFSET
        self.broker_epoch = -1
        self.last_caught_up_ms = now_ms if in_sync else 0
        self.last_fetch_ms = 0
        self.last_fetch_leader_end = UNKNOWN_OFFSET

    def acknowledge(self, fetch_offset: int, *, leader_end_offset: int, now_ms: int) -> None:
        """The follower asked for this offset, so it has all before it. Caught up: it has what the leader had at its fetch before."""
        if fetch_offset >= leader_end_offset:
            self.last_caught_up_ms = max(self.last_caught_up_ms, now_ms)
        elif fetch_offset >= self.last_fetch_leader_end:
            self.last_caught_up_ms = max(self.last_caught_up_ms, self.last_fetch_ms)
        self.log_end_offset = fetch_offset
        self.last_fetch_leader_end = leader_end_offset
        self.last_fetch_ms = now_ms

    def is_caught_up(self, leader_end_offset: int, *, lag_max_ms: int, now_ms: int) -> bool:
        """Whether it has the whole log, or had it not long ago."""
        return self.log_end_offset == leader_end_offset or now_ms - self.last_caught_up_ms <= lag_max_ms


@attrs.frozen(eq=False)
class IsrProposal:
    """An ISR that the controller is asked for; compared by identity, since a later proposal may ask for the same."""

    item: AlterPartitionItem
    isr: tuple[NodeId, ...]


class Leader:
    """The state of a partition's leader during one leader epoch."""

    __slots__ = (
        "_counts_maximal_isr",
        "_counts_whole_isr",
        "_expands_early",
        "_freezes",
        "_lag_max_ms",
        "_proposes_often",
        "_replicas",
        "acks",
        "epoch",
        "expansion_blocked",
        "followers",
        "isr",
        "maximal_isr",
        "min_isr",
        "partition",
        "pending",
        "start_offset",
    )

    def __init__(
        self, partition: Partition, registration: PartitionRegistration, replicas: Replicas, *, lag_max_ms: int, now_ms: int
    ) -> None:
        self.partition = partition
        self.epoch = registration.leader_epoch
        self.start_offset = partition.log.log_end_offset
        self.acks: deque[AckWaiter] = deque()
        self.followers: dict[NodeId, FollowerProgress] = {}
        self.isr: tuple[NodeId, ...] = ()
        self.maximal_isr: frozenset[NodeId] = frozenset()
        self.min_isr = 1
        self.pending: IsrProposal | None = None
        self.expansion_blocked = False
        self._replicas = replicas
        self._lag_max_ms = lag_max_ms
        self._counts_maximal_isr = replicas.applies(Rule.COUNT_MAXIMAL_ISR)
        self._counts_whole_isr = replicas.applies(Rule.COUNT_WHOLE_ISR)
        self._expands_early = not replicas.applies(Rule.EXPAND_PAST_EPOCH_START)
        self._freezes = replicas.applies(Rule.FREEZE_UNDER_MIN_ISR)
        self._proposes_often = not replicas.applies(Rule.ONE_PROPOSAL)
        self.update(registration, now_ms)

    def update(self, registration: PartitionRegistration, now_ms: int) -> None:
        """Takes over replicas and ISR of the same leader epoch from the metadata; settles what was pending."""
        assert registration.leader_epoch == self.epoch
        known = self.followers
        self.followers = {}
        for node_id in registration.replicas:
            if node_id != self._replicas.node_id:
                progress = known.get(node_id)
                if progress is None:
                    progress = FollowerProgress(node_id, in_sync=node_id in registration.isr, now_ms=now_ms)
                self.followers[node_id] = progress
        self.commit_isr(registration.isr)
        self.update_min_isr()

    def update_min_isr(self) -> None:
        """The effective minimum: a topic with fewer replicas than min.insync.replicas needs all of them."""
        self.min_isr = min(self.partition.min_insync_replicas, len(self.followers) + 1)

    def commit_isr(self, isr: tuple[NodeId, ...]) -> None:
        """The controller's ISR; nothing is pending any more. Who has left it must catch up before the high watermark waits for it again."""
        for node_id in self.isr:
            if node_id not in isr and node_id in self.followers:
                self.followers[node_id].last_caught_up_ms = 0
        self.isr = isr
        self.maximal_isr = frozenset(isr)
        self.pending = None

    def take_over_acks(self, earlier: Leader) -> None:
        """Led before and leads again: what waited for acknowledgement is still in the log, and waits on."""
        for waiter in earlier.acks:
            waiter.leader = self
        self.acks, earlier.acks = earlier.acks, self.acks

    @property
    def under_min_isr(self) -> bool:
        return len(self.isr) < self.min_isr

    @property
    def short_of_replicas(self) -> bool:
        """Whether acks=all cannot be had now: the ISR is below the minimum, or its members that are not certainly gone are.

        The controllers may be gone with them, and then nobody shrinks the ISR; a refusal before the append is always safe.
        """
        gone = self._replicas.gone
        if not gone:
            return self.under_min_isr
        return sum(node_id not in gone for node_id in self.isr) < self.min_isr

    def appended(self, previous_end_offset: int, now_ms: int) -> None:
        """The leader appended: members that had all before it were caught up until now, though an idle session did not say so."""
        for progress in self.followers.values():
            if progress.log_end_offset == previous_end_offset and progress.node_id in self.maximal_isr:
                progress.last_caught_up_ms = now_ms

    def low_watermark(self) -> int:
        """The lowest log start of the replicas whose broker is alive: what is below it is deleted wherever a leader may come from."""
        lowest = self.partition.log.log_start_offset
        for progress in self.followers.values():
            if progress.log_start_offset < lowest and self._replicas.is_alive(progress.node_id):
                lowest = progress.log_start_offset
        return lowest

    def advance_high_watermark(self, now_ms: int) -> bool:
        """Advances the high watermark as far as the rules allow; whether it moved."""
        if len(self.isr) < self.min_isr and self._freezes:
            return False
        if not self._counts_whole_isr:
            return self._advance_by_majority()
        end_offset = new = self.partition.log.log_end_offset
        for progress in self.followers.values():
            if progress.log_end_offset < new and (
                progress.node_id in self.maximal_isr or self._is_about_to_join(progress, end_offset, now_ms)
            ):
                new = progress.log_end_offset
        if new <= self.partition.high_watermark:
            return False
        self.partition.high_watermark = new
        return True

    def _advance_by_majority(self) -> bool:
        """As a quorum would: up to what more than half of the ISR holds. Only where the rule is broken that all of it counts."""
        held = [progress.log_end_offset for progress in self.followers.values() if progress.node_id in self.maximal_isr]
        held.append(self.partition.log.log_end_offset)
        held.sort(reverse=True)
        new = held[len(held) // 2]
        if new <= self.partition.high_watermark:
            return False
        self.partition.high_watermark = new
        return True

    def _is_about_to_join(self, progress: FollowerProgress, end_offset: int, now_ms: int) -> bool:
        """Waiting for a caught-up replica outside the ISR keeps it able to join: else the high watermark runs away from it for ever."""
        return progress.is_caught_up(end_offset, lag_max_ms=self._lag_max_ms, now_ms=now_ms) and self._replicas.may_join_isr(
            progress.node_id, progress.broker_epoch, self.partition.key
        )

    def propose_expansion(self, fetching: NodeId = NO_NODE) -> IsrProposal | None:
        """Makes a pending proposal that adds every follower which fulfils all conditions; None when there is none.

        `fetching` has just fetched, so it is alive. Of the others only those are taken that lack nothing at all: what an idle session last
        said is still true of them, while one that has stopped would be proposed, and taken out again, for ever.
        """
        if self._must_wait_to_propose or self.expansion_blocked or len(self.isr) > len(self.followers):
            return None
        high_watermark = self.partition.high_watermark
        if high_watermark < self.start_offset and not (self.under_min_isr or self._expands_early):
            return None
        enough = high_watermark if self._expands_early else max(high_watermark, self.start_offset)
        end_offset = self.partition.log.log_end_offset
        joining = [
            progress.node_id
            for progress in self.followers.values()
            if progress.node_id not in self.isr
            and progress.log_end_offset >= (enough if progress.node_id == fetching else end_offset)
            and self._replicas.may_join_isr(progress.node_id, progress.broker_epoch, self.partition.key)
        ]
        return self._propose((*self.isr, *joining)) if joining else None

    def propose_shrink(self, now_ms: int) -> IsrProposal | None:
        """Makes a pending proposal without the followers that have not been caught up for replica.lag.time.max.ms; None when all have."""
        if self._must_wait_to_propose:
            return None
        end_offset = self.partition.log.log_end_offset
        lagging = {
            progress.node_id
            for progress in self.followers.values()
            if not progress.is_caught_up(end_offset, lag_max_ms=self._lag_max_ms, now_ms=now_ms)
        }
        remaining = tuple(node_id for node_id in self.isr if node_id not in lagging)
        return self._propose(remaining) if len(remaining) < len(self.isr) else None

    @property
    def _must_wait_to_propose(self) -> bool:
        """Whose log is offline has no say in who is in sync: nobody can fetch from it, and it must not be left as the only member."""
        if self.partition.log.offline_reason is not None:
            return True
        return self.pending is not None and not self._proposes_often

    def _propose(self, isr: tuple[NodeId, ...]) -> IsrProposal:
        key = self.partition.key
        item = AlterPartitionItem(
            topic_id=key.topic_id,
            partition=key.partition,
            leader_epoch=self.epoch,
            partition_epoch=self.partition.partition_epoch,
            new_isr=tuple(IsrMember(node_id=node_id, broker_epoch=self._fetched_broker_epoch(node_id)) for node_id in isr),
            leader_recovery_state=RECOVERED,
        )
        self.pending = IsrProposal(item=item, isr=isr)
        self.maximal_isr = frozenset(self.isr) | frozenset(isr) if self._counts_maximal_isr else frozenset(isr)
        return self.pending

    def _fetched_broker_epoch(self, node_id: NodeId) -> int:
        if node_id == self._replicas.node_id:
            return self._replicas.broker_epoch
        progress = self.followers.get(node_id)
        return -1 if progress is None else progress.broker_epoch

    def revert(self, proposal: IsrProposal) -> None:
        """The controller certainly did not apply the proposal: back to the committed ISR."""
        if self.pending is proposal:
            self.commit_isr(self.isr)
