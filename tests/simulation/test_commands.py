"""The commands of the simulator: what they say, and their exit codes. The runs of most are made up, as bad ones are hard to come by."""

from __future__ import annotations

import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result

from jepsen_like.history import read_history
from raftkafka.base.rules import Rule
from raftkafka.cli import sim_jobs, sim_many, simulate
from raftkafka.cli.commands import commands
from raftkafka.cli.sim_trace import merged
from raftkafka.simulation import run as simulation
from raftkafka.simulation.faults import Fault, FaultKind, FaultPlan
from raftkafka.simulation.narrator import TraceLine
from raftkafka.simulation.phrases import What
from raftkafka.simulation.profiles import Profile, profile_names
from raftkafka.simulation.script import Script, parse_script
from raftkafka.simulation.world import Violation

PLAN = FaultPlan(
    (
        Fault(at_ms=1_200, duration_ms=300, kind=FaultKind.KILL, node="n2"),
        Fault(at_ms=3_000, duration_ms=10, kind=FaultKind.PAUSE, node="n1"),
    )
)
BAD_SEEDS = (5, 7)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(commands, arguments)


def made_up(seed: int, *, profile: Profile | None = None, plan: FaultPlan | None = None, **_: Any) -> simulation.Result:
    """Bad for some seeds, as long as their plan has a kill; the first bad one takes long."""
    if seed == min(BAD_SEEDS):
        time.sleep(0.3)
    plan = plan if plan is not None else PLAN
    killed = any(fault.kind is FaultKind.KILL for fault in plan.faults)
    bad = seed in BAD_SEEDS and killed
    violations = (Violation("a record is lost", invariant="D1 lost", before="it was there", after="it is gone"),) if bad else ()
    values: dict[str, Any] = {field.name: 0 for field in attrs.fields(simulation.Result)}
    return simulation.Result(
        **{**values, "seed": seed, "profile": profile or Profile(), "plan": plan, "violations": violations, "virtual_ms": 20_000}
    )


@cache
def short_plan() -> str:
    """A file with a short run."""
    path = Path(tempfile.mkdtemp()) / "short.plan"
    path.write_text("seed 3\nset duration_ms 700\n200 ms +100 kill n2\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def _made_up_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sim_jobs, simulate):
        monkeypatch.setattr(module, "run_seed", made_up)


# Bad input


@pytest.mark.parametrize("command", ["sim", "sim-many", "sim-shrink"])
def test_a_seed_that_is_no_number_is_refused(command: str) -> None:
    result = call(command, "--seed", "seven")
    assert result.exit_code == 2
    assert "'seven' is not a valid integer" in result.output


@pytest.mark.parametrize("command", ["sim", "sim-many", "sim-shrink"])
def test_an_unknown_rule_is_refused_with_the_nearest_one(command: str) -> None:
    result = call(command, "--break", "truncate-by-epochs")
    assert result.exit_code == 2
    assert Rule.TRUNCATE_BY_EPOCH.value in result.output


@pytest.mark.parametrize("command", ["sim", "sim-many", "sim-shrink"])
def test_an_unknown_profile_is_refused(command: str) -> None:
    result = call(command, "--profile", "nowhere")
    assert result.exit_code == 2
    assert "nowhere" in result.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed 7\nset workload.partition 1\n", "workload.partition"),
        ("seed\n", "line 1"),
        ("profile nowhere\n", "nowhere"),
        ("break truncate\n", "truncate"),
        ("seed 1\n\n100 ms +20 kil n1\n", "kil"),
    ],
)
def test_a_plan_with_something_unknown_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "a.plan"
    path.write_text(text, encoding="utf-8")
    result = call("sim", "--plan", str(path))
    assert result.exit_code == 2
    assert told in result.output


def test_a_plan_that_is_not_there_is_refused() -> None:
    result = call("sim", "--plan", "/nowhere.plan")
    assert result.exit_code == 2
    assert "/nowhere.plan" in result.output


# One seed


def test_a_good_seed_ends_in_0_and_tells_its_digest() -> None:
    result = call("sim", "--plan", short_plan())
    assert result.exit_code == 0
    assert "seed 3, profile default: good" in result.output
    assert "digest" in result.output


