"""Tells a run to a person: one line per thing worth knowing, in columns.

           time  who      what       where      text
       0.068313  n3       leader     records-0  LEADS in epoch 0 from offset 0, hw 0, isr 3,2,1
       0.117444  c4       client                send records-1 0..3 at 0 ok
    !  4.200000  n2       fault                 begins: 4200 ms +3000 kill n2
       4.512071  n1→n3    raft       quorum     PreVote epoch 1, log ends at 120 in epoch 1

What keeps going and tells nothing new (heartbeats, fetches, produce requests, whose outcome the client tells) is left out unless all is
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from raftkafka.base.observed import Observed
from raftkafka.broker.node_port import NodePort
from raftkafka.simulation.events import US_PER_SECOND
from raftkafka.simulation.messages import Kind, MessageReader
from raftkafka.simulation.phrases import What, phrase
from raftkafka.simulation.replica_states import QUORUM, ReplicaChange, ReplicaStates
from raftkafka.simulation.world import World

RARE_KINDS = (Kind.RAFT, Kind.CONTROL)
"""Messages that are told, unless they are idle: the others go along with what clients and replicas do, which is told anyway."""

_WHAT_OF = {Kind.RAFT: What.RAFT, Kind.CONTROL: What.CONTROL}


MARKED = (What.FAULT, What.VIOLATION)


@attrs.frozen(kw_only=True)
class TraceLine:
    """One line. `who` is a machine, or `sender→receiver`; `where` a partition, the quorum or nothing."""

    at_us: int
    who: str
    what: What
    where: str
    text: str

    def __str__(self) -> str:
        seconds, fraction = divmod(self.at_us, US_PER_SECOND)
        mark = "!" if self.what in MARKED else " "
        return f"{mark}{seconds:4d}.{fraction:06d}  {self.who:<7} {self.what.value:<9} {self.where:<20} {self.text}".rstrip()


Sink = Callable[[TraceLine], None]


class Narrator:
    """A watcher that tells lines to a sink; all of them when `verbose`."""

    def __init__(self, world: World, sink: Sink, *, verbose: bool = False) -> None:
        self._heap = world.heap
        self._sink = sink
        self._verbose = verbose
        self._states = ReplicaStates(world)
        self._reader = MessageReader(self._states.topic_name)

    def line(self, who: str, text: str) -> None:
        if text.startswith("fault "):
            self._tell(who, What.FAULT, "", text.removeprefix("fault "))
        elif text.startswith("VIOLATION "):
            self._tell(who, What.VIOLATION, "", text.removeprefix("VIOLATION "))
        elif who == "world":
            self._tell(who, What.FAULT, "", text)
        elif who.startswith("c"):
            self._tell(who, What.CLIENT, "", text)
        else:
            self._tell(who, What.MACHINE, "", text)

    def observed(self, who: str, what: Observed) -> None:
        said = phrase(what)
        if said is not None:
            self._tell(who, said.what, said.where, said.text)

    def sent(self, connection: int, source: str, target: str, data: bytes | None) -> None:
        if data is None:
            return
        for message in self._reader.read(connection, source, data):
            if self._verbose or (message.kind in RARE_KINDS and not message.idle):
                where = QUORUM if message.kind is Kind.RAFT else ""
                self._tell(f"{source}→{target}", _WHAT_OF.get(message.kind, What.MESSAGE), where, str(message))

    def arrived(self, connection: int, source: str, target: str, data: bytes) -> None:
        """That something was sent is told; that it arrived shows in what comes of it."""

    def settled(self, who: str, node: NodePort) -> None:
        for change in self._states.changes(who, node):
            self.changed(change)

    def changed(self, change: ReplicaChange) -> None:
        """A replica is another than it was."""
        for what, text in _change_texts(change, verbose=self._verbose):
            self._tell(change.who, what, change.subject, text)

    def _tell(self, who: str, what: What, where: str, text: str) -> None:
        self._sink(TraceLine(at_us=self._heap.now_us, who=who, what=what, where=where, text=text))


def _change_texts(change: ReplicaChange, *, verbose: bool) -> Iterator[tuple[What, str]]:
    """What a change of a replica means, where no `Observed` tells it. Followers' high watermarks and log ends are told when all is told."""
    before, after = change.before, change.after
    if before is None:
        return
    epoch = f"epoch {after.leader_epoch}"
    leads = after.leads and before.leads
    if after.high_watermark < before.high_watermark:
        yield What.HIGH_WATERMARK, f"hw {before.high_watermark} → {after.high_watermark}: BACK, {epoch}"
    elif after.high_watermark > before.high_watermark and (leads or verbose):
        yield What.HIGH_WATERMARK, f"hw {before.high_watermark} → {after.high_watermark}, log ends at {after.log_end_offset}, {epoch}"
    if after.log_end_offset < before.log_end_offset:
        yield What.LOG, f"log cut {before.log_end_offset} → {after.log_end_offset}, {epoch}"
    elif verbose and after.log_end_offset > before.log_end_offset:
        yield What.LOG, f"log ends at {before.log_end_offset} → {after.log_end_offset}, {epoch}"
