"""Profiles from files: strict, and drawn from a seed without one choice shifting another."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from raftkafka.simulation.profiles import Profile, ProfileError, load_profile, profile_from, profile_names
from raftkafka.simulation.run import run_seed
from raftkafka.simulation.settings_paths import changed_settings, with_settings

CANARY_SEEDS = range(6)


def test_all_stored_profiles_can_be_read_and_say_what_they_are() -> None:
    profiles = {name: load_profile(name) for name in profile_names()}
    assert {"swarm", "calm", "canary", "wide"} <= set(profiles)
    assert all(profile.name == name and (profile.description or name == "default") for name, profile in profiles.items())
    assert [name for name, profile in profiles.items() if profile.must_fail] == ["canary"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("node_cont = 5", "there is no setting 'node_cont'; did you mean 'node_count'?"),
        ("node_count = '5'", "node_count is '5', which is no int"),
        ("[faults]\nkinds = ['kil']", "there is no fault 'kil'; did you mean 'kill'?"),
        ("[faults]\nkind = 5", "there is no setting 'faults.kind'"),
        ("[choices]\n'workload.partition' = [1]", "there is no setting 'partition'; did you mean 'partitions'?"),
        ("name = 'x'", "named after its file"),
        ("node_count = ", "Invalid"),
    ],
)
def test_a_file_that_nobody_understands_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("'", '"'))
    with pytest.raises(ProfileError) as refused:
        load_profile(str(path))
    assert complaint in str(refused.value).replace('"', "'")


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(ProfileError, match="did you mean 'swarm'"):
        load_profile("swrm")


def test_choices_are_drawn_each_by_itself() -> None:
    both = profile_from("x", {"choices": {"node_count": [3, 5], "properties.log.roll.ms": ["1", "2", "3"]}})
    alone = profile_from("x", {"choices": {"node_count": [3, 5]}})
    assert {both.drawn(seed).node_count for seed in range(20)} == {3, 5}
    assert all(both.drawn(seed).node_count == alone.drawn(seed).node_count for seed in range(20))
    assert both.drawn(1).properties["log.roll.ms"] in ("1", "2", "3")


def test_a_setting_that_is_changed_is_no_longer_drawn() -> None:
    before = profile_from("x", {"choices": {"node_count": [5]}})
    after = with_settings(before, {"node_count": 3})
    assert after.drawn(1).node_count == 3
    assert changed_settings(before, after) == {"node_count": 3}


@pytest.mark.slow
def test_the_canary_is_found_out() -> None:
    assert any(run_seed(seed, profile=load_profile("canary")).violations for seed in CANARY_SEEDS)


@pytest.mark.slow
def test_a_core_gets_on_while_the_rest_is_dead() -> None:
    profile = attrs.evolve(Profile(), duration_ms=2_000, core_share=1.0)
    for seed in range(3):
        lines: list[str] = []
        result = run_seed(seed, profile=profile, sink=lines.append)
        assert result.violations == ()
        assert any("heals the core" in line for line in lines)
