"""What is answered later is refused in the same way as what is answered at once: a refusal never ends the process."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from tests.broker.one_node import OneNode


@pytest.fixture
def one_of_two() -> OneNode:
    """A node whose cluster has another broker, so that its answers to Metadata wait a moment."""
    node = OneNode()
    services = node.node.parts.services
    own = services.image.brokers[NodeId(1)]
    other = attrs.evolve(own, node_id=NodeId(2), incarnation_id=b"2" * 16)
    services.image = attrs.evolve(services.image, brokers={**services.image.brokers, NodeId(2): other})
    return node


@pytest.mark.parametrize("version", [10, 11])
@pytest.mark.parametrize("topic", [MetadataRequestTopic(name="t", topic_id=b"i" * 16), MetadataRequestTopic(name=None)])
def test_a_topic_cannot_be_asked_for_by_id_before_version_12(one_of_two: OneNode, version: int, topic: MetadataRequestTopic) -> None:
    request = MetadataRequest(topics=[topic], allow_auto_topic_creation=False)
    response = one_of_two.request(request, MetadataResponse, version=version)
    assert [topic.error_code for topic in response.topics] in ([ErrorCode.INVALID_REQUEST], [])
