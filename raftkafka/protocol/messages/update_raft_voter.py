"""UpdateRaftVoter (key 82), version 0: a controller tells the leader of the quorum where it listens now. Controllers alone send it."""

from __future__ import annotations

from raftkafka.protocol.schema import INT16, INT32, STRING, UINT16, UUID, array, field, message, struct


@struct
class Listener:
    name: str = field(STRING, "0+")
    host: str = field(STRING, "0+")
    port: int = field(UINT16, "0+")


@struct
class KRaftVersionFeature:
    min_supported_version: int = field(INT16, "0+")
    max_supported_version: int = field(INT16, "0+")


@struct
class CurrentLeader:
    leader_id: int = field(INT32, "0+", default=-1)
    leader_epoch: int = field(INT32, "0+", default=-1)
    host: str = field(STRING, "0+")
    port: int = field(INT32, "0+")


@message("0", flexible="0+")
class UpdateRaftVoterRequest:
    cluster_id: str | None = field(STRING, "0+", nullable="0+")
    current_leader_epoch: int = field(INT32, "0+")
    voter_id: int = field(INT32, "0+")
    voter_directory_id: bytes = field(UUID, "0+")
    listeners: list[Listener] = field(array(Listener), "0+")
    k_raft_version_feature: KRaftVersionFeature = field(KRaftVersionFeature, "0+")


@message("0", flexible="0+")
class UpdateRaftVoterResponse:
    throttle_time_ms: int = field(INT32, "0+")
    error_code: int = field(INT16, "0+")
    current_leader: CurrentLeader = field(CurrentLeader, "0+", tag=0)
