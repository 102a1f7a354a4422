"""The verdict on a history: each kind of damage is found and named."""

from __future__ import annotations

import pytest

from raftkafka.simulation.checks import violations_of
from raftkafka.simulation.workload.plain import History

SLOT = ("t", 0)
SENT = [b"a", b"b", b"c"]


def history(*, read: dict[int, bytes], acknowledged: dict[bytes, int]) -> History:
    return History(sent={SLOT: list(SENT)}, acknowledged={SLOT: acknowledged}, read={SLOT: read})


def test_a_history_without_damage_has_no_violation() -> None:
    assert violations_of(history(read={0: b"a", 1: b"b", 2: b"c"}, acknowledged={b"a": 0, b"b": -1})) == []


@pytest.mark.parametrize(
    ("read", "acknowledged", "complaint"),
    [
        ({0: b"a"}, {b"b": 1}, "is lost"),
        ({0: b"a", 1: b"b"}, {b"a": 1}, "acknowledged at offset 1 and is at 0"),
        ({0: b"a", 1: b"a"}, {}, "again at 1"),
        ({0: b"b", 1: b"a"}, {}, "behind a later record"),
        ({0: b"x"}, {}, "nobody sent"),
    ],
)
def test_damage_is_named(read: dict[int, bytes], acknowledged: dict[bytes, int], complaint: str) -> None:
    found = violations_of(history(read=read, acknowledged=acknowledged))
    assert any(complaint in each for each in found), found
