"""AddRaftVoter (key 80), versions 0 to 1."""

from __future__ import annotations

from raftkafka.protocol.schema import BOOL, INT16, INT32, STRING, UINT16, UUID, array, field, message, struct


@struct
class Listener:
    name: str = field(STRING, "0+")
    host: str = field(STRING, "0+")
    port: int = field(UINT16, "0+")


@message("0-1", flexible="0+")
class AddRaftVoterRequest:
    cluster_id: str | None = field(STRING, "0+", nullable="0+")
    timeout_ms: int = field(INT32, "0+")
    voter_id: int = field(INT32, "0+")
    voter_directory_id: bytes = field(UUID, "0+")
    listeners: list[Listener] = field(array(Listener), "0+")
    ack_when_committed: bool = field(BOOL, "1+", default=True)


@message("0-1", flexible="0+")
class AddRaftVoterResponse:
    throttle_time_ms: int = field(INT32, "0+")
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "0+", nullable="0+")
