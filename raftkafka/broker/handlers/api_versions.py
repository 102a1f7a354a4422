"""ApiVersions (18), versions 0 to 5: what this broker serves, and the finalized features of the cluster.

- The response header is always version 0, whatever the body (the client does not know yet what the broker can do).
- An unknown version is answered in version 0 with UNSUPPORTED_VERSION and this API's own range, so that the client can try again.
- Produce is advertised from version 0 although 0 to 2 are refused: older librdkafka would not compress otherwise (KAFKA-18659).
- From version 3 the client's software name and version are checked (KIP-511); from 5 the cluster and node that the client means to talk to
  are, so that a client with outdated addresses looks for its cluster again (KIP-1242).
- `kraft.version` is 1 where the metadata log names the voters, and not the properties (KIP-853).
- `finalized_features_epoch` is the metadata offset of this broker: it never goes back, and is the same scale on every node.
"""

from __future__ import annotations

import re

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers import SERVED
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)
from raftkafka.protocol.registry import APIS

API_KEY = 18
PRODUCE_ADVERTISED_MIN_VERSION = 0
SUPPORTED_FEATURES: dict[str, tuple[int, int]] = {
    "eligible.leader.replicas.version": (0, 1),
    "group.version": (0, 0),
    "kraft.version": (0, 1),
    "metadata.version": (7, 30),
    "transaction.version": (0, 0),
}
"""Feature levels that this program knows: KIP-848 groups and transactions are not among them yet."""

_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def handle(services: Services, request: ApiVersionsRequest, context: RequestContext, respond: Respond) -> None:
    """Answers with the served ranges."""
    version = context.api_version
    if version >= 3:
        _check_software(request)
        context.connection.client_software = (request.client_software_name, request.client_software_version)
    if version >= 5:
        _check_target(services, request)
    respond(describe(services, version))


def refuse(request: ApiVersionsRequest, error: ApiError, version: int) -> ApiVersionsResponse:
    """The whole response is the error."""
    return ApiVersionsResponse(error_code=error.code)


def unsupported_version() -> ApiVersionsResponse:
    """The answer, in version 0, to a version that is not known here."""
    api = APIS[API_KEY]
    own_range = ApiVersion(api_key=API_KEY, min_version=api.min_version, max_version=api.max_version)
    return ApiVersionsResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, api_keys=[own_range])


def describe(services: Services, version: int) -> ApiVersionsResponse:
    """The served APIs and the features."""
    keys = []
    for key in sorted(SERVED):
        api = APIS[key]
        minimum = PRODUCE_ADVERTISED_MIN_VERSION if key == 0 else api.min_version
        keys.append(ApiVersion(api_key=key, min_version=minimum, max_version=api.max_version))
    response = ApiVersionsResponse(api_keys=keys)
    if version >= 3:
        image = services.image
        response.finalized_features_epoch = max(image.offset, 0)
        levels = {**image.features, "kraft.version": int(services.raft.state.history.is_named)}
        response.finalized_features = [
            FinalizedFeatureKey(name=name, max_version_level=level, min_version_level=level)
            for name, level in sorted(levels.items())
            if level > 0
        ]
        response.supported_features = [
            SupportedFeatureKey(name=name, min_version=low, max_version=high)
            for name, (low, high) in SUPPORTED_FEATURES.items()
            if low > 0 or version >= 4
        ]
    return response


def _check_software(request: ApiVersionsRequest) -> None:
    for value in (request.client_software_name, request.client_software_version):
        if not _SOFTWARE.fullmatch(value):
            raise ApiError(ErrorCode.INVALID_REQUEST, f"{value!r} is not a valid software name or version")


def _check_target(services: Services, request: ApiVersionsRequest) -> None:
    wrong_cluster = request.cluster_id is not None and request.cluster_id != services.cluster_id
    wrong_node = request.node_id not in (-1, services.node_id)
    if wrong_cluster or wrong_node:
        raise ApiError(ErrorCode.REBOOTSTRAP_REQUIRED, "this is another cluster or another node")
