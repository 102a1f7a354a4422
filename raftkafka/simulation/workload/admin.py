"""The administrator: topics created, deleted and given more partitions, configurations changed and read, groups deleted.

Its topics are its own: nobody writes to them. What it did must be there at the end (`check_topics`).

Invariant: an operation that failed definitely changed nothing; one whose outcome is not known may happen at any time from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from jepsen_like.history import OpType
from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from raftkafka.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from raftkafka.protocol.messages.delete_groups import DeleteGroupsRequest
from raftkafka.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from raftkafka.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from raftkafka.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from raftkafka.simulation.client import (
    CREATE_PARTITIONS_KEY,
    CREATE_TOPICS_KEY,
    DELETE_GROUPS_KEY,
    DELETE_TOPICS_KEY,
    DESCRIBE_CONFIGS_KEY,
    INCREMENTAL_ALTER_CONFIGS_KEY,
    METADATA_KEY,
    RequestLost,
    SimClient,
)
from raftkafka.simulation.workload.recording import Recording, error_name

TOPIC_RESOURCE, SET = 2, 0
TIMEOUT_MS = 3_000
CONFIG_KEY = "retention.ms"
FIRST_RETENTION_MS = 600_000_000
SCRATCH_TOPICS = ("scratch-a", "scratch-b", "scratch-c")

UNSURE = frozenset({ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_CONTROLLER, ErrorCode.UNKNOWN_SERVER_ERROR})
"""Codes after which the operation may have happened all the same."""
REFUSED_AGAIN = frozenset({ErrorCode.TOPIC_ALREADY_EXISTS, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.INVALID_PARTITIONS})
"""What an operation gets that has happened already: a broker forwards it again when the controller was deposed in the middle of it, as
Kafka's brokers do."""


@attrs.frozen(kw_only=True)
class TopicState:
    """What the controller may hold of a topic: `partitions` 0 when it does not exist."""

    partitions: int = 0
    retention_ms: int = 0


NO_TOPIC = TopicState()

Change = Callable[[TopicState], TopicState | None]
"""What an operation makes of a state; none where it is refused."""


