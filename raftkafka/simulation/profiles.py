"""What a run is made of, apart from its seed, and how it is read from `configs/simulation/NAME.toml`.

Swarm: `choices` names settings and what each may be; every seed takes one of each (`drawn`). Chance for one of them depends on the seed
and on its name alone, so that adding one, or taking one away, changes no other.
"""

from __future__ import annotations

import difflib
import random
import tomllib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from raftkafka.simulation.faults.draw import FaultSettings
from raftkafka.simulation.faults.values import OF_OWN_PROFILES, FaultKind, UnknownFault, kind_named
from raftkafka.simulation.network import NetworkSettings
from raftkafka.simulation.workload.settings import WorkloadSettings

DEFAULT = "default"
"""The profile without a file: `Profile()`."""
DIRECTORY = Path(__file__).parents[2] / "configs" / "simulation"
SUFFIX = ".toml"
ALL_KINDS = "all"
PROPERTIES = "properties"


class ProfileError(ValueError):
    """There is no such profile, or its file says what nobody understands."""


@attrs.frozen(kw_only=True)
class Profile:
    """A kind of run. `properties` are given to every node; after all has healed, what waits must be done within `liveness_ms`."""

    name: str = DEFAULT
    description: str = ""
    node_count: int = 3
    spare_count: int = 0
    """How many machines more there are that may be added to the cluster."""
    dynamic_quorum: bool = False
    """Whether the first voters are known by their log directories, as after a format with --initial-controllers, and not by properties."""
    duration_ms: int = 20_000
    network: NetworkSettings = attrs.field(factory=NetworkSettings)
    faults: FaultSettings = attrs.field(factory=FaultSettings)
    workload: WorkloadSettings = attrs.field(factory=WorkloadSettings)
    properties: Mapping[str, str] = attrs.field(factory=dict)
    choices: Mapping[str, tuple[Any, ...]] = attrs.field(factory=dict)
    """Settings by path (`workload.partitions`, `properties.replica.lag.time.max.ms`), and the values of which a seed takes one."""
    liveness_ms: int = 60_000
    core_share: float = 0.0
    """In how many runs only a core of the nodes is healed at first, and the rest is left dead while the core must make progress."""
    rest_ms: int = 0
    """For so long nothing moves because of load in the end, when the load is steady and all is well; 0: that is not waited for."""
    must_fail: bool = False
    """A control: its runs break guarantees on purpose, and checks that find nothing in some of them are no good."""

    def drawn(self, seed: int) -> Profile:
        """With one of each of the choices."""
        profile: Profile = self
        for path, values in self.choices.items():
            profile = _with(profile, path, random.Random(f"{seed}/choice/{path}").choice(values))
        return attrs.evolve(profile, choices={})


def profile_names() -> list[str]:
    """The profiles that there are, the default first."""
    return [DEFAULT, *sorted(path.stem for path in DIRECTORY.glob(f"*{SUFFIX}"))]


def load_profile(name_or_path: str) -> Profile:
    """A profile by its name, or from a file; raises `ProfileError`."""
    if name_or_path == DEFAULT:
        return Profile()
    path = Path(name_or_path) if name_or_path.endswith(SUFFIX) else DIRECTORY / f"{name_or_path}{SUFFIX}"
    if not path.is_file():
        raise ProfileError(f"there is no profile {name_or_path!r}; {_nearest(name_or_path, profile_names())}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: {error}") from None
    try:
        return profile_from(path.stem, values)
    except (ProfileError, UnknownFault) as error:
        raise ProfileError(f"{path}: {error}") from None


def profile_from(name: str, values: Mapping[str, Any]) -> Profile:
    """A profile from the tables of a file; every key must be known and of the right type."""
    if "name" in values:
        raise ProfileError("a profile is named after its file")
    profile: Profile = attrs.evolve(_read(Profile(), values, ""), name=name)
    for path, choice in profile.choices.items():
        for value in choice:
            _with(profile, path, value)
    return profile


def _with(part: Any, path: str, value: Any) -> Any:
    """The part with another value at a path; raises `ProfileError` when it has no such setting or the value is of another type."""
    name, _, rest = path.partition(".")
    if name == PROPERTIES and rest:
        return attrs.evolve(part, properties={**part.properties, rest: _typed(value, str, path)})
    if name not in _fields(part):
        raise ProfileError(f"there is no setting {path!r}; {_nearest(name, _fields(part))}")
    before = getattr(part, name)
    return attrs.evolve(part, **{name: _with(before, rest, value) if rest else _value(before, value, _fields(part)[name], path)})


def _read(part: Any, values: Mapping[str, Any], prefix: str) -> Any:
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _fields(part):
            raise ProfileError(f"there is no setting {prefix + name!r}; {_nearest(name, _fields(part))}")
        changes[name] = _value(getattr(part, name), value, _fields(part)[name], prefix + name)
    return attrs.evolve(part, **changes)


def _value(before: Any, value: Any, of_type: Any, path: str) -> Any:
    if attrs.has(type(before)):
        return _read(before, _typed(value, dict, path), f"{path}.")
    if path == PROPERTIES:
        return {key: _typed(each, str, f"{path}.{key}") for key, each in _typed(value, dict, path).items()}
    if path == "choices":
        return {key: tuple(_typed(each, list, f"{path}.{key}")) for key, each in _typed(value, dict, path).items()}
    if isinstance(before, tuple):
        if value == ALL_KINDS:
            return tuple(kind for kind in FaultKind if kind not in OF_OWN_PROFILES)
        return tuple(kind_named(_typed(each, str, path)) for each in _typed(value, list, path))
    return _typed(value, of_type, path)


def _typed(value: Any, of_type: Any, path: str) -> Any:
    if of_type is float and type(value) is int:
        return float(value)
    if type(value) is not of_type:
        raise ProfileError(f"{path} is {value!r}, which is no {'text' if of_type is str else of_type.__name__}")
    return value


def _fields(part: Any) -> dict[str, Any]:
    return typing.get_type_hints(type(part))


def _nearest(name: str, names: Iterable[str]) -> str:
    known = list(names)
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
