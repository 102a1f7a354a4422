"""kafka-consumer-groups: lists, describes and deletes groups, resets and deletes their offsets.

Invariants
- Tables, plans and their order are Apache's, byte for byte.
- A command that fails says why on stdout and ends with 0, as Apache's tool does; wrong usage goes to stderr and ends with 1.
- Offsets are reset only when the group has no members, and only with --execute.

Sources: the output of Apache Kafka 4.3.1's kafka-consumer-groups for every option; KIP-222, KIP-496, KIP-518, KIP-848, KIP-1099.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.errors import PeerError
from raftkafka.client.cluster import ClusterClient
from raftkafka.client.connection import RequestFailed
from raftkafka.tools.admin import command_config, run_admin
from raftkafka.tools.consumer_groups.deleting import delete_groups, delete_offsets
from raftkafka.tools.consumer_groups.describing import describe
from raftkafka.tools.consumer_groups.failure import CommandFailed, print_error
from raftkafka.tools.consumer_groups.listing import list_groups, wanted_groups
from raftkafka.tools.consumer_groups.options import PARSER, check, long_value
from raftkafka.tools.consumer_groups.regex import describe_regex
from raftkafka.tools.consumer_groups.resetting import reset_offsets
from raftkafka.tools.errors import ToolError
from raftkafka.tools.java_errors import as_java_error
from raftkafka.tools.options import Options


def main(arguments: Sequence[str]) -> int:
    """Runs the tool; returns its exit code."""
    options = PARSER.parse(arguments)
    check(options)
    if options.has("validate-regex"):
        print(describe_regex(options.required("validate-regex")))
        return 0
    try:
        settings = command_config(options.text("command-config"))
        settings["default.api.timeout.ms"] = str(long_value(options, "timeout"))

        async def work(cluster: ClusterClient) -> None:
            await _run(cluster, options)

        run_admin(options.required("bootstrap-server"), settings, work)
    except CommandFailed as error:
        print_error(f"Executing consumer group command failed due to {error}")
    except (ToolError, PeerError, RequestFailed) as error:
        known = as_java_error(error)
        print_error(f"Executing consumer group command failed due to {known.named if known is not None else error}")
    return 0


async def _run(cluster: ClusterClient, options: Options) -> None:
    if options.has("list"):
        wanted = wanted_groups(options)
        await list_groups(cluster, wanted)
    elif options.has("describe"):
        await describe(cluster, options)
    elif options.has("delete"):
        await delete_groups(cluster, options)
    elif options.has("reset-offsets"):
        await reset_offsets(cluster, options)
    else:
        await delete_offsets(cluster, options)
