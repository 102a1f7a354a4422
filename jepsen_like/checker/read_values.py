"""What a read may show at all: not a value that was refused (G1a), not one's own before it is committed, and not one that nobody sent.

Source: reference/history-checker.md, 4.3 points 4 and 5. `invented-read` is an addition: there a value always has a writer.
"""

from __future__ import annotations

from collections.abc import Iterator

from jepsen_like.checker.operations import Completion, Observed
from jepsen_like.checker.values import Anomaly
from jepsen_like.history import OpType


def aborted_reads(observed: Observed) -> Iterator[Anomaly]:
    """G1a: an ok operation read a value whose sending certainly failed."""
    for key, seen in observed.ok_read.items():
        writers = observed.writer_of.get(key, {})
        for value, reader in seen.items():
            writer = writers.get(value)
            if writer is not None and writer.type is OpType.FAIL:
                text = f"value {value} of {key} was read, although its sending failed for certain"
                yield Anomaly(kind="G1a", key=key, text=text, operations=(*writer.operations, reader.index))


def invented_reads(observed: Observed) -> Iterator[Anomaly]:
    """A value that nobody sent, or that was read before anybody began to send it."""
    for key, seen in observed.ok_read.items():
        writers = observed.writer_of.get(key, {})
        for value, reader in seen.items():
            writer = writers.get(value)
            if writer is None:
                text = f"value {value} of {key} was read, and nobody ever sent it"
                yield Anomaly(kind="invented-read", key=key, text=text, operations=(reader.index,))
            elif reader.index < writer.invoke_index:
                text = f"value {value} of {key} was read before its sending began"
                yield Anomaly(kind="invented-read", key=key, text=text, operations=(reader.index, writer.invoke_index))


def precommitted_reads(observed: Observed) -> Iterator[Anomaly]:
    """An operation read what it wrote itself, which is not committed before it ends."""
    for each in observed.completions:
        if each.sends and each.reads and each.type is not OpType.INVOKE:
            yield from _precommitted(each)


def _precommitted(each: Completion) -> Iterator[Anomaly]:
    for key, _, value in each.sends:
        if any(record[1] == value for record in each.reads.get(key, ())):
            text = f"an operation read its own value {value} of {key} before it was committed"
            yield Anomaly(kind="precommitted-read", key=key, text=text, operations=each.operations)
