"""Asking the controller for new ISRs: one AlterPartition at a time for the whole broker, with all proposals that came up meanwhile in the
next.

What an error means (KIP-497, replication-rules.md K-maximal ISR)
- INELIGIBLE_REPLICA, OPERATION_NOT_ATTEMPTED: certainly not applied. Back to the committed ISR; the expansion is tried again a little
  later.
- FENCED_LEADER_EPOCH, INVALID_UPDATE_VERSION, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_REQUEST, NEW_LEADER_ELECTED: perhaps
  an earlier attempt was applied. The proposal stays pending, and its members count, until newer metadata arrives.
- Anything else, or no answer: the same proposal again.
"""

from __future__ import annotations

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import PartitionKey
from raftkafka.base.observed import observed
from raftkafka.metadata.control_messages import AlterPartition, AlterPartitionReply, AlterPartitionResult
from raftkafka.replication.leader import IsrProposal, Leader
from raftkafka.replication.replicas import Replicas
from raftkafka.replication.values import FAR_FUTURE_MS, SendAlterPartition

RETRY_MS = 50
INELIGIBLE_PAUSE_MS = 100

NOT_APPLIED = frozenset({ErrorCode.INELIGIBLE_REPLICA, ErrorCode.OPERATION_NOT_ATTEMPTED})
OUTCOME_UNKNOWN = frozenset(
    {
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.INVALID_UPDATE_VERSION,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.NEW_LEADER_ELECTED,
    }
)

Proposed = dict[PartitionKey, tuple[Leader, IsrProposal]]


class IsrProposals:
    """The proposals that wait to be sent, and those that are under way."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._queued: Proposed = {}
        self._in_flight: Proposed | None = None
        self._send_after_ms = 0
        self._paused: dict[Leader, int] = {}

    def submit(self, leader: Leader, proposal: IsrProposal) -> None:
        """Queues a leader's pending proposal."""
        old, new = leader.isr, proposal.isr
        self._replicas.outputs.append(
            observed("isr-proposed", partition=str(leader.partition), isr=list(old), proposed=list(new), leader_epoch=leader.epoch)
        )
        self._queued[leader.partition.key] = (leader, proposal)

    def send(self, now_ms: int) -> None:
        """Sends what is queued, if nothing is under way."""
        if not self._queued or self._in_flight is not None or now_ms < self._send_after_ms:
            return
        current = {key: entry for key, entry in self._queued.items() if entry[0].pending is entry[1]}
        self._queued = {}
        if not current:
            return
        self._in_flight = current
        items = tuple(proposal.item for _, proposal in current.values())
        request = AlterPartition(node_id=self._replicas.node_id, broker_epoch=self._replicas.broker_epoch, partitions=items)
        self._replicas.outputs.append(SendAlterPartition(request))

    def reply(self, reply: AlterPartitionReply | None, now_ms: int) -> list[Leader]:
        """Takes over the controller's answer; returns the leaders whose ISR or proposal it settled."""
        in_flight, self._in_flight = self._in_flight or {}, None
        results: dict[PartitionKey, AlterPartitionResult] = {}
        if reply is not None and reply.error is ErrorCode.NONE:
            results = {PartitionKey(result.topic_id, result.partition): result for result in reply.partitions}
        settled: list[Leader] = []
        for key, (leader, proposal) in in_flight.items():
            if leader.pending is not proposal or leader.partition.leader is not leader:
                continue  # newer metadata has settled it
            result = results.get(key)
            if result is None:
                self._again(leader, proposal, now_ms)
            elif self._settle(leader, proposal, result, now_ms):
                settled.append(leader)
        return settled

    def _settle(self, leader: Leader, proposal: IsrProposal, result: AlterPartitionResult, now_ms: int) -> bool:
        partition = leader.partition
        if result.error is ErrorCode.NONE:
            if result.leader_epoch != leader.epoch or result.partition_epoch <= partition.partition_epoch:
                return False  # the metadata will tell
            partition.partition_epoch = result.partition_epoch
            leader.commit_isr(result.isr)
            self._replicas.outputs.append(observed("isr-changed", partition=str(partition), isr=list(result.isr)))
            return True
        self._replicas.outputs.append(
            observed("isr-refused", partition=str(partition), error=result.error.name, proposed=list(proposal.isr))
        )
        if result.error in NOT_APPLIED:
            leader.revert(proposal)
            leader.expansion_blocked = True
            self._paused[leader] = now_ms + INELIGIBLE_PAUSE_MS
            return True
        if result.error not in OUTCOME_UNKNOWN:
            self._again(leader, proposal, now_ms)
        return False

    def _again(self, leader: Leader, proposal: IsrProposal, now_ms: int) -> None:
        self._queued.setdefault(leader.partition.key, (leader, proposal))
        self._send_after_ms = now_ms + RETRY_MS

    def next_deadline_ms(self) -> int:
        if not self._queued and not self._paused:
            return FAR_FUTURE_MS
        deadline_ms = self._send_after_ms if self._queued and self._in_flight is None else FAR_FUTURE_MS
        return min(deadline_ms, min(self._paused.values(), default=FAR_FUTURE_MS))

    def tick(self, now_ms: int) -> list[Leader]:
        """Sends again; returns the leaders that may try to expand again."""
        if not self._queued and not self._paused:
            return []
        again = [leader for leader, until_ms in self._paused.items() if until_ms <= now_ms]
        for leader in again:
            del self._paused[leader]
            leader.expansion_blocked = False
        self.send(now_ms)
        return again
