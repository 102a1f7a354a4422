"""What the end of a run is judged by beside its history: each kind of damage to batches is found and named."""

from __future__ import annotations

import pytest

from raftkafka.simulation.checks import violations_of
from raftkafka.simulation.workload.recording import SentBatch

SLOT = ("t", 0)
SENT = [
    SentBatch(slot=SLOT, values=range(2), stream=1, keeps_order=True),
    SentBatch(slot=SLOT, values=range(2, 3), stream=2, keeps_order=True),
    SentBatch(slot=SLOT, values=range(3, 6), stream=1, keeps_order=True),
    SentBatch(slot=("t", 1), values=range(6, 7), stream=1, keeps_order=True),
]


def violations(values: list[int]) -> list[str]:
    return violations_of(SENT, {SLOT: list(enumerate(values))})


@pytest.mark.parametrize("values", [[0, 1, 2, 3, 4, 5], [2, 0, 1], [3, 4, 5], []])
def test_whole_batches_in_their_producers_order_are_good(values: list[int]) -> None:
    assert violations(values) == []


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ([0], "ends within a batch"),
        ([0, 2, 1], "where 1 of a batch should follow"),
        ([1, 2], "without the records before it"),
        ([3, 4, 5, 0, 1], "0 at offset 3 is behind 5"),
        ([77], "which nobody sent"),
        ([6], "which nobody sent there"),
    ],
)
def test_damage_is_named(values: list[int], complaint: str) -> None:
    found = violations(values)
    assert any(complaint in each for each in found), found


def test_batches_of_a_producer_that_promises_no_order_may_be_in_any() -> None:
    sent = [SentBatch(slot=SLOT, values=range(each, each + 1), stream=1, keeps_order=False) for each in range(2)]
    assert violations_of(sent, {SLOT: [(0, 1), (1, 0)]}) == []
