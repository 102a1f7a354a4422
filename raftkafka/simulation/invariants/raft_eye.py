"""Looks at a node of the metadata quorum whenever it has settled, and calls the invariants of `raft` on what has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.base.ids import NodeId
from raftkafka.broker.parts import Parts
from raftkafka.raft.driver import RaftDriver
from raftkafka.raft.log import RaftLog
from raftkafka.raft.messages import Entry, EntryKind
from raftkafka.raft.roles import Candidate, Leader
from raftkafka.raft.voters import VoterSet
from raftkafka.simulation.invariants import raft, voters
from raftkafka.simulation.invariants.memory import RaftMemory, RaftView, Voter

AWAKE_MS = 1_000
"""A process counts as awake when it has been seen at work for so long; a leader that was paused must be given a moment to notice."""
PAUSE_MS = 400
"""Nothing heard of a process for so long: it was paused."""


class RaftEye:
    """Of one process. `memory` is shared by all."""

    def __init__(self, memory: RaftMemory, driver: RaftDriver, parts: Parts) -> None:
        self._memory = memory
        self._driver = driver
        self._parts = parts
        self._state = driver.state
        self._store = driver.store
        self._view: RaftView | None = None
        self._checked: tuple[int, int] = (0, 0)
        self._voters: VoterSet | None = None
        self._voters_view: tuple[Voter, ...] = ()
        self._image_offset = -1
        self._steps = -1
        self._awake_since_ms = self._seen_ms = 0

    def look(self, now_ms: int) -> None:
        """The node has settled."""
        if now_ms - self._seen_ms > PAUSE_MS:
            self._awake_since_ms = now_ms
        self._seen_ms = now_ms
        if self._driver.steps == self._steps:
            return
        self._steps = self._driver.steps
        state, store = self._state, self._store
        log, role, history = state.log, state.role, state.history
        voter_set = history.current
        if voter_set is not self._voters:
            self._voters, self._voters_view = voter_set, voters_view(voter_set)
        view = RaftView(
            state.node_id,
            state.epoch,
            state.voted_for,
            state.leader_id,
            role,
            log.start_offset,
            log.end_offset,
            log.last_epoch,
            state.high_watermark,
            store.stable_end_offset,
            store.stable_vote,
            tuple([(r.node_id, r.match_offset) for r in role.replicas.values() if r.is_voter]) if type(role) is Leader else (),
            state.directory_id,
            self._voters_view,
            history.last_change,
        )
        before = self._view
        if view != before:
            self._view = view
            self._changed(before, view, now_ms)
        if type(role) is Leader:
            self._leads(role, view, now_ms)
        elif type(role) is Candidate:
            self._asks(role, view)
        image_offset = self._parts.services.image.offset
        if image_offset != self._image_offset:
            self._image_offset = image_offset
            raft.applied_is_committed(view, image_offset + 1)

    def ended(self) -> None:
        """The process has ended: what it held in memory is gone."""
        if self._view is not None:
            self._memory.views.pop(self._view.node_id, None)

    def _changed(self, before: RaftView | None, view: RaftView, now_ms: int) -> None:
        memory, node_id = self._memory, view.node_id
        log = self._state.log
        if before is None:
            self._first_look(view, log)
        memory.views[node_id] = view
        memory.stable_votes[view.disk] = view.stable_vote
        self._note_durable(view, log)
        raft.election_safety(view, memory)
        self._check_log(view, log)
        snapshot = self._state.snapshot
        raft.snapshot_at_log_start(view, log, snapshot.end_offset if snapshot is not None else None)
        if view.high_watermark != (before.high_watermark if before is not None else -1):
            self._committed(before, view, log)
        if view.log_start_offset != (before.log_start_offset if before is not None else -1):
            raft.snapshot_install(view, log, memory)
        if raft.is_asking(view):
            memory.candidates.setdefault((view.epoch, node_id), (view.last_epoch, view.log_end_offset))
        if type(view.role) is Leader and (before is None or before.role is not view.role):
            raft.leader_completeness(view, log, memory)
            raft.elected_by_stable_votes(view, memory)
            voters.leaders_have_a_vote(view)
        if before is not None and type(before.role) is Leader and before.role is not view.role:
            self._note_transfer(before.role, before.epoch)
            if not view.is_voter:
                self._note_successor(before.role, before.epoch)
        if before is not None:
            voters.changes_wait_for_commit(before, view)
            if (view.epoch, view.voted_for) != (before.epoch, before.voted_for):
                raft.vote_for_the_up_to_date(view, memory)
            raft.epoch_monotonic((before.epoch, before.voted_for), view)
            raft.high_watermark_monotonic(before, view)
            raft.leader_appends_only(before, view)
            raft.pre_vote(before, view, memory)
            raft.no_votes_while_a_leader_lives(before, view, now_ms, self._state.config.election_timeout_min_ms, memory)
        if view.matches:
            raft.count_what_is_there(view, memory)

    def _first_look(self, view: RaftView, log: RaftLog) -> None:
        memory = self._memory
        memory.directories[view.node_id] = view.directory_id
        durable = memory.durable.get(view.disk)
        if durable is not None:
            raft.stable_log_survives(view, log, durable)
        known = memory.stable_votes.get(view.disk)
        if known is not None:
            raft.epoch_monotonic(known, view)

    def _note_durable(self, view: RaftView, log: RaftLog) -> None:
        """What was stable stays so until it is cut off."""
        memory, disk = self._memory, view.disk
        stable_end = view.stable_end_offset
        end_offset, epoch = memory.durable.get(disk, (0, 0))
        still_there = end_offset <= log.end_offset and (end_offset <= log.start_offset or log.epoch_at(end_offset - 1) == epoch)
        if not still_there or stable_end > end_offset:
            epochs = memory.durable_epochs.setdefault(disk, {})
            kept = end_offset if still_there else _kept_end(epochs, log, min(end_offset, log.end_offset))
            end_offset = max(stable_end, kept)
            epochs.update((offset, log.epoch_at(offset)) for offset in range(max(kept, log.start_offset), end_offset))
            epoch = log.epoch_at(end_offset - 1) if end_offset > log.start_offset else log.start_epoch
            memory.durable[disk] = (end_offset, epoch)
            if not still_there:
                raft.majority_holds_committed(view, memory)

    def _check_log(self, view: RaftView, log: RaftLog) -> None:
        """Entries that have become stable."""
        end_offset = min(self._memory.durable.get(view.disk, (0, 0))[0], log.end_offset)
        checked_end, checked_epoch = self._checked
        goes_on = log.start_offset < checked_end <= end_offset and log.epoch_at(checked_end - 1) == checked_epoch
        start_offset = checked_end if goes_on else log.start_offset
        if start_offset < end_offset:
            self._checked = (end_offset, log.epoch_at(end_offset - 1))
            entries = log.entries(start_offset, end_offset)
            raft.log_matching(view, entries, log.epoch_at(start_offset - 1), self._memory)
            if view.last_change >= start_offset:
                self._check_voters(view, entries)

    def _check_voters(self, view: RaftView, entries: Sequence[Entry]) -> None:
        """The sets of voters among entries that have become stable."""
        history = self._state.history
        for entry in entries:
            if entry.kind is EntryKind.VOTERS:
                before, after = voters_view(history.at(entry.offset)), voters_view(history.at(entry.offset + 1))
                voters.one_voter_at_a_time(view.node_id, entry.offset, before, after)

    def _committed(self, before: RaftView | None, view: RaftView, log: RaftLog) -> None:
        memory = self._memory
        start_offset = max(log.start_offset, before.high_watermark if before is not None else 0)
        if start_offset < view.high_watermark:
            raft.committed_never_changes(view, log.entries(start_offset, view.high_watermark), memory)
        committed = memory.committed
        committed.extend([None] * (view.high_watermark - len(committed)))  # a snapshot may have taken them away at once
        if type(view.role) is Leader and view.high_watermark == len(committed):
            memory.voters = view.voters
        raft.decisions_are_whole(view, log)
        if before is not None:
            raft.commit_own_epoch(before, view)
        raft.majority_holds_committed(view, memory)

    def _leads(self, role: Leader, view: RaftView, now_ms: int) -> None:
        config = self._state.config
        self._note_transfer(role, view.epoch)
        if now_ms - self._awake_since_ms > AWAKE_MS:
            timeout_ms = config.check_quorum_timeout_ms + AWAKE_MS
            heard_ms = [replica.contact_ms for replica in role.replicas.values() if replica.is_voter]
            raft.check_quorum(view, heard_ms, now_ms, timeout_ms)
        controller = self._parts.controller
        if controller is not None and controller.active:
            raft.controller_has_caught_up(view, self._parts.services.image.offset)

    def _note_transfer(self, role: Leader, epoch: int) -> None:
        if role.transfer is not None and role.transfer.told:
            self._memory.transfers[epoch] = role.transfer.target

    def _note_successor(self, role: Leader, epoch: int) -> None:
        """A leader that has lost its vote resigns, and tells the voter that is furthest to lead (thesis 4.2.2)."""
        able = [replica for replica in role.replicas.values() if replica.is_voter]
        if able:
            self._memory.transfers[epoch] = max(able, key=lambda each: (each.match_offset, each.contact_ms, -each.node_id)).node_id

    def _asks(self, role: Candidate, view: RaftView) -> None:
        directory_of = dict(view.voters)
        for voter, granted in role.votes.items():
            if granted and voter != view.node_id:
                raft.one_stable_vote(view, (NodeId(voter), directory_of.get(voter)), self._memory)


def voters_view(voter_set: VoterSet) -> tuple[Voter, ...]:
    """A set of voters as invariants see it."""
    return tuple((node_id, voter_set[node_id].directory_id) for node_id in sorted(voter_set))


def _kept_end(epochs: Mapping[int, int], log: RaftLog, end_offset: int) -> int:
    """Up to where a log that was cut below `end_offset` still has what was stable: an entry with the same epoch proves those before it."""
    while end_offset > log.start_offset and epochs.get(end_offset - 1) != log.epoch_at(end_offset - 1):
        end_offset -= 1
    return end_offset
