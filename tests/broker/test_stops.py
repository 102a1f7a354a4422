"""How a node ends: what the marker of a clean stop says, and what keeps a node from starting."""

from __future__ import annotations

import random

from raftkafka.base.disk import Persist
from raftkafka.base.errors import DiskError
from raftkafka.base.ids import DirectoryId, NodeId
from raftkafka.broker.config_loader import config_from_properties
from raftkafka.broker.effects import Halt, NodeEffect
from raftkafka.broker.node import BrokerNode
from raftkafka.simulation.disk import SimDisk
from raftkafka.storage.checkpoints import CLEAN_SHUTDOWN_FILE, decode_clean_shutdown, encode_clean_shutdown
from raftkafka.storage.meta_properties import MetaProperties
from tests.broker.one_node import CLUSTER_ID, PROPERTIES, START_MS

MARKER = f"data/{CLEAN_SHUTDOWN_FILE}"
WITHOUT_OTHERS = {**PROPERTIES, "controller.quorum.voters": "1@127.0.0.1:9093,2@127.0.0.1:9193,3@127.0.0.1:9293"}


def node_on(disk: SimDisk) -> BrokerNode:
    """A node that finds no other voter."""
    meta = MetaProperties(node_id=NodeId(1), directory_id=DirectoryId(b"d" * 16), cluster_id=CLUSTER_ID)
    node = BrokerNode(config=config_from_properties(WITHOUT_OTHERS), disk=disk, rng=random.Random(1), meta=meta)
    node.start(START_MS, START_MS)
    return node


def stopped_cleanly_in(epoch: int) -> SimDisk:
    disk = SimDisk()
    disk.make_dir("data")
    disk.replace_file(MARKER, encode_clean_shutdown(epoch))
    return disk


def settle(node: BrokerNode, disk: SimDisk) -> None:
    effects: list[NodeEffect] = node.settle(START_MS)
    while effects:
        for effect in effects:
            if isinstance(effect, Persist):
                disk.persist(effect)
                node.persisted(effect.token, START_MS)
        effects = node.settle(START_MS)


def test_a_process_that_never_registered_leaves_the_marker_as_it_found_it() -> None:
    """Else a broker that is stopped again before its controllers are up would lose its place as an eligible leader (KIP-966)."""
    disk = stopped_cleanly_in(epoch=7)
    node = node_on(disk)
    settle(node, disk)
    assert disk.read_file(MARKER) == b""
    node.begin_shutdown(START_MS)
    settle(node, disk)
    assert node.stopped
    assert decode_clean_shutdown(disk.read_file(MARKER)) == 7


def test_a_node_that_cannot_withdraw_the_marker_of_the_last_stop_does_not_serve() -> None:
    disk = stopped_cleanly_in(epoch=7)
    node = node_on(disk)
    for effect in node.settle(START_MS):
        if isinstance(effect, Persist) and any(write.path == MARKER for write in effect.writes):
            node.persist_failed(effect.token, DiskError(MARKER, "I/O error"), START_MS)
    assert any(isinstance(effect, Halt) for effect in node.settle(START_MS))
