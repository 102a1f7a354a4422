"""The nodes of a simulated cluster: real `BrokerNode`s, configured as `make cluster` configures them, on simulated machines.

The first nodes are there from the beginning. Others, and those whose disk was replaced by an empty one, come to a cluster that runs: they
know only where it may be found (`controller.quorum.bootstrap.servers`), observe its metadata, and have a directory id of their own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from raftkafka.base.disk import Disk
from raftkafka.base.errors import DiskError
from raftkafka.base.ids import DirectoryId, NodeId, id_to_text, random_id
from raftkafka.broker.config import BrokerConfig
from raftkafka.broker.config_loader import config_from_properties
from raftkafka.broker.node import BrokerNode
from raftkafka.raft.store import INITIAL_VOTERS_FILE, encode_initial_voters
from raftkafka.raft.voters import Voter
from raftkafka.simulation.disk import SimDisk
from raftkafka.simulation.world import CLIENT_LISTENER, CLIENT_PORT, CONTROLLER_LISTENER, CONTROLLER_PORT
from raftkafka.storage.meta_properties import METADATA_DIRECTORY, MetaProperties, read_meta_properties, write_meta_properties

LOG_DIR = "data"
METADATA_DIR = f"{LOG_DIR}/{METADATA_DIRECTORY}"


class SimCluster:
    """Makes nodes: combined brokers and controllers of one cluster. `overrides` are properties that all of them get."""

    def __init__(
        self,
        *,
        seed: int,
        node_count: int,
        spare_count: int = 0,
        dynamic_quorum: bool = False,
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        self.rng = random.Random(f"{seed}/cluster")
        self.cluster_id = id_to_text(random_id(self.rng))
        self._founders, self._overrides = range(1, node_count + 1), overrides or {}
        self._is_dynamic = dynamic_quorum
        self._everybody = range(1, node_count + spare_count + 1)
        self.configs = {node_id: self._config(node_id, is_founder=node_id in self._founders) for node_id in self._everybody}
        self._seed = seed
        self._directory_rngs: dict[tuple[int, str], random.Random] = {}
        self._directory_ids = {node_id: DirectoryId(random_id(self.rng)) for node_id in self._founders}

    def make_node(self, node_id: int, disk: Disk, rng: random.Random) -> BrokerNode:
        """A node on its disk, which is formatted the first time."""
        erasures = disk.erasures if isinstance(disk, SimDisk) else 0
        config = self.configs[node_id]
        if erasures and node_id in self._founders:
            config = self.configs[node_id] = self._config(node_id, is_founder=False)
        for path in config.log_dirs:
            if path != LOG_DIR:
                self._format(node_id, path, disk)
        meta = read_meta_properties(disk, LOG_DIR)
        if meta is None:
            meta = MetaProperties(
                node_id=NodeId(node_id), directory_id=self._directory_id(node_id, erasures=erasures), cluster_id=self.cluster_id
            )
            write_meta_properties(disk, LOG_DIR, meta)
            if self._is_dynamic:
                self._write_initial_voters(node_id, disk, erasures=erasures)
        return BrokerNode(config=config, disk=disk, rng=rng, meta=meta)

    def _write_initial_voters(self, node_id: int, disk: Disk, *, erasures: int) -> None:
        """As kafka-storage format does: the first nodes with --initial-controllers, all others with --no-initial-controllers."""
        founding = erasures == 0 and node_id in self._founders
        voters = {
            NodeId(founder): Voter(
                directory_id=self._directory_ids[founder], endpoints=((CONTROLLER_LISTENER, f"n{founder}", CONTROLLER_PORT),)
            )
            for founder in (self._founders if founding else ())
        }
        disk.make_dir(METADATA_DIR)
        disk.replace_file(f"{METADATA_DIR}/{INITIAL_VOTERS_FILE}", encode_initial_voters(voters))

    def _directory_id(self, node_id: int, *, erasures: int) -> DirectoryId:
        """The same when a format that was not stable is repeated; another on another disk."""
        if erasures == 0 and node_id in self._founders:
            return self._directory_ids[node_id]
        return DirectoryId(random_id(random.Random(f"{self._seed}/disk/{node_id}/{erasures}")))

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

    def _config(self, node_id: int, *, is_founder: bool) -> BrokerConfig:
        founders = self._founders
        quorum = (
            {"controller.quorum.voters": ",".join(f"{each}@n{each}:{CONTROLLER_PORT}" for each in founders)}
            if is_founder and not self._is_dynamic
            else {"controller.quorum.bootstrap.servers": ",".join(f"n{each}:{CONTROLLER_PORT}" for each in self._everybody)}
        )
        return config_from_properties(
            {
                "node.id": str(node_id),
                "process.roles": "broker,controller",
                "listeners": f"{CLIENT_LISTENER}://n{node_id}:{CLIENT_PORT},{CONTROLLER_LISTENER}://n{node_id}:{CONTROLLER_PORT}",
                "controller.listener.names": CONTROLLER_LISTENER,
                **quorum,
                "log.dirs": LOG_DIR,
                "offsets.topic.replication.factor": str(min(3, len(founders))),
                "offsets.topic.num.partitions": "2",
                "group.initial.rebalance.delay.ms": "0",
                "leader.rebalance.strategy": "preferred",  # profiles about balance choose "load"
                "log.cleaner.enable": "false",  # a profile turns it on: elsewhere logs are compared batch by batch
                **self._overrides,
            }
        )
