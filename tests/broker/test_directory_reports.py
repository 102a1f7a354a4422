"""A failed directory of which the controller does not hear."""

from __future__ import annotations

from raftkafka.base.errors import ErrorCode
from tests.broker.one_node import OneNode
from tests.broker.test_log_directories import Node


def test_node_that_cannot_tell_of_a_failed_directory_ends_in_time() -> None:
    """Others still count on the replicas there."""
    node = Node()
    channel = node.own.parts.channel
    channel._send = lambda *request: False  # nobody is heard
    node.disk.failing = ("b",)
    assert node.produce(node.partitions_in("b")[0]) == ErrorCode.KAFKA_STORAGE_ERROR
    node.run(29_000)
    assert node.own.parts.logs.failure is None
    reason = run_until_it_halts(node, 2_000)
    assert "could not be told of a failed log directory within 30000 ms" in reason


def run_until_it_halts(node: OneNode, duration_ms: int) -> str:
    try:
        node.run(duration_ms)
    except AssertionError as halt:
        return str(halt)
    return ""
