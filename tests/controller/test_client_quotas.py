"""AlterClientQuotas: what is set, and what is refused in the words of a running Apache Kafka 4.3.1."""

from __future__ import annotations

from typing import Any

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.alter_client_quotas import AlterClientQuotasRequest, EntityData, EntryData, OpData
from tests.controller.world import World

Entity = tuple[tuple[str, str | None], ...]
USER_A: Entity = (("user", "a"),)
IP: Entity = (("ip", "1.2.3.4"),)


@pytest.fixture
def world() -> World:
    return World().join(1)


def entry(entity: Entity, *ops: tuple[str, float | None]) -> EntryData:
    return EntryData(
        entity=[EntityData(entity_type=kind, entity_name=name) for kind, name in entity],
        ops=[OpData(key=key, value=value or 0.0, remove=value is None) for key, value in ops],
    )


def alter(world: World, *entries: EntryData, validate_only: bool = False) -> list[Any]:
    answered: list[Any] = world.ask(AlterClientQuotasRequest(entries=list(entries), validate_only=validate_only)).entries
    return answered


def test_quotas_are_set_changed_and_removed(world: World) -> None:
    alter(world, entry(USER_A, ("producer_byte_rate", 10.0), ("request_percentage", 0.5)))
    assert world.image.quotas.by_entity == {USER_A: {"producer_byte_rate": 10.0, "request_percentage": 0.5}}
    alter(world, entry(USER_A, ("producer_byte_rate", 20.0), ("request_percentage", None)))
    assert world.image.quotas.by_entity == {USER_A: {"producer_byte_rate": 20.0}}
    alter(world, entry(USER_A, ("producer_byte_rate", None), ("never.set", None)))
    assert world.image.quotas.by_entity == {}


def test_an_entity_is_the_same_however_its_parts_are_ordered(world: World) -> None:
    for parts in ((("user", "a"), ("client-id", None)), (("client-id", None), ("user", "a"))):
        (answered,) = alter(world, entry(parts, ("producer_byte_rate", 10.0)))
        assert [(part.entity_type, part.entity_name) for part in answered.entity] == [("client-id", None), ("user", "a")]
    assert len(world.image.quotas.by_entity) == 1


def test_of_a_type_named_twice_the_last_counts(world: World) -> None:
    alter(world, entry((("user", "a"), ("user", "b")), ("producer_byte_rate", 10.0)))
    assert list(world.image.quotas.by_entity) == [(("user", "b"),)]


def test_validating_only_and_setting_what_is_set_write_nothing(world: World) -> None:
    alter(world, entry(USER_A, ("producer_byte_rate", 10.0)))
    before = len(world.log.entries)
    alter(world, entry(USER_A, ("producer_byte_rate", 20.0)), validate_only=True)
    alter(world, entry(USER_A, ("producer_byte_rate", 10.0)))
    assert len(world.log.entries) == before


@pytest.mark.parametrize(
    ("entity", "key", "value", "message"),
    [
        ((), "producer_byte_rate", 10.0, "Invalid empty client quota entity"),
        ((("foo", "a"),), "producer_byte_rate", 10.0, "Unhandled client quota entity type: foo"),
        ((("user", ""),), "producer_byte_rate", 10.0, "Empty user not supported"),
        (
            (("user", "a"), ("ip", "1.2.3.4")),
            "producer_byte_rate",
            10.0,
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
        ),
        ((("ip", "foo bar"),), "connection_creation_rate", 10.0, "foo bar is not a valid IP or resolvable host."),
        (IP, "producer_byte_rate", 10.0, "Invalid configuration key producer_byte_rate"),
        (IP, "connection_creation_rate", 10.5, "connection_creation_rate cannot be a fractional value."),
        (USER_A, "connection_creation_rate", 10.0, "Invalid configuration key connection_creation_rate"),
        (USER_A, "no.such", 10.0, "Invalid configuration key no.such"),
        (USER_A, "producer_byte_rate", 0.0, "Quota producer_byte_rate must be greater than 0"),
        (USER_A, "producer_byte_rate", -5.0, "Quota producer_byte_rate must be greater than 0"),
        (USER_A, "producer_byte_rate", 10.5, "producer_byte_rate cannot be a fractional value."),
        (USER_A, "producer_byte_rate", 1e20, "Proposed value for producer_byte_rate is too large for a LONG."),
        (USER_A, "producer_byte_rate", float("inf"), "Proposed value for producer_byte_rate is too large for a LONG."),
        (USER_A, "request_percentage", float("nan"), "Quota request_percentage must be greater than 0"),
    ],
)
def test_refusals(world: World, entity: Entity, key: str, value: float, message: str) -> None:
    before = len(world.log.entries)
    given = EntryData(entity=[EntityData(entity_type=kind, entity_name=name) for kind, name in entity], ops=[OpData(key=key, value=value)])
    (answered,) = alter(world, given)
    assert (answered.error_code, answered.error_message) == (ErrorCode.INVALID_REQUEST, message)
    assert len(world.log.entries) == before


def test_one_entity_that_is_refused_leaves_the_others_alone(world: World) -> None:
    answered = alter(world, entry(USER_A, ("no.such", 1.0)), entry((("user", "b"),), ("producer_byte_rate", 1.0)))
    assert [each.error_code for each in answered] == [ErrorCode.INVALID_REQUEST, 0]
    assert list(world.image.quotas.by_entity) == [(("user", "b"),)]


def test_a_key_given_twice_is_refused(world: World) -> None:
    (answered,) = alter(world, entry(USER_A, ("producer_byte_rate", 1.0), ("producer_byte_rate", 2.0)))
    assert answered.error_message == "Ignoring duplicate entity ClientQuotaEntity(entries={user=a})"
