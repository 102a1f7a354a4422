"""Produce (0), versions 3 to 13: record batches are appended by the leaders of their partitions.

- Read and answered by the hand-made codec: this is the hot path. Version 13 names topics by id (KIP-516).
- acks 0: no response at all; a refusal closes the connection, so that the client looks for the leader again. acks 1: answered after the
  append. acks -1: answered when every member of the ISR has it, refused when the ISR is below `min.insync.replicas`.
- The topics of coordinators take no client's records (INVALID_TOPIC_EXCEPTION), and no topic takes transactional records without a
  transactional id (TRANSACTIONAL_ID_AUTHORIZATION_FAILED, as in Kafka).
- Who goes beyond `producer_byte_rate` is told for how long it is not listened to (KIP-219).
- A refusal because of a moved leader names the new one and its address (from version 10, KIP-951).

Not implemented: transactions (refused with INVALID_REQUEST, at InitProducerId already).
"""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import PartitionKey, TopicId
from raftkafka.broker.connection import Connection
from raftkafka.broker.context import RequestContext
from raftkafka.broker.leader_hints import node_endpoints
from raftkafka.broker.services import Services
from raftkafka.broker.topic_creation import is_internal
from raftkafka.metadata.topics import TopicsImage
from raftkafka.protocol.produce_codec import (
    ProducePartition,
    ProducePartitionResult,
    ProduceRequestData,
    decode_produce_request,
    encode_produce_response,
)
from raftkafka.replication.values import ProduceEntry
from raftkafka.storage.record_batch import CRC_START, HEADER_SIZE, TRANSACTIONAL_FLAG

API_KEY = 0
ALLOWED_ACKS = (-1, 0, 1)

Touch = Callable[[Connection], None]


def handle_frame(services: Services, context: RequestContext, frame: memoryview, offset: int, touch: Touch) -> None:
    """Appends at once; answers at once or when the replicas have it."""
    request = decode_produce_request(frame, offset, context.api_version)
    connection = context.connection
    problem = _problem(request)
    if problem is None:
        entries, refused = _resolve(services.image.topics, request)
    else:
        entries, refused = [], [_refusal(partition, problem) for partition in request.partitions]
    throttle_ms = context.throttle_ms
    if services.quotas.limits_produce:
        throttle_ms = max(throttle_ms, services.quotas.produced(context.client_id, len(frame), context.now_ms))
        if throttle_ms:
            services.mute(connection, context.now_ms + throttle_ms)
    if request.acks == 0:

        def done_silently(results: list[ProducePartitionResult]) -> None:
            if any(result.error_code for result in (*refused, *results)):
                services.close_connection(connection, "a produce request with acks=0 was refused")

        _produce(services, request, entries, context, done_silently)
        return
    slot = connection.reserve()

    def done(results: list[ProducePartitionResult]) -> None:
        answered = [*refused, *results] if refused else results
        endpoints = node_endpoints(services, answered, context.listener) if context.api_version >= 10 else ()
        slot.complete([encode_produce_response(context.api_version, context.correlation_id, answered, endpoints, throttle_ms)])
        touch(connection)

    _produce(services, request, entries, context, done)


def _produce(
    services: Services,
    request: ProduceRequestData,
    entries: list[ProduceEntry],
    context: RequestContext,
    done: Callable[[list[ProducePartitionResult]], None],
) -> None:
    services.replicas.produce(
        entries, acks=request.acks, timeout_ms=request.timeout_ms, wall_ms=context.wall_ms, now_ms=context.now_ms, done=done
    )


def _problem(request: ProduceRequestData) -> ApiError | None:
    if request.acks not in ALLOWED_ACKS:
        return ApiError(ErrorCode.INVALID_REQUIRED_ACKS, f"acks must be -1, 0 or 1, not {request.acks}")
    if request.transactional_id is not None:
        return ApiError(ErrorCode.INVALID_REQUEST, "transactions are not served by this version")
    if any(_is_transactional(partition.records) for partition in request.partitions):
        return ApiError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "transactional records need a transactional id")
    return None


def _is_transactional(records: Buffer | None) -> bool:
    """Looks only at the attributes' lower byte: a transaction that nobody ends would hold back read_committed consumers for ever (T6)."""
    return records is not None and len(records) >= HEADER_SIZE and records[CRC_START + 1] & TRANSACTIONAL_FLAG != 0


def _resolve(topics: TopicsImage, request: ProduceRequestData) -> tuple[list[ProduceEntry], list[ProducePartitionResult]]:
    """The entries for the replica manager, and the results of what it need not be asked for."""
    entries: list[ProduceEntry] = []
    refused: list[ProducePartitionResult] = []
    by_name, by_id = topics.by_name, topics.by_id
    for partition in request.partitions:
        name = partition.topic
        topic = by_name.get(name) if name is not None else by_id.get(TopicId(partition.topic_id or b""))
        if topic is None:
            code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if name is not None else ErrorCode.UNKNOWN_TOPIC_ID
            refused.append(_refusal(partition, ApiError(code, "this broker knows no such topic")))
        elif is_internal(topic.name):
            reason = f"Cannot append to internal topic {topic.name}"  # a coordinator's state is the replay of what it wrote itself
            refused.append(_refusal(partition, ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, reason)))
        elif partition.records is None:
            refused.append(_refusal(partition, ApiError(ErrorCode.INVALID_RECORD, "there are no records for this partition")))
        else:
            entries.append(ProduceEntry(PartitionKey(topic.topic_id, partition.partition), topic.name, partition.records))
    return entries, refused


def _refusal(partition: ProducePartition, error: ApiError) -> ProducePartitionResult:
    return ProducePartitionResult(
        topic=partition.topic,
        topic_id=partition.topic_id,
        partition=partition.partition,
        error_code=error.code,
        error_message=error.message,
    )
