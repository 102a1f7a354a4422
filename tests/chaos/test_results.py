"""Which errors say that an operation did not happen, and which say nothing."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from jepsen_like.chaos.results import class_of, class_of_all
from jepsen_like.history import OpType


@pytest.mark.parametrize(
    "code",
    [KafkaError._MSG_TIMED_OUT, KafkaError._TRANSPORT, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN, KafkaError._PURGE_INFLIGHT],
)
def test_an_error_that_leaves_it_open_is_info(code: int) -> None:
    assert class_of(code) is OpType.INFO


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.PRODUCER_FENCED])
def test_an_error_that_excludes_it_is_fail(code: int) -> None:
    assert class_of(code) is OpType.FAIL


def test_an_operation_failed_only_when_no_part_of_it_happened() -> None:
    definite, open_ = KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._MSG_TIMED_OUT
    assert class_of_all([None, None]) is OpType.OK
    assert class_of_all([definite, definite]) is OpType.FAIL
    assert class_of_all([definite, open_]) is OpType.INFO
    assert class_of_all([definite, None]) is OpType.INFO
