"""Which quota holds for a client: the most particular one that is set for its user and client id, with who shares it.

In order: (user, client id), (user, any client id), user, (any user, client id), (any user, any client id), any user, client id, any
client id. A quota for a user is shared by all his clients; one for a pair, or a client id, belongs to that alone; a default gives each of
those whom it is for a quota of his own.

Sources: KIP-13, KIP-55 (the order), KIP-612 (addresses); S431 DefaultQuotaCallback.
"""

from __future__ import annotations

from typing import NamedTuple

from raftkafka.metadata.client_quotas import CLIENT_ID, CONNECTION_CREATION_RATE, IP, USER, ClientQuotasImage

ANONYMOUS = "ANONYMOUS"
"""The user of a connection without authentication."""


class SharedQuota(NamedTuple):
    """A quota, and the (user, client id) who share it; an empty string stands for all."""

    limit: float
    sharers: tuple[str, str]


def quota_of(quotas: ClientQuotasImage, key: str, *, user: str, client_id: str) -> SharedQuota | None:
    """The quota `key` that holds for a client; None when there is none."""
    get = quotas.get
    for name in (user, None):
        for other in (client_id, None):
            limit = get(((CLIENT_ID, other), (USER, name))).get(key)
            if limit is not None:
                return SharedQuota(limit, (user, client_id))
        limit = get(((USER, name),)).get(key)
        if limit is not None:
            return SharedQuota(limit, (user, ""))
    for other in (client_id, None):
        limit = get(((CLIENT_ID, other),)).get(key)
        if limit is not None:
            return SharedQuota(limit, ("", client_id))
    return None


def connection_rate_of(quotas: ClientQuotasImage, address: str) -> float | None:
    """How many connections an address may open in a second; None for any number."""
    for name in (address, None):
        limit = quotas.get(((IP, name),)).get(CONNECTION_CREATION_RATE)
        if limit is not None:
            return limit
    return None


def is_limited(quotas: ClientQuotasImage, key: str) -> bool:
    """Whether anybody has this quota."""
    return any(key in values for values in quotas.by_entity.values())
