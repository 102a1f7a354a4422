"""ListGroups (key 16), versions 0 to 5."""

from __future__ import annotations

from raftkafka.protocol.schema import INT16, INT32, STRING, array, field, message, struct


@message("0-5", flexible="3+")
class ListGroupsRequest:
    states_filter: list[str] = field(array(STRING), "4+")
    types_filter: list[str] = field(array(STRING), "5+")


@struct
class ListedGroup:
    group_id: str = field(STRING, "0+")
    protocol_type: str = field(STRING, "0+")
    group_state: str = field(STRING, "4+")
    group_type: str = field(STRING, "5+")


@message("0-5", flexible="3+")
class ListGroupsResponse:
    throttle_time_ms: int = field(INT32, "1+")
    error_code: int = field(INT16, "0+")
    groups: list[ListedGroup] = field(array(ListedGroup), "0+")
