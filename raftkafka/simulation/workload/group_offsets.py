"""Committing a group's offsets and asking for them, as operations of the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from jepsen_like.history import OpType
from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from raftkafka.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics
from raftkafka.simulation.client import OFFSET_COMMIT_KEY, OFFSET_FETCH_KEY, RequestLost, SimClient
from raftkafka.simulation.workload.coordinator_link import CoordinatorLink
from raftkafka.simulation.workload.known_cluster import Slot, key_of
from raftkafka.simulation.workload.recording import Recording, error_name

REFUSED_COMMIT = frozenset(
    {
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.REBALANCE_IN_PROGRESS,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
"""After these certainly nothing was committed."""


@attrs.define(eq=False, kw_only=True)
class Membership:
    """Who a member is to its coordinator."""

    instance_id: str | None
    member_id: str = ""
    generation: int = -1

    def forget(self) -> None:
        """It is nobody again."""
        self.member_id, self.generation = "", -1


class GroupOffsets:
    """The offsets of one group, for one client."""

    def __init__(self, *, client: SimClient, coordinator: CoordinatorLink, recording: Recording) -> None:
        self._client = client
        self._coordinator = coordinator
        self._recording = recording

    async def commit(self, offsets: Mapping[Slot, int], member: Membership, *, process: int) -> tuple[OpType, int]:
        """Commits next offsets; how that ended, and the error code."""
        value = {key_of(slot): offset for slot, offset in offsets.items()}
        index = self._recording.invoke(process, "commit", value)
        error: str | None = None
        code = 0
        generation, newest = member.generation, self._recording.newest_generation
        try:
            response = await self._coordinator.ask(OFFSET_COMMIT_KEY, self._commit_request(offsets, member))
        except RequestLost as lost:
            outcome, error = OpType.INFO if lost.sent else OpType.FAIL, "no answer"
        else:
            codes = [partition.error_code for topic in response.topics for partition in topic.partitions]
            code = next(filter(None, codes), 0)
            if code:
                error = error_name(code)
                self._coordinator.forget()
            outcome = OpType.OK if not code else OpType.FAIL if all(each in REFUSED_COMMIT for each in codes) else OpType.INFO
        self._recording.complete(index, outcome, value, who=self._client.name, text=_offsets_text(value), error=error)
        if outcome is OpType.OK:
            self._recording.committed.update(offsets)
            if self._recording.commit_told is not None:
                self._recording.commit_told(generation, newest, f"{self._client.name}: {_offsets_text(value)}")
        return outcome, code

    async def fetch(self, slots: Sequence[Slot], *, process: int) -> dict[Slot, int] | None:
        """The committed offsets of those that have one; none when the coordinator did not say."""
        index = self._recording.invoke(process, "committed", {})
        known = dict(self._recording.committed)
        found: dict[Slot, int] = {}
        error: str | None = None
        try:
            response = await self._coordinator.ask(OFFSET_FETCH_KEY, self._fetch_request(slots))
        except RequestLost:
            error = "no answer"
        else:
            group = response.groups[0]
            codes = [group.error_code, *(partition.error_code for topic in group.topics for partition in topic.partitions)]
            code = next(filter(None, codes), 0)
            if code:
                error = error_name(code)
                self._coordinator.forget()
            else:
                found = {
                    (topic.name, partition.partition_index): partition.committed_offset
                    for topic in group.topics
                    for partition in topic.partitions
                    if partition.committed_offset >= 0
                }
        for slot in slots if not error else ():
            if slot in known and slot not in found:
                self._recording.problem(f"{self._client.name}: {key_of(slot)} has no committed offset, after {known[slot]} was committed")
        value = {key_of(slot): offset for slot, offset in found.items()}
        outcome = OpType.FAIL if error else OpType.OK
        self._recording.complete(index, outcome, value, who=self._client.name, text=_offsets_text(value), error=error)
        return None if error else found

    def _commit_request(self, offsets: Mapping[Slot, int], member: Membership) -> OffsetCommitRequest:
        topics: dict[str, list[OffsetCommitRequestPartition]] = {}
        for (topic, partition), offset in offsets.items():
            part = OffsetCommitRequestPartition(partition_index=partition, committed_offset=offset, committed_metadata="")
            topics.setdefault(topic, []).append(part)
        return OffsetCommitRequest(
            group_id=self._coordinator.group,
            generation_id_or_member_epoch=member.generation,
            member_id=member.member_id,
            group_instance_id=member.instance_id,
            topics=[OffsetCommitRequestTopic(name=topic, partitions=parts) for topic, parts in topics.items()],
        )

    def _fetch_request(self, slots: Sequence[Slot]) -> OffsetFetchRequest:
        topics: dict[str, list[int]] = {}
        for topic, partition in slots:
            topics.setdefault(topic, []).append(partition)
        parts = [OffsetFetchRequestTopics(name=topic, partition_indexes=partitions) for topic, partitions in topics.items()]
        return OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=self._coordinator.group, topics=parts)])


def _offsets_text(value: Mapping[str, int]) -> str:
    return " ".join(f"{key}={offset}" for key, offset in value.items()) or "nothing"
