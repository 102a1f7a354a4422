"""The page that shows a run, and the messages and lines that it is made of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest

from raftkafka.simulation.faults import Fault, FaultKind, FaultPlan
from raftkafka.simulation.narrator import Narrator, TraceLine
from raftkafka.simulation.phrases import What
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.run import Result, run_seed
from raftkafka.simulation.viewer.film import Film
from raftkafka.simulation.viewer.page import page_of
from raftkafka.simulation.world import World

SEED = 3
PROFILE = Profile(duration_ms=900)
PLAN = FaultPlan((Fault(at_ms=200, duration_ms=300, kind=FaultKind.KILL, node="n2"),))


def run(watch: Any = None) -> Result:
    return run_seed(SEED, profile=PROFILE, plan=PLAN, watch=watch)


def film() -> tuple[Film, Result]:
    films: list[Film] = []

    def watch(world: World) -> Film:
        films.append(Film(world))
        return films[0]

    result = run(watch)
    return films[0], result


@cache
def page() -> str:
    return page_of(*film(), command="make sim SEED=3")


@cache
def content() -> Any:
    found = re.search(r'<script id="film" type="application/json">(.*?)</script>', page(), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@cache
def lines() -> tuple[TraceLine, ...]:
    told: list[TraceLine] = []
    run(lambda world: Narrator(world, told.append))
    return tuple(told)


def test_a_watcher_changes_nothing() -> None:
    _, filmed = film()
    assert filmed.digest == run().digest


def test_equal_runs_give_equal_pages() -> None:
    assert page_of(*film(), command="make sim SEED=3") == page()


def test_a_page_needs_no_network() -> None:
    program = page().replace(json.dumps(content()), "")
    assert not re.search(r"https?:|//[a-z]+\.|src=|href=|url\(|import\s|fetch\(|XMLHttpRequest", program)


def test_a_page_holds_messages_events_faults_and_states() -> None:
    told = content()
    texts = told["texts"]
    names = {texts[row[6]] for row in told["messages"]}
    assert {"PreVote", "Vote", "Append", "Produce", "Fetch", "RegisterBroker"} <= names
    assert {What.ELECTION.value, What.LEADER.value, What.HIGH_WATERMARK.value, What.FAULT.value} <= {
        texts[row[2]] for row in told["events"]
    }
    assert [row[3] for row in told["faults"]] == ["kill"]
    assert {"quorum", "records-0"} <= {each["subject"] for each in told["replicas"]}
    assert [state for _, state in told["machines"]["n2"]] == ["up", "down", "up"]


def test_messages_arrive_after_they_are_sent_or_never() -> None:
    arrivals = [(row[0], row[1]) for row in content()["messages"]]
    assert all(arrived == -1 or arrived > sent for sent, arrived in arrivals)
    assert sum(arrived == -1 for _, arrived in arrivals) < len(arrivals) / 10


def test_no_message_is_unreadable() -> None:
    told = content()
    assert "unreadable" not in {told["texts"][row[6]] for row in told["messages"]}


def test_text_that_looks_like_markup_stays_inside_the_data() -> None:
    recorded, result = film()
    strange = attrs.evolve(result, profile=attrs.evolve(PROFILE, name="</script><b>"))
    assert "</script><b>" not in page_of(recorded, strange)


def test_the_program_of_a_page_runs(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not there")
    path = tmp_path / "page.html"
    path.write_text(page(), encoding="utf-8")
    done = subprocess.run([node, str(Path(__file__).parent / "viewer_stub.js"), str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"] == "good"
    assert told["drawn"] > 1_000
    assert told["events"] > 3


# The trace


@pytest.mark.parametrize(
    "told",
    [
        r"n\d election quorum LEADS the quorum in epoch 1 from offset 0",
        r"n\d→n\d raft quorum Vote reply epoch 1, granted",
        r"n\d leader records-0 LEADS in epoch 0 from offset 0, hw 0, isr [\d,]+",
        r"n\d hw records-0 hw \d+ → \d+, log ends at \d+, epoch 0",
        r"c\d client send records-0 .* ok",
    ],
)
def test_a_trace_says_who_did_what_where_in_which_epoch_and_at_which_offset(told: str) -> None:
    assert any(re.fullmatch(rf"\d+\.\d{{6}} {told}", " ".join(str(line).split())) for line in lines())


def test_the_lines_of_a_trace_are_in_columns() -> None:
    text = str(TraceLine(at_us=1_234_567, who="n1→n2", what=What.RAFT, where="quorum", text="Vote epoch 1"))
    assert text == "    1.234567  n1→n2   raft      quorum               Vote epoch 1"


def test_faults_are_marked() -> None:
    marked = [str(line).split(maxsplit=4)[3:] for line in lines() if str(line).startswith("!")]
    assert marked == [["fault", "begins: 200 ms +300 kill n2"], ["fault", "ends: 200 ms +300 kill n2"], ["fault", "heals"]]


def test_heartbeats_and_fetches_are_told_only_when_all_is_asked_for() -> None:
    told: list[TraceLine] = []
    run(lambda world: Narrator(world, told.append, verbose=True))
    assert any("Fetch" in line.text for line in told)
    assert not any(line.what is What.MESSAGE for line in lines())
