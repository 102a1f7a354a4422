"""What an error says of an operation: that it certainly did not happen (fail), or nothing (info).

Source: the workload of Jepsen's Kafka tests: authorization, invalid producer epoch, invalid topic, not controller, out of order sequence,
fenced producer and unknown topic are definite; time-outs, lost connections, "not leader" and "unknown server error" are not. An error of
an idempotent producer ends its process too, since its later sequence numbers mean nothing any more.
"""

from __future__ import annotations

from confluent_kafka import KafkaError

from jepsen_like.history import OpType

DEFINITE = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.NOT_CONTROLLER,
        KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
        KafkaError.PRODUCER_FENCED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError._FENCED,
        KafkaError._QUEUE_FULL,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._PURGE_QUEUE,
    }
)
"""Codes after which the record is certainly not in the log."""


def class_of(code: int) -> OpType:
    """`FAIL` for a definite error, `INFO` for any other."""
    return OpType.FAIL if code in DEFINITE else OpType.INFO


def class_of_all(codes: list[int | None]) -> OpType:
    """The class of an operation of several parts, None for one that succeeded: only when nothing happened did it fail."""
    if all(code is None for code in codes):
        return OpType.OK
    if all(code is not None and class_of(code) is OpType.FAIL for code in codes):
        return OpType.FAIL
    return OpType.INFO
