"""An answer that would name a leader which has just gone waits for the election, but not for ever."""

from __future__ import annotations

from raftkafka.base.ids import NodeId
from raftkafka.broker.suspects import GRACE_MS, HOLD_MS, Suspects
from raftkafka.metadata.brokers import BrokerRegistration
from raftkafka.metadata.image import MetadataImage

LEADER = NodeId(2)


def image(*, fenced: bool) -> MetadataImage:
    broker = BrokerRegistration(node_id=LEADER, broker_epoch=1, incarnation_id=bytes(16), endpoints=(), rack=None, fenced=fenced)
    return MetadataImage(cluster_id="c", brokers={LEADER: broker})


def ask(suspects: Suspects, now_ms: int) -> list[str]:
    answers: list[str] = []
    suspects.hold(lambda: {LEADER}, lambda: answers.append("answered"), now_ms)
    return answers


def test_an_answer_waits_for_its_grace_only_when_nobody_is_suspected() -> None:
    suspects = Suspects()
    answers = ask(suspects, 0)
    suspects.tick(GRACE_MS)
    assert answers == ["answered"]


def test_an_answer_waits_until_the_suspected_leader_is_fenced() -> None:
    suspects = Suspects()
    answers = ask(suspects, 0)
    suspects.suspect(LEADER, 1)
    suspects.tick(GRACE_MS)
    suspects.image_changed(image(fenced=False))
    assert answers == []
    suspects.image_changed(image(fenced=True))
    assert answers == ["answered"]


def test_an_answer_leaves_when_the_leader_turns_out_to_live() -> None:
    suspects = Suspects()
    suspects.suspect(LEADER, 0)
    answers = ask(suspects, 0)
    suspects.tick(GRACE_MS)
    suspects.cleared(LEADER)
    assert answers == ["answered"]


def test_a_suspicion_that_is_never_settled_holds_an_answer_for_a_bounded_time() -> None:
    suspects = Suspects()
    suspects.suspect(LEADER, 0)
    answers = ask(suspects, 0)
    suspects.tick(HOLD_MS - 1)
    assert answers == []
    suspects.tick(HOLD_MS)
    assert answers == ["answered"]


def test_other_leaders_are_not_waited_for() -> None:
    suspects = Suspects()
    suspects.suspect(NodeId(3), 0)
    answers = ask(suspects, 0)
    suspects.tick(GRACE_MS)
    assert answers == ["answered"]
