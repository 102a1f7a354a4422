"""Each anomaly is found in a history that has it and nothing more, and not in that history's nearest good neighbour."""

from __future__ import annotations

import pytest

from jepsen_like.checker import Outcome
from jepsen_like.history import HistoryError, OpType
from tests.jepsen_like.build import Script

INFO, FAIL = OpType.INFO, OpType.FAIL


def sent(**options: object) -> Script:
    """Three acknowledged values at offsets 0, 1 and 2."""
    return Script(**options).send(1, (0, 10)).send(1, (1, 11)).send(1, (2, 12))


ALL = ((0, 10), (1, 11), (2, 12))


class TestVerdict:
    def test_a_history_in_which_all_is_read_is_valid(self) -> None:
        assert sent().poll(2, *ALL).verdict().outcome is Outcome.VALID

    def test_without_an_acknowledged_send_it_is_unknown(self) -> None:
        assert Script().send(1, (None, 10), type=INFO).poll(2).verdict().outcome is Outcome.UNKNOWN

    def test_without_a_poll_that_succeeded_it_is_unknown(self) -> None:
        assert sent().poll(2, type=FAIL).verdict().outcome is Outcome.UNKNOWN
        assert Script().verdict().outcome is Outcome.UNKNOWN

    def test_polls_that_show_nothing_of_what_was_acknowledged_are_invalid(self) -> None:
        assert sent().poll(2).kinds() == {"unseen"}

    def test_a_value_sent_twice_cannot_be_judged(self) -> None:
        with pytest.raises(HistoryError, match="value 10 of x is sent by operations 0 and 2"):
            Script().send(1, (0, 10)).send(1, (1, 10)).verdict()

    def test_an_end_without_a_begin_cannot_be_judged(self) -> None:
        script = Script()
        index = script.begin(1, "send", [["send", "x", 1]])
        script.end(index, None, INFO).end(index, None, INFO)
        with pytest.raises(HistoryError, match="did not begin"):
            script.verdict()


class TestLostWrite:
    def test_an_acknowledged_value_that_reads_passed_is_lost(self) -> None:
        verdict = sent().poll(2, (0, 10), (2, 12)).verdict()
        lost = next(each for each in verdict.anomalies if each.kind == "lost-write")
        assert (lost.key, lost.operations) == ("x", (2, 3, 7))
        assert "value 11 of x was acknowledged at offset 1" in lost.text

    def test_at_the_tail_it_is_unseen_and_not_lost(self) -> None:
        assert sent().poll(2, (0, 10), (1, 11)).kinds() == {"unseen"}

    def test_what_is_not_known_to_be_committed_may_be_missing(self) -> None:
        script = Script().send(1, (0, 10)).send(2, (None, 11), type=INFO).send(3, (2, 12))
        assert script.poll(4, (0, 10), (2, 12)).verdict().outcome is Outcome.VALID

    def test_a_transaction_of_which_one_value_was_read_is_committed_as_a_whole(self) -> None:
        def script(f: str) -> Script:
            script = Script().send(1, (0, 10))
            script.op(2, f, [["send", "x", 11], ["send", "x", 12]], [["send", "x", [1, 11]], ["send", "x", [None, 12]]], INFO)
            return script.send(3, (3, 13)).poll(4, (0, 10), (1, 11), (3, 13))

        assert script("txn").kinds() == {"unseen"}
        assert script("send").kinds() == set()

    def test_the_acknowledged_part_of_an_unknown_operation_must_not_be_lost(self) -> None:
        script = Script().send(1, (0, 10), (None, 11), type=INFO).send(2, (1, 12))
        assert "lost-write" in script.poll(3, (1, 12)).kinds()

    def test_with_acks_1_it_is_allowed_and_said(self) -> None:
        script = sent(acks="1").poll(2, (0, 10), (2, 12)).poll(2)
        assert "lost-write" in script.allowed()
        assert "lost-write" not in script.kinds()

    def test_with_acks_1_a_lost_value_leaves_its_offset_to_another(self) -> None:
        script = Script(acks="1").send(1, (0, 10)).send(2, (0, 11)).send(2, (1, 12)).poll(3, (0, 11), (1, 12))
        assert script.verdict().outcome is Outcome.VALID
        assert "lost-write" in script.allowed()


