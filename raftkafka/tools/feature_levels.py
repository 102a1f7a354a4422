"""The features of a cluster and their levels: names of metadata versions, which levels a release has, what a level depends on.

Sources: kafka-features version-mapping and feature-dependencies of Apache Kafka 4.3.1; KIP-584, KIP-1022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.tools.errors import ToolError

METADATA_VERSION = "metadata.version"
MINIMUM_LEVEL = 7
METADATA_VERSIONS: Sequence[str] = (
    *("3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3"),
    *("3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0"),
    "4.4-IV0",
)
"""Names of the levels of metadata.version, from `MINIMUM_LEVEL` on."""
LATEST_STABLE = "4.3-IV0"

FIRST_METADATA_LEVELS: Mapping[str, Mapping[int, int]] = {
    "kraft.version": {1: 21},
    "transaction.version": {1: 24, 2: 24},
    "group.version": {1: 22},
    "eligible.leader.replicas.version": {1: 26},
    "share.version": {1: 28},
    "streams.version": {1: 29},
}
"""For each feature and level: the level of metadata.version from which a release has it. In the order in which they are printed."""

_DEPENDENCIES: Mapping[tuple[str, int], Mapping[str, int]] = {("eligible.leader.replicas.version", 1): {METADATA_VERSION: 23}}


def level_text(feature: str, level: int) -> str:
    """A level as people know it: the name of a metadata version, a number for every other feature."""
    if feature != METADATA_VERSION:
        return str(level)
    index = level - MINIMUM_LEVEL
    return METADATA_VERSIONS[index] if 0 <= index < len(METADATA_VERSIONS) else f"UNKNOWN {level}"


def metadata_level(release: str) -> int:
    """The level of metadata.version that `4.3-IV0` or `4.3` (the last of that release) names."""
    if release in METADATA_VERSIONS:
        return MINIMUM_LEVEL + METADATA_VERSIONS.index(release)
    known = [name for name in METADATA_VERSIONS[: METADATA_VERSIONS.index(LATEST_STABLE) + 1] if name.startswith(f"{release}-")]
    if not known:
        raise ToolError(f"Unknown metadata.version '{release}'. Supported metadata.version are: {', '.join(METADATA_VERSIONS)}")
    return MINIMUM_LEVEL + METADATA_VERSIONS.index(known[-1])


def levels_of_release(release: str) -> dict[str, int]:
    """The level of every feature in a release, metadata.version first."""
    metadata = metadata_level(release)
    levels = {METADATA_VERSION: metadata}
    for feature, first in FIRST_METADATA_LEVELS.items():
        levels[feature] = max((level for level, needed in first.items() if needed <= metadata), default=0)
    return levels


def print_version_mapping(release: str | None) -> None:
    """Prints the levels of a release, of the latest stable one when none is named."""
    named = release or LATEST_STABLE
    for feature, level in levels_of_release(named).items():
        print(f"{feature}={level} ({named})" if feature == METADATA_VERSION else f"{feature}={level}")


def print_dependencies(features: Sequence[str]) -> None:
    """Prints what each `feature=level` depends on."""
    for text in features:
        feature, level = parse_level(text)
        if feature != METADATA_VERSION and feature not in FIRST_METADATA_LEVELS:
            raise ToolError(f"Unknown feature: {feature}")
        known = level - MINIMUM_LEVEL < len(METADATA_VERSIONS) and level >= MINIMUM_LEVEL
        if feature != METADATA_VERSION:
            known = level == 0 or level in FIRST_METADATA_LEVELS[feature]
        if not known:
            raise ToolError(f"No feature:{feature} with feature level {level}")
        shown = f"{feature}={level}" + (f" ({level_text(feature, level)})" if feature == METADATA_VERSION else "")
        needed = _DEPENDENCIES.get((feature, level))
        if needed is None:
            print(f"{shown} has no dependencies.")
            continue
        print(f"{shown} requires:")
        for name, other in needed.items():
            print(f"    {name}={other}" + (f" ({level_text(name, other)})" if name == METADATA_VERSION else ""))


def parse_level(text: str) -> tuple[str, int]:
    """The feature and the level of `feature=level`."""
    name, equals, level = text.partition("=")
    if not equals:
        raise ToolError(f"Can't parse feature=level string {text}: equals sign not found.")
    try:
        number = int(level.strip())
        if not -(2**15) <= number < 2**15:
            raise ValueError(level)
    except ValueError:
        raise ToolError(f"Can't parse feature=level string {text}: unable to parse {level.strip()} as a short.") from None
    return name.strip(), number
