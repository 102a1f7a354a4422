"""--verify: whether the moves of a plan are done; when nothing moves any more, the throttles are removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient
from raftkafka.tools.options import Options
from raftkafka.tools.reassign_partitions.cluster_state import Moving, known_replicas, partition_reassignments
from raftkafka.tools.reassign_partitions.directory_moves import directory_moves
from raftkafka.tools.reassign_partitions.plan_json import Plan, parse_plan, read_json_file
from raftkafka.tools.reassign_partitions.throttles import clear_throttles


async def verify(cluster: ClusterClient, options: Options) -> None:
    """Prints the state of each partition and replica of the plan."""
    plan = parse_plan(read_json_file(options.required("reassignment-json-file")))
    moving = await partition_reassignments(cluster)
    print("\n".join(["Status of partition reassignment:", *await _partition_lines(cluster, plan, moving)]))
    moves = await directory_moves(cluster, plan.log_dirs)
    print("\n".join(move.describe() for move in moves))
    if not moving and all(move.is_done for move in moves) and not options.has("preserve-throttles"):
        await clear_throttles(cluster, plan.partitions)


async def _partition_lines(cluster: ClusterClient, plan: Plan, moving: Mapping[TopicPartition, Moving]) -> list[str]:
    targets = dict(plan.partitions)
    known = await known_replicas(cluster, [partition.topic for partition in targets if partition not in moving])
    lines = []
    for partition in sorted(targets):
        target = targets[partition]
        current: Sequence[int] = known.get(partition.topic, {}).get(partition, ())
        if partition in moving:
            lines.append(f"Reassignment of partition {partition} is still in progress.")
        elif tuple(current) == target:
            lines.append(f"Reassignment of partition {partition} is completed.")
        else:
            lines.append(
                f"There is no active reassignment of partition {partition}, but replica set is {_joined(current)} rather than "
                f"{_joined(target)}."
            )
    return lines


def _joined(broker_ids: Sequence[int]) -> str:
    return ",".join(map(str, broker_ids))
