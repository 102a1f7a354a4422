"""`RaftLog` against an obvious twin: a plain list of epochs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftkafka.raft.log import RaftLog
from raftkafka.raft.messages import Entry, EntryKind


def entries_of(epochs: list[int], *, base_offset: int = 0, batch_ends: list[bool] | None = None) -> list[Entry]:
    ends = batch_ends or [True] * len(epochs)
    return [Entry(base_offset + i, epoch, EntryKind.DATA, b"x" * 10, ends[i]) for i, epoch in enumerate(epochs)]


EPOCHS = st.lists(st.integers(1, 8), min_size=0, max_size=30).map(sorted)


@given(EPOCHS, st.data())
def test_trimmed_and_truncated_log_equals_the_slice_of_a_list(epochs: list[int], data: st.DataObject) -> None:
    log = RaftLog(entries=entries_of(epochs))
    start = data.draw(st.integers(0, len(epochs)))
    end = data.draw(st.integers(start, len(epochs)))
    log.trim(start)
    log.truncate(end)
    assert (log.start_offset, log.end_offset) == (start, end)
    assert [entry.epoch for entry in log.entries(start, end)] == epochs[start:end]
    assert log.last_epoch == ([0, *epochs][end])
    assert log.start_epoch == ([0, *epochs][start])
    for offset in range(start, end):
        assert log.epoch_at(offset) == epochs[offset]


@given(EPOCHS, st.integers(0, 9), st.data())
def test_end_offset_for_names_the_largest_epoch_up_to_the_asked_one(epochs: list[int], asked: int, data: st.DataObject) -> None:
    """KIP-279: the answer is about the largest epoch that is not above the asked one."""
    log = RaftLog(entries=entries_of(epochs))
    start = data.draw(st.integers(0, len(epochs)))
    log.trim(start)
    known = [epoch for epoch in epochs[start:] if epoch <= asked]
    if known:
        assert log.end_offset_for(asked) == (known[-1], start + len(known))
    else:
        assert log.end_offset_for(asked) == (min([0, *epochs][start], asked), start)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 400), st.data())
def test_whole_batches_never_split_a_batch_and_always_make_progress(ends: list[bool], max_bytes: int, data: st.DataObject) -> None:
    ends[-1] = True
    log = RaftLog(entries=entries_of([1] * len(ends), batch_ends=ends))
    starts = [0, *(offset + 1 for offset, is_end in enumerate(ends) if is_end)]
    start = data.draw(st.sampled_from(starts))
    taken = log.whole_batches(start, max_bytes)
    if start == len(ends):
        assert taken == ()
        return
    assert taken[0].offset == start
    assert taken[-1].ends_batch
    batches = sum(entry.ends_batch for entry in taken)
    assert batches == 1 or sum(len(entry.data) + 16 for entry in taken) <= max_bytes


def test_log_goes_on_after_a_snapshot() -> None:
    log = RaftLog(entries=entries_of([1, 1, 2]))
    log.reset(10, 5)
    log.append(entries_of([5, 6], base_offset=10))
    assert (log.start_offset, log.end_offset, log.last_epoch) == (10, 12, 6)
    assert log.epoch_at(9) == 5
    assert log.end_offset_for(5) == (5, 11)
    assert log.end_offset_for(4) == (4, 10)
