"""The client of a cluster against scripted brokers: what it asks again, what it does not, and whom it asks."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
import trio

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.bootstrap import parse_bootstrap
from raftkafka.client.cluster import PartitionsUnavailable, Unreachable, Unsupported, open_cluster
from raftkafka.client.connection import RequestFailed
from raftkafka.protocol.framing import RequestHeader, encode_response, read_message, read_request_header
from raftkafka.protocol.messages.api_versions import ApiVersion, ApiVersionsResponse
from raftkafka.protocol.messages.delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse
from raftkafka.protocol.messages.delete_topics import DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse
from raftkafka.protocol.messages.find_coordinator import Coordinator, FindCoordinatorResponse
from raftkafka.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from raftkafka.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
    ListOffsetsTopicResponse,
)
from raftkafka.protocol.messages.metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from raftkafka.protocol.registry import APIS

SILENCE = object()
"""A scripted answer: the connection is closed instead."""


class Broker:
    """One broker: its scripted answers by the name of the API, each a list whose last entry stays; and what it was asked."""

    def __init__(self, node_id: int, port: int) -> None:
        self.node_id = node_id
        self.port = port
        self.asked: list[str] = []
        self.answers: dict[str, Iterator[Any]] = {}

    def script(self, name: str, *answers: Any) -> None:
        def endless() -> Iterator[Any]:
            yield from answers
            while True:
                yield answers[-1]

        self.answers[name] = endless()

    async def serve(self, stream: trio.SocketStream) -> None:
        received = b""
        async for chunk in stream:
            received += chunk
            while len(received) >= 4 and len(received) >= 4 + struct.unpack_from(">i", received)[0]:
                (size,) = struct.unpack_from(">i", received)
                frame, received = memoryview(received)[4 : 4 + size], received[4 + size :]
                answer = self._answer(frame)
                if answer is None:
                    return
                await stream.send_all(answer)

    def _answer(self, frame: memoryview) -> bytes | None:
        header, offset = read_request_header(frame)
        api = APIS[header.api_key]
        if api.name == "ApiVersions":
            keys = [ApiVersion(api_key=each.key, min_version=each.min_version, max_version=each.max_version) for each in APIS.values()]
            served = [key for key in keys if APIS[key.api_key].name in self.answers or key.api_key == header.api_key]
            return encode_response(header, ApiVersionsResponse(api_keys=served))
        self.asked.append(api.name)
        response = next(self.answers[api.name])
        if callable(response):
            request, _ = read_message(api.request, header.api_version, frame, offset)
            response = response(request, header)
        return None if response is SILENCE else encode_response(header, response)


@contextlib.asynccontextmanager
async def brokers(count: int) -> AsyncIterator[list[Broker]]:
    """Brokers 1, 2, ... that know each other; their metadata has no topics until a test says so."""
    async with trio.open_nursery() as nursery:
        made = []
        for node_id in range(1, count + 1):
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            broker = Broker(node_id, listeners[0].socket.getsockname()[1])
            start: Callable[..., Awaitable[None]] = trio.serve_listeners
            nursery.start_soon(start, broker.serve, listeners)
            made.append(broker)
        for broker in made:
            broker.script("Metadata", metadata(made))
        yield made
        nursery.cancel_scope.cancel()


def metadata(known: Sequence[Broker], leaders: Sequence[int] = (), *, error: ErrorCode = ErrorCode.NONE) -> MetadataResponse:
    """The metadata of these brokers, and of a topic `t` whose partitions have these leaders."""
    partitions = [MetadataResponsePartition(partition_index=index, leader_id=leader) for index, leader in enumerate(leaders)]
    return MetadataResponse(
        brokers=[MetadataResponseBroker(node_id=each.node_id, host="127.0.0.1", port=each.port) for each in known],
        topics=[MetadataResponseTopic(name="t", error_code=error, partitions=partitions)] if leaders or error else [],
    )


def deleted(code: ErrorCode = ErrorCode.NONE) -> DeleteTopicsResponse:
    return DeleteTopicsResponse(responses=[DeletableTopicResult(name="t", error_code=code)])


def offsets(broker_id: int, code: ErrorCode = ErrorCode.NONE) -> Callable[[ListOffsetsRequest, RequestHeader], ListOffsetsResponse]:
    """Answers every partition that is asked for with the broker's id as its offset."""

    def answer(request: ListOffsetsRequest, _: RequestHeader) -> ListOffsetsResponse:
        return ListOffsetsResponse(
            topics=[
                ListOffsetsTopicResponse(
                    name=topic.name,
                    partitions=[
                        ListOffsetsPartitionResponse(partition_index=each.partition_index, error_code=code, offset=broker_id)
                        for each in topic.partitions
                    ],
                )
                for topic in request.topics
            ]
        )

    return answer


