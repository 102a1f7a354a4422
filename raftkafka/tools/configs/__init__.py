"""kafka-configs: describes and changes the settings of topics, brokers, groups, client metrics and loggers, and the quotas and SCRAM
credentials of users, clients and IP addresses.

Invariants
- What is printed is Apache's, byte for byte; an error is two lines on stderr: the command line, and the name and sentence of the error.
- Only what is named is changed: settings are set and deleted one by one (IncrementalAlterConfigs), never replaced as a whole.

Not implemented: --bootstrap-controller with our own controllers, whose listener speaks no Kafka protocol.

Sources: the output of Apache Kafka 4.3.1's kafka-configs for every entity; KIP-248, KIP-339, KIP-546, KIP-554, KIP-714, KIP-848, KIP-1142.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from raftkafka.base.errors import PeerError
from raftkafka.client.cluster import ClusterClient
from raftkafka.client.connection import RequestFailed
from raftkafka.tools.admin import command_config, run_admin
from raftkafka.tools.configs.entities import CLIENTS, IPS, USERS, Entities, named_entities
from raftkafka.tools.configs.key_list import key_list
from raftkafka.tools.configs.options import PARSER, check
from raftkafka.tools.configs.quotas import alter_quotas, describe_quotas
from raftkafka.tools.configs.resources import alter_resource, describe_resources
from raftkafka.tools.configs.settings_text import Change, change_of
from raftkafka.tools.configs.user_credentials import alter_credentials, changes_credentials, describe_credentials
from raftkafka.tools.errors import ToolError
from raftkafka.tools.java_errors import JavaError, as_java_error


def main(arguments: Sequence[str]) -> int:
    """Runs the tool; returns its exit code."""
    if not arguments or PARSER.read(arguments).has("help"):
        print(f"{PARSER.help()}\n{key_list()}", file=sys.stderr)
        return 1
    options = PARSER.parse(arguments)
    entities = named_entities(arguments, options)
    check(options, entities)
    try:
        settings = command_config(options.text("command-config"))
        bootstrap = options.text("bootstrap-server") or options.required("bootstrap-controller")
        change = change_of(options) if options.has("alter") else None

        async def work(cluster: ClusterClient) -> None:
            if change is None:
                await _describe(cluster, entities, with_all=options.has("all"))
            else:
                await _alter(cluster, entities, change)

        run_admin(bootstrap, settings, work)
    except (JavaError, PeerError, RequestFailed) as error:
        sys.stdout.flush()
        _say(error, arguments)
        return 1
    return 0


def _say(error: Exception, arguments: Sequence[str]) -> None:
    known = as_java_error(error)
    if known is None:
        print(error, file=sys.stderr)
        return
    print(f"Error while executing config command with args '{' '.join(arguments)}'", file=sys.stderr)
    print(f"java.util.concurrent.ExecutionException: {known.named}", file=sys.stderr)


async def _describe(cluster: ClusterClient, entities: Entities, *, with_all: bool) -> None:
    if entities.first_type in (USERS, CLIENTS, IPS):
        await describe_quotas(cluster, entities)
        if USERS in entities.types and CLIENTS not in entities.types and "" not in entities.names:
            await describe_credentials(cluster, entities.names)
    else:
        await describe_resources(cluster, entities, with_all=with_all)


async def _alter(cluster: ClusterClient, entities: Entities, change: Change) -> None:
    if len(entities.types) != len(entities.names):
        raise ToolError("An entity name must be specified for every entity type")
    if entities.first_type in (USERS, CLIENTS, IPS):
        if changes_credentials(entities, change):
            await alter_credentials(cluster, entities.names[0], change)
        else:
            await alter_quotas(cluster, entities, change)
    else:
        await alter_resource(cluster, entities.first_type, entities.names[0], change)
    name = entities.names[0]
    if name:
        print(f"Completed updating config for {entities.first_type[:-1]} {name}.")
    else:
        print(f"Completed updating default config for {entities.first_type} in the cluster.")