class Admin:
    """Does one operation after the other until `running` is false."""

    def __init__(self, *, client: SimClient, recording: Recording, interval_ms: int, replication_factor: int) -> None:
        self.running = True
        self.finished = False
        self._client = client
        self._recording = recording
        self._interval_ms = interval_ms
        self._replication_factor = replication_factor
        self._process = recording.next_process()
        self._next_retention_ms = FIRST_RETENTION_MS
        self.possible: dict[str, list[TopicState]] = {topic: [NO_TOPIC] for topic in SCRATCH_TOPICS}
        """The states that each topic may be in, as far as this client knows."""
        self._late: dict[str, list[Change]] = {topic: [] for topic in SCRATCH_TOPICS}

    async def run(self) -> None:
        rng = self._client.rng
        while self.running:
            await self._client.heap.sleep(1 + rng.randrange(2 * self._interval_ms))
            if not self.running:
                break
            topic = rng.choice(SCRATCH_TOPICS)
            await rng.choice(
                (
                    self.create_topic,
                    self.create_topic,
                    self.delete_topic,
                    self.add_partitions,
                    self.alter_config,
                    self.describe_config,
                    self.delete_group,
                )
            )(topic)
        self.finished = True

    # Operations

    async def create_topic(self, topic: str) -> None:
        count = self._client.rng.randint(1, 3)
        retention_ms = self._retention()
        creatable = CreatableTopic(
            name=topic,
            num_partitions=count,
            replication_factor=self._replication_factor,
            configs=[CreatableTopicConfig(name=CONFIG_KEY, value=str(retention_ms))],
        )
        request = CreateTopicsRequest(topics=[creatable], timeout_ms=TIMEOUT_MS)
        value = {"topic": topic, "partitions": count, CONFIG_KEY: retention_ms}
        created = TopicState(partitions=count, retention_ms=retention_ms)
        await self._change(
            "create-topic",
            value,
            CREATE_TOPICS_KEY,
            request,
            lambda response: response.topics[0].error_code,
            lambda state: created if state == NO_TOPIC else None,
        )

    async def delete_topic(self, topic: str) -> None:
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name=topic)], timeout_ms=TIMEOUT_MS)
        await self._change(
            "delete-topic",
            {"topic": topic},
            DELETE_TOPICS_KEY,
            request,
            lambda response: response.responses[0].error_code,
            lambda state: NO_TOPIC if state != NO_TOPIC else None,
        )

    async def add_partitions(self, topic: str) -> None:
        count = max(state.partitions for state in self.possible[topic]) + 1
        request = CreatePartitionsRequest(topics=[CreatePartitionsTopic(name=topic, count=count, assignments=None)], timeout_ms=TIMEOUT_MS)
        await self._change(
            "create-partitions",
            {"topic": topic, "partitions": count},
            CREATE_PARTITIONS_KEY,
            request,
            lambda response: response.results[0].error_code,
            lambda state: attrs.evolve(state, partitions=count) if 0 < state.partitions < count else None,
        )

    async def alter_config(self, topic: str) -> None:
        retention_ms = self._retention()
        config = AlterableConfig(name=CONFIG_KEY, config_operation=SET, value=str(retention_ms))
        request = IncrementalAlterConfigsRequest(
            resources=[AlterConfigsResource(resource_type=TOPIC_RESOURCE, resource_name=topic, configs=[config])]
        )
        await self._change(
            "alter-config",
            {"topic": topic, CONFIG_KEY: retention_ms},
            INCREMENTAL_ALTER_CONFIGS_KEY,
            request,
            lambda response: response.responses[0].error_code,
            lambda state: attrs.evolve(state, retention_ms=retention_ms) if state != NO_TOPIC else None,
        )

    async def describe_config(self, topic: str) -> None:
        """A broker may be behind; what it says is recorded and not judged until the end."""
        resource = DescribeConfigsResource(resource_type=TOPIC_RESOURCE, resource_name=topic, configuration_keys=[CONFIG_KEY])
        await self._ask(
            "describe-config",
            {"topic": topic},
            DESCRIBE_CONFIGS_KEY,
            DescribeConfigsRequest(resources=[resource]),
            lambda response: response.results[0].error_code,
        )

    async def delete_group(self, topic: str) -> None:
        """A group that nobody is in."""
        group = f"nobody-of-{topic}"
        await self._ask(
            "delete-group",
            {"group": group},
            DELETE_GROUPS_KEY,
            DeleteGroupsRequest(groups_names=[group]),
            lambda response: response.results[0].error_code,
        )

    def _retention(self) -> int:
        """A value that was not set before."""
        self._next_retention_ms += 1
        return self._next_retention_ms

    # Outcomes

    async def _change(
        self,
        f: str,
        value: dict[str, Any],
        api_key: int,
        request: object,
        code_of: Callable[[Any], int],
        change: Change,
    ) -> None:
        """An operation on a topic. `change` says what it makes of a state, none where it is refused."""
        topic = value["topic"]
        before = self.possible[topic]
        after = [changed for changed in map(change, before) if changed is not None]
        outcome = await self._ask(f, value, api_key, request, code_of, unsure=UNSURE | REFUSED_AGAIN if after else UNSURE)
        if outcome is OpType.OK:
            if not after:
                self._recording.problem(f"{self._client.name}: {f} {value} succeeded, and {topic} could only be one of {before}")
            self.possible[topic] = after or before
        elif outcome is OpType.INFO:
            self._late[topic].append(change)
        self._close(topic)

    def _close(self, topic: str) -> None:
        """Adds the states that operations of unknown outcome would make of the possible ones, whenever they happen."""
        states = dict.fromkeys(self.possible[topic])
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            for change in self._late[topic]:
                changed = change(state)
                if changed is not None and changed not in states:
                    states[changed] = None
                    waiting.append(changed)
        self.possible[topic] = list(states)

    async def _ask(
        self,
        f: str,
        value: dict[str, Any],
        api_key: int,
        request: object,
        code_of: Callable[[Any], int],
        *,
        unsure: frozenset[ErrorCode] = UNSURE,
    ) -> OpType:
        recording = self._recording
        index = recording.invoke(self._process, f, value)
        error: str | None = None
        try:
            code = code_of(await self._client.ask_any(api_key, request))
        except RequestLost as lost:
            outcome, error = OpType.INFO if lost.sent else OpType.FAIL, "no answer"
        else:
            outcome = OpType.OK if code == ErrorCode.NONE else OpType.INFO if code in unsure else OpType.FAIL
            error = error_name(code) if code else None
        text = " ".join(f"{name}={each}" for name, each in value.items())
        recording.complete(index, outcome, value, who=self._client.name, text=text, error=error)
        if outcome is OpType.INFO:
            self._process = recording.next_process()
        return outcome

    # At the end

    async def check_topics(self) -> None:
        """Asks what there is of each topic, and complains when that is none of the states it may be in."""
        for topic in SCRATCH_TOPICS:
            state = await self._state_of(topic)
            if state not in self.possible[topic]:
                self._recording.problem(f"{topic} is {state}, and could only be one of {self.possible[topic]}")

    async def _state_of(self, topic: str) -> TopicState:
        request = MetadataRequest(topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=False)
        resource = DescribeConfigsResource(resource_type=TOPIC_RESOURCE, resource_name=topic, configuration_keys=[CONFIG_KEY])
        while True:
            try:
                metadata = await self._client.ask_any(METADATA_KEY, request)
                configs = await self._client.ask_any(DESCRIBE_CONFIGS_KEY, DescribeConfigsRequest(resources=[resource]))
            except RequestLost:
                await self._client.retry_pause()
                continue
            found, described = metadata.topics[0], configs.results[0]
            if found.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                return NO_TOPIC
            if found.error_code == ErrorCode.NONE and described.error_code == ErrorCode.NONE:
                return TopicState(partitions=len(found.partitions), retention_ms=int(described.configs[0].value))
            await self._client.retry_pause()
