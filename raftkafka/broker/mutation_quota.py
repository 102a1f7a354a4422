"""controller_mutation_rate: how many partitions a client may create and delete in a second, held by the active controller (KIP-599).

A bucket of tokens for each client: what changes a topic is begun while the bucket is not overdrawn, and takes as many tokens as it has
partitions. Newer clients are refused what is too much (THROTTLING_QUOTA_EXCEEDED) and try again; older ones get what they want, and their
connection is muted until the bucket is no more overdrawn. Nothing that is refused for another reason, or only validated, costs anything,
as far as it can be told before it is decided.

Invariant: a client without such a quota costs one look-up in the image.
Sources: KIP-599; S431 ControllerMutationQuotaManager, ControllerApis.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicId
from raftkafka.broker.quota_lookup import ANONYMOUS, quota_of
from raftkafka.broker.quota_rates import TokenBucket
from raftkafka.metadata.client_quotas import CONTROLLER_MUTATION_RATE
from raftkafka.metadata.image import MetadataImage
from raftkafka.protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic, CreatePartitionsTopicResult
from raftkafka.protocol.messages.create_topics import CreatableTopic, CreatableTopicResult, CreateTopicsRequest
from raftkafka.protocol.messages.delete_topics import DeletableTopicResult, DeleteTopicsRequest, DeleteTopicState

FIRST_STRICT_VERSION = {CreateTopicsRequest: 6, DeleteTopicsRequest: 5, CreatePartitionsRequest: 3}
EXCEEDED = "The throttling quota has been exceeded."
MAX_CLIENTS = 10_000

Item = TypeVar("Item")
Split = tuple[Any | None, Sequence[Any]]
"""What is left of a request, and the results of the rest."""


@attrs.frozen
class Admitted:
    """What may be decided of a request (None: nothing of it), the results of the rest, and how long the client is held back."""

    request: Any | None
    refused: Sequence[Any] = ()
    throttle_ms: int = 0


class MutationQuota:
    """The buckets of the clients that have such a quota."""

    def __init__(self, *, window_count: int, window_ms: int, default_partitions: int) -> None:
        self._window_count = window_count
        self._window_ms = window_ms
        self._default_partitions = default_partitions
        self._buckets: OrderedDict[tuple[str, str], TokenBucket] = OrderedDict()

    def admit(self, request: Any, image: MetadataImage, *, client_id: str | None, version: int, now_ms: int) -> Admitted:
        """What of a request may be decided now; whatever is no change of topics may."""
        if type(request) not in FIRST_STRICT_VERSION or not image.quotas.by_entity or getattr(request, "validate_only", False):
            return Admitted(request)
        quota = quota_of(image.quotas, CONTROLLER_MUTATION_RATE, user=ANONYMOUS, client_id=client_id or "")
        if quota is None:
            return Admitted(request)
        bucket, limit = self._bucket(quota.sharers, quota.limit, now_ms), quota.limit
        is_strict = version >= FIRST_STRICT_VERSION[type(request)]

        def begins(cost: int) -> bool:
            if cost and is_strict and bucket.wait_ms(limit, now_ms):
                return False
            bucket.take(cost, limit, now_ms)
            return True

        admitted, refused = self._split(request, image, begins)
        return Admitted(admitted, refused, bucket.wait_ms(limit, now_ms))

    def _split(self, request: Any, image: MetadataImage, begins: Callable[[int], bool]) -> Split:
        match request:
            case CreateTopicsRequest():
                return _split_creation(request, lambda topic: begins(self._cost_of_creation(topic, image)))
            case CreatePartitionsRequest():
                return _split_growth(request, lambda topic: begins(_cost_of_growth(topic, image)))
            case DeleteTopicsRequest():
                return _split_deletion(request, lambda state: begins(_cost_of_deletion(state, image)))
            case _:
                raise AssertionError("no change of topics")

    def _bucket(self, sharers: tuple[str, str], limit: float, now_ms: int) -> TokenBucket:
        bucket = self._buckets.get(sharers)
        if bucket is None:
            bucket = TokenBucket(window_count=self._window_count, window_ms=self._window_ms, quota=limit, now_ms=now_ms)
            self._buckets[sharers] = bucket
            if len(self._buckets) > MAX_CLIENTS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(sharers)
        return bucket

    def _cost_of_creation(self, topic: CreatableTopic, image: MetadataImage) -> int:
        if topic.name in image.topics.by_name:
            return 0
        if topic.assignments:
            return len(topic.assignments)
        return topic.num_partitions if topic.num_partitions > 0 else self._default_partitions


def _split_creation(request: CreateTopicsRequest, begins: Callable[[CreatableTopic], bool]) -> Split:
    begun, others = _divide(request.topics, begins)
    left = CreateTopicsRequest(topics=begun, timeout_ms=request.timeout_ms)
    return left if begun else None, [_refused_creation(topic) for topic in others]


def _split_growth(request: CreatePartitionsRequest, begins: Callable[[CreatePartitionsTopic], bool]) -> Split:
    begun, others = _divide(request.topics, begins)
    left = CreatePartitionsRequest(topics=begun, timeout_ms=request.timeout_ms)
    return left if begun else None, [_refused_growth(topic) for topic in others]


def _split_deletion(request: DeleteTopicsRequest, begins: Callable[[DeleteTopicState], bool]) -> Split:
    states, others = _divide(request.topics, begins)
    names, other_names = _divide(request.topic_names, lambda name: begins(DeleteTopicState(name=name)))
    left = DeleteTopicsRequest(topics=states, topic_names=names, timeout_ms=request.timeout_ms)
    refused = [*others, *(DeleteTopicState(name=name) for name in other_names)]
    return left if states or names else None, [_refused_deletion(state) for state in refused]


def _divide(items: Sequence[Item], begins: Callable[[Item], bool]) -> tuple[list[Item], list[Item]]:
    begun: list[Item] = []
    refused: list[Item] = []
    for item in items:
        (begun if begins(item) else refused).append(item)
    return begun, refused


def _cost_of_growth(wanted: CreatePartitionsTopic, image: MetadataImage) -> int:
    topic = image.topics.by_name.get(wanted.name)
    return max(0, wanted.count - len(topic.partitions)) if topic is not None else 0


def _cost_of_deletion(state: DeleteTopicState, image: MetadataImage) -> int:
    topics = image.topics
    topic = topics.by_name.get(state.name) if state.name is not None else topics.by_id.get(TopicId(state.topic_id))
    return len(topic.partitions) if topic is not None else 0


def _refused_creation(topic: CreatableTopic) -> CreatableTopicResult:
    return CreatableTopicResult(name=topic.name, error_code=ErrorCode.THROTTLING_QUOTA_EXCEEDED, error_message=EXCEEDED, configs=[])


def _refused_growth(topic: CreatePartitionsTopic) -> CreatePartitionsTopicResult:
    return CreatePartitionsTopicResult(name=topic.name, error_code=ErrorCode.THROTTLING_QUOTA_EXCEEDED, error_message=EXCEEDED)


def _refused_deletion(state: DeleteTopicState) -> DeletableTopicResult:
    code = ErrorCode.THROTTLING_QUOTA_EXCEEDED
    return DeletableTopicResult(name=state.name, topic_id=state.topic_id, error_code=code, error_message=EXCEEDED)
