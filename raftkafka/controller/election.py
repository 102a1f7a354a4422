"""Who leads a partition, and what becomes of its ISR and ELR: every change of a partition is computed here.

The rules, in order:
1. A reassignment completes when all replicas that are to stay are in the ISR: the removed ones leave replicas and ISR. All that stay
   hold what was committed then, so an acknowledgement is worth what it was.
2. ELR (KIP-966): while the ISR is smaller than the effective `min.insync.replicas`, members that leave it become *eligible leader
   replicas*: the high watermark stands still from then on, so they hold all that was committed. A replica that restarted without a clean
   shutdown is no longer eligible. An ISR of that size or more empties the ELR.
3. Election: the current leader stays while it is valid; else the first valid replica in assignment order; else the last known leader, when
   ISR and ELR are both empty; else, only if the topic allows it, any live replica (unclean). Valid means live and in the ISR, or in
   the ELR when the ISR is empty. The preferred election looks first at who is wanted (`replicas[0]` unless the target names another
   replica), but never takes a leadership for nobody.
4. Who is elected from the ELR becomes the ISR. Who is elected uncleanly, or as last known leader, becomes the ISR in state RECOVERING.
5. A new leader, or no leader, bumps the leader epoch. A smaller ISR alone does not (KAFKA-15021); a removed replica does (VL 6.5.4).

Sources: KIP-497, KIP-704, KIP-966; rules K-election order, K-966 and K-reassign race of reference/replication-rules.md.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs

from raftkafka.base.ids import NO_NODE, NodeId, PartitionKey
from raftkafka.base.rules import NO_RULES, Rule, Rules
from raftkafka.metadata.records import NO_LEADER_CHANGE, NO_STATE_CHANGE, NodeIds, PartitionChangeRecord
from raftkafka.metadata.topics import RECOVERING, PartitionRegistration


class Election(enum.Enum):
    """What kind of election a change may end in."""

    ONLINE = "online"
    PREFERRED = "preferred"
    UNCLEAN = "unclean"


@attrs.frozen(kw_only=True)
class PartitionTarget:
    """What a partition should become; None leaves that part as it is."""

    isr: NodeIds | None = None
    replicas: NodeIds | None = None
    removing_replicas: NodeIds | None = None
    adding_replicas: NodeIds | None = None
    leader_recovery_state: int | None = None
    wanted_leader: NodeId | None = None
    """Whom the preferred election looks at first; None: the first replica."""
    unclean_shutdown: NodeIds = ()
    """Replicas that may have lost unsynced records, and so are not eligible."""


def change_partition(
    key: PartitionKey,
    partition: PartitionRegistration,
    target: PartitionTarget,
    *,
    min_isr: int,
    election: Election,
    may_lead: Callable[[NodeId], bool],
    disabled_rules: Rules = NO_RULES,
) -> PartitionChangeRecord | None:
    """The record that brings the partition to the target with the leader it then has; None when nothing changes."""
    change = _Change.begin(partition, target, disabled_rules)
    change.complete_reassignment()
    change.update_elr(min_isr, target.unclean_shutdown)
    change.elect(election, may_lead)
    return change.to_record(key)


@attrs.define(eq=False, kw_only=True)
class _Change:
    """A partition on its way from `old` to its target."""

    old: PartitionRegistration
    replicas: NodeIds
    isr: NodeIds
    elr: NodeIds
    last_known_elr: NodeIds
    removing: NodeIds
    adding: NodeIds
    recovery_state: int
    leader: NodeId
    wanted_leader: NodeId | None
    disabled_rules: Rules

    @classmethod
    def begin(cls, old: PartitionRegistration, target: PartitionTarget, disabled_rules: Rules) -> _Change:
        return cls(
            old=old,
            replicas=old.replicas if target.replicas is None else target.replicas,
            isr=old.isr if target.isr is None else target.isr,
            elr=old.elr,
            last_known_elr=old.last_known_elr,
            removing=old.removing_replicas if target.removing_replicas is None else target.removing_replicas,
            adding=old.adding_replicas if target.adding_replicas is None else target.adding_replicas,
            recovery_state=old.leader_recovery_state if target.leader_recovery_state is None else target.leader_recovery_state,
            leader=old.leader,
            wanted_leader=target.wanted_leader,
            disabled_rules=disabled_rules,
        )

    def complete_reassignment(self) -> None:
        """Rule 1."""
        if not self.removing and not self.adding:
            return
        staying = tuple(replica for replica in self.replicas if replica not in self.removing)
        isr = tuple(replica for replica in self.isr if replica not in self.removing)
        may_lack_some = Rule.CATCH_UP_BEFORE_REMOVING in self.disabled_rules
        if not isr or not (may_lack_some or set(isr).issuperset(staying)):
            return
        self.replicas = staying
        self.isr = isr
        self.removing = self.adding = ()

    def update_elr(self, min_isr: int, unclean_shutdown: NodeIds) -> None:
        """Rule 2."""
        if len(self.isr) >= min(min_isr, len(self.replicas)) or Rule.KEEP_REMOVED_IN_ELR in self.disabled_rules:
            self.elr = ()
            return
        candidates = dict.fromkeys((*self.old.elr, *self.old.isr))
        self.elr = tuple(
            replica for replica in candidates if replica not in self.isr and replica not in unclean_shutdown and replica in self.replicas
        )

    def elect(self, election: Election, may_lead: Callable[[NodeId], bool]) -> None:
        """Rules 3 and 4."""
        leader, unclean = self._winner(election, may_lead)
        if leader == self.old.leader:
            return
        self.leader = leader
        if leader == NO_NODE:
            if not self.last_known_elr:
                self.last_known_elr = (self.old.leader,)
            return
        self.last_known_elr = ()
        if unclean:
            self.isr = (leader,)
            self.elr = ()
            self.recovery_state = RECOVERING
        elif leader in self.elr:
            self.isr = (leader,)
            self.elr = tuple(replica for replica in self.elr if replica != leader)
        elif leader not in self.isr:
            self.isr = (leader, *self.isr)  # only where the rule is broken that nobody else is elected

    def _winner(self, election: Election, may_lead: Callable[[NodeId], bool]) -> tuple[NodeId, bool]:
        """The leader (-1: nobody can) and whether it may lack committed records."""

        anybody = Rule.ELECT_FROM_ISR in self.disabled_rules

        def is_valid(replica: NodeId) -> bool:
            return (anybody or replica in self.isr or (not self.isr and replica in self.elr)) and may_lead(replica)

        wanted = self.replicas[0] if self.wanted_leader is None else self.wanted_leader
        if election is Election.PREFERRED and wanted in self.replicas and is_valid(wanted):
            return wanted, False
        if is_valid(self.old.leader):
            return self.old.leader, False
        for replica in self.replicas:
            if is_valid(replica):
                return replica, False
        last_known = [replica for replica in self.last_known_elr if replica in self.replicas and may_lead(replica)]
        if not self.isr and not self.elr and last_known:
            return last_known[0], True
        if election is Election.UNCLEAN:
            for replica in self.replicas:
                if may_lead(replica):
                    return replica, True
        return NO_NODE, False

    def to_record(self, key: PartitionKey) -> PartitionChangeRecord | None:
        """What differs from the old state; rule 5."""
        old = self.old
        removes = not set(self.replicas).issuperset(old.replicas) and Rule.BUMP_EPOCH_ON_REMOVAL not in self.disabled_rules
        changes_leader = self.leader != old.leader or removes
        changes_state = self.recovery_state != old.leader_recovery_state
        isr, elr = _unless_equal(self.isr, old.isr), _unless_equal(self.elr, old.elr)
        last_known_elr = _unless_equal(self.last_known_elr, old.last_known_elr)
        replicas = _unless_equal(self.replicas, old.replicas)
        removing, adding = _unless_equal(self.removing, old.removing_replicas), _unless_equal(self.adding, old.adding_replicas)
        sets = (isr, elr, last_known_elr, replicas, removing, adding)
        if not changes_leader and not changes_state and sets == (None,) * len(sets):
            return None
        return PartitionChangeRecord(
            topic_id=key.topic_id,
            partition=key.partition,
            isr=isr,
            leader=self.leader if changes_leader else NO_LEADER_CHANGE,
            elr=elr,
            last_known_elr=last_known_elr,
            leader_recovery_state=self.recovery_state if changes_state else NO_STATE_CHANGE,
            replicas=replicas,
            removing_replicas=removing,
            adding_replicas=adding,
        )


def _unless_equal(new: NodeIds, old: NodeIds) -> NodeIds | None:
    return None if new == old else new
