"""Which quota holds for a client: the order of KIP-55, and who shares it."""

from __future__ import annotations

import pytest

from raftkafka.broker.quota_lookup import SharedQuota, connection_rate_of, quota_of
from raftkafka.metadata.client_quotas import ClientQuotasImage, quota_entity

KEY = "producer_byte_rate"
IN_ORDER: list[tuple[list[tuple[str, str | None]], tuple[str, str]]] = [
    ([("user", "u"), ("client-id", "c")], ("u", "c")),
    ([("user", "u"), ("client-id", None)], ("u", "c")),
    ([("user", "u")], ("u", "")),
    ([("user", None), ("client-id", "c")], ("u", "c")),
    ([("user", None), ("client-id", None)], ("u", "c")),
    ([("user", None)], ("u", "")),
    ([("client-id", "c")], ("", "c")),
    ([("client-id", None)], ("", "c")),
]
"""Entities, the most particular first, with who shares the quota that the client `u`, `c` has by it."""


@pytest.mark.parametrize("first", range(len(IN_ORDER)))
def test_the_most_particular_quota_holds(first: int) -> None:
    by_entity = {quota_entity(parts): {KEY: float(1 + index)} for index, (parts, _) in enumerate(IN_ORDER) if index >= first}
    quotas = ClientQuotasImage(by_entity=by_entity)
    assert quota_of(quotas, KEY, user="u", client_id="c") == SharedQuota(float(1 + first), IN_ORDER[first][1])


def test_an_entity_with_another_key_only_is_passed_over() -> None:
    quotas = ClientQuotasImage(by_entity={(("user", "u"),): {"consumer_byte_rate": 1.0}, (("client-id", None),): {KEY: 2.0}})
    assert quota_of(quotas, KEY, user="u", client_id="c") == SharedQuota(2.0, ("", "c"))
    assert quota_of(quotas, "request_percentage", user="u", client_id="c") is None


def test_an_address_has_its_own_rate_or_that_of_all() -> None:
    quotas = ClientQuotasImage(
        by_entity={(("ip", "10.0.0.1"),): {"connection_creation_rate": 5.0}, (("ip", None),): {"connection_creation_rate": 7.0}}
    )
    assert (connection_rate_of(quotas, "10.0.0.1"), connection_rate_of(quotas, "10.0.0.2")) == (5.0, 7.0)
    assert connection_rate_of(ClientQuotasImage(), "10.0.0.1") is None
