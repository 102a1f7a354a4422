"""Controllers that come into the metadata quorum and go out of it, one at a time (KIP-853)."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from cluster.elastic.view import ClusterView, look, require
from cluster.layout import ClusterError, NodeLayout
from raftkafka.base.errors import ErrorCode
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.add_raft_voter import AddRaftVoterRequest, Listener
from raftkafka.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest
from raftkafka.tools.controller_file import read_controller_file
from raftkafka.tools.properties_file import read_properties

VOTE_TIMEOUT_S = 30.0
_POLL_S = 0.1


async def let_vote(client: ClusterClient, node: NodeLayout) -> None:
    """Makes a controller that observes a voter; it may have asked for that itself."""
    controller = read_controller_file(read_properties(str(node.properties_path)))
    view = await look(client)
    known = view.voter(node.node_id)
    if known is not None and known.directory_id == controller.directory_id:
        return
    if known is not None:
        await _remove(client, node.node_id, known.directory_id)
    request = AddRaftVoterRequest(
        cluster_id=None,
        timeout_ms=int(1000 * VOTE_TIMEOUT_S),
        voter_id=controller.node_id,
        voter_directory_id=controller.directory_id,
        listeners=[Listener(name=each.name, host=each.host, port=each.port) for each in controller.endpoints],
    )
    response = await client.ask_controller(request, timeout_s=VOTE_TIMEOUT_S)
    if response.error_code != ErrorCode.DUPLICATE_VOTER:
        require(response.error_code, response.error_message)


async def take_vote(client: ClusterClient, node_id: int) -> bool:
    """Takes a controller out of the voters; whether it was one. When it leads, another is elected."""
    known = (await look(client)).voter(node_id)
    if known is None:
        return False
    await _remove(client, node_id, known.directory_id)
    with trio.move_on_after(VOTE_TIMEOUT_S):
        while True:
            view = await look(client)
            if view.voter(node_id) is None and view.quorum_leader not in (-1, node_id):
                return True
            await trio.sleep(_POLL_S)
    raise ClusterError(f"the quorum did not settle in {VOTE_TIMEOUT_S:.0f} s after node {node_id} had left it. Call this again.")


async def wait_until_voter(client: ClusterClient, node_id: int, *, timeout_s: float = VOTE_TIMEOUT_S) -> None:
    """Until a controller votes, and has all that was committed when this began."""
    committed = (await look(client)).quorum_high_watermark
    with trio.move_on_after(timeout_s):
        while True:
            voter = (await look(client)).voter(node_id)
            if voter is not None and voter.log_end_offset >= committed:
                return
            await trio.sleep(_POLL_S)
    raise ClusterError(f"node {node_id} is no voter that has caught up, after {timeout_s:.0f} s. `make cluster-status` shows the quorum.")


def require_quorum_without(view: ClusterView, node_id: int, alive: Sequence[int]) -> None:
    """Refuses to take a voter away, or down, when the others could commit nothing then."""
    if view.voter(node_id) is None:
        return
    others = [voter.node_id for voter in view.voters if voter.node_id != node_id]
    if not others:
        raise ClusterError(f"node {node_id} is the only controller. Add another first: make scale-out ROLES=broker,controller")
    up = [other for other in others if other in alive]
    if len(up) <= len(others) // 2:
        down = ", ".join(str(other) for other in others if other not in alive)
        raise ClusterError(
            f"without node {node_id} only {len(up)} of {len(others)} controllers would be up, which is no majority: start node {down} first"
        )


async def _remove(client: ClusterClient, node_id: int, directory_id: bytes) -> None:
    request = RemoveRaftVoterRequest(cluster_id=None, voter_id=node_id, voter_directory_id=directory_id)
    response = await client.ask_controller(request, timeout_s=VOTE_TIMEOUT_S)
    if response.error_code != ErrorCode.VOTER_NOT_FOUND:
        require(response.error_code, response.error_message)
