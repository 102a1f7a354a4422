"""The throttle of the moves that a command makes: set before they begin, lifted when they are done, also by the next command.

A rate on each broker that takes part, and the moving replicas named in their topics' settings (KIP-73), as kafka-reassign-partitions does
it. What was set is first written down in the cluster's directory: after an interruption the next command lifts it.

Invariant: what somebody else has set stays as it is. Rates that are there are neither changed nor lifted, of a topic's list only the
entries are taken out that were put in, and a topic that throttles all its replicas (`*`) is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import attrs
import trio

from cluster.elastic.view import require
from cluster.layout import ClusterLayout
from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from raftkafka.protocol.messages.incremental_alter_configs import AlterableConfig, AlterConfigsResource, IncrementalAlterConfigsRequest

_LEADER_RATE, _FOLLOWER_RATE = "leader.replication.throttled.rate", "follower.replication.throttled.rate"
_LEADERS, _FOLLOWERS = "leader.replication.throttled.replicas", "follower.replication.throttled.replicas"
_TOPIC, _BROKER = 2, 4
_SET, _DELETE, _APPEND, _SUBTRACT = 0, 1, 2, 3
_DYNAMIC_TOPIC, _DYNAMIC_BROKER = 1, 2
"""The source of a setting that somebody gave to this one topic, or broker."""
_KNOWN_WITHIN_S = 5.0
_POLL_S = 0.05


@attrs.frozen(kw_only=True)
class Copying:
    """From which brokers a partition is copied, and to which."""

    partition: TopicPartition
    sources: tuple[int, ...]
    destinations: tuple[int, ...]


class Throttle:
    """The throttles that this cluster's commands have set."""

    def __init__(self, layout: ClusterLayout, client: ClusterClient) -> None:
        self._path: Path = layout.directory / "throttles.json"
        self._client = client
        self._rates: list[int] = []
        self._replicas: dict[str, dict[str, list[str]]] = {}
        if self._path.exists():
            written = json.loads(self._path.read_text())
            self._rates, self._replicas = written["brokers"], written["topics"]

    async def hold(self, copies: Sequence[Copying], bytes_per_second: int, *, alive: Sequence[int]) -> None:
        """Holds these copies to so many bytes a second on each broker."""
        taking_part = sorted({node_id for copy in copies for node_id in (*copy.sources, *copy.destinations) if node_id in alive})
        fresh = [node_id for node_id in taking_part if node_id in self._rates or not await self._has_rate(node_id)]
        self._rates = sorted({*self._rates, *fresh})
        added: dict[str, dict[str, list[str]]] = {}
        throttled = await self._wholly_throttled({copy.partition.topic for copy in copies})
        for copy in copies:
            if copy.partition.topic in throttled:
                continue
            topic = added.setdefault(copy.partition.topic, {_LEADERS: [], _FOLLOWERS: []})
            topic[_LEADERS].extend(f"{copy.partition.partition}:{node_id}" for node_id in copy.sources)
            topic[_FOLLOWERS].extend(f"{copy.partition.partition}:{node_id}" for node_id in copy.destinations)
        for name, lists in added.items():
            known = self._replicas.setdefault(name, {_LEADERS: [], _FOLLOWERS: []})
            for key, entries in lists.items():
                known[key] = sorted({*known[key], *entries})
        self._write_down()
        await self._change_topics(added, _APPEND)
        rate = str(bytes_per_second)
        for node_id in fresh:
            await self._change_broker(node_id, [(_LEADER_RATE, _SET, rate), (_FOLLOWER_RATE, _SET, rate)])

    async def lift(self, alive: Sequence[int]) -> None:
        """Takes away what was set; a broker that is not alive is left for the next time."""
        await self._change_topics(self._replicas, _SUBTRACT)
        await self._delete_empty_lists()
        self._replicas = {}
        left = []
        for node_id in self._rates:
            if node_id in alive:
                await self._change_broker(node_id, [(_LEADER_RATE, _DELETE, None), (_FOLLOWER_RATE, _DELETE, None)])
            else:
                left.append(node_id)
        self._rates = left
        self._write_down()

    def forget(self, node_id: int) -> None:
        """The broker is gone for good."""
        self._rates = [each for each in self._rates if each != node_id]
        self._write_down()

    def _write_down(self) -> None:
        if self._rates or self._replicas:
            self._path.write_text(json.dumps({"brokers": self._rates, "topics": self._replicas}) + "\n")
        else:
            self._path.unlink(missing_ok=True)

    async def _has_rate(self, node_id: int) -> bool:
        resource = DescribeConfigsResource(
            resource_type=_BROKER, resource_name=str(node_id), configuration_keys=[_LEADER_RATE, _FOLLOWER_RATE]
        )
        response = await self._client.ask(DescribeConfigsRequest(resources=[resource]), node_id)
        return any(each.config_source == _DYNAMIC_BROKER for result in response.results for each in result.configs)

    async def _wholly_throttled(self, topics: Collection[str]) -> list[str]:
        return [name for name, lists in (await self._lists(topics)).items() if "*" in lists.values()]

    async def _delete_empty_lists(self) -> None:
        """A list from which all was taken out is still there, and empty. The broker that is asked may know of it a moment later."""
        lists = await self._lists(self._replicas)
        with trio.move_on_after(_KNOWN_WITHIN_S):
            while any(self._names_ours(name, found) for name, found in lists.items()):
                await trio.sleep(_POLL_S)
                lists = await self._lists(self._replicas)
        empty = {name: [key for key, value in found.items() if value == ""] for name, found in lists.items()}
        await self._change_topics({name: dict.fromkeys(keys, ()) for name, keys in empty.items() if keys}, _DELETE)

    def _names_ours(self, topic: str, lists: Mapping[str, str]) -> bool:
        return any(entry in self._replicas[topic][key] for key, value in lists.items() for entry in value.split(","))

    async def _lists(self, topics: Collection[str]) -> dict[str, dict[str, str]]:
        """The lists of throttled replicas that these topics have of their own."""
        resources = [
            DescribeConfigsResource(resource_type=_TOPIC, resource_name=name, configuration_keys=[_LEADERS, _FOLLOWERS])
            for name in sorted(topics)
        ]
        response = await self._client.ask(DescribeConfigsRequest(resources=resources))
        return {
            result.resource_name: {each.name: each.value or "" for each in result.configs if each.config_source == _DYNAMIC_TOPIC}
            for result in response.results
        }

    async def _change_topics(self, topics: Mapping[str, Mapping[str, Sequence[str]]], operation: int) -> None:
        resources = [
            AlterConfigsResource(
                resource_type=_TOPIC,
                resource_name=name,
                configs=[
                    AlterableConfig(name=key, config_operation=operation, value=None if operation == _DELETE else ",".join(entries))
                    for key, entries in lists.items()
                    if entries or operation == _DELETE
                ],
            )
            for name, lists in topics.items()
        ]
        if not resources:
            return
        response = await self._client.ask_controller(IncrementalAlterConfigsRequest(resources=resources))
        for result in response.responses:
            if result.error_code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:  # It was deleted meanwhile.
                require(result.error_code, result.error_message)

    async def _change_broker(self, node_id: int, changes: Sequence[tuple[str, int, str | None]]) -> None:
        configs = [AlterableConfig(name=name, config_operation=operation, value=value) for name, operation, value in changes]
        resource = AlterConfigsResource(resource_type=_BROKER, resource_name=str(node_id), configs=configs)
        response = await self._client.ask(IncrementalAlterConfigsRequest(resources=[resource]), node_id)
        for result in response.responses:
            require(result.error_code, result.error_message)