class TestReads:
    def test_two_values_at_one_offset(self) -> None:
        assert "inconsistent-offsets" in sent().poll(2, *ALL).poll(3, (0, 10), (1, 12)).kinds()

    def test_also_a_failed_poll_counts(self) -> None:
        assert "inconsistent-offsets" in sent().poll(2, *ALL).poll(3, (1, 12), type=FAIL).kinds()

    def test_a_value_at_two_offsets_is_a_duplicate(self) -> None:
        assert sent().poll(2, *ALL, (3, 11)).kinds() == {"duplicate"}

    def test_a_value_read_twice_at_one_offset_is_none(self) -> None:
        assert sent().poll(2, *ALL).poll(3, *ALL).kinds() == set()

    def test_a_read_of_what_failed_is_g1a(self) -> None:
        assert sent().send(4, (None, 13), type=FAIL).poll(2, *ALL, (3, 13)).kinds() == {"G1a"}
        assert sent().send(4, (None, 13), type=INFO).poll(2, *ALL, (3, 13)).kinds() == set()

    def test_a_read_of_what_nobody_sent(self) -> None:
        assert sent().poll(2, *ALL, (3, 99)).kinds() == {"invented-read"}

    def test_a_read_before_the_sending_began(self) -> None:
        kinds = Script().poll(2, (0, 10)).send(1, (0, 10)).kinds()
        assert kinds == {"invented-read", "G1c-realtime"}

    def test_a_read_of_ones_own_value(self) -> None:
        def script(read: list[list[int]]) -> Script:
            return (
                Script(transactions=True)
                .op(1, "txn", [["send", "x", 10], ["poll"]], [["send", "x", [0, 10]], ["poll", {"x": read}]])
                .poll(2, (0, 10))
            )

        assert script([[0, 10]]).kinds() == {"precommitted-read"}
        assert script([]).kinds() == set()


class TestOrder:
    def test_a_later_poll_that_leaves_something_out(self) -> None:
        bad = sent().poll(3, *ALL).poll(2, (0, 10)).poll(2, (2, 12))
        assert bad.kinds() == {"poll-skip"}
        assert sent().poll(3, *ALL).poll(2, (0, 10)).assign(2).assign(2, "x").poll(2, (2, 12)).kinds() == set()

    def test_keys_that_are_kept_go_on(self) -> None:
        assert sent().poll(3, *ALL).poll(2, (0, 10)).assign(2, "x").poll(2, (2, 12)).kinds() == {"poll-skip"}

    def test_a_later_poll_that_goes_back(self) -> None:
        assert sent().poll(2, *ALL).poll(2, (2, 12)).kinds() == {"nonmonotonic-poll"}
        assert sent().poll(2, (0, 10), (1, 11)).poll(2, (2, 12)).kinds() == set()

    def test_both_are_allowed_in_a_group(self) -> None:
        script = sent(subscribe=True).poll(3, *ALL).poll(2, (0, 10)).poll(2, (2, 12)).poll(2, (1, 11))
        assert script.verdict().outcome is Outcome.VALID
        assert script.allowed() == {"poll-skip", "nonmonotonic-poll"}

    def test_gaps_in_the_offsets_are_no_skips(self) -> None:
        assert Script().send(1, (0, 10)).send(1, (5, 11)).poll(2, (0, 10)).poll(2, (5, 11)).kinds() == set()

    def test_one_poll_that_leaves_something_out(self) -> None:
        assert sent().poll(3, *ALL).poll(2, (0, 10), (2, 12)).kinds() == {"int-poll-skip"}

    def test_one_poll_that_goes_back(self) -> None:
        assert sent().poll(3, *ALL).poll(2, (1, 11), (0, 10)).kinds() == {"int-nonmonotonic-poll"}

    def test_keys_that_changed_hands_within_a_poll_are_left_out(self) -> None:
        value = [["rebalance", ["x"]], ["poll", {"x": [[0, 10], [2, 12]]}]]
        assert sent().poll(3, *ALL).op(2, "poll", [["poll"]], value).kinds() == set()

    def test_a_later_send_earlier_in_the_log(self) -> None:
        bad = Script().send(1, (1, 10)).send(1, (0, 11)).poll(2, (0, 11), (1, 10))
        assert bad.kinds() == {"nonmonotonic-send", "nonmonotonic-realtime"}

    def test_one_operation_in_the_wrong_order(self) -> None:
        assert Script().send(1, (1, 10), (0, 11)).poll(2, (0, 11), (1, 10)).kinds() == {"int-nonmonotonic-send"}

    def test_others_between_the_sends_of_one_operation_are_allowed(self) -> None:
        script = Script().send(1, (0, 10), (2, 12)).send(2, (3, 13)).send(3, (None, 11), type=INFO)
        script.poll(4, (0, 10), (1, 11), (2, 12), (3, 13))
        assert script.kinds() == set()
        assert script.allowed() == {"int-send-skip"}


