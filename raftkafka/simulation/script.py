"""A run as a text that a person can read, edit and run again: `raftkafka sim --plan FILE`.

    # No two leaders: ...                 anything after a number sign is for people
    seed 7
    profile swarm
    break pre-vote, fsync-raft-log
    set workload.partitions 1             a whole number of the profile, changed
    1200 ms +300 kill n2                  a fault, as `FaultPlan` writes it: from 1.2 s on, for 0.3 s

All words but the faults may be missing: then the command line, or the default, says it.

Invariant: `parse_script(str(script)) == script`.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from raftkafka.simulation.faults import FaultPlan, UnknownFault

WORDS = ("seed", "profile", "break", "set")


class ScriptError(Exception):
    """A text is no script; names the line."""


@attrs.frozen(kw_only=True)
class Script:
    """A plan, and what else is needed to repeat a run. Rules are named, in order."""

    plan: FaultPlan
    seed: int | None = None
    profile: str | None = None
    broken_rules: tuple[str, ...] = ()
    settings: Mapping[str, int] = attrs.field(factory=dict)

    def __str__(self) -> str:
        lines = [f"seed {self.seed}"] if self.seed is not None else []
        if self.profile is not None:
            lines.append(f"profile {self.profile}")
        if self.broken_rules:
            lines.append(f"break {', '.join(self.broken_rules)}")
        lines.extend(f"set {path} {value}" for path, value in self.settings.items())
        return "\n".join([*lines, *map(str, self.plan.faults)]) + "\n"


def parse_script(text: str) -> Script:
    """Reads what `str` of a script writes; raises `ScriptError` with the number of the line."""
    seed: int | None = None
    profile: str | None = None
    broken_rules: tuple[str, ...] = ()
    settings: dict[str, int] = {}
    plan_lines: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        word, *rest = line.partition("#")[0].split() or [""]
        if word not in WORDS:
            plan_lines.append(line)
            continue
        plan_lines.append("")  # The lines of the plan keep their numbers.
        match word, rest:
            case "seed", [value]:
                seed = _number(value, number)
            case "profile", [name]:
                profile = name
            case "break", [_, *_]:
                broken_rules = tuple(name for name in " ".join(rest).replace(",", " ").split())
            case "set", [path, value]:
                settings[path] = _number(value, number)
            case _:
                raise ScriptError(f"line {number}: {word!r} needs {'a name and a number' if word == 'set' else 'one value'}")
    return Script(plan=_parse_plan("\n".join(plan_lines)), seed=seed, profile=profile, broken_rules=broken_rules, settings=settings)


def _parse_plan(text: str) -> FaultPlan:
    try:
        return FaultPlan.parse(text)
    except UnknownFault as error:
        raise ScriptError(str(error)) from None


def _number(text: str, line: int) -> int:
    try:
        return int(text)
    except ValueError:
        raise ScriptError(f"line {line}: {text!r} is no whole number") from None