def ask_offsets(partitions: Sequence[TopicPartition]) -> ListOffsetsRequest:
    asked = [ListOffsetsPartition(partition_index=each.partition, timestamp=-1) for each in partitions]
    return ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name="t", partitions=asked)])


def given(answers: Sequence[tuple[Sequence[TopicPartition], Any]]) -> dict[int, int]:
    """The offset that each partition was given in the answer that is final for it."""
    return {
        each.partition_index: each.offset
        for final, response in answers
        for each in response.topics[0].partitions
        if TopicPartition("t", each.partition_index) in final
    }


async def test_a_request_goes_to_the_broker_that_is_named() -> None:
    async with brokers(2) as (first, second):
        for broker in (first, second):
            broker.script("ListGroups", ListGroupsResponse())
        async with open_cluster(f"127.0.0.1:{first.port}") as cluster:
            await cluster.ask(ListGroupsRequest(), 2)
            await cluster.ask(ListGroupsRequest())
            with pytest.raises(Unreachable, match="there is no broker 9"):
                await cluster.ask(ListGroupsRequest(), 9, 0.2)
    assert second.asked == ["ListGroups"]
    assert first.asked.count("ListGroups") == 1


async def test_a_dead_broker_of_the_bootstrap_list_is_passed_over() -> None:
    async with brokers(1) as (only,), open_cluster(f"127.0.0.1:1,127.0.0.1:{only.port}") as cluster:
        assert [broker.node_id for broker in await cluster.brokers()] == [1]


async def test_an_api_that_the_broker_lacks_is_unsupported() -> None:
    async with brokers(1) as (only,), open_cluster(f"127.0.0.1:{only.port}") as cluster:
        assert cluster.serves(3)
        assert not cluster.serves(20)
        with pytest.raises(Unsupported, match=r"^The broker does not support DeleteTopics\.$"):
            await cluster.ask(DeleteTopicsRequest())


async def test_a_question_is_asked_again_when_the_connection_breaks_and_a_command_is_not() -> None:
    async with brokers(1) as (only,):
        only.script("ListGroups", SILENCE, ListGroupsResponse())
        only.script("DeleteTopics", SILENCE, deleted())
        async with open_cluster(f"127.0.0.1:{only.port}") as cluster:
            await cluster.ask(ListGroupsRequest())
            with pytest.raises(RequestFailed) as raised:
                await cluster.ask_controller(DeleteTopicsRequest())
    assert not raised.value.definite
    assert only.asked == ["ListGroups", "ListGroups", "DeleteTopics"]


