"""The brokers aspect of the metadata image: who is registered, where it listens, whether it is fenced.

Invariants: a broker's `broker_epoch` never decreases; a restart of its process gives a new one, fencing and unfencing keep it.
Sources: KIP-631 (broker registration and fencing), KIP-841 (fenced replicas), KIP-966 (unclean restarts).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from raftkafka.base.ids import NO_DIRECTORY_ID, DirectoryId, NodeId
from raftkafka.metadata.control_messages import ListenerEndpoint
from raftkafka.metadata.records import (
    BrokerDirectoriesRecord,
    BrokerRegistrationChangeRecord,
    RegisterBrokerRecord,
    UnregisterBrokerRecord,
)

Endpoint = ListenerEndpoint


@attrs.frozen(kw_only=True)
class BrokerRegistration:
    """One registered broker. Only an unfenced broker that is not shutting down may lead or join an ISR (`is_active`)."""

    node_id: NodeId
    broker_epoch: int
    incarnation_id: bytes
    endpoints: tuple[Endpoint, ...]
    rack: str | None = None
    fenced: bool = True
    in_controlled_shutdown: bool = False
    directories: tuple[DirectoryId, ...] = ()
    """Those that work."""
    cordoned: tuple[DirectoryId, ...] = ()
    """Those of them that take no new replicas."""

    @property
    def is_active(self) -> bool:
        """Whether it may lead partitions and be in an ISR."""
        return not (self.fenced or self.in_controlled_shutdown)

    @property
    def takes_replicas(self) -> bool:
        """Whether a new replica may be placed here: not when all directories are cordoned (KIP-1066)."""
        return not self.cordoned or any(directory not in self.cordoned for directory in self.directories)

    def has_online(self, directory: DirectoryId) -> bool:
        """Whether a replica in this directory can be used. One that nobody has assigned yet is wherever its broker has put it."""
        return directory == NO_DIRECTORY_ID or not self.directories or directory in self.directories

    def endpoint(self, listener: str) -> Endpoint | None:
        """The advertised endpoint of that listener name, if it has one."""
        for endpoint in self.endpoints:
            if endpoint.name == listener:
                return endpoint
        return None


class BrokersReplay:
    """Replays broker records onto a copy of the mapping, which is made at the first one."""

    __slots__ = ("_base", "_brokers", "changed")

    def __init__(self, brokers: Mapping[NodeId, BrokerRegistration]) -> None:
        self._base = brokers
        self._brokers: dict[NodeId, BrokerRegistration] | None = None
        self.changed: dict[NodeId, None] = {}

    def _touch(self, node_id: NodeId) -> dict[NodeId, BrokerRegistration]:
        if self._brokers is None:
            self._brokers = dict(self._base)
        self.changed[node_id] = None
        return self._brokers

    def register(self, record: RegisterBrokerRecord, offset: int) -> None:
        """A registration; a record without an epoch takes its own offset as the broker epoch, as in KRaft."""
        self._touch(record.node_id)[record.node_id] = BrokerRegistration(
            node_id=record.node_id,
            broker_epoch=offset if record.broker_epoch < 0 else record.broker_epoch,
            incarnation_id=record.incarnation_id,
            endpoints=tuple(ListenerEndpoint(name=n, host=h, port=p, security_protocol=s) for n, h, p, s in record.endpoints),
            rack=record.rack,
            fenced=record.fenced,
            in_controlled_shutdown=record.in_controlled_shutdown,
            directories=record.directories,
        )

    def unregister(self, record: UnregisterBrokerRecord) -> None:
        del self._touch(record.node_id)[record.node_id]

    def change(self, record: BrokerRegistrationChangeRecord) -> None:
        brokers = self._touch(record.node_id)
        old = brokers[record.node_id]
        brokers[record.node_id] = attrs.evolve(
            old,
            fenced=old.fenced if record.fenced is None else record.fenced,
            in_controlled_shutdown=old.in_controlled_shutdown or record.in_controlled_shutdown,
        )

    def change_directories(self, record: BrokerDirectoriesRecord) -> None:
        brokers = self._touch(record.node_id)
        brokers[record.node_id] = attrs.evolve(brokers[record.node_id], directories=record.directories, cordoned=record.cordoned)

    def finish(self) -> Mapping[NodeId, BrokerRegistration]:
        if self._brokers is None:
            return self._base
        return {node_id: self._brokers[node_id] for node_id in sorted(self._brokers)}
