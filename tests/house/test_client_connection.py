"""The client's connection against brokers that behave, and against some that do not."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from raftkafka.base.errors import ErrorCode, PeerError
from raftkafka.client.connection import RequestFailed, connect
from raftkafka.protocol.framing import RequestHeader, encode_response, read_request_header
from raftkafka.protocol.messages.api_versions import ApiVersion, ApiVersionsResponse
from raftkafka.protocol.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse

Answer = Callable[[RequestHeader], bytes | None]
SERVED = ApiVersionsResponse(
    api_keys=[ApiVersion(api_key=18, min_version=0, max_version=4), ApiVersion(api_key=60, min_version=0, max_version=1)]
)


def well_behaved(header: RequestHeader) -> bytes:
    if header.api_key == 18:
        return encode_response(header, SERVED)
    return encode_response(header, DescribeClusterResponse(cluster_id=f"v{header.api_version}"))


@asynccontextmanager
async def broker(answer: Answer) -> AsyncIterator[int]:
    """A server that answers each frame as told; None closes the connection."""

    async def serve(stream: trio.SocketStream) -> None:
        received = b""
        async for chunk in stream:
            received += chunk
            while len(received) >= 4 and len(received) >= 4 + struct.unpack_from(">i", received)[0]:
                (size,) = struct.unpack_from(">i", received)
                header, _ = read_request_header(memoryview(received)[4 : 4 + size])
                received = received[4 + size :]
                response = answer(header)
                if response is None:
                    return
                await stream.send_all(response)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        start: Callable[..., Awaitable[None]] = trio.serve_listeners
        nursery.start_soon(start, serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def test_highest_common_version_is_spoken() -> None:
    async with broker(well_behaved) as port, connect("127.0.0.1", port) as connection:
        response = await connection.request(DescribeClusterRequest())
    assert response.cluster_id == "v1"


async def test_broker_that_knows_only_old_api_versions_is_asked_again_in_version_0() -> None:
    def old(header: RequestHeader) -> bytes:
        if header.api_key == 18 and header.api_version > 0:
            refusal = ApiVersionsResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
            return encode_response(RequestHeader(18, 0, header.correlation_id, None), refusal)
        return well_behaved(header)

    async with broker(old) as port, connect("127.0.0.1", port) as connection:
        assert connection.broker_versions[60] == (0, 1)


async def test_api_that_the_broker_does_not_serve_is_a_peer_error() -> None:
    def bare(header: RequestHeader) -> bytes:
        return encode_response(header, ApiVersionsResponse(api_keys=[]))

    async with broker(bare) as port, connect("127.0.0.1", port) as connection:
        with pytest.raises(PeerError, match="does not serve DescribeCluster"):
            await connection.request(DescribeClusterRequest())


async def test_nobody_listening_is_definite(free_ports: Callable[[int], list[int]]) -> None:
    with pytest.raises(RequestFailed, match="nobody listens") as raised:
        async with connect("127.0.0.1", free_ports(1)[0]):
            pass
    assert raised.value.definite


async def test_connection_that_breaks_during_a_request_is_not_definite_and_stays_broken() -> None:
    def closing(header: RequestHeader) -> bytes | None:
        return well_behaved(header) if header.api_key == 18 else None

    async with broker(closing) as port, connect("127.0.0.1", port) as connection:
        with pytest.raises(RequestFailed, match="broke during DescribeCluster") as raised:
            await connection.request(DescribeClusterRequest())
        assert not raised.value.definite
        with pytest.raises(RequestFailed) as again:
            await connection.request(DescribeClusterRequest())
        assert again.value.definite


async def test_silent_broker_runs_into_the_deadline() -> None:
    def silent(header: RequestHeader) -> bytes:
        return well_behaved(header) if header.api_key == 18 else b""

    async with broker(silent) as port, connect("127.0.0.1", port) as connection:
        with pytest.raises(RequestFailed, match=r"did not answer DescribeCluster within 0\.05 s"):
            await connection.request(DescribeClusterRequest(), timeout_s=0.05)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is this a Kafka port"),
        (struct.pack(">ii", 6, 77) + b"\0\0", "answered request 77 when"),
        (struct.pack(">ii", 5, 1) + b"\0", "cannot be read"),
    ],
)
async def test_nonsense_is_a_peer_error(answer: bytes, says: str) -> None:
    async with broker(lambda header: answer) as port:
        with pytest.raises(PeerError, match=says):
            async with connect("127.0.0.1", port):
                pass
