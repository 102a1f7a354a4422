"""--execute: starts the moves of a plan, throttled if asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from raftkafka.tools.java_errors import default_message, raise_refusal
from raftkafka.tools.java_order import in_hash_map_order, integer_hash
from raftkafka.tools.options import Options
from raftkafka.tools.reassign_partitions.cluster_state import (
    current_directories,
    live_brokers,
    partition_reassignments,
    replicas_of_partitions,
)
from raftkafka.tools.reassign_partitions.directory_moves import start_directory_moves
from raftkafka.tools.reassign_partitions.failure import Failed, Terse
from raftkafka.tools.reassign_partitions.options import long_value
from raftkafka.tools.reassign_partitions.plan_json import Plan, Replica, check_executable, parse_plan, plan_as_json, read_json_file
from raftkafka.tools.reassign_partitions.throttles import proposed_moves, throttle_log_dirs, throttle_moves

_OTHERS_ARE_UNDER_WAY = (
    "Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new partition "
    "assignment in addition to the existing one. The --additional flag can also be used to change the throttle by resubmitting the "
    "current reassignment."
)
_VERIFY_LATER = "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed."
_TIMEOUT_MS = 60_000


async def execute(cluster: ClusterClient, options: Options) -> None:
    """Starts the moves of --reassignment-json-file; prints first how to go back."""
    text = read_json_file(options.required("reassignment-json-file"))
    between_brokers, between_directories, timeout_ms = (
        long_value(options, name) for name in ("throttle", "replica-alter-log-dirs-throttle", "timeout")
    )
    plan = parse_plan(text)
    proposed = check_executable(plan)
    moving = await partition_reassignments(cluster)
    if moving and not options.has("additional"):
        raise Terse(_OTHERS_ARE_UNDER_WAY)
    await _check_brokers(cluster, proposed)
    current = await replicas_of_partitions(cluster, list(proposed))
    await _print_current(cluster, current)
    if between_brokers >= 0 or between_directories >= 0:
        print(_VERIFY_LATER)
    if between_brokers >= 0:
        await throttle_moves(cluster, proposed_moves(moving, proposed, current), between_brokers)
    if between_directories >= 0:
        await throttle_log_dirs(cluster, (replica.broker_id for replica in plan.log_dirs), between_directories)
    await _start(cluster, proposed, may_change_factor=not options.has("disallow-replication-factor-change"))
    await _start_directories(cluster, plan, timeout_ms=timeout_ms)


async def alter_reassignments(
    cluster: ClusterClient, targets: Mapping[TopicPartition, Sequence[int] | None], *, may_change_factor: bool = True
) -> dict[TopicPartition, str]:
    """Asks for these replicas; None cancels a move. The reasons of those that were refused."""
    topics: dict[str, ReassignableTopic] = {}
    for (topic, number), replicas in targets.items():
        entry = topics.setdefault(topic, ReassignableTopic(name=topic, partitions=[]))
        entry.partitions.append(ReassignablePartition(partition_index=number, replicas=None if replicas is None else list(replicas)))
    request = AlterPartitionReassignmentsRequest(
        timeout_ms=_TIMEOUT_MS, allow_replication_factor_change=may_change_factor, topics=list(topics.values())
    )
    response = await cluster.ask_controller(request)
    raise_refusal(response.error_code, response.error_message)
    return {
        TopicPartition(topic.name, each.partition_index): each.error_message or default_message(each.error_code)
        for topic in response.responses
        for each in topic.partitions
        if each.error_code != ErrorCode.NONE
    }


async def _check_brokers(cluster: ClusterClient, proposed: Mapping[TopicPartition, Sequence[int]]) -> None:
    alive = await live_brokers(cluster)
    named = in_hash_map_order([broker_id for replicas in proposed.values() for broker_id in replicas], integer_hash)
    for broker_id in named:
        if broker_id not in alive:
            raise Failed(f"Unknown broker id {broker_id}")


async def _print_current(cluster: ClusterClient, current: Mapping[TopicPartition, Sequence[int]]) -> None:
    replicas = [Replica(broker_id, *partition) for partition, its_replicas in current.items() for broker_id in its_replicas]
    directories = await current_directories(cluster, replicas)
    print(f"Current partition replica assignment\n\n{plan_as_json(current, directories)}\n")
    print("Save this to use as the --reassignment-json-file option during rollback")


async def _start(cluster: ClusterClient, proposed: Mapping[TopicPartition, Sequence[int]], *, may_change_factor: bool) -> None:
    errors = await alter_reassignments(cluster, proposed, may_change_factor=may_change_factor)
    if errors:
        lines = [f"{partition}: {errors[partition]}" for partition in sorted(errors)]
        raise Terse("\n".join(["Error reassigning partition(s):", *lines]))
    named = ",".join(map(str, sorted(proposed)))
    print(f"Successfully started partition reassignment{'' if len(proposed) == 1 else 's'} for {named}")


async def _start_directories(cluster: ClusterClient, plan: Plan, *, timeout_ms: int) -> None:
    if plan.log_dirs:
        await start_directory_moves(cluster, plan.log_dirs, timeout_ms=timeout_ms)
