"""The administrator that limits the clients: connections are muted, nobody loses anything, and it is noticed when a limit stays."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.broker.connection import Connection
from raftkafka.broker.muted import MutedConnections
from raftkafka.controller import controller
from raftkafka.controller.decision import Decision
from raftkafka.metadata.image import MetadataImage
from raftkafka.protocol.messages.alter_client_quotas import AlterClientQuotasRequest
from raftkafka.simulation.profiles import Profile, load_profile
from raftkafka.simulation.run import run_seed


def calm() -> Profile:
    profile = load_profile("limits")
    faults = attrs.evolve(profile.faults, kinds=())
    workload = attrs.evolve(profile.workload, limit_interval_ms=60, topics=1, partitions=2, group_members=0)
    properties = {"quota.window.num": "2", "controller.quota.window.num": "2"}
    return attrs.evolve(profile, faults=faults, workload=workload, duration_ms=1_000, choices={}, properties=properties)


def test_clients_are_limited_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    muted: list[int] = []
    mute = MutedConnections.mute

    def counted(self: MutedConnections, connection: Connection, until_ms: int) -> None:
        muted.append(until_ms)
        mute(self, connection, until_ms)

    monkeypatch.setattr(MutedConnections, "mute", counted)
    lines: list[str] = []
    result = run_seed(1, profile=calm(), sink=lines.append)
    assert result.violations == ()
    assert any("limit producer_byte_rate of each" in line for line in lines)
    assert any("for all brokers" in line for line in lines)
    assert muted, "no connection was muted"


def test_a_limit_that_cannot_be_lifted_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = controller.decide_alter_client_quotas

    def removes_nothing(image: MetadataImage, request: AlterClientQuotasRequest) -> Decision:
        decision = decide(image, request)
        return attrs.evolve(decision, records=[record for record in decision.records if getattr(record, "value", None) is not None])

    monkeypatch.setattr(controller, "decide_alter_client_quotas", removes_nothing)
    result = run_seed(1, profile=calm())
    assert any("quotas that were taken away are still there" in str(violation) for violation in result.violations)