@pytest.mark.usefixtures("_made_up_runs")
def test_a_violation_tells_all_that_is_needed_to_understand_and_repeat_it() -> None:
    result = call("sim", "--seed", "5", "--break", "truncate-by-epoch")
    assert result.exit_code == 1
    assert "BROKEN: D1 lost\n  a record is lost\n  before: it was there\n  after:  it is gone\n" in result.output
    assert "seed 5, profile default, without truncate-by-epoch; the plan:\n  1200 ms +300 kill n2\n" in result.output
    assert "Repeat it with: make sim SEED=5 BREAK=truncate-by-epoch\n" in result.output


def test_a_trace_is_plain_where_it_is_no_terminal() -> None:
    result = call("sim", "--plan", short_plan(), "--trace")
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "LEADS the quorum in epoch 1" in result.output


def test_a_history_and_a_page_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    history, page = tmp_path / "history.jsonl", tmp_path / "page.html"
    result = call("sim", "--plan", short_plan(), "--history", str(history), "--html", str(page))
    assert result.exit_code == 0
    assert any(operation.f == "send" for operation in read_history(history).operations)
    assert f"make sim SEED=3 PLAN={short_plan()}" in page.read_text(encoding="utf-8")


def test_lines_that_say_the_same_of_many_logs_become_one() -> None:
    line = TraceLine(at_us=5, who="n1", what=What.ISR, where="records-0", text="isr is now 1,2")
    others = [attrs.evolve(line, where="records-1"), attrs.evolve(line, where="records-2"), attrs.evolve(line, at_us=6)]
    assert [each.where for each in merged([line, *others])] == ["records-0 +2", "records-0"]


def test_every_profile_is_listed() -> None:
    assert [line.split()[0] for line in call("profiles").output.splitlines()] == profile_names()


# Many seeds


@pytest.mark.usefixtures("_made_up_runs")
def test_of_many_seeds_the_lowest_bad_one_is_told_whichever_ended_first() -> None:
    result = call("sim-many", "--seed", "1", "--count", "20", "--jobs", "4")
    assert result.exit_code == 1
    assert "Repeat it with: make sim SEED=5\n" in result.output
    assert "SEED=7" not in result.output
    assert "5/20 seeds" in result.output


@pytest.mark.usefixtures("_made_up_runs")
def test_all_bad_seeds_are_told_when_it_keeps_going() -> None:
    result = call("sim-many", "--seed", "1", "--count", "20", "--keep-going", "--jobs", "2")
    assert result.exit_code == 1
    assert "seed 5, profile default: D1 lost: a record is lost" in result.output
    assert "make sim SEED=7" in result.output
    assert "20/20 seeds" in result.output
    assert "2 failed" in result.output


@pytest.mark.usefixtures("_made_up_runs")
def test_many_good_seeds_are_counted_with_their_faults() -> None:
    result = call("sim-many", "--seed", "8", "--count", "6", "--jobs", "2")
    assert result.exit_code == 0
    assert "6/6 seeds" in result.output
    assert "all good\nfaults: 6 kill, 6 pause\n" in result.output


def test_profiles_take_turns_by_seed_and_are_told_in_a_table() -> None:
    profiles = [("a", Profile(name="a")), ("b", Profile(name="b"))]
    what = sim_many.ManySeeds(first_seed=4, count=3, profiles=profiles)
    assert [what.profile_of(job.seed)[0] for job in what.jobs()] == ["a", "b", "a"]
    tally = sim_many.Tally(3)
    for job in what.jobs():
        tally.add(job.profile.name, sim_jobs.Report(job=job, failure=None, virtual_ms=10_000, faults={"kill": 2}))
    table = tally.summary(with_table=True).splitlines()[2:]
    assert [line.split()[:5] for line in table] == [
        ["profile", "seeds", "failed", "virtual", "s"],
        ["a", "2", "0", "20", "4"],
        ["b", "1", "0", "10", "2"],
    ]


# Smaller ones


def test_a_script_is_read_back_as_it_was_written() -> None:
    script = Script(plan=PLAN, seed=7, profile="default", broken_rules=("a-rule", "b-rule"), settings={"workload.partitions": 1})
    assert parse_script(str(script)) == script
    assert parse_script(f"# A comment.\n\n{script}\n# Another.\n") == script


@pytest.mark.usefixtures("_made_up_runs")
def test_a_good_seed_cannot_be_shrunk(tmp_path: Path) -> None:
    result = call("sim-shrink", "--seed", "1", "--jobs", "1", "--output", str(tmp_path / "x.plan"))
    assert result.exit_code == 2
    assert "breaks no invariant" in result.output
