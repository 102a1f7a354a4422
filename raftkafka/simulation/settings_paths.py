"""Settings of a profile by name, with dots into its parts (`workload.partitions`): a run can be written down as a change of a profile.

A setting that is changed is no longer chosen by the seed (`Profile.choices`).

Invariant: `with_settings(before, changed_settings(before, after)) == after` when the two differ in whole numbers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from raftkafka.simulation.profiles import Profile


class UnknownSetting(Exception):
    """A profile has no such setting, or it is not a whole number."""


def setting(profile: Profile, path: str) -> object:
    """The value at a path; None when the profile has none there."""
    value: object = profile
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def with_settings(profile: Profile, changes: Mapping[str, int]) -> Profile:
    """The profile with these whole numbers instead of its own; raises `UnknownSetting`."""
    for path, value in changes.items():
        if type(setting(profile, path)) is not int:
            raise UnknownSetting(f"a profile has no whole number {path}")
        profile = _changed(profile, path.split("."), value)
        if path in profile.choices:
            profile = attrs.evolve(profile, choices={key: values for key, values in profile.choices.items() if key != path})
    return profile


def changed_settings(before: Profile, after: Profile) -> dict[str, int]:
    """The whole numbers in which two profiles differ, by path."""
    numbers = _numbers(before, "")
    return {
        path: value
        for path, value in _numbers(after, "").items()
        if numbers.get(path) != value or (path in before.choices and path not in after.choices)
    }


def _changed(part: Any, names: list[str], value: int) -> Any:
    name, *rest = names
    return attrs.evolve(part, **{name: _changed(getattr(part, name), rest, value) if rest else value})


def _numbers(part: Any, prefix: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for field in attrs.fields(type(part)):
        value = getattr(part, field.name)
        if attrs.has(type(value)):
            found.update(_numbers(value, f"{prefix}{field.name}."))
        elif type(value) is int:
            found[prefix + field.name] = value
    return found
