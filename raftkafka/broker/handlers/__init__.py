"""One file per API key. Each has `API_KEY`, `handle` and `refuse`; its docstring says versions, behaviour and what is not implemented.

A handler's module is loaded at the first request for it: a broker starts faster, and uses less memory, without those nobody asks for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services

SERVED: Mapping[int, str] = {
    0: "produce",
    1: "fetch",
    2: "list_offsets",
    3: "metadata",
    8: "offset_commit",
    9: "offset_fetch",
    10: "find_coordinator",
    11: "join_group",
    12: "heartbeat",
    13: "leave_group",
    14: "sync_group",
    15: "describe_groups",
    16: "list_groups",
    18: "api_versions",
    19: "create_topics",
    20: "delete_topics",
    21: "delete_records",
    22: "init_producer_id",
    23: "offset_for_leader_epoch",
    32: "describe_configs",
    33: "alter_configs",
    34: "alter_replica_log_dirs",
    35: "describe_log_dirs",
    37: "create_partitions",
    42: "delete_groups",
    43: "elect_leaders",
    44: "incremental_alter_configs",
    45: "alter_partition_reassignments",
    46: "list_partition_reassignments",
    47: "offset_delete",
    48: "describe_client_quotas",
    49: "alter_client_quotas",
    50: "describe_user_scram_credentials",
    55: "describe_quorum",
    60: "describe_cluster",
    61: "describe_producers",
    64: "unregister_broker",
    74: "list_config_resources",
    75: "describe_topic_partitions",
    80: "add_raft_voter",
    81: "remove_raft_voter",
}
"""The APIs that are served and advertised: key to module."""

OWN: Mapping[int, str] = {10_001: "balance_cluster"}
"""APIs of this project: served, and known only to who asks for them."""

Handle = Callable[[Services, Any, RequestContext, Respond], None]
Refuse = Callable[[Any, ApiError, int], Any]


@attrs.frozen
class Handler:
    """The two functions of a handler module."""

    handle: Handle
    refuse: Refuse


_loaded: dict[int, Handler] = {}


def handler(api_key: int) -> Handler:
    """The handler of an API that is served, advertised or not."""
    found = _loaded.get(api_key)
    if found is None:
        module = importlib.import_module(f"{__name__}.{SERVED.get(api_key) or OWN[api_key]}")
        assert api_key == module.API_KEY
        found = _loaded[api_key] = Handler(module.handle, module.refuse)
    return found
