"""`make roll`: the nodes are stopped cleanly and started again one by one, and clients notice next to nothing.

Invariants
- A node is stopped only while all others run, every replica of every partition is in sync, and every voter has caught up: nothing that was
  acknowledged ever hangs on one copy, and the quorum keeps its majority.
- The active controller is the last: the metadata quorum elects once.
- Which nodes are done is written down with their process ids, so that a call after an interruption goes on with the others.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from cluster.elastic import nodes
from cluster.elastic.progress import progress
from cluster.elastic.quorum import wait_until_voter
from cluster.elastic.view import client_of, look
from cluster.layout import ClusterLayout, NodeLayout
from cluster.processes import ProcessState, pid_of, process_state

FORGET_AFTER_S = 3600.0
"""An interrupted roll that is older begins anew."""


async def roll(layout: ClusterLayout) -> None:
    """Restarts every node of the cluster."""
    done = Restarted(layout)
    began = time.monotonic()
    async with client_of(layout) as client:
        await look(client)
        if done.node_ids:
            print(f"going on: node {', '.join(map(str, done.node_ids))} was restarted before")
    for node in layout.nodes:
        if process_state(node) is ProcessState.STOPPED:
            print(f"node {node.node_id} does not run: starting it first")
            nodes.start(layout, node)
    with progress("rolling", lines_every_s=0) as tell:
        count = layout.node_count
        while left := [node for node in layout.nodes if node.node_id not in done.node_ids]:
            node = await _next(layout, left)
            tell((count - len(left)) / count, f"restarting node {node.node_id}")
            await _restart(layout, node)
            done.add(node)
        await _wait_until_well(layout)
        tell(1.0, f"{count} nodes restarted")
    done.clear()
    print(f"cluster {layout.name} was restarted node by node in {time.monotonic() - began:.1f} s; every replica is in sync")


async def _next(layout: ClusterLayout, left: list[NodeLayout]) -> NodeLayout:
    """Waits until all is well, and takes a node that does not lead the quorum, if there is one."""
    leader = await _wait_until_well(layout)
    return next((node for node in left if node.node_id != leader), left[0])


async def _wait_until_well(layout: ClusterLayout) -> int:
    """Until every broker is unfenced, every replica in sync and every controller a voter that has caught up; the quorum's leader."""
    async with client_of(layout) as client:
        for each in layout.nodes:
            await nodes.wait_until_unfenced(client, each)
        view = await nodes.wait_until_whole(client)
        for voter in view.voters:
            await wait_until_voter(client, voter.node_id)
        return view.quorum_leader


async def _restart(layout: ClusterLayout, node: NodeLayout) -> None:
    await nodes.stop(node)
    nodes.start(layout, node)
    others = layout.without_node(node.node_id) if layout.node_count > 1 else layout
    async with client_of(others) as client:
        await nodes.wait_until_unfenced(client, node)


class Restarted:
    """The nodes that this roll has restarted, by process id; one that was restarted by somebody else since counts as not done."""

    def __init__(self, layout: ClusterLayout) -> None:
        self._path: Path = layout.directory / "roll.json"
        self._pids: dict[str, int] = {}
        if self._path.exists() and time.time() - self._path.stat().st_mtime < FORGET_AFTER_S:
            written = json.loads(self._path.read_text())
            self._pids = {
                str(node.node_id): pid for node in layout.nodes if (pid := pid_of(node)) == written.get(str(node.node_id)) and pid
            }

    @property
    def node_ids(self) -> list[int]:
        return sorted(map(int, self._pids))

    def add(self, node: NodeLayout) -> None:
        self._pids[str(node.node_id)] = pid_of(node) or 0
        self._path.write_text(json.dumps(self._pids) + "\n")

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)
