"""Why a cluster did not answer a client: what a broker lacks, who cannot be reached, what is denied.

All but `Unsupported` are `RequestFailed`, and certain: nothing was carried out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raftkafka.base.errors import ErrorCode, PeerError
from raftkafka.base.ids import TopicPartition
from raftkafka.client.connection import RequestFailed

GROUP_COORDINATOR = 0
TRANSACTION_COORDINATOR = 1


class Unsupported(PeerError):
    """The broker does not serve an API that was asked for; `api_name` is its name in Kafka's protocol."""

    def __init__(self, api_name: str) -> None:
        super().__init__(f"The broker does not support {api_name}.")
        self.api_name = api_name


class Unreachable(RequestFailed):
    """No broker could be connected to."""

    def __init__(self, message: str) -> None:
        super().__init__(message, definite=True)


class CoordinatorRefused(RequestFailed):
    """No coordinator may be asked for, or none will be found: `code` says why, the text is what Kafka's own client says."""

    def __init__(self, key: str, key_type: int, code: int, message: str | None) -> None:
        if code in (ErrorCode.GROUP_AUTHORIZATION_FAILED, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED):
            kind, type_name = ("groupId", "GROUP") if key_type == GROUP_COORDINATOR else ("transactionalId", "TRANSACTION")
            named = f"CoordinatorKey(idValue='{key}', type={type_name})"
            message = f"FindCoordinator request for {kind} `{named}` failed due to authorization failure"
        super().__init__(message or f"{key} has no coordinator: {ErrorCode(code).name}", definite=True)
        self.code = code


class PartitionsUnavailable(RequestFailed):
    """Some partitions have no leader, or do not exist; `partitions` says why for each, `answers` has what the other leaders answered."""

    def __init__(self, partitions: Mapping[TopicPartition, ErrorCode], answers: Sequence[tuple[Sequence[TopicPartition], Any]]) -> None:
        named = ", ".join(f"{partition} ({code.name})" for partition, code in partitions.items())
        super().__init__(f"No leader answered for {named}.", definite=True)
        self.partitions = partitions
        self.answers = answers
