"""--cancel: stops the moves of a plan; replicas stay where they were."""

from __future__ import annotations

from raftkafka.client.cluster import ClusterClient
from raftkafka.tools.options import Options
from raftkafka.tools.reassign_partitions.cluster_state import partition_reassignments
from raftkafka.tools.reassign_partitions.directory_moves import Progress, directory_moves, start_directory_moves
from raftkafka.tools.reassign_partitions.executing import alter_reassignments
from raftkafka.tools.reassign_partitions.failure import Terse
from raftkafka.tools.reassign_partitions.options import long_value
from raftkafka.tools.reassign_partitions.plan_json import Plan, parse_plan, read_json_file
from raftkafka.tools.reassign_partitions.throttles import clear_throttles


async def cancel(cluster: ClusterClient, options: Options) -> None:
    """Cancels the moves of --reassignment-json-file that are under way."""
    timeout_ms = long_value(options, "timeout")
    plan = parse_plan(read_json_file(options.required("reassignment-json-file")))
    await _cancel_between_brokers(cluster, plan)
    moves = await directory_moves(cluster, plan.log_dirs)
    back = {move.replica: move.place.current for move in moves if move.progress is Progress.ACTIVE and move.place.current is not None}
    if back:
        await start_directory_moves(cluster, back, timeout_ms=timeout_ms)
    else:
        print("None of the specified partition moves are active.", end="")
    if not options.has("preserve-throttles"):
        await clear_throttles(cluster, plan.partitions)


async def _cancel_between_brokers(cluster: ClusterClient, plan: Plan) -> None:
    moving = await partition_reassignments(cluster)
    named = dict(plan.partitions)
    active = sorted(partition for partition in named if partition in moving)
    if not active:
        print("None of the specified partition reassignments are active.")
        return
    errors = await alter_reassignments(cluster, dict.fromkeys(active))
    if errors:
        lines = [f"{partition}: {errors[partition]}" for partition in sorted(errors)]
        raise Terse("\n".join([f"Error cancelling partition reassignment{'' if len(errors) == 1 else 's'} for:", *lines]))
    print(f"Successfully cancelled partition reassignment{'' if len(active) == 1 else 's'} for: {','.join(map(str, active))}")
