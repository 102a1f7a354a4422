"""kafka-broker-api-versions: which APIs each broker serves, in which versions, and which of them Apache Kafka 4.3.1's client would use.

Sources: kafka-broker-api-versions of Apache Kafka 4.3.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.base.errors import PeerError
from raftkafka.client.cluster import ClusterClient
from raftkafka.client.connection import RequestFailed
from raftkafka.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from raftkafka.tools.admin import command_config, run_admin
from raftkafka.tools.api_table import CLIENT_APIS
from raftkafka.tools.java_errors import raise_refusal
from raftkafka.tools.options import OptionParser, value

PARSER = OptionParser(
    script="kafka-broker-api-versions",
    summary="This tool helps to retrieve broker version information.",
    examples=("kafka-broker-api-versions.sh --bootstrap-server localhost:9092",),
    options=(
        value("bootstrap-server", "REQUIRED: The server to connect to.", argument="server(s) to use for bootstrapping"),
        value("command-config", "A property file with settings of the admin client.", argument="command config property file"),
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Runs the tool."""
    options = PARSER.parse(arguments)
    options.require("bootstrap-server")
    run_admin(options.required("bootstrap-server"), command_config(options.text("command-config")), _print_versions)
    return 0


async def _print_versions(cluster: ClusterClient) -> None:
    """One paragraph for each broker that is alive, in the order of their ids (Apache's tool: in any order)."""
    for broker in await cluster.brokers():
        name = f"{broker.host}:{broker.port} (id: {broker.node_id} rack: {broker.rack or 'null'} isFenced: false)"
        request = ApiVersionsRequest(client_software_name="raftkafka", client_software_version="0.1")
        try:
            response: ApiVersionsResponse = await cluster.ask(request, broker.node_id)
            raise_refusal(response.error_code)
        except (RequestFailed, PeerError) as error:
            print(f"{name} -> ERROR: {error}\n")
            continue
        print(f"{name} -> (")
        print(
            ",\n".join(f"\t{line}" for line in _lines({each.api_key: (each.min_version, each.max_version) for each in response.api_keys}))
        )
        print(")")


def _lines(served: Mapping[int, tuple[int, int]]) -> list[str]:
    """A line for each API that is served, or that a client knows."""
    lines = []
    for key in sorted({*served, *CLIENT_APIS}):
        name, low, high = CLIENT_APIS.get(key, ("UNKNOWN", 0, -1))
        if key not in served:
            lines.append(f"{name}({key}): UNSUPPORTED")
            continue
        served_low, served_high = served[key]
        text = f"{name}({key}): {served_low}" + (f" to {served_high}" if served_high != served_low else "")
        if key not in CLIENT_APIS:
            usable = ""
        elif served_low > high:
            usable = " [unusable: node too new]"
        elif served_high < low:
            usable = " [unusable: node too old]"
        else:
            usable = f" [usable: {min(high, served_high)}]"
        lines.append(text + usable)
    return lines
