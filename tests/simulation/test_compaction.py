"""Compacted topics in the simulator: the table's model finds what is wrong, and whole runs with the cleaner at work are well."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from jepsen_like.history import OpType
from raftkafka.simulation.events import EventHeap
from raftkafka.simulation.profiles import load_profile
from raftkafka.simulation.run import run_seed
from raftkafka.simulation.trace import Trace
from raftkafka.simulation.workload.recording import Recording
from raftkafka.simulation.workload.table import Table, TableWrite
from raftkafka.simulation.world import Violation
from raftkafka.storage.record_batch import Record, decode_records

SLOT = ("table", 0)
SEEDS = range(1, 5)


@pytest.fixture
def table() -> Table:
    heap = EventHeap()
    return Table(Recording(heap, Trace(heap), {}))


def written(table: Table, key: str, *, at: int, outcome: OpType = OpType.OK, deletes: bool = False) -> TableWrite:
    write = table.begin(SLOT, key, deletes=deletes, now_us=at)
    write.outcome, write.ended_us, write.offset = outcome, at + 1, at
    return write


def record_of(table: Table, write: TableWrite, offset: int) -> Record:
    (record,) = decode_records(table.payload([write.number], timestamp_ms=0, padding_bytes=3, base_offset=offset))
    return record


def test_the_last_acknowledged_value_must_be_found(table: Table) -> None:
    old, new = written(table, "a", at=1), written(table, "a", at=3)
    table.judge(SLOT, {"a": new.number}, since_us=10, now_us=11, who="c1")
    for found in ({"a": old.number}, {}):
        with pytest.raises(Violation, match="key a is"):
            table.judge(SLOT, found, since_us=10, now_us=11, who="c1")


def test_a_write_of_unknown_outcome_may_have_happened_or_not(table: Table) -> None:
    sure, unsure = written(table, "a", at=1), written(table, "a", at=3, outcome=OpType.INFO)
    for found in (sure, unsure):
        table.judge(SLOT, {"a": found.number}, since_us=10, now_us=11, who="c1")


def test_a_deleted_key_is_gone_or_its_deletion_is_there(table: Table) -> None:
    value, deletion = written(table, "a", at=1), written(table, "a", at=3, deletes=True)
    table.judge(SLOT, {}, since_us=10, now_us=11, who="c1")
    table.judge(SLOT, {"a": deletion.number}, since_us=10, now_us=11, who="c1")
    with pytest.raises(Violation, match="should be deletion"):
        table.judge(SLOT, {"a": value.number}, since_us=10, now_us=11, who="c1")


def test_a_key_that_is_written_meanwhile_is_not_judged(table: Table) -> None:
    written(table, "a", at=1)
    table.begin(SLOT, "a", deletes=False, now_us=20)
    table.judge(SLOT, {}, since_us=10, now_us=30, who="c1")


def test_an_offset_keeps_its_record(table: Table) -> None:
    first, second = written(table, "a", at=1), written(table, "a", at=3)
    assert table.seen(SLOT, record_of(table, first, 1), "c1") == first.number
    for moved in (record_of(table, first, 2), record_of(table, second, 1)):
        with pytest.raises(Violation, match="offset"):
            table.seen(SLOT, moved, "c1")


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_tables_survive_faults_while_they_are_compacted(seed: int) -> None:
    told: Counter[str] = Counter()

    def count(line: str) -> None:
        counts = re.search(r"log-cleaned .*records_before=(\d+) records_after=(\d+)", line)
        if counts:
            told["removed"] += int(counts[1]) - int(counts[2])
        told["read"] += " read table-" in line

    result = run_seed(seed, profile=load_profile("compaction"), sink=count)
    assert result.violations == ()
    assert told["removed"] > 100
    assert told["read"] > 10
