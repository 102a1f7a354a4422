"""Heartbeat (key 12), versions 0 to 4."""

from __future__ import annotations

from raftkafka.protocol.schema import INT16, INT32, STRING, field, message


@message("0-4", flexible="4+")
class HeartbeatRequest:
    group_id: str = field(STRING, "0+")
    generation_id: int = field(INT32, "0+")
    member_id: str = field(STRING, "0+")
    group_instance_id: str | None = field(STRING, "3+", nullable="3+", default=None)


@message("0-4", flexible="4+")
class HeartbeatResponse:
    throttle_time_ms: int = field(INT32, "1+")
    error_code: int = field(INT16, "0+")
