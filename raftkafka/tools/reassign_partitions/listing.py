"""--list: the moves between brokers that are under way."""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.client.cluster import ClusterClient
from raftkafka.tools.options import Options
from raftkafka.tools.reassign_partitions.cluster_state import partition_reassignments


async def list_reassignments(cluster: ClusterClient, _: Options) -> None:
    """Prints the moves that are under way."""
    moving = await partition_reassignments(cluster)
    if not moving:
        print("No partition reassignments found.")
        return
    print("Current partition reassignments:")
    for partition in sorted(moving):
        state = moving[partition]
        adding = f" adding: {_joined(state.adding)}." if state.adding else ""
        removing = f" removing: {_joined(state.removing)}." if state.removing else ""
        print(f"{partition}: replicas: {_joined(state.replicas)}.{adding}{removing}")


def _joined(broker_ids: Sequence[int]) -> str:
    return ",".join(map(str, broker_ids))
