"""ApiVersions (key 18), versions 0 to 5."""

from __future__ import annotations

from raftkafka.protocol.schema import BOOL, INT16, INT32, INT64, STRING, array, field, message, struct


@message("0-5", flexible="3+")
class ApiVersionsRequest:
    client_software_name: str = field(STRING, "3+")
    client_software_version: str = field(STRING, "3+")
    cluster_id: str | None = field(STRING, "5+", nullable="5+", default=None)
    node_id: int = field(INT32, "5+", default=-1)


@struct
class ApiVersion:
    api_key: int = field(INT16, "0+")
    min_version: int = field(INT16, "0+")
    max_version: int = field(INT16, "0+")


@struct
class SupportedFeatureKey:
    name: str = field(STRING, "3+")
    min_version: int = field(INT16, "3+")
    max_version: int = field(INT16, "3+")


@struct
class FinalizedFeatureKey:
    name: str = field(STRING, "3+")
    max_version_level: int = field(INT16, "3+")
    min_version_level: int = field(INT16, "3+")


@message("0-5", flexible="3+")
class ApiVersionsResponse:
    error_code: int = field(INT16, "0+")
    api_keys: list[ApiVersion] = field(array(ApiVersion), "0+")
    throttle_time_ms: int = field(INT32, "1+")
    supported_features: list[SupportedFeatureKey] = field(array(SupportedFeatureKey), "3+", tag=0)
    finalized_features_epoch: int = field(INT64, "3+", tag=1, default=-1)
    finalized_features: list[FinalizedFeatureKey] = field(array(FinalizedFeatureKey), "3+", tag=2)
    zk_migration_ready: bool = field(BOOL, "3+", tag=3)
