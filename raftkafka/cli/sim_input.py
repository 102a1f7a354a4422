"""What the commands of the simulator are given, as values; what is unknown ends in a usage error (exit code 2) that names the nearest."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

from raftkafka.base.rules import Rule, UnknownRule, rule_named
from raftkafka.simulation.faults import FaultPlan
from raftkafka.simulation.profiles import DEFAULT, Profile, ProfileError, load_profile, profile_names
from raftkafka.simulation.script import Script, ScriptError, parse_script
from raftkafka.simulation.settings_paths import UnknownSetting, changed_settings, with_settings

DEFAULT_SEED = 1
ALL_PROFILES = "all"


@attrs.frozen(kw_only=True)
class RunInput:
    """One run. `profile_name` is how the command line may name the profile that `profile` was made from."""

    seed: int
    profile_name: str
    profile: Profile
    broken_rules: tuple[Rule, ...] = ()
    plan: FaultPlan | None = None

    def script(self, plan: FaultPlan, profile: Profile) -> Script:
        """This run with another plan and another size, as a text that repeats it."""
        return Script(
            plan=plan,
            seed=self.seed,
            profile=self.profile_name,
            broken_rules=tuple(rule.value for rule in self.broken_rules),
            settings=changed_settings(profile_of(self.profile_name), profile),
        )

    def command(self, *, plan_file: str | None = None) -> str:
        """The command that repeats it."""
        return repeat_command(self.seed, self.profile_name, tuple(rule.value for rule in self.broken_rules), plan_file=plan_file)


def repeat_command(seed: int, profile_name: str, broken_rules: tuple[str, ...], *, plan_file: str | None = None) -> str:
    """The shortest command that runs this."""
    words = ["make", "sim", f"SEED={seed}"]
    if profile_name != DEFAULT:
        words.append(f"PROFILE={profile_name}")
    if broken_rules:
        words.append(f"BREAK={','.join(broken_rules)}")
    if plan_file is not None:
        words.append(f"PLAN={plan_file}")
    return " ".join(words)


def run_input(*, seed: int | None, profile_name: str | None, broken: str, plan_file: str | None) -> RunInput:
    """What is asked for: a script says what the command line does not."""
    script = _script(plan_file) if plan_file is not None else None
    name = profile_name or (script.profile if script is not None else None) or DEFAULT
    profile = profile_of(name)
    if script is None:
        return RunInput(seed=DEFAULT_SEED if seed is None else seed, profile_name=name, profile=profile, broken_rules=rules_of(broken))
    try:
        profile = with_settings(profile, script.settings)
    except UnknownSetting as error:
        raise click.UsageError(f"{plan_file}: {error}") from None
    chosen = seed if seed is not None else script.seed
    return RunInput(
        seed=DEFAULT_SEED if chosen is None else chosen,
        profile_name=name,
        profile=profile,
        broken_rules=rules_of(broken or ",".join(script.broken_rules)),
        plan=script.plan,
    )


def profile_of(name: str) -> Profile:
    """A profile by its name or its file."""
    try:
        return load_profile(name)
    except ProfileError as error:
        raise click.UsageError(str(error)) from None


def profiles_of(name: str | None) -> list[tuple[str, Profile]]:
    """The profiles that take turns: one, or `all` of them without those that must fail."""
    if name != ALL_PROFILES:
        return [(name or DEFAULT, profile_of(name or DEFAULT))]
    profiles = [(each, profile_of(each)) for each in profile_names()]
    return [(each, profile) for each, profile in profiles if not profile.must_fail]


def rules_of(names: str) -> tuple[Rule, ...]:
    """Rules by their names, between commas or spaces."""
    try:
        return tuple(rule_named(name) for name in names.replace(",", " ").split())
    except UnknownRule as error:
        raise click.UsageError(str(error)) from None


def _script(path: str) -> Script:
    try:
        return parse_script(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"the plan cannot be read: {error}") from None
    except ScriptError as error:
        raise click.UsageError(f"{path}: {error}") from None
