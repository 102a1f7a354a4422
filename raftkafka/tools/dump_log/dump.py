"""Dumps the files that are named on the command line, each as its name says."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from raftkafka.base.errors import CorruptRecord
from raftkafka.tools.dump_log import indexes
from raftkafka.tools.dump_log.findings import Findings
from raftkafka.tools.dump_log.raft_files import dump_raft_file, is_raft_file
from raftkafka.tools.dump_log.segments import SegmentView, dump_segment

DEFAULT_MAX_MESSAGE_BYTES = 5 * 1024 * 1024


@attrs.frozen(kw_only=True)
class DumpPlan:
    """What to show of which files."""

    view: SegmentView
    sanity_only: bool = False
    verify_only: bool = False
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES


def dump_files(paths: Sequence[str], plan: DumpPlan) -> None:
    """Prints the files, and at the end what is wrong in them. `OSError`, `CorruptRecord` and `DecodeError` end the dump."""
    findings = Findings()
    out = sys.stdout
    for text in paths:
        path = Path(text)
        out.write(f"Dumping {path}\n")
        lines = _lines(path, plan, findings)
        if lines is None:
            out.flush()
            print(f"Ignoring unknown file {path}", file=sys.stderr)
            continue
        for line in lines:
            out.write(line)
            out.write("\n")
    out.flush()
    for line in findings.lines():
        print(line, file=sys.stderr)


def _lines(path: Path, plan: DumpPlan, findings: Findings) -> Iterator[str] | None:
    match path.suffix:
        case ".log" | ".checkpoint":
            return _segment(path, plan, findings)
        case ".index":
            return indexes.dump_offset_index(
                path, findings, sanity_only=plan.sanity_only, verify_only=plan.verify_only, max_message_size=plan.max_message_bytes
            )
        case ".timeindex":
            return indexes.dump_time_index(path, findings, sanity_only=plan.sanity_only, verify_only=plan.verify_only)
        case ".txnindex":
            return indexes.dump_transaction_index(path)
        case ".snapshot":
            return _producer_snapshot(path)
        case "" if is_raft_file(path):
            return dump_raft_file(path, contents=plan.view.contents)
    return None


def _segment(path: Path, plan: DumpPlan, findings: Findings) -> Iterator[str]:
    if path.suffix == ".log":
        yield f"Log starting offset: {indexes.base_offset_of(path)}"
    elif path.name == "bootstrap.checkpoint":
        yield "KRaft bootstrap snapshot"
    else:
        offset, _, epoch = path.stem.partition("-")
        yield f"Snapshot end offset: {indexes.number_of(path, offset)}, epoch: {indexes.number_of(path, epoch)}"
    yield from dump_segment(path, plan.view, findings)


def _producer_snapshot(path: Path) -> Iterator[str]:
    try:
        yield from indexes.dump_producer_snapshot(path)
    except CorruptRecord as error:
        sys.stdout.flush()
        print(f"{path}: {error}", file=sys.stderr)
