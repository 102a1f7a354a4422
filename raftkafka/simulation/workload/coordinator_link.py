"""A client's way to the coordinator of its group."""

from __future__ import annotations

from typing import Any

from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.find_coordinator import FindCoordinatorRequest
from raftkafka.simulation.client import FIND_COORDINATOR_KEY, Address, RequestLost, SimClient

WRONG_COORDINATOR = frozenset({ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE})


class CoordinatorLink:
    """Asks the coordinator, finding it first where it is not known."""

    def __init__(self, client: SimClient, group: str) -> None:
        self.group = group
        self._client = client
        self._address: Address | None = None

    def forget(self) -> None:
        """The broker asked was not the coordinator, or gave no answer."""
        self._address = None

    async def ask(self, api_key: int, message: object, *, timeout_ms: int = 3_000) -> Any:
        """The coordinator's response; raises `RequestLost`, after which the coordinator is sought anew."""
        address = self._address or await self._find()
        try:
            return await self._client.ask(address, api_key, message, timeout_ms=timeout_ms)
        except RequestLost:
            self.forget()
            raise

    async def _find(self) -> Address:
        try:
            response = await self._client.ask_any(FIND_COORDINATOR_KEY, FindCoordinatorRequest(coordinator_keys=[self.group]))
        except RequestLost as lost:
            raise RequestLost(str(lost), sent=False) from None
        found = response.coordinators[0]
        if found.error_code != ErrorCode.NONE:
            raise RequestLost(f"no coordinator: {ErrorCode(found.error_code).name}", sent=False)
        self._address = Address(found.host, found.port)
        return self._address
