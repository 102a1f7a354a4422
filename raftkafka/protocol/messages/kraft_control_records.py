"""The values of control records in Apache Kafka's metadata log; each begins with its own version, which is one of its fields."""

from __future__ import annotations

from raftkafka.protocol.schema import INT16, INT32, INT64, STRING, UINT16, UUID, array, field, message, struct


@struct
class LeaderChangeVoter:
    voter_id: int = field(INT32, "0+")
    voter_directory_id: bytes = field(UUID, "1+")


@message("0-1", flexible="0+")
class LeaderChangeMessage:
    version: int = field(INT16, "0+")
    leader_id: int = field(INT32, "0+")
    voters: list[LeaderChangeVoter] = field(array(LeaderChangeVoter), "0+")
    granting_voters: list[LeaderChangeVoter] = field(array(LeaderChangeVoter), "0+")


@message("0", flexible="0+")
class SnapshotHeaderRecord:
    version: int = field(INT16, "0+")
    last_contained_log_timestamp: int = field(INT64, "0+")


@message("0", flexible="0+")
class SnapshotFooterRecord:
    version: int = field(INT16, "0+")


@message("0", flexible="0+")
class KRaftVersionRecord:
    version: int = field(INT16, "0+")
    k_raft_version: int = field(INT16, "0+")


@struct
class VoterEndpoint:
    name: str = field(STRING, "0+")
    host: str = field(STRING, "0+")
    port: int = field(UINT16, "0+")


@struct
class KRaftVersionFeature:
    min_supported_version: int = field(INT16, "0+")
    max_supported_version: int = field(INT16, "0+")


@struct
class Voter:
    voter_id: int = field(INT32, "0+")
    voter_directory_id: bytes = field(UUID, "0+")
    endpoints: list[VoterEndpoint] = field(array(VoterEndpoint), "0+")
    k_raft_version_feature: KRaftVersionFeature = field(KRaftVersionFeature, "0+")


@message("0", flexible="0+")
class VotersRecord:
    version: int = field(INT16, "0+")
    voters: list[Voter] = field(array(Voter), "0+")
