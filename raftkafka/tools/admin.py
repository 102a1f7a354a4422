"""How a tool asks a cluster: `run_admin` opens it, does the work, closes it; the settings are those of --command-config.

    topics = run_admin("localhost:9092", read_properties(path), list_topics)

Of Java's client settings these act: `client.id`, `default.api.timeout.ms` (how long to try), `request.timeout.ms` (how long to wait for one
answer). A security protocol other than PLAINTEXT is refused, since nothing may be sent in clear that was meant to be protected.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import trio

from raftkafka.client.bootstrap import parse_bootstrap
from raftkafka.client.cluster import ClusterClient, open_cluster
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.java_errors import log_time
from raftkafka.tools.properties_file import read_properties

T = TypeVar("T")

DEFAULT_API_TIMEOUT_MS = 60_000
DEFAULT_REQUEST_TIMEOUT_MS = 30_000


def run_admin(bootstrap: str, settings: Mapping[str, str] | None, work: Callable[[ClusterClient], Awaitable[T]]) -> T:
    """Runs `work` with a client of the cluster; `settings` as read from --command-config.

    While no broker can be reached it tries on, and says so once on stderr.
    """
    given = settings or {}
    protocol = given.get("security.protocol", "PLAINTEXT").upper()
    if protocol != "PLAINTEXT":
        raise ToolError(f"security.protocol={protocol} is not supported by this tool: it speaks PLAINTEXT only.")
    try:
        parse_bootstrap(bootstrap)
    except ValueError as error:
        raise ToolError(str(error)) from None

    async def run() -> T:
        async with open_cluster(
            bootstrap,
            client_id=given.get("client.id", "adminclient-1"),
            timeout_s=_milliseconds(given, "default.api.timeout.ms", DEFAULT_API_TIMEOUT_MS) / 1000,
            request_timeout_s=_milliseconds(given, "request.timeout.ms", DEFAULT_REQUEST_TIMEOUT_MS) / 1000,
            on_unreachable=_warn,
        ) as cluster:
            return await work(cluster)

    return trio.run(run)


def command_config(path: str | None) -> dict[str, str]:
    """The settings of a --command-config file; none without one."""
    return {} if path is None else read_properties(path)


def _warn(reason: str) -> None:
    print(f"{log_time()} WARN No broker can be reached, still trying: {reason}. (org.apache.kafka.clients.NetworkClient)", file=sys.stderr)


def _milliseconds(settings: Mapping[str, str], key: str, default: int) -> int:
    text = settings.get(key)
    if text is None:
        return default
    if not text.isdecimal():
        raise UsageError(f"Invalid value {text} for configuration {key}: Not a number of type INT")
    return int(text)
