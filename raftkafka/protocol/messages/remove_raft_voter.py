"""RemoveRaftVoter (key 81), version 0."""

from __future__ import annotations

from raftkafka.protocol.schema import INT16, INT32, STRING, UUID, field, message


@message("0", flexible="0+")
class RemoveRaftVoterRequest:
    cluster_id: str | None = field(STRING, "0+", nullable="0+")
    voter_id: int = field(INT32, "0+")
    voter_directory_id: bytes = field(UUID, "0+")


@message("0", flexible="0+")
class RemoveRaftVoterResponse:
    throttle_time_ms: int = field(INT32, "0+")
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "0+", nullable="0+")