class TestRealTime:
    def test_a_send_after_an_acknowledgement_has_the_higher_offset(self) -> None:
        assert Script().send(1, (1, 10)).send(2, (0, 11)).poll(3, (0, 11), (1, 10)).kinds() == {"nonmonotonic-realtime"}

    def test_sends_at_the_same_time_may_have_any_order(self) -> None:
        script = Script()
        first = script.begin(1, "send", [["send", "x", 10]])
        script.send(2, (0, 11)).end(first, [["send", "x", [1, 10]]])
        assert script.poll(3, (0, 11), (1, 10)).kinds() == set()

    def test_lag_is_the_time_since_the_next_value_was_known(self) -> None:
        script = sent().poll(2, (0, 10))
        script.now_ns += 5_000_000_000
        (lag,) = script.poll(2).poll(2, (1, 11), (2, 12)).verdict().lags
        assert (lag.key, lag.process) == ("x", 2)
        assert 5.0 < lag.lag_ns / 1e9 < 5.1

    def test_availability_under_a_fault(self) -> None:
        script = sent().nemesis("kill", "begin")
        script.now_ns += 3_000_000_000
        script.send(1, (3, 13)).nemesis("kill", "end").send(1, (4, 14))
        rows = {row.fault: row for row in script.poll(2, *ALL, (3, 13), (4, 14)).verdict().availability}
        assert (rows["kill"].times, rows["kill"].acknowledged) == (1, 1)
        assert 3.0 < rows["kill"].longest_gap_s < 3.1
        assert rows["kill"].share < 0.01


class TestGroupOffsets:
    def commits(self) -> Script:
        script = sent().poll(2, *ALL)
        return script.op(2, "commit", {"x": 1}, {"x": 1}).op(2, "commit", {"x": 3}, {"x": 3})

    def test_what_was_committed_last_is_said(self) -> None:
        assert self.commits().op(3, "committed", {}, {"x": 3}).kinds() == set()

    def test_an_older_offset_means_that_a_commit_was_lost(self) -> None:
        assert self.commits().op(3, "committed", {}, {"x": 1}).kinds() == {"group-offset-lost"}

    def test_one_that_nobody_committed(self) -> None:
        assert self.commits().op(3, "committed", {}, {"x": 2}).kinds() == {"group-offset-invented"}

    def test_a_commit_of_unknown_outcome_may_act_late(self) -> None:
        script = sent().poll(2, *ALL).op(2, "commit", {"x": 1}, {"x": 1}, INFO).op(3, "commit", {"x": 3}, {"x": 3})
        assert script.op(4, "committed", {}, {"x": 1}).kinds() == set()

    def test_consume_counts(self) -> None:
        assert sent(subscribe=True).poll(2, *ALL).poll(2, (2, 12)).verdict().consume_counts == {1: 2, 2: 1}


class TestDeletedRecords:
    def test_what_may_have_been_deleted_is_neither_lost_nor_unseen(self) -> None:
        script = Script().send(1, (0, 10), (1, 11)).send(1, (2, 12))
        assert {"lost-write"} <= script.poll(2, (2, 12)).kinds()
        script = Script().send(1, (0, 10), (1, 11)).op(3, "delete", {"x": 2}, {"x": 2}).send(1, (2, 12))
        assert script.poll(2, (2, 12)).kinds() == set()

    def test_a_deletion_that_failed_excuses_nothing(self) -> None:
        script = Script().send(1, (0, 10)).op(3, "delete", {"x": 1}, {"x": 1}, OpType.FAIL).send(1, (1, 11))
        assert "lost-write" in script.poll(2, (1, 11)).kinds()

    def test_a_deletion_with_unknown_outcome_excuses_what_it_named_and_no_more(self) -> None:
        script = Script().send(1, (0, 10), (1, 11), (2, 12)).op(3, "delete", {"x": 1}, {"x": 1}, OpType.INFO).poll(2, (2, 12))
        lost = [each.text for each in script.verdict().anomalies if each.kind == "lost-write"]
        assert len(lost) == 1 and "value 11" in lost[0]

    def test_a_poll_may_skip_what_was_deleted_before_it(self) -> None:
        script = Script().send(1, (0, 10), (1, 11), (2, 12)).poll(2, (0, 10), (1, 11), (2, 12)).poll(3, (0, 10))
        script.op(4, "delete", {"x": 2}, {"x": 2})
        assert script.poll(3, (2, 12)).kinds() == set()

    def test_a_poll_may_not_skip_what_was_deleted_later(self) -> None:
        script = Script().send(1, (0, 10), (1, 11), (2, 12)).poll(2, (0, 10), (1, 11), (2, 12)).poll(3, (0, 10)).poll(3, (2, 12))
        script.op(4, "delete", {"x": 2}, {"x": 2})
        assert "poll-skip" in script.kinds()
