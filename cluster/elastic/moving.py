"""Carries out a plan of replicas on a running cluster: throttled reassignments in batches, watched until they are done.

Invariant: a move that is under way is waited for and not begun again; when `carry_out` returns every partition that it was given has the
replicas of the plan, all of them in sync, and its preferred leader leads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs
import trio

from cluster.elastic.progress import Tell, bytes_text
from cluster.elastic.throttle import Copying, Throttle
from cluster.elastic.view import ClusterView, Partition, look, look_at_disks, require
from cluster.layout import ClusterError
from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from raftkafka.protocol.messages.elect_leaders import ElectLeadersRequest, TopicPartitions

DEFAULT_THROTTLE = 50_000_000
"""Bytes a second, on each broker: a move that is noticed neither by producers nor by consumers on a desk."""
BATCH_PARTITIONS = 50
BATCH_BYTES = 2_000_000_000
_POLL_S = 0.1
_SIZES_EVERY_S = 1.0
_STUCK_AFTER_S = 15.0


@attrs.frozen(kw_only=True)
class Target:
    """A partition and the replicas it is to have."""

    partition: Partition
    replicas: tuple[int, ...]

    @property
    def arriving(self) -> tuple[int, ...]:
        """The brokers that a copy goes to, also those of a move that is under way already."""
        there = [replica for replica in self.partition.replicas if replica not in self.partition.adding]
        return tuple(replica for replica in self.replicas if replica not in there)


async def carry_out(client: ClusterClient, throttle: Throttle, targets: Sequence[Target], tell: Tell, *, bytes_per_second: int) -> None:
    """Moves these partitions and returns when they are where they should be. The throttle is left to the caller to lift."""
    meter = _Meter(targets, tell)
    for batch in batches(targets):
        copies = [
            Copying(partition=each.partition.id, sources=each.partition.replicas, destinations=each.arriving)
            for each in batch
            if each.arriving
        ]
        if copies:
            await throttle.hold(copies, bytes_per_second, alive=(await look(client)).live)
        await _begin(client, [each for each in batch if each.replicas != each.partition.target])
        await _wait(client, batch, meter)
        await elect_preferred(client, [each.partition.id for each in batch])
    tell(1.0, meter.words(done=True))


def batches(targets: Sequence[Target]) -> Iterator[list[Target]]:
    """What moves at the same time: a bounded number of partitions, and of bytes unless one partition alone has more."""
    batch: list[Target] = []
    size = 0
    for target in targets:
        copied = target.partition.size * len(target.arriving)
        if batch and (len(batch) == BATCH_PARTITIONS or size + copied > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(target)
        size += copied
    if batch:
        yield batch


async def _begin(client: ClusterClient, batch: Sequence[Target]) -> None:
    topics: dict[str, ReassignableTopic] = {}
    for each in batch:
        name, number = each.partition.id
        entry = topics.setdefault(name, ReassignableTopic(name=name, partitions=[]))
        entry.partitions.append(ReassignablePartition(partition_index=number, replicas=list(each.replicas)))
    if not topics:
        return
    request = AlterPartitionReassignmentsRequest(allow_replication_factor_change=False, topics=list(topics.values()))
    response = await client.ask_controller(request)
    require(response.error_code, response.error_message)
    for topic in response.responses:
        for answer in topic.partitions:
            if answer.error_code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:  # It was deleted meanwhile.
                require(answer.error_code, f"{topic.name}-{answer.partition_index}: {answer.error_message}")


async def _wait(client: ClusterClient, batch: Sequence[Target], meter: _Meter) -> None:
    """Until all of the batch is in place."""
    sizes_at = quiet_since = trio.current_time()
    while True:
        view = await look(client)
        now = trio.current_time()
        left = [each for each in batch if not _is_done(view, each)]
        if now >= sizes_at or not left:
            arriving = sorted({node_id for each in batch for node_id in each.arriving if node_id in view.live})
            sizes = (await look_at_disks(client, arriving)).sizes
            sizes_at = now + _SIZES_EVERY_S
        else:
            sizes = {}
        if meter.saw(batch, left, sizes):
            quiet_since = now
        if not left:
            return
        if now - quiet_since >= _STUCK_AFTER_S:
            _refuse_if_changed(view, left)
            meter.complain(_why_stuck(view, left))
            quiet_since = now
        await trio.sleep(_POLL_S)


def _is_done(view: ClusterView, target: Target) -> bool:
    """Whether the partition has the replicas it should have, all in sync; also when it has been deleted since."""
    now = _now(view, target)
    return now is None or (now.replicas == target.replicas and now.is_whole)


def _refuse_if_changed(view: ClusterView, left: Sequence[Target]) -> None:
    """What neither is where it should be nor moves there has been changed by somebody else."""
    for target in left:
        now = _now(view, target)
        if now is not None and not now.adding and not now.removing and now.replicas != target.replicas:
            raise ClusterError(f"somebody else has changed the replicas of {now.id} to {now.replicas}. Call this again to plan anew.")


def _now(view: ClusterView, target: Target) -> Partition | None:
    return next((each for each in view.partitions if each.key == target.partition.key), None)


def _why_stuck(view: ClusterView, left: Sequence[Target]) -> str:
    down = sorted({node_id for each in left for node_id in each.replicas if node_id not in view.live})
    if down:
        return f"waiting for broker {', '.join(map(str, down))}, which is down (`make start NODE={down[0]}`)"
    return f"still copying {left[0].partition.id}; a THROTTLE below what is written to it never ends"


class _Meter:
    """How much of all moves is done, in replicas and bytes."""

    def __init__(self, targets: Sequence[Target], tell: Tell) -> None:
        self._tell = tell
        self._replicas = sum(len(each.arriving) for each in targets)
        self._partitions = len(targets)
        self._bytes = sum(each.partition.size * len(each.arriving) for each in targets)
        self._done: dict[TopicPartition, Target] = {}
        self._copied: dict[tuple[TopicPartition, int], int] = {}

    def saw(self, batch: Sequence[Target], left: Sequence[Target], sizes: Mapping[tuple[TopicPartition, int], int]) -> bool:
        """Whether there is progress since the last time; it is shown."""
        before = (len(self._done), sum(self._copied.values()))
        missing = [each.partition.id for each in left]
        for each in batch:
            if each.partition.id not in missing:
                self._done[each.partition.id] = each
            for node_id in each.arriving:
                copied = sizes.get((each.partition.id, node_id), 0) if each.partition.id in missing else each.partition.size
                self._copied[each.partition.id, node_id] = max(
                    self._copied.get((each.partition.id, node_id), 0), min(copied, each.partition.size)
                )
        self._tell(self._share(), self.words())
        return before != (len(self._done), sum(self._copied.values()))

    def complain(self, why: str) -> None:
        self._tell(self._share(), why)

    def words(self, *, done: bool = False) -> str:
        arrived = self._replicas if done else sum(len(each.arriving) for each in self._done.values())
        copied = self._bytes if done else sum(self._copied.values())
        return f"{arrived} of {self._replicas} replicas, {bytes_text(copied)} of {bytes_text(self._bytes)}"

    def _share(self) -> float:
        """Each partition counts a little, each byte the most."""
        partitions = len(self._done) / self._partitions if self._partitions else 1.0
        copied = sum(self._copied.values()) / self._bytes if self._bytes else partitions
        return 0.2 * partitions + 0.8 * copied


async def elect_preferred(client: ClusterClient, partitions: Sequence[TopicPartition]) -> None:
    """Lets the first replica of each of these lead, where it is not the leader already."""
    topics: dict[str, list[int]] = {}
    for topic, number in partitions:
        topics.setdefault(topic, []).append(number)
    request = ElectLeadersRequest(
        election_type=0, topic_partitions=[TopicPartitions(topic=name, partitions=numbers) for name, numbers in topics.items()]
    )
    await client.ask_controller(request)
