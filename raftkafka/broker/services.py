"""What the handlers work with: the parts of one node, handed over in one value so that no handler needs the node itself."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.base.log_levels import LogLevels
from raftkafka.broker.channel import ControllerChannel
from raftkafka.broker.client_quotas import ClientQuotas
from raftkafka.broker.config import BrokerConfig
from raftkafka.broker.connection import Connection
from raftkafka.broker.connection_limits import ConnectionLimits
from raftkafka.broker.producer_ids import ProducerIds
from raftkafka.broker.suspects import Suspects
from raftkafka.group.coordinator import GroupCoordinator
from raftkafka.metadata.brokers import BrokerRegistration, Endpoint
from raftkafka.metadata.image import MetadataImage
from raftkafka.raft.driver import RaftDriver
from raftkafka.replication.replica_manager import ReplicaManager
from raftkafka.storage.log_manager import LogManager


@attrs.define(eq=False, kw_only=True)
class Services:
    """The parts of one broker. `image` is replaced whenever metadata is applied."""

    node_id: NodeId
    config: BrokerConfig
    cluster_id: str
    image: MetadataImage
    raft: RaftDriver
    logs: LogManager
    replicas: ReplicaManager
    groups: GroupCoordinator
    channel: ControllerChannel
    producer_ids: ProducerIds
    suspects: Suspects
    quotas: ClientQuotas
    connections: ConnectionLimits
    mute: Callable[[Connection, int], None]
    """Listens to a connection again at this time only, in ms."""
    clock: Callable[[], int]
    """The node's time, for answers that leave later than their request came."""
    request_timer: Callable[[], int] | None = None
    """Nanoseconds of some scale, to measure how long requests take; None where nothing is measured (in virtual time)."""
    log_levels: LogLevels = attrs.field(factory=LogLevels)
    applied_offset: int = -1
    """Up to where (inclusive) the metadata is applied and all replicas are what it says; `image` may be ahead of them."""
    close_connection: Callable[[Connection, str], None]

    def hold_back(self, connection: Connection, client_id: str | None, now_ms: int) -> int:
        """Mutes a client's connection for what its earlier requests took of `request_percentage`; returns for how long, in ms."""
        throttle_ms = self.quotas.request_wait_ms(client_id, now_ms)
        if throttle_ms:
            self.mute(connection, now_ms + throttle_ms)
        return throttle_ms

    def alive_brokers(self) -> list[BrokerRegistration]:
        """The registered brokers that are not fenced, by id."""
        return [broker for _, broker in sorted(self.image.brokers.items()) if not broker.fenced]

    def endpoint(self, node_id: NodeId, listener: str) -> Endpoint | None:
        """Where clients of this listener reach a broker; None when it is unknown, fenced, or has no such listener."""
        broker = self.image.brokers.get(node_id)
        if broker is None or broker.fenced:
            return None
        return broker.endpoint(listener)
