"""What comes of a broken rule, as a file that a person can read and `raftkafka sim --plan` can run.

    # truncate-by-epoch
    #
    # What went wrong, for people who learn. Written by hand; kept when the rest is found anew.
    #
    # Breaks: D1 leader completeness: ...
    seed 7                                 how to repeat it: see `simulation.script`
    profile ...
    break truncate-by-epoch
    1200 ms +300 kill n2
    # What happened:                       the lines of the trace that tell it
    #     1.200000  n2      fault  ...

    python -m tests.simulation.counterexample [RULE ...] [--seeds 200] [--rewrite]

finds one for each rule: it tells the seed and the invariant, and with `--rewrite` makes it small and stores it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap

import attrs

from raftkafka.base.rule_texts import RULE_TEXTS
from raftkafka.base.rules import Rule, rule_named
from raftkafka.simulation.narrator import Narrator, TraceLine
from raftkafka.simulation.phrases import What
from raftkafka.simulation.profiles import load_profile
from raftkafka.simulation.run import run_seed
from raftkafka.simulation.script import Script, parse_script
from raftkafka.simulation.settings_paths import changed_settings, with_settings
from raftkafka.simulation.shrink import Budget, Case, Failure, failure_of, shrink

DIRECTORY = Path(__file__).parent / "counterexamples"
SEEDS = 200
MAX_TRIES = 30
MAX_LINES = 40
WIDTH = 120
BREAKS = "# Breaks: "
HAPPENED = "# What happened:"
TELLING = (What.FAULT, What.MACHINE, What.ELECTION, What.LEADER, What.ISR, What.LOG, What.BROKER, What.GROUP, What.VIOLATION)

PROFILES: dict[str, tuple[Rule, ...]] = {
    "duels": (Rule.VOTE_ONCE_PER_EPOCH,),
    "quorum": (
        Rule.PERSIST_VOTE,
        Rule.FSYNC_RAFT_LOG,
        Rule.COMPARE_LOGS,
        Rule.PRE_VOTE,
        Rule.LEADER_STICKINESS,
        Rule.CHECK_QUORUM,
        Rule.COMMIT_ONLY_OWN_EPOCH,
        Rule.TRUNCATE_ON_CONFLICT,
        Rule.LEADER_COUNTS_ITSELF,
        Rule.ANSWER_AFTER_COMMIT,
        Rule.CATCH_UP_BEFORE_CONTROLLING,
    ),
    "two-replicas": (
        Rule.ELECT_FROM_ISR,
        Rule.KEEP_REMOVED_IN_ELR,
        Rule.EXCLUDE_UNCLEAN_FROM_ELR,
        Rule.FREEZE_UNDER_MIN_ISR,
        Rule.SYNC_BEFORE_MARKER,
        Rule.WITHDRAW_MARKER,
        Rule.SCAN_AFTER_CRASH,
    ),
    "emptied": (Rule.REQUIRE_BROKER_EPOCH,),
    "failovers": (Rule.RECORD_EPOCH_AT_ELECTION,),
    "moves": (Rule.CATCH_UP_BEFORE_REMOVING, Rule.BUMP_EPOCH_ON_REMOVAL),
    "lost-voters": (Rule.VOTER_NEEDS_ITS_DIRECTORY,),
    "deposed": (Rule.CHECK_PREVIOUS_ENTRY,),
    "catching-up": (Rule.EXPAND_PAST_EPOCH_START,),
    "frozen": (Rule.LATEST_AFTER_CATCH_UP,),
    "late": (
        Rule.REFUSE_STALE_PROPOSALS,
        Rule.ONE_PROPOSAL,
    ),
    "compaction": (
        Rule.CLEAN_BELOW_HIGH_WATERMARK,
        Rule.KEEP_TOMBSTONES,
        Rule.KEEP_PRODUCER_BATCHES,
        Rule.SWAP_ATOMICALLY,
    ),
    "group-sessions": (
        Rule.ANSWER_COMMIT_WHEN_REPLICATED,
        Rule.LOAD_BEFORE_ANSWERING,
        Rule.FENCE_STALE_GENERATIONS,
        Rule.WAIT_FOR_ALL_MEMBERS,
    ),
}
PROFILE_OF: dict[Rule, str] = dict.fromkeys(Rule, "lagging") | {rule: name for name, rules in PROFILES.items() for rule in rules}
"""Where a rule is best seen to be broken."""


@attrs.frozen(kw_only=True)
class Counterexample:
    """A stored run. `explanation` is the hand-written text, without the comment signs."""

    rule: Rule
    explanation: str
    invariant: str
    text: str
    script: Script
    lines: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        assert self.script.seed is not None
        return self.script.seed

    @property
    def case(self) -> Case:
        """What to run."""
        return Case(with_settings(load_profile(self.script.profile or "default"), self.script.settings), self.script.plan)

    def __str__(self) -> str:
        paragraphs = self.explanation.split("\n\n")
        written = "\n#\n".join("\n".join(wrap(each, WIDTH, initial_indent="# ", subsequent_indent="# ")) for each in paragraphs)
        lines = [f"# {self.rule.value}", "#", written, "#", f"{BREAKS}{self.invariant}: {self.text}", str(self.script).rstrip()]
        return "\n".join([*lines, HAPPENED, *(f"# {line}".rstrip() for line in self.lines)]) + "\n"


def path_of(rule: Rule) -> Path:
    """Where its counter-example is stored."""
    return DIRECTORY / f"{rule.value}.txt"


def stored() -> list[Counterexample]:
    """All that are stored, in the order of the rules."""
    return [read(rule) for rule in Rule if path_of(rule).exists()]


def read(rule: Rule) -> Counterexample:
    """The stored counter-example of a rule."""
    text = path_of(rule).read_text(encoding="utf-8")
    head, _, rest = text.partition(BREAKS)
    broken, _, rest = rest.partition("\n")
    invariant, _, what = broken.partition(": ")
    _, _, happened = rest.partition(HAPPENED)
    explanation = "\n".join(line.removeprefix("#").strip() for line in head.splitlines()[1:]).strip()
    return Counterexample(
        rule=rule,
        explanation="\n\n".join(" ".join(paragraph.split()) for paragraph in explanation.split("\n\n")),
        invariant=invariant,
        text=what,
        script=parse_script(text),
        lines=tuple(line.removeprefix("# ") for line in happened.strip("\n").splitlines()),
    )


def failure_without(rule: Rule, case: Case, seed: int) -> Failure | None:
    """How the case fails with the rule broken."""
    return failure_of(seed, case, (rule,))


def failure_with(case: Case, seed: int) -> Failure | None:
    """How the case fails although every rule is followed: a bug, or no counter-example."""
    return failure_of(seed, case, ())


def search(rule: Rule, seeds: Sequence[int]) -> Iterator[tuple[int, Case, Failure]]:
    """The seeds that break something without the rule, and nothing with it."""
    profile = load_profile(PROFILE_OF[rule])
    for seed in seeds:
        try:
            result = run_seed(seed, profile=profile, broken_rules=(rule,))
        except Exception as error:  # an invariant that cannot look at what came of it: another seed tells more
            print(f"{rule.value}: seed {seed}: {error!r}", file=sys.stderr)
            continue
        if result.violations:
            first = result.violations[0]
            yield seed, Case(profile, result.plan), Failure(invariant=first.invariant, text=first.text)


def make(rule: Rule, seed: int, case: Case, *, explanation: str) -> Counterexample | None:
    """The smallest run like this one; None when the small one fails with the rule in force, too."""
    shrunk = shrink(seed, case.profile, case.plan, (rule,), budget=Budget(max_tries=MAX_TRIES))
    small = Case(shrunk.profile, shrunk.plan)
    if failure_with(small, seed) is not None:
        return None
    name = PROFILE_OF[rule]
    script = Script(
        plan=shrunk.plan,
        seed=seed,
        profile=name,
        broken_rules=(rule.value,),
        settings=changed_settings(load_profile(name), shrunk.profile),
    )
    return Counterexample(
        rule=rule,
        explanation=explanation,
        invariant=shrunk.violation.invariant,
        text=shrunk.violation.text.splitlines()[0],
        script=script,
        lines=tuple(telling_lines(rule, small, seed)),
    )


def telling_lines(rule: Rule, case: Case, seed: int) -> list[str]:
    """The last lines of the trace that tell how the cluster changed."""
    lines: list[TraceLine] = []
    run_seed(seed, profile=case.profile, plan=case.plan, broken_rules=(rule,), watch=lambda world: Narrator(world, lines.append))
    first_fault = next((index for index, line in enumerate(lines) if line.what is What.FAULT), 0)
    telling = [line for line in lines[first_fault:] if line.what in TELLING]
    return [str(line).splitlines()[0][: WIDTH + 20] for line in telling[-MAX_LINES:]]


def main(arguments: Sequence[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="Find what breaks without a rule.")
    parser.add_argument("rules", nargs="*", type=rule_named, metavar="RULE", default=None)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--rewrite", action="store_true", help="make the counter-examples small and store them")
    options = parser.parse_args(arguments)
    missing = 0
    for rule in options.rules or list(Rule):
        began = time.process_time()
        found = find(rule, options.seeds, rewrite=options.rewrite)
        missing += found is None
        print(f"{rule.value:<40} {found or 'not caught'} ({time.process_time() - began:.0f} s)", flush=True)
    return 1 if missing else 0


def find(rule: Rule, seeds: int, *, rewrite: bool = False) -> str | None:
    """What the first of these seeds that breaks something without the rule, and nothing with it, breaks; None when none does."""
    for seed, case, failure in search(rule, range(seeds)):
        if failure_with(case, seed) is not None:
            continue
        told = f"seed {seed}: {failure.invariant}: {failure.text.splitlines()[0][:100]}"
        if not rewrite:
            return told
        before = read(rule).explanation if path_of(rule).exists() else RULE_TEXTS[rule].hazard
        example = make(rule, seed, case, explanation=before)
        if example is not None:
            DIRECTORY.mkdir(exist_ok=True)
            path_of(rule).write_text(str(example), encoding="utf-8")
            return f"{told}; stored with {len(example.script.plan.faults)} faults"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
