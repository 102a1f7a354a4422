"""How fast replicas may move: settings of the brokers and topics that take part, set by --execute and removed when all is done.

Sources: KIP-73; the keys of Apache Kafka 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.incremental_alter_configs import AlterableConfig, AlterConfigsResource, IncrementalAlterConfigsRequest
from raftkafka.tools.java_errors import raise_refusal, refusal
from raftkafka.tools.java_order import in_hash_map_order, integer_hash, string_hash
from raftkafka.tools.reassign_partitions.cluster_state import Moving, live_brokers

_LEADER_RATE, _FOLLOWER_RATE = "leader.replication.throttled.rate", "follower.replication.throttled.rate"
_LOG_DIRS_RATE = "replica.alter.log.dirs.io.max.bytes.per.second"
_LEADER_REPLICAS, _FOLLOWER_REPLICAS = "leader.replication.throttled.replicas", "follower.replication.throttled.replicas"
_TOPIC, _BROKER = 2, 4
_SET, _DELETE = 0, 1


@attrs.frozen(kw_only=True)
class Move:
    """From which brokers a partition is copied, and to which."""

    sources: tuple[int, ...]
    destinations: tuple[int, ...]


def proposed_moves(
    moving: Mapping[TopicPartition, Moving],
    proposed: Mapping[TopicPartition, Sequence[int]],
    current: Mapping[TopicPartition, Sequence[int]],
) -> dict[TopicPartition, Move]:
    """All moves that will be under way when the proposed ones have begun."""
    moves = {
        partition: Move(sources=tuple(each for each in state.replicas if each not in state.adding), destinations=state.adding)
        for partition, state in moving.items()
    }
    for partition, replicas in proposed.items():
        sources = moves[partition].sources if partition in moves else tuple(current[partition])
        moves[partition] = Move(sources=sources, destinations=tuple(each for each in replicas if each not in sources))
    return moves


async def throttle_moves(cluster: ClusterClient, moves: Mapping[TopicPartition, Move], bytes_per_second: int) -> None:
    """Throttles the replicas that are copied, on the brokers that take part."""
    leaders: dict[str, list[str]] = {}
    followers: dict[str, list[str]] = {}
    for (topic, partition), move in moves.items():
        leaders.setdefault(topic, []).extend(f"{partition}:{broker_id}" for broker_id in move.sources)
        followers.setdefault(topic, []).extend(f"{partition}:{broker_id}" for broker_id in move.destinations)
    for topic in leaders:
        await _change(
            cluster,
            _TOPIC,
            topic,
            {_LEADER_REPLICAS: ",".join(sorted(leaders[topic])), _FOLLOWER_REPLICAS: ",".join(sorted(followers[topic]))},
        )
    rate = str(bytes_per_second)
    brokers = dict.fromkeys(broker_id for move in moves.values() for broker_id in (*move.sources, *move.destinations))
    await _change_brokers(cluster, sorted(brokers), {_LEADER_RATE: rate, _FOLLOWER_RATE: rate})
    print(f"The inter-broker throttle limit was set to {bytes_per_second} B/s")


async def throttle_log_dirs(cluster: ClusterClient, brokers: Iterable[int], bytes_per_second: int) -> None:
    """Throttles moves between the log directories of these brokers."""
    await _change_brokers(cluster, sorted(dict.fromkeys(brokers)), {_LOG_DIRS_RATE: str(bytes_per_second)})
    print(f"The replica-alter-dir throttle limit was set to {bytes_per_second} B/s")


async def clear_throttles(cluster: ClusterClient, partitions: Sequence[tuple[TopicPartition, Sequence[int]]]) -> None:
    """Removes every throttle of every broker that is alive or named, and of the topics that are named."""
    named = [broker_id for _, replicas in partitions for broker_id in replicas]
    brokers = in_hash_map_order([*await live_brokers(cluster), *named], integer_hash)
    print(f"Clearing broker-level throttles on broker{_plural(brokers)} {','.join(map(str, brokers))}")
    await _change_brokers(cluster, brokers, {_LEADER_RATE: None, _FOLLOWER_RATE: None, _LOG_DIRS_RATE: None})
    topics = in_hash_map_order([partition.topic for partition, _ in partitions], string_hash)
    print(f"Clearing topic-level throttles on topic{_plural(topics)} {','.join(topics)}")
    for topic in topics:
        await _change(cluster, _TOPIC, topic, {_LEADER_REPLICAS: None, _FOLLOWER_REPLICAS: None})


def _plural(values: Sequence[object]) -> str:
    return "" if len(values) == 1 else "s"


async def _change_brokers(cluster: ClusterClient, brokers: Sequence[int], values: Mapping[str, str | None]) -> None:
    """Each broker is told itself, since only it may check its settings."""
    alive = await live_brokers(cluster)
    for broker_id in brokers:
        if broker_id not in alive:
            raise refusal(ErrorCode.REQUEST_TIMED_OUT, f"Broker {broker_id} is not alive, so its throttles cannot be changed.")
        await _change(cluster, _BROKER, str(broker_id), values, through=broker_id)


async def _change(
    cluster: ClusterClient, resource_type: int, name: str, values: Mapping[str, str | None], *, through: int | None = None
) -> None:
    configs = [AlterableConfig(name=key, config_operation=_DELETE if value is None else _SET, value=value) for key, value in values.items()]
    resource = AlterConfigsResource(resource_type=resource_type, resource_name=name, configs=configs)
    request = IncrementalAlterConfigsRequest(resources=[resource])
    response = await (cluster.ask_controller(request) if through is None else cluster.ask(request, through))
    for result in response.responses:
        raise_refusal(result.error_code, result.error_message)
