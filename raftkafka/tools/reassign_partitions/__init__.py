"""kafka-reassign-partitions: proposes, starts, watches, cancels and lists moves of replicas between brokers and log directories.

Invariants
- What is printed is Apache's, byte for byte; everything goes to stdout, also errors, and they end with 1.
- A throttle that was set is removed by --verify when everything has moved, and by --cancel, unless --preserve-throttles says otherwise.

Not implemented: --bootstrap-controller with our own controllers, whose listener speaks no Kafka protocol.

Sources: the output of Apache Kafka 4.3.1's kafka-reassign-partitions; KIP-73, KIP-113, KIP-455, KIP-860, KIP-1120.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from raftkafka.base.errors import PeerError
from raftkafka.client.cluster import ClusterClient
from raftkafka.client.connection import RequestFailed
from raftkafka.tools.admin import command_config, run_admin
from raftkafka.tools.errors import ToolError
from raftkafka.tools.java_errors import as_java_error
from raftkafka.tools.options import Options
from raftkafka.tools.reassign_partitions.cancelling import cancel
from raftkafka.tools.reassign_partitions.executing import execute
from raftkafka.tools.reassign_partitions.failure import Failed, Terse
from raftkafka.tools.reassign_partitions.generating import generate
from raftkafka.tools.reassign_partitions.listing import list_reassignments
from raftkafka.tools.reassign_partitions.options import PARSER, check
from raftkafka.tools.reassign_partitions.verifying import verify

_ACTIONS: Mapping[str, Callable[[ClusterClient, Options], Awaitable[None]]] = {
    "verify": verify,
    "generate": generate,
    "execute": execute,
    "cancel": cancel,
    "list": list_reassignments,
}


def main(arguments: Sequence[str]) -> int:
    """Runs the tool; returns its exit code."""
    options = PARSER.parse(arguments)
    action = check(options)
    bootstrap = options.text("bootstrap-server") or options.text("bootstrap-controller") or ""

    async def work(cluster: ClusterClient) -> None:
        await _ACTIONS[action](cluster, options)

    try:
        run_admin(bootstrap, command_config(options.text("command-config")), work)
    except Terse as error:
        print(error)
    except Failed as error:
        print(f"Error: {error}")
    except (ToolError, PeerError, RequestFailed) as error:
        known = as_java_error(error)
        print(f"Error: {known.named if known is not None else error}")
    else:
        return 0
    return 1
