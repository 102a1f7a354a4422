"""Topics that the broker itself has created: on a client's metadata request (auto creation) and for the coordinators.

The request goes to the active controller like any client's, so its checks and its promise hold: it answers when the topic is usable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.broker.control import ControlReply, Forward, ForwardReply
from raftkafka.broker.services import Services
from raftkafka.group.coordinator import OFFSETS_TOPIC
from raftkafka.protocol.framing import read_message, write_message
from raftkafka.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse

TRANSACTION_STATE_TOPIC = "__transaction_state"
CREATE_TOPICS_KEY = 19
CREATE_TOPICS_VERSION = 7
TIMEOUT_MS = 15_000

Created = Callable[[dict[str, ApiError]], None]


def is_internal(topic: str) -> bool:
    """Whether clients see the topic as internal to the cluster."""
    return topic in (OFFSETS_TOPIC, TRANSACTION_STATE_TOPIC)


def create_topics(services: Services, names: Sequence[str], done: Created, *, now_ms: int) -> None:
    """Creates topics with the broker's defaults (the coordinator's topic with its own); `done` gets the refusals by name.

    A topic that exists already by then is no refusal.
    """
    request = CreateTopicsRequest(topics=[_creatable(services, name) for name in names], timeout_ms=TIMEOUT_MS)
    forward = Forward(
        api_key=CREATE_TOPICS_KEY,
        api_version=CREATE_TOPICS_VERSION,
        client_id=f"broker-{services.node_id}",
        client_host="",
        body=write_message(request, CREATE_TOPICS_VERSION),
    )

    def answered(reply: ControlReply | None) -> None:
        if not isinstance(reply, ForwardReply) or reply.error != ErrorCode.NONE:
            error = ApiError(ErrorCode.LEADER_NOT_AVAILABLE, "the controller did not answer")
            done(dict.fromkeys(names, error))
            return
        response, _ = read_message(CreateTopicsResponse, CREATE_TOPICS_VERSION, memoryview(reply.body))
        refusals = {}
        for topic in response.topics:
            code = ErrorCode(topic.error_code)
            if code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
                if code == ErrorCode.INVALID_REPLICATION_FACTOR and is_internal(topic.name):
                    code = ErrorCode.COORDINATOR_NOT_AVAILABLE
                refusals[topic.name] = ApiError(code, topic.error_message or "")
        done(refusals)

    services.channel.request(forward, answered, deadline_ms=now_ms + TIMEOUT_MS)


def _creatable(services: Services, name: str) -> CreatableTopic:
    config = services.config
    if name != OFFSETS_TOPIC:
        return CreatableTopic(name=name, num_partitions=-1, replication_factor=-1)
    return CreatableTopic(
        name=name,
        num_partitions=config.offsets_topic_num_partitions,
        replication_factor=config.offsets_topic_replication_factor,
        configs=[
            CreatableTopicConfig(name="cleanup.policy", value="compact"),
            CreatableTopicConfig(name="compression.type", value="producer"),
            CreatableTopicConfig(name="segment.bytes", value=str(config.offsets_topic_segment_bytes)),
        ],
    )
