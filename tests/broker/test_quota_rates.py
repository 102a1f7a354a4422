"""Rates against quotas: over any time, who waits as he is told takes what the quota allows, and no more (KIP-13, KIP-219, KIP-599)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftkafka.broker.quota_rates import SampledRate, TokenBucket

WINDOW_COUNT, WINDOW_MS = 11, 1_000
COVERED_S = WINDOW_COUNT * WINDOW_MS / 1_000


def sampled_rate() -> SampledRate:
    return SampledRate(window_count=WINDOW_COUNT, window_ms=WINDOW_MS)


def test_a_burst_of_ten_windows_is_free_and_the_next_piece_waits_for_its_time() -> None:
    rate = sampled_rate()
    rate.record(10_000, 0)
    assert rate.wait_ms(1_000, 0) == 0
    rate.record(1_000, 0)
    assert rate.wait_ms(1_000, 0) == 1_000


def test_a_piece_larger_than_all_windows_waits_until_the_rate_is_down() -> None:
    rate = sampled_rate()
    rate.record(30_000, 0)
    assert rate.wait_ms(1_000, 0) == 20_000, "30,000 at 1,000 a second take 30 s, and 10 s are free"


def test_what_is_older_than_all_windows_is_forgotten() -> None:
    rate = sampled_rate()
    rate.record(5_000, 0)
    assert rate.per_second(5_000) == 500
    assert rate.per_second(WINDOW_COUNT * WINDOW_MS) == 0


def test_what_is_taken_back_does_not_count() -> None:
    rate = sampled_rate()
    rate.record(50_000, 0)
    rate.record(-50_000, 0)
    assert rate.wait_ms(1_000, 0) == 0


@given(
    quota=st.integers(1, 10_000),
    pieces=st.lists(st.tuples(st.integers(0, 3_000), st.floats(0.001, 3)), min_size=1, max_size=60),
)
def test_over_any_time_no_more_than_the_quota_and_all_windows_and_one_piece(quota: int, pieces: list[tuple[int, float]]) -> None:
    rate = sampled_rate()
    now_ms = 0
    taken: list[tuple[int, float]] = []
    for pause_ms, share in pieces:
        amount = share * quota
        now_ms += pause_ms
        taken.append((now_ms, amount))
        rate.record(amount, now_ms)
        now_ms += rate.wait_ms(quota, now_ms)
    largest = max(amount for _, amount in taken)
    for first, (start_ms, _) in enumerate(taken):
        total = 0.0
        for end_ms, amount in taken[first:]:
            total += amount
            assert total <= quota * ((end_ms - start_ms) / 1_000 + COVERED_S) + largest + 1e-6


@given(quota=st.integers(100, 10_000), piece=st.floats(0.01, 2))
def test_who_takes_all_he_may_gets_the_quota_in_the_long_run(quota: int, piece: float) -> None:
    rate = sampled_rate()
    now_ms, total = 0, 0.0
    for _ in range(300):
        rate.record(piece * quota, now_ms)
        total += piece * quota
        now_ms += rate.wait_ms(quota, now_ms) or 1
    if now_ms > 60_000:
        assert 0.8 * quota <= total / (now_ms / 1_000) <= 1.25 * quota


def test_a_bucket_is_full_at_first_and_may_be_overdrawn_once() -> None:
    bucket = TokenBucket(window_count=WINDOW_COUNT, window_ms=WINDOW_MS, quota=2.0, now_ms=0)
    bucket.take(20, 2.0, 0)
    assert bucket.wait_ms(2.0, 0) == 0
    bucket.take(10, 2.0, 0)
    assert bucket.wait_ms(2.0, 0) == 4_000, "22 were there, 30 were taken, and 2 come in a second"
    assert bucket.wait_ms(2.0, 4_000) == 0


@given(quota=st.floats(0.1, 100), pieces=st.lists(st.tuples(st.integers(0, 3_000), st.floats(0.1, 3)), min_size=1, max_size=60))
def test_a_bucket_gives_no_more_than_its_size_and_what_came(quota: float, pieces: list[tuple[int, float]]) -> None:
    bucket = TokenBucket(window_count=WINDOW_COUNT, window_ms=WINDOW_MS, quota=quota, now_ms=0)
    now_ms, total = 0, 0.0
    for pause_ms, share in pieces:
        now_ms += pause_ms + bucket.wait_ms(quota, now_ms + pause_ms) + 1
        bucket.take(share * quota, quota, now_ms)
        total += share * quota
        assert total <= quota * (now_ms / 1_000 + COVERED_S) + 3 * quota + 1e-6
