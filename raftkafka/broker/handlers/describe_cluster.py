"""DescribeCluster (60), versions 0 to 2: the cluster's id, its controller and its brokers (KIP-700); fenced ones from version 2 on demand.

Endpoint type 2 (controllers) is refused on a broker listener with MISMATCHED_ENDPOINT_TYPE, as Kafka does.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_NODE
from raftkafka.broker.authorized_operations import cluster_operations
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.describe_cluster import DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse

API_KEY = 60
BROKER_ENDPOINTS = 1
CONTROLLER_ENDPOINTS = 2


def handle(services: Services, request: DescribeClusterRequest, context: RequestContext, respond: Respond) -> None:
    """Answers from the metadata that this broker has applied."""
    if request.endpoint_type != BROKER_ENDPOINTS:
        if request.endpoint_type == CONTROLLER_ENDPOINTS:
            sentence = "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
            raise ApiError(ErrorCode.MISMATCHED_ENDPOINT_TYPE, sentence)
        raise ApiError(ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, f"Unsupported endpoint type {request.endpoint_type}")
    brokers = []
    for node_id, broker in sorted(services.image.brokers.items()):
        address = broker.endpoint(context.listener)
        if address is None or (broker.fenced and not request.include_fenced_brokers):
            continue
        brokers.append(
            DescribeClusterBroker(broker_id=node_id, host=address.host, port=address.port, rack=broker.rack, is_fenced=broker.fenced)
        )
    alive = [broker.broker_id for broker in brokers if not broker.is_fenced]
    controller = services.channel.controller
    respond(
        DescribeClusterResponse(
            cluster_id=services.cluster_id,
            controller_id=controller if controller in alive else (alive[0] if alive else NO_NODE),
            brokers=brokers,
            cluster_authorized_operations=cluster_operations(request.include_cluster_authorized_operations),
        )
    )


def refuse(request: DescribeClusterRequest, error: ApiError, version: int) -> DescribeClusterResponse:
    """The whole response is the error."""
    return DescribeClusterResponse(error_code=error.code, error_message=error.message)
