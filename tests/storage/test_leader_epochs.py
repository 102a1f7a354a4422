"""The leader-epoch cache: KIP-101 and KIP-279, held against a slow twin that remembers the epoch of every offset."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.errors import CorruptRecord
from raftkafka.storage.leader_epochs import LeaderEpochCache


def make(entries: list[tuple[int, int]], end_offset: int = 100) -> LeaderEpochCache:
    cache = LeaderEpochCache(lambda: end_offset)
    cache.extend(entries)
    return cache


def test_kip101_end_of_an_epoch_is_the_start_of_the_next() -> None:
    cache = make([(2, 10), (4, 20), (7, 50)])
    assert cache.end_offset_for(2) == (2, 20)
    assert cache.end_offset_for(7) == (7, 100)


def test_kip279_unknown_epoch_is_answered_with_the_largest_below() -> None:
    cache = make([(2, 10), (4, 20), (7, 50)])
    assert cache.end_offset_for(3) == (2, 20)
    assert cache.end_offset_for(6) == (4, 50)


def test_kip279_below_all_is_the_start_of_the_first() -> None:
    assert make([(2, 10)]).end_offset_for(1) == (1, 10)


def test_above_all_or_empty_is_undefined() -> None:
    assert make([(2, 10)]).end_offset_for(3) == (-1, -1)
    assert make([]).end_offset_for(0) == (-1, -1)
    assert make([(2, 10)]).end_offset_for(-1) == (-1, -1)


def test_epoch_without_records_is_kept_until_another_takes_its_place() -> None:
    cache = make([(1, 0), (2, 10)])
    cache.assign(3, 10)
    assert cache.entries == [(1, 0), (3, 10)]


def test_checkpoint_round_trip_and_damage() -> None:
    cache = make([(2, 10), (4, 20)])
    assert cache.encode() == b"0\n2\n2 10\n4 20\n"
    other = make([])
    other.load(cache.encode())
    assert other.entries == cache.entries
    for data in (b"", b"0\n", b"0\n2\n2 10\n", b"1\n0\n", b"0\n1\nx y\n"):
        with pytest.raises(CorruptRecord):
            other.load(data)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=8), st.integers(0, 40), st.integers(0, 40))
def test_equals_the_slow_twin_after_truncation_at_both_ends(runs: list[tuple[int, int]], start: int, end: int) -> None:
    epochs: list[int] = []
    for step, count in runs:
        epochs += [(epochs[-1] if epochs else 0) + step] * count
    start, end = min(start, len(epochs)), min(end, len(epochs))
    if start > end:
        start, end = end, start
    cache = LeaderEpochCache(lambda: end)
    for offset, epoch in enumerate(epochs):
        cache.assign(epoch, offset)
    cache.truncate_from_end(end)
    cache.truncate_from_start(start)
    kept = dict(list(enumerate(epochs))[start:end])
    assert {offset: cache.epoch_at(offset) for offset in kept} == kept
    for epoch in set(kept.values()):
        assert cache.end_offset_for(epoch) == (epoch, 1 + max(offset for offset, other in kept.items() if other == epoch))
