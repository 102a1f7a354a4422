"""The controller as a replicated state machine: pending and committed, answers that wait, change of leadership (Q18)."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.metadata.control_messages import AllocateProducerIds, AlterPartition, RegisterBroker
from raftkafka.protocol.messages.alter_configs import AlterConfigsRequest, AlterConfigsResource
from raftkafka.protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from raftkafka.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from raftkafka.protocol.messages.delete_topics import DeleteTopicsRequest
from raftkafka.protocol.messages.incremental_alter_configs import AlterConfigsResource as IncrementalResource
from raftkafka.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from raftkafka.protocol.messages.unregister_broker import UnregisterBrokerRequest
from tests.controller.world import World


def create_request(name: str, timeout_ms: int = 5_000) -> CreateTopicsRequest:
    return CreateTopicsRequest(topics=[CreatableTopic(name=name, num_partitions=1, replication_factor=3)], timeout_ms=timeout_ms)


@pytest.fixture
def world() -> World:
    return World().join(1, 2, 3)


def test_first_controller_finalizes_features(world: World) -> None:
    assert dict(world.image.features) == {"metadata.version": 30, "eligible.leader.replicas.version": 1}
    world.controller.lost_leadership(world.now_ms)
    before = len(world.log.entries)
    world.controller.gained_leadership(2, world.image, world.now_ms)
    assert len(world.log.entries) == before


def test_answer_waits_for_the_commit_and_for_all_live_brokers(world: World) -> None:
    replies = world.start(create_request("t"))
    assert replies == []
    world.commit()
    assert replies == []
    world.apply_everywhere(but=[3])
    assert replies == []
    world.apply_everywhere()
    assert [topic.error_code for topic in replies[0].topics] == [0]


def test_fenced_brokers_are_not_waited_for(world: World) -> None:
    replies = world.start(create_request("t"))
    world.commit()
    world.apply_everywhere(but=[3])
    assert replies == []
    world.kill(3)
    assert len(replies) == 1


def test_answer_leaves_at_its_timeout_when_a_broker_lags(world: World) -> None:
    replies = world.start(create_request("t", timeout_ms=700))
    world.commit()
    world.apply_everywhere(but=[3])
    deadline = world.controller.next_deadline_ms()
    assert deadline == world.now_ms + 700
    world.controller.tick(deadline - 1)
    assert replies == []
    world.controller.tick(deadline)
    assert [topic.error_code for topic in replies[0].topics] == [0]


def test_report_of_an_earlier_process_releases_nothing(world: World) -> None:
    replies = world.start(create_request("t"))
    world.commit()
    world.apply_everywhere(but=[3])
    world.controller.metadata_applied(NodeId(3), world.epoch(3) - 1, world.image.offset, world.now_ms)
    assert replies == []


def test_decisions_see_what_is_not_committed_yet_but_do_not_tell_before(world: World) -> None:
    first, second = world.start(create_request("t")), world.start(create_request("t"))
    assert (first, second) == ([], [])
    world.commit()
    assert [topic.error_code for topic in second[0].topics] == [ErrorCode.TOPIC_ALREADY_EXISTS]
    world.apply_everywhere()
    assert [topic.error_code for topic in first[0].topics] == [0]


def test_deposed_controller_drops_what_is_pending_and_refuses_who_waits(world: World) -> None:
    uncommitted = world.start(create_request("t"))
    assert "t" in world.controller.pending.topics.by_name
    world.controller.lost_leadership(world.now_ms)
    assert [topic.error_code for topic in uncommitted[0].topics] == [ErrorCode.NOT_CONTROLLER]
    assert "t" not in world.controller.pending.topics.by_name
    assert not world.controller.active
    assert world.controller.next_deadline_ms() > 2**60
    del world.log.entries[world.image.offset + 1 :]
    world.controller.gained_leadership(2, world.image, world.now_ms)
    assert [topic.error_code for topic in world.ask(create_request("t")).topics] == [0]


def test_log_that_refuses_makes_the_request_refused(world: World) -> None:
    world.log.leading = False
    pending = world.controller.pending
    replies = world.start(create_request("t"))
    assert [topic.error_code for topic in replies[0].topics] == [ErrorCode.NOT_CONTROLLER]
    world.lose(1)
    assert world.controller.pending is pending


def test_pending_becomes_the_committed_image(world: World) -> None:
    world.start(create_request("t"))
    pending = world.controller.pending
    world.commit()
    assert pending == world.image
    assert world.controller.pending is world.image


def test_every_request_is_refused_while_not_active(world: World) -> None:
    world.controller.lost_leadership(world.now_ms)
    code = ErrorCode.NOT_CONTROLLER
    register = RegisterBroker(node_id=NodeId(1), cluster_id="c", incarnation_id=bytes(16), listeners=())
    controls = [register, world.heartbeat_request(1), AlterPartition(node_id=NodeId(1), broker_epoch=1, partitions=())]
    for request in [*controls, AllocateProducerIds(node_id=NodeId(1), broker_epoch=1)]:
        assert [reply.error for reply in world.start(request)] == [code]
    (reply,) = world.start(UnregisterBrokerRequest(broker_id=1))
    assert reply.error_code == code
    (reply,) = world.start(DeleteTopicsRequest(topic_names=["a", "b"]))
    assert [(r.name, r.error_code) for r in reply.responses] == [("a", code), ("b", code)]
    (reply,) = world.start(CreatePartitionsRequest(topics=[CreatePartitionsTopic(name="a", count=1, assignments=None)]))
    assert [(r.name, r.error_code) for r in reply.results] == [("a", code)]
    (reply,) = world.start(IncrementalAlterConfigsRequest(resources=[IncrementalResource(resource_type=2, resource_name="a")]))
    assert [(r.resource_name, r.error_code) for r in reply.responses] == [("a", code)]
    (reply,) = world.start(AlterConfigsRequest(resources=[AlterConfigsResource(resource_type=2, resource_name="a")]))
    assert [(r.resource_name, r.error_code) for r in reply.responses] == [("a", code)]


def test_what_happens_is_observed(world: World) -> None:
    world.create("t")
    world.propose_isr("t", [1, 2])
    assert str(world.controller.drain()[-1]) == "isr-shrunk partition=t-0 old_isr=[1, 2, 3] isr=[1, 2] elr=[]"
    world.kill(1)
    assert [str(line).split(" old_leader")[0] for line in world.controller.drain()] == [
        "broker-fenced node=1 why=its process is gone",
        "leader-elected partition=t-0 leader=2",
    ]
