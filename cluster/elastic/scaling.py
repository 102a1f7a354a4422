"""`make scale-out` and `make scale-in`: a node more, or one less, while the cluster serves.

Out: the node is formatted and started, waited for, made a voter if it is a controller, and given its fair share of replicas.
In: the node is cordoned (no new replicas are placed on it, KIP-1066), drained, taken out of the quorum, stopped and unregistered.

Invariant: a node is in `cluster.json` as joining before anything of it exists, and as leaving until nothing of it is left.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import attrs
import trio

from cluster.elastic import nodes
from cluster.elastic.moving import Target, carry_out
from cluster.elastic.progress import progress
from cluster.elastic.quorum import let_vote, require_quorum_without, take_vote
from cluster.elastic.shares import shares_table
from cluster.elastic.throttle import Throttle
from cluster.elastic.view import ClusterView, client_of, look, require
from cluster.layout import (
    BROKER,
    CONTROLLER,
    ClusterError,
    ClusterLayout,
    NodeLayout,
    NodeState,
    added_node,
    controller_port_of,
    save_layout,
)
from cluster.ports import is_free
from cluster.processes import ProcessState, process_state
from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.client.cluster import ClusterClient
from raftkafka.controller.replica_balance import drain, fair_share
from raftkafka.controller.replica_plan import ReplicaPlan
from raftkafka.protocol.messages.incremental_alter_configs import AlterableConfig, AlterConfigsResource, IncrementalAlterConfigsRequest
from raftkafka.protocol.messages.unregister_broker import UnregisterBrokerRequest

_BROKER_RESOURCE = 4
_SET = 0
_DRAIN_ROUNDS = 10
_POLL_S = 0.05


# --- out


async def scale_out(layout: ClusterLayout, *, roles: Sequence[str], bytes_per_second: int) -> None:
    """Adds a node, or goes on with the one that is on its way in."""
    leaving = [node.node_id for node in layout.in_state(NodeState.LEAVING)]
    joining = layout.in_state(NodeState.JOINING)
    async with client_of(layout) as client:
        await look(client)  # A cluster that does not answer cannot grow.
        if joining:
            node = joining[0]
            print(f"node {node.node_id} is on its way in: going on with it")
        else:
            node = next_node(layout, roles)
            layout = layout.with_node(node)
            save_layout(layout)
        nodes.start(layout, node)
        await nodes.wait_until_unfenced(client, node)
        print(f"node {node.node_id} runs on {node.address} as {' and '.join(node.roles)}", flush=True)
        if node.is_controller:
            await let_vote(client, node)
            print(f"node {node.node_id} votes on the metadata", flush=True)
        before = await look(client, with_sizes=True)
        plan = fair_share(before.placed_brokers(leaving=leaving), before.placed_partitions())
        await _move(layout, client, before, plan, what=f"sharing with node {node.node_id}", bytes_per_second=bytes_per_second)
        layout = layout.with_node(attrs.evolve(node, state=NodeState.MEMBER))
        save_layout(layout)
        print(shares_table(before, await look(client, with_sizes=True)))
        print(f"node {node.node_id} is part of cluster {layout.name}: {plan.verdict}")


def next_node(layout: ClusterLayout, roles: Sequence[str]) -> NodeLayout:
    """The node that is to come: the next id, on ports that nobody has."""
    unknown = [role for role in roles if role not in (BROKER, CONTROLLER)]
    if unknown or BROKER not in roles:
        raise ClusterError(f"ROLES={','.join(roles)} is not possible: write ROLES=broker or ROLES=broker,controller.")
    taken = [port for node in layout.nodes for port in (node.port, node.controller_port)]
    port = layout.first_port + layout.next_id - 1
    while any(each in taken or not is_free(each) for each in (port, controller_port_of(port))):
        port += 1
    return added_node(layout, port=port, roles=[role for role in (BROKER, CONTROLLER) if role in roles])


# --- in


async def scale_in(layout: ClusterLayout, *, node_id: int, bytes_per_second: int, keep_data: bool) -> None:
    """Removes a node, or goes on removing it."""
    node = layout.node(node_id)
    async with client_of(_others(layout, node)) as client:
        if process_state(node) is not ProcessState.RUNNING:
            await nodes.wait_until_fenced(client, node)
        view = await look(client, with_sizes=True)
        if node.state is not NodeState.LEAVING:
            _require_removable(view, layout, node)
            node = attrs.evolve(node, state=NodeState.LEAVING)
            layout = layout.with_node(node)
            save_layout(layout)
        before = view
        await _cordon(client, view, node_id)
        await _drain(layout, client, node_id, bytes_per_second=bytes_per_second)
        view = await look(client)
        require_quorum_without(view, node_id, view.live)
        if await take_vote(client, node_id):
            print(f"node {node_id} votes no more; node {(await look(client)).quorum_leader} leads the quorum", flush=True)
        await nodes.stop(node)
        # What was created while it stopped may have been placed on it, if cordoning came too late for that.
        await _drain(layout, client, node_id, bytes_per_second=bytes_per_second)
        await _unregister(client, layout, node_id)
        layout = layout.without_node(node_id)
        save_layout(layout)
        print(shares_table(before, await look(client, with_sizes=True)))
    if keep_data:
        print(f"node {node_id} is gone from cluster {layout.name}; its files stay in {node.directory}")
    else:
        shutil.rmtree(node.directory, ignore_errors=True)
        print(f"node {node_id} is gone from cluster {layout.name}, with its files. KEEP_DATA=1 would have kept them.")


def _others(layout: ClusterLayout, node: NodeLayout) -> ClusterLayout:
    """The cluster as it will be, to talk to: a node that stops answers nothing."""
    return layout.without_node(node.node_id) if layout.node_count > 1 else layout


def _require_removable(view: ClusterView, layout: ClusterLayout, node: NodeLayout) -> None:
    """Refuses what would leave partitions without a place, data without a copy, or the metadata without a majority."""
    if layout.node_count == 1:
        raise ClusterError(f"node {node.node_id} is the only one. `make cluster-clean` deletes the cluster.")
    others = [each for each in layout.in_state(NodeState.LEAVING) if each.node_id != node.node_id]
    if others:
        raise ClusterError(f"node {others[0].node_id} is on its way out: make scale-in NODE={others[0].node_id} first.")
    require_quorum_without(view, node.node_id, view.live)
    _plan_drain(view, node.node_id)
    if node.node_id not in view.live:
        alone = [partition.id for partition in view.on(node.node_id) if not [each for each in partition.isr if each != node.node_id]]
        if alone:
            raise ClusterError(
                f"node {node.node_id} is down, and only it has all records of {len(alone)} partitions, such as {alone[0]}: "
                f"make start NODE={node.node_id} first"
            )


def _plan_drain(view: ClusterView, node_id: int) -> ReplicaPlan:
    try:
        return drain(NodeId(node_id), view.placed_brokers(leaving=[node_id]), view.placed_partitions())
    except ApiError as refusal:
        raise ClusterError(f"{refusal.message} Add a node first (`make scale-out`), or give the topic fewer replicas.") from None


async def _drain(layout: ClusterLayout, client: ClusterClient, node_id: int, *, bytes_per_second: int) -> None:
    """Moves everything off a broker, and looks again until nothing is left."""
    for _ in range(_DRAIN_ROUNDS):
        view = await look(client, with_sizes=True)
        if not view.on(node_id):
            return
        plan = _plan_drain(view, node_id)
        await _move(layout, client, view, plan, what=f"draining node {node_id}", bytes_per_second=bytes_per_second)
    raise ClusterError(f"node {node_id} gets new replicas as fast as they are moved off it. Stop creating topics, and call this again.")


async def _cordon(client: ClusterClient, view: ClusterView, node_id: int) -> None:
    """No new replicas for a broker, as far as it is there to be told."""
    if node_id in view.live:
        await _configure_broker(client, node_id, AlterableConfig(name="cordoned.log.dirs", config_operation=_SET, value="*"))


async def _unregister(client: ClusterClient, layout: ClusterLayout, node_id: int) -> None:
    response = await client.ask_controller(UnregisterBrokerRequest(broker_id=node_id))
    if response.error_code != ErrorCode.BROKER_ID_NOT_REGISTERED:
        require(response.error_code, response.error_message)
    Throttle(layout, client).forget(node_id)
    while True:
        if node_id not in [broker.node_id for broker in (await look(client)).brokers]:
            return
        await trio.sleep(_POLL_S)  # The broker that is asked hears of it a moment later.


async def _configure_broker(client: ClusterClient, node_id: int, config: AlterableConfig) -> None:
    resource = AlterConfigsResource(resource_type=_BROKER_RESOURCE, resource_name=str(node_id), configs=[config])
    response = await client.ask(IncrementalAlterConfigsRequest(resources=[resource]), node_id)
    for result in response.responses:
        require(result.error_code, result.error_message)


# --- both


async def _move(
    layout: ClusterLayout, client: ClusterClient, view: ClusterView, plan: ReplicaPlan, *, what: str, bytes_per_second: int
) -> None:
    """Carries out a plan, and what was under way before it. When this is interrupted the moves go on, as throttled as they are."""
    planned = {move.key: move.new_replicas for move in plan.moves}
    targets = [
        Target(partition=each, replicas=tuple(planned.get(each.key, each.target)))
        for each in view.partitions
        if each.key in planned or each.adding or each.removing
    ]
    throttle = Throttle(layout, client)
    if targets:
        with progress(what) as tell:
            await carry_out(client, throttle, targets, tell, bytes_per_second=bytes_per_second)
    await throttle.lift((await look(client)).live)