async def test_the_controller_is_asked_again_while_it_is_another() -> None:
    async with brokers(1) as (only,):
        only.script("DeleteTopics", deleted(ErrorCode.NOT_CONTROLLER), deleted(ErrorCode.NOT_CONTROLLER), deleted())
        async with open_cluster(f"127.0.0.1:{only.port}") as cluster:
            assert await cluster.ask_controller(DeleteTopicsRequest()) == deleted()
        only.script("DeleteTopics", deleted(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
        async with open_cluster(f"127.0.0.1:{only.port}") as cluster:
            assert await cluster.ask_controller(DeleteTopicsRequest()) == deleted(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert len(only.asked) == 4


async def test_a_coordinator_is_found_anew_when_it_has_moved_or_is_gone() -> None:
    async with brokers(2) as (first, second):

        def coordinator(node_id: int, port: int) -> FindCoordinatorResponse:
            return FindCoordinatorResponse(coordinators=[Coordinator(key="g", node_id=node_id, host="127.0.0.1", port=port)])

        def group_deleted(code: ErrorCode) -> DeleteGroupsResponse:
            return DeleteGroupsResponse(results=[DeletableGroupResult(group_id="g", error_code=code)])

        loading = FindCoordinatorResponse(coordinators=[Coordinator(key="g", error_code=ErrorCode.COORDINATOR_NOT_AVAILABLE)])
        first.script("FindCoordinator", loading, coordinator(9, 1), coordinator(1, first.port), coordinator(2, second.port))
        first.script("DeleteGroups", group_deleted(ErrorCode.NOT_COORDINATOR))
        second.script("DeleteGroups", group_deleted(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), group_deleted(ErrorCode.NONE))
        async with open_cluster(f"127.0.0.1:{first.port}") as cluster:
            assert await cluster.ask_coordinator("g", DeleteGroupsRequest(groups_names=["g"])) == group_deleted(ErrorCode.NONE)
    assert (first.asked.count("DeleteGroups"), second.asked.count("DeleteGroups")) == (1, 2)


async def test_each_leader_is_asked_for_its_partitions() -> None:
    async with brokers(2) as (first, second):
        first.script("Metadata", metadata([first, second], [1, 2, 1]))
        first.script("ListOffsets", offsets(1))
        second.script("ListOffsets", offsets(2))
        async with open_cluster(f"127.0.0.1:{first.port}") as cluster:
            answers = await cluster.ask_leaders([TopicPartition("t", index) for index in (2, 1, 0)], ask_offsets)
    assert given(answers) == {0: 1, 1: 2, 2: 1}


async def test_a_leader_that_has_moved_or_is_gone_is_found_anew() -> None:
    async with brokers(2) as (first, second):
        gone = Broker(3, 1)
        first.script(
            "Metadata", metadata([first, second, gone], [1, 3]), metadata([first, second], [2, -1]), metadata([first, second], [2, 1])
        )
        first.script("ListOffsets", offsets(1, ErrorCode.NOT_LEADER_OR_FOLLOWER), offsets(1))
        second.script("ListOffsets", offsets(2))
        async with open_cluster(f"127.0.0.1:{first.port}") as cluster:
            answers = await cluster.ask_leaders([TopicPartition("t", index) for index in range(2)], ask_offsets)
    assert given(answers) == {0: 2, 1: 1}


@pytest.mark.parametrize(
    ("leaders", "error", "expected"),
    [
        ((1, -1), ErrorCode.NONE, ErrorCode.LEADER_NOT_AVAILABLE),
        ((1,), ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ((), ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.TOPIC_AUTHORIZATION_FAILED),
    ],
)
async def test_a_partition_without_a_leader_is_named_with_the_reason(
    leaders: tuple[int, ...], error: ErrorCode, expected: ErrorCode
) -> None:
    wanted = TopicPartition("t", 1)
    async with brokers(1) as (only,):
        only.script("Metadata", metadata([only], leaders, error=error))
        only.script("ListOffsets", offsets(1))
        async with open_cluster(f"127.0.0.1:{only.port}") as cluster:
            with pytest.raises(PartitionsUnavailable) as raised:
                await cluster.ask_leaders([TopicPartition("t", 0), wanted], ask_offsets, 0.4)
    assert raised.value.partitions[wanted] is expected
    assert given(raised.value.answers) == ({0: 1} if leaders else {})


async def test_it_is_told_why_no_broker_answers() -> None:
    told: list[str] = []
    with pytest.raises(Unreachable, match=r"^No broker answers: nobody listens on 127\.0\.0\.1:1\.$"):
        async with open_cluster("127.0.0.1:1", timeout_s=0.35, on_unreachable=told.append):
            pass
    assert told == ["nobody listens on 127.0.0.1:1"]


@pytest.mark.parametrize("text", ["", "localhost", "localhost:", ":9092", "localhost:0", "localhost:99999", "a:1,b"])
def test_what_is_no_bootstrap_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_bootstrap(text)


def test_a_bootstrap_list() -> None:
    assert parse_bootstrap("a:1, [::1]:2,PLAINTEXT://b:3,") == [("a", 1), ("::1", 2), ("b", 3)]
