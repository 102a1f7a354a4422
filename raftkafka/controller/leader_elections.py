"""ElectLeaders: an administrator asks for elections, preferred or unclean, of certain partitions or of all.

Each partition is answered on its own: ELECTION_NOT_NEEDED when it has what is asked for (such partitions are left out when all were
asked for), PREFERRED_LEADER_NOT_AVAILABLE or ELIGIBLE_LEADERS_NOT_AVAILABLE when nobody can be elected. An unclean election is done
because it was asked for: `unclean.leader.election.enable` is about those that nobody asks for.

Sources: KIP-460; S431 ReplicationControlManager.electLeaders.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_NODE, PartitionKey
from raftkafka.controller.decision import Decision
from raftkafka.controller.election import Election, PartitionTarget, change_partition
from raftkafka.controller.leader_changes import active_brokers, may_lead, observe_changes
from raftkafka.controller.policy import TopicPolicy
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import PartitionChangeRecord
from raftkafka.metadata.topics import PartitionRegistration
from raftkafka.protocol.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

ELECTIONS = {0: Election.PREFERRED, 1: Election.UNCLEAN}
"""By the protocol's number."""


def decide_elect_leaders(image: MetadataImage, request: ElectLeadersRequest, settings: ControllerSettings, now_ms: int) -> Decision:
    """Elects; the answer leaves when all live brokers know the new leaders, or at the request's timeout."""
    if request.election_type not in ELECTIONS:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Unknown election type {request.election_type}")
    elections = _Elections(image, settings, ELECTIONS[request.election_type])
    results = []
    if request.topic_partitions is None:
        for topic in image.topics.by_id.values():
            answers = [elections.result(topic.name, index) for index in topic.partitions]
            wanted = [answer for answer in answers if answer.error_code != ErrorCode.ELECTION_NOT_NEEDED]
            results.append(ReplicaElectionResult(topic=topic.name, partition_result=wanted))
    else:
        for asked in request.topic_partitions:
            answers = [elections.result(asked.topic, index) for index in asked.partitions]
            results.append(ReplicaElectionResult(topic=asked.topic, partition_result=answers))
    changes = list(elections.changes.values())
    return Decision(
        reply=ElectLeadersResponse(error_code=0, replica_election_results=results),
        records=changes,
        observed=[*observe_changes(image, changes)],
        applied_by_ms=now_ms + max(request.timeout_ms, 0) if changes else None,
    )


class _Elections:
    """The elections of one request."""

    def __init__(self, image: MetadataImage, settings: ControllerSettings, election: Election) -> None:
        self._image = image
        self._settings = settings
        self._election = election
        self._policy = TopicPolicy(image, settings)
        self._live = active_brokers(image)
        self.changes: dict[PartitionKey, PartitionChangeRecord] = {}

    def result(self, topic_name: str, index: int) -> PartitionResult:
        """What becomes of one partition; a second election of it in one request is not needed."""
        try:
            self._elect(topic_name, index)
        except ApiError as refusal:
            return PartitionResult(partition_id=index, error_code=refusal.code, error_message=refusal.message or None)
        return PartitionResult(partition_id=index, error_code=0, error_message=None)

    def _elect(self, topic_name: str, index: int) -> None:
        topic = self._image.topics.by_name.get(topic_name)
        if topic is None:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such topic as {topic_name}")
        partition = topic.partitions.get(index)
        if partition is None:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {topic_name}-{index}")
        key = PartitionKey(topic.topic_id, index)
        if key in self.changes or self._is_satisfied(partition):
            raise ApiError(ErrorCode.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition.")
        change = change_partition(
            key,
            partition,
            PartitionTarget(),
            min_isr=self._policy.min_isr(topic_name, len(partition.replicas)),
            election=self._election,
            may_lead=may_lead(self._image, partition, self._live),
            disabled_rules=self._settings.disabled_rules,
        )
        if change is None:
            raise self._unavailable()
        self.changes[key] = change

    def _is_satisfied(self, partition: PartitionRegistration) -> bool:
        if self._election is Election.PREFERRED:
            return partition.leader == partition.replicas[0]
        return partition.leader != NO_NODE

    def _unavailable(self) -> ApiError:
        if self._election is Election.PREFERRED:
            return ApiError(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, "The preferred leader was not available.")
        return ApiError(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "Eligible topic partition leaders are not available.")
