"""kafka-cluster: the id and the endpoints of a cluster; forgetting a broker.

Sources: kafka-cluster of Apache Kafka 4.3.1; KIP-919 (controllers as endpoints), KIP-1073 (fenced brokers).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from raftkafka.client.cluster import ClusterClient, Unsupported
from raftkafka.protocol.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from raftkafka.protocol.messages.unregister_broker import UnregisterBrokerRequest
from raftkafka.tools.admin import command_config, run_admin
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.java_errors import JavaError, raise_refusal
from raftkafka.tools.subcommands import CommandParser
from raftkafka.tools.tables import padded

_BROKERS = 1
_CONTROLLERS = 2


def main(arguments: Sequence[str]) -> int:
    """Runs the tool."""
    given = _parser().parse_args(arguments)
    settings = command_config(given.command_config or given.config)
    bootstrap = given.bootstrap_server or given.bootstrap_controller
    endpoint_type = _BROKERS if given.bootstrap_server else _CONTROLLERS
    work: Callable[[ClusterClient], Awaitable[None]]
    match given.command:
        case "cluster-id":
            work = lambda cluster: _cluster_id(cluster, endpoint_type)  # noqa: E731
        case "list-endpoints":
            work = lambda cluster: _list_endpoints(cluster, endpoint_type, given.include_fenced_brokers)  # noqa: E731
        case _:
            work = lambda cluster: _unregister(cluster, given.id)  # noqa: E731
    try:
        run_admin(bootstrap, settings, work)
    except JavaError as error:
        raise ToolError(error.named) from None
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        script="kafka-cluster",
        summary="The Kafka cluster tool.",
        examples=("kafka-cluster.sh cluster-id --bootstrap-server localhost:9092",),
        help_exit_code=1,
    )
    commands = parser.commands()
    for name, help_text in (
        ("cluster-id", "Get information about the ID of a cluster."),
        ("unregister", "Unregister a broker."),
        ("list-endpoints", "List endpoints"),
    ):
        extra = " --id 4" if name == "unregister" else ""
        command = commands.add(name, help_text, examples=(f"kafka-cluster.sh {name} --bootstrap-server localhost:9092{extra}",))
        where = command.add_mutually_exclusive_group(required=True)
        where.add_argument("--bootstrap-server", "-b", metavar="HOST:PORT,...", help="Brokers to connect to.")
        where.add_argument("--bootstrap-controller", "-C", metavar="HOST:PORT,...", help="Controllers to connect to.")
        command.add_argument("--config", metavar="FILE", help="Old name of --command-config.")
        command.add_argument("--command-config", "-c", metavar="FILE", help="Property file with settings of the admin client.")
        if name == "unregister":
            command.add_argument("--id", "-i", type=int, required=True, help="The ID of the broker to unregister.")
        if name == "list-endpoints":
            command.add_argument("--include-fenced-brokers", action="store_true", help="Show fenced brokers too.")
    return parser


async def _cluster_id(cluster: ClusterClient, endpoint_type: int) -> None:
    response = await _describe(cluster, endpoint_type)
    print(f"Cluster ID: {response.cluster_id}")


async def _list_endpoints(cluster: ClusterClient, endpoint_type: int, include_fenced: bool) -> None:
    if include_fenced and endpoint_type == _CONTROLLERS:
        raise UsageError("The option --include-fenced-brokers is only supported with --bootstrap-server option")
    response = await _describe(cluster, endpoint_type, include_fenced=include_fenced)
    endpoints = sorted(response.brokers, key=lambda each: each.broker_id)
    if not endpoints:
        raise ToolError("The cluster names no endpoint.")
    host_width = max(len(each.host) for each in endpoints)
    rack_width = max(10, *(len(str(_rack(each.rack))) for each in endpoints))
    if endpoint_type == _CONTROLLERS:
        widths: tuple[int, ...] = (10, host_width, 10, rack_width, 15)
        print(padded(("ID", "HOST", "PORT", "RACK", "ENDPOINT_TYPE"), widths))
        for each in endpoints:
            print(padded((each.broker_id, each.host, each.port, _rack(each.rack), "controller"), widths))
        return
    widths = (10, host_width, 10, rack_width, 10, 15)
    print(padded(("ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"), widths))
    for each in endpoints:
        state = "fenced" if each.is_fenced else "unfenced"
        print(padded((each.broker_id, each.host, each.port, _rack(each.rack), state, "broker"), widths))


async def _unregister(cluster: ClusterClient, broker_id: int) -> None:
    try:
        response = await cluster.ask_controller(UnregisterBrokerRequest(broker_id=broker_id))
    except Unsupported:
        print("The target cluster does not support the broker unregistration API.")
        return
    raise_refusal(response.error_code, response.error_message)
    print(f"Broker {broker_id} is no longer registered.")


async def _describe(cluster: ClusterClient, endpoint_type: int, *, include_fenced: bool = False) -> DescribeClusterResponse:
    request = DescribeClusterRequest(endpoint_type=endpoint_type, include_fenced_brokers=include_fenced)
    response: DescribeClusterResponse = await cluster.ask(request)
    raise_refusal(response.error_code, response.error_message)
    return response


def _rack(rack: str | None) -> str:
    return "null" if rack is None else rack
