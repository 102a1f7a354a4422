"""What the demonstration of balance says of its measurements, from samples that are made up."""

from __future__ import annotations

from xml.dom import minidom

import pytest

from cluster.balance_demo.load import zipf
from cluster.balance_demo.picture import picture
from cluster.balance_demo.run import shifted
from cluster.balance_demo.scales import SAMPLE_S, Sample, balanced_after_s, peak_to_mean


def samples(*ratios: float) -> list[Sample]:
    """One for each, in which the hotter of two brokers carries so many times the mean."""
    return [
        Sample(at_s=SAMPLE_S * (place + 1), loads={1: 1e6 * ratio, 2: 1e6 * (2 - ratio)}, moved=(place,) if place == 3 else ())
        for place, ratio in enumerate(ratios)
    ]


def test_the_hottest_broker_is_compared_with_the_mean_over_all_samples() -> None:
    assert peak_to_mean(samples(1.5, 1.0)) == pytest.approx(1.25)
    assert peak_to_mean(samples(1.5, 0.5)) == pytest.approx(1.0)
    assert peak_to_mean([]) == 0.0


def test_it_is_balanced_from_the_moment_on_after_which_no_broker_is_hot_again() -> None:
    assert balanced_after_s(samples(2, 2, 2, 1, 1, 1, 1, 1), limit=1.3) == pytest.approx(6 * SAMPLE_S)
    assert balanced_after_s(samples(1, 1, 1, 2, 2, 2, 1, 1, 1, 1), limit=1.3) == pytest.approx(9 * SAMPLE_S)
    assert balanced_after_s(samples(1, 1, 1, 1, 2, 2, 2), limit=1.3) is None


def test_a_load_shifts_to_what_the_broker_with_the_most_partitions_leads() -> None:
    shares = shifted(zipf(6), {0: 1, 1: 2, 2: 2, 3: 3, 4: 2, 5: 3})
    assert sorted(shares) == sorted(zipf(6))
    assert shares[1] > shares[2] > shares[4] > max(shares[0], shares[3], shares[5])


def test_the_picture_has_a_curve_for_each_broker_and_for_the_mean() -> None:
    document = minidom.parseString(picture(samples(2, 2, 1.5, 1, 1), title="load & balance", events=[(1.0, "shift")]))
    assert len(document.getElementsByTagName("polyline")) == 3
    words = [each.firstChild.data for each in document.getElementsByTagName("text") if each.firstChild is not None]
    assert {"load & balance", "shift", "broker 1", "broker 2", "mean"} <= set(words)
