"""One connection to a broker from the outside: requests in the highest version that both sides know, each with a deadline.

Invariants
- One request is under way at a time; an answer that is late, wrong or cut short breaks the connection, so none is ever taken for another's.
- `RequestFailed.definite` is true only when the request certainly did not reach the broker.

Sources: KIP-511 (ApiVersions first, its fallback to version 0 when the broker does not know ours).
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import trio

from raftkafka.base.errors import DecodeError, ErrorCode, PeerError
from raftkafka.protocol.framing import encode_request, read_message, read_response_header
from raftkafka.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from raftkafka.protocol.registry import APIS, FIRST_PRIVATE_KEY, Api

MAX_RESPONSE_BYTES = 256 << 20
DEFAULT_TIMEOUT_S = 10.0

_API_VERSIONS_KEY = 18
_API_BY_NAME = {api.name: api for api in APIS.values()}


class RequestFailed(Exception):
    """No answer came: no connection, a closed one, or the deadline passed. `definite` when the request was certainly not carried out."""

    def __init__(self, message: str, *, definite: bool) -> None:
        super().__init__(message)
        self.definite = definite


class ConnectionBroke(RequestFailed):
    """The peer closed the connection before it answered."""


class UnknownHost(RequestFailed):
    """The name of the host has no address, so trying again soon is of no use."""

    def __init__(self, host: str) -> None:
        super().__init__(f"the host name {host} cannot be resolved", definite=True)


class BrokerConnection:
    """A negotiated connection; made by `connect`."""

    def __init__(self, stream: trio.SocketStream, *, address: str, client_id: str, timeout_s: float) -> None:
        self.address = address
        self.broker_versions: dict[int, tuple[int, int]] = {}
        self._stream = stream
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._next_correlation_id = 0
        self._turn = trio.Lock()
        self._broken = False

    async def negotiate(self) -> None:
        """Learns which versions the broker speaks."""
        api = APIS[_API_VERSIONS_KEY]
        request = ApiVersionsRequest(client_software_name="raftkafka", client_software_version="0.1")
        for version in (api.max_version, 0):
            try:
                response: ApiVersionsResponse = await self._exchange(api, request, version)
            except ConnectionBroke:
                reason = f"{self.address} closes the connection at the first request, as a port that does not speak Kafka's protocol"
                raise RequestFailed(reason, definite=True) from None
            if response.error_code == ErrorCode.NONE:
                self.broker_versions = {each.api_key: (each.min_version, each.max_version) for each in response.api_keys}
                return
        raise PeerError(f"{self.address} answers ApiVersions with {ErrorCode(response.error_code).name}")

    def offered(self, api: Api) -> tuple[int, int]:
        """The first and the last version that the broker advertises, none being (0, -1); a private API is never advertised, only tried."""
        if api.key >= FIRST_PRIVATE_KEY:
            return api.min_version, api.max_version
        return self.broker_versions.get(api.key, (0, -1))

    def version_of(self, api: Api) -> int:
        """The highest version of an API that both sides know; `PeerError` when there is none."""
        low, high = self.offered(api)
        version = min(high, api.max_version)
        if version < max(low, api.min_version):
            raise PeerError(f"{self.address} does not serve {api.name} in versions {api.min_version} to {api.max_version}")
        return version

    async def request(self, message: object, *, version: int | None = None, timeout_s: float | None = None) -> Any:
        """Sends a request message and returns its response message; the API follows from the message's class."""
        api = api_of(message)
        chosen = self.version_of(api) if version is None else version
        return await self._exchange(api, message, chosen, timeout_s)

    async def _exchange(self, api: Api, message: object, version: int, timeout_s: float | None = None) -> Any:
        deadline_s = self._timeout_s if timeout_s is None else timeout_s
        async with self._turn:
            if self._broken:
                raise RequestFailed(f"the connection to {self.address} is broken", definite=True)
            self._next_correlation_id += 1
            correlation_id = self._next_correlation_id
            frame = encode_request(api.key, version, correlation_id, self._client_id, message)
            self._broken = True
            try:
                with trio.fail_after(deadline_s):
                    await self._stream.send_all(frame)
                    answer = await self._receive_frame()
            except trio.TooSlowError:
                raise RequestFailed(f"{self.address} did not answer {api.name} within {deadline_s:.3g} s", definite=False) from None
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise ConnectionBroke(f"the connection to {self.address} broke during {api.name}", definite=False) from None
            response = _decode(answer, api, version, correlation_id, self.address)
            self._broken = False
            return response

    async def _receive_frame(self) -> bytes:
        (size_bytes,) = struct.unpack(">i", await self._receive_exactly(4))
        if not 0 <= size_bytes <= MAX_RESPONSE_BYTES:
            raise PeerError(f"{self.address} announces a response of {size_bytes} bytes: is this a Kafka port?")
        return await self._receive_exactly(size_bytes)

    async def _receive_exactly(self, size_bytes: int) -> bytes:
        received = bytearray()
        while len(received) < size_bytes:
            chunk = await self._stream.receive_some(min(size_bytes - len(received), 1 << 20))
            if not chunk:
                raise trio.BrokenResourceError("the peer closed the connection")
            received += chunk
        return bytes(received)


@contextlib.asynccontextmanager
async def connect(
    host: str, port: int, *, client_id: str = "raftkafka", timeout_s: float = DEFAULT_TIMEOUT_S
) -> AsyncIterator[BrokerConnection]:
    """A negotiated connection, closed on leaving; `RequestFailed` when nobody listens there, `UnknownHost` when there is no such host."""
    address = f"{host}:{port}"
    try:
        with trio.fail_after(timeout_s):
            stream = await trio.open_tcp_stream(host, port)
    except trio.TooSlowError:
        raise RequestFailed(f"{address} did not accept a connection within {timeout_s:g} s", definite=True) from None
    except socket.gaierror:
        raise UnknownHost(host) from None
    except OSError:
        raise RequestFailed(f"nobody listens on {address}", definite=True) from None
    async with stream:
        connection = BrokerConnection(stream, address=address, client_id=client_id, timeout_s=timeout_s)
        await connection.negotiate()
        yield connection


def api_of(message: object) -> Api:
    """The API of a request message: it follows from its class."""
    return _API_BY_NAME[type(message).__name__.removesuffix("Request")]


def _decode(frame: bytes, api: Api, version: int, correlation_id: int, address: str) -> Any:
    response_class: type[Any] = api.response
    try:
        answered_id, offset = read_response_header(memoryview(frame), api.key, version)
        if answered_id != correlation_id:
            raise PeerError(f"{address} answered request {answered_id} when {correlation_id} was asked")
        if api.key == _API_VERSIONS_KEY and frame[offset : offset + 2] == ErrorCode.UNSUPPORTED_VERSION.to_bytes(2, "big"):
            version = 0
        response, _ = read_message(response_class, version, memoryview(frame), offset)
    except DecodeError as error:
        raise PeerError(f"{address} sent a {api.name} response that cannot be read: {error}") from error
    return response
