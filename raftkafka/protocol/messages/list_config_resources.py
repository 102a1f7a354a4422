"""ListConfigResources (key 74), versions 0 to 1."""

from __future__ import annotations

from raftkafka.protocol.schema import INT8, INT16, INT32, STRING, array, field, message, struct


@message("0-1", flexible="0+")
class ListConfigResourcesRequest:
    resource_types: list[int] = field(array(INT8), "1+")


@struct
class ConfigResource:
    resource_name: str = field(STRING, "0+")
    resource_type: int = field(INT8, "1+", default=16)


@message("0-1", flexible="0+")
class ListConfigResourcesResponse:
    throttle_time_ms: int = field(INT32, "0+")
    error_code: int = field(INT16, "0+")
    config_resources: list[ConfigResource] = field(array(ConfigResource), "0+")
