"""Between the replica manager and the rest of the node: fetch links, ISR proposals, and the partitions that carry groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from raftkafka.base.observed import Observed
from raftkafka.broker.control import ControlReply
from raftkafka.broker.effects import LinkId, NodeEffect
from raftkafka.broker.fetch_links import FetchLinks
from raftkafka.broker.parts import Parts
from raftkafka.group.coordinator import OFFSETS_TOPIC
from raftkafka.metadata.control_messages import AlterPartitionReply
from raftkafka.replication import values

ALTER_PARTITION_TIMEOUT_MS = 5_000


class ReplicaFlow:
    """Carries out what the replica manager asks for, and brings it what came back."""

    def __init__(self, parts: Parts, *, emit: Callable[[NodeEffect], None]) -> None:
        self._parts = parts
        self._emit = emit
        self._links = FetchLinks(node_id=parts.services.node_id, emit=emit)
        self._now_ms = 0

    def link_opened(self, link_id: LinkId, now_ms: int) -> None:
        self._parts.replicas.leader_link_opened(self._links.leader_of(link_id), now_ms)

    def link_frame(self, link_id: LinkId, frame: memoryview, now_ms: int) -> None:
        leader_id = self._links.leader_of(link_id)
        response = self._links.frame(leader_id, frame)
        self._parts.replicas.fetch_response(leader_id, response, now_ms)

    def link_closed(self, link_id: LinkId, now_ms: int) -> None:
        leader_id = self._links.leader_of(link_id)
        self._links.closed(leader_id)
        self._parts.replicas.fetch_failed(leader_id, now_ms)

    def settle(self, now_ms: int, wall_ms: int) -> bool:
        """Completes what became complete and carries out the outputs; whether other parts of the node may have heard of it."""
        self._now_ms = now_ms
        replicas = self._parts.replicas
        replicas.settle(now_ms)
        told_others = False
        for output in replicas.drain():
            if type(output) is values.SendFetch:
                self._links.send(output.leader_id, output.request)
            else:
                self._carry_out(output, now_ms, wall_ms)
                told_others = True
        return told_others

    def _carry_out(self, output: values.ReplicaOutput, now_ms: int, wall_ms: int) -> None:
        match output:
            case values.SendFetch():
                raise AssertionError("carried out by settle")
            case values.HighWatermarkAdvanced():
                self._parts.groups.high_watermark_advanced(
                    output.key.partition, high_watermark=output.high_watermark, now_ms=now_ms, wall_ms=wall_ms
                )
            case values.SendAlterPartition():
                self._parts.channel.request(output.request, self._altered, deadline_ms=now_ms + ALTER_PARTITION_TIMEOUT_MS)
            case values.OpenLeaderLink():
                self._open(output, now_ms)
            case values.CloseLeaderLink():
                self._links.close(output.leader_id)
            case values.LeadershipGained():
                if output.topic == OFFSETS_TOPIC:
                    self._parts.replicas.watch_high_watermark(output.key)
                    self._parts.groups.elected(output.key.partition, leader_epoch=output.leader_epoch, now_ms=now_ms, wall_ms=wall_ms)
            case values.LeadershipLost():
                if output.topic == OFFSETS_TOPIC:
                    self._parts.groups.resigned(output.key.partition, now_ms=now_ms, wall_ms=wall_ms)
            case Observed():
                self._emit(output)
            case _:
                assert_never(output)

    def _open(self, output: values.OpenLeaderLink, now_ms: int) -> None:
        services = self._parts.services
        broker = services.image.brokers.get(output.leader_id)
        address = broker.endpoint(services.config.inter_broker_listener_name) if broker is not None else None
        if address is None:
            self._parts.replicas.fetch_failed(output.leader_id, now_ms)
        else:
            self._links.open(output.leader_id, address.host, address.port)

    def _altered(self, reply: ControlReply | None) -> None:
        answer = reply if isinstance(reply, AlterPartitionReply) else None
        self._parts.replicas.alter_partition_reply(answer, self._now_ms)
