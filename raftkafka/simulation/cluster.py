"""The nodes of a simulated cluster: real `BrokerNode`s, configured as `make cluster` configures them, on simulated machines."""

from __future__ import annotations

import random
from collections.abc import Mapping

from raftkafka.base.disk import Disk
from raftkafka.base.errors import DiskError
from raftkafka.base.ids import DirectoryId, NodeId, id_to_text, random_id
from raftkafka.broker.config import BrokerConfig
from raftkafka.broker.config_loader import config_from_properties
from raftkafka.broker.node import BrokerNode
from raftkafka.simulation.world import CLIENT_LISTENER, CLIENT_PORT, CONTROLLER_LISTENER, CONTROLLER_PORT
from raftkafka.storage.meta_properties import MetaProperties, read_meta_properties, write_meta_properties

LOG_DIR = "data"


class SimCluster:
    """Makes nodes: combined brokers and controllers of one cluster. `overrides` are properties that all of them get."""

    def __init__(self, *, seed: int, node_count: int, overrides: Mapping[str, str] | None = None) -> None:
        self.rng = random.Random(f"{seed}/cluster")
        self.cluster_id = id_to_text(random_id(self.rng))
        self.configs = {node_id: _config(node_id, node_count, overrides or {}) for node_id in range(1, node_count + 1)}
        self._seed = seed
        self._directory_rngs: dict[tuple[int, str], random.Random] = {}
        self._directory_ids = {node_id: DirectoryId(random_id(self.rng)) for node_id in self.configs}

    def make_node(self, node_id: int, disk: Disk, rng: random.Random) -> BrokerNode:
        """A node on its disk, which is formatted the first time."""
        for path in self.configs[node_id].log_dirs:
            if path != LOG_DIR:
                self._format(node_id, path, disk)
        meta = read_meta_properties(disk, LOG_DIR)
        if meta is None:
            meta = MetaProperties(node_id=NodeId(node_id), directory_id=self._directory_ids[node_id], cluster_id=self.cluster_id)
            write_meta_properties(disk, LOG_DIR, meta)
        return BrokerNode(config=self.configs[node_id], disk=disk, rng=rng, meta=meta)

    def _format(self, node_id: int, path: str, disk: Disk) -> None:
        """Gives a directory its identity, unless it has one or has failed. One that was replaced becomes another one."""
        try:
            if read_meta_properties(disk, path) is not None:
                return
            disk.make_dir(path)
        except DiskError:
            return
        rng = self._directory_rngs.setdefault((node_id, path), random.Random(f"{self._seed}/directory/{node_id}/{path}"))
        meta = MetaProperties(node_id=NodeId(node_id), directory_id=DirectoryId(random_id(rng)), cluster_id=self.cluster_id)
        write_meta_properties(disk, path, meta)


def _config(node_id: int, node_count: int, overrides: Mapping[str, str]) -> BrokerConfig:
    voters = ",".join(f"{each}@n{each}:{CONTROLLER_PORT}" for each in range(1, node_count + 1))
    return config_from_properties(
        {
            "node.id": str(node_id),
            "process.roles": "broker,controller",
            "listeners": f"{CLIENT_LISTENER}://n{node_id}:{CLIENT_PORT},{CONTROLLER_LISTENER}://n{node_id}:{CONTROLLER_PORT}",
            "controller.listener.names": CONTROLLER_LISTENER,
            "controller.quorum.voters": voters,
            "log.dirs": LOG_DIR,
            "offsets.topic.replication.factor": str(min(3, node_count)),
            "offsets.topic.num.partitions": "2",
            "group.initial.rebalance.delay.ms": "0",
            "log.cleaner.enable": "false",  # a profile turns it on: elsewhere logs are compared batch by batch, and none is to be missing
            **overrides,
        }
    )
