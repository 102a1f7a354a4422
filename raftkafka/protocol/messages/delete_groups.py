"""DeleteGroups (key 42), versions 0 to 3."""

from __future__ import annotations

from raftkafka.protocol.schema import INT16, INT32, STRING, array, field, message, struct


@message("0-3", flexible="2+")
class DeleteGroupsRequest:
    groups_names: list[str] = field(array(STRING), "0+")


@struct
class DeletableGroupResult:
    group_id: str = field(STRING, "0+")
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "3+", nullable="3+", default=None)


@message("0-3", flexible="2+")
class DeleteGroupsResponse:
    throttle_time_ms: int = field(INT32, "0+")
    results: list[DeletableGroupResult] = field(array(DeletableGroupResult), "0+")
