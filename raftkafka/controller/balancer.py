"""When leaders are balanced, and what is remembered between the rounds: the machine around the planner (`balance_round`).

With the strategy `preferred` leaders go home every `leader.imbalance.check.interval.seconds`, and at once when a broker has returned.
With `load` there is a round every `leader.rebalance.load.interval.ms`, and going home is a part of it, at the same times.

Against moving for noise: a round moves because of load only when the one before it found the hottest broker too hot too; what has moved
rests for a cooldown; while a broker is coming home, nothing else moves.

Invariants
- Nothing is moved by load before enough of it is known (`Loads.is_settled`): to a new controller all brokers report first, and a broker
  that has returned does. As long as they do not, the checks send leaders home without regard to load.
- What is remembered is lost with the leadership of the quorum, and nothing depends on it but how soon something moves again.
- A round that moves nothing says nothing, except why it cannot, once.

Where moving leaders cannot help for a while, one replica moves (`own_moves`).
"""

from __future__ import annotations

import re
from collections import deque

import attrs

from raftkafka.base.ids import PartitionKey
from raftkafka.base.observed import Observed, observed
from raftkafka.controller.balance_round import BalanceRound, PlannedMove, away_under_load, plan_home, plan_replica, plan_round
from raftkafka.controller.decision import Decision
from raftkafka.controller.leader_balance import AwayLeader, Homecomings, away_leaders
from raftkafka.controller.leader_moves import WantedLeader, decide_leader_moves
from raftkafka.controller.load_balance import MORE, BalanceLimits, broker_loads, hottest, why_at_rest
from raftkafka.controller.load_view import Loads, LoadView
from raftkafka.controller.own_moves import decide_begin, decide_end, own_move
from raftkafka.controller.sessions import FAR_FUTURE_MS
from raftkafka.controller.settings import BalanceStrategy, ControllerSettings
from raftkafka.metadata.image import MetadataImage

MAX_RECENT = 50
STUCK_ROUNDS = 5
"""So many rounds in a row find no leadership to move before a replica is."""
MAX_SAID = 20
"""So many different reasons are said why a broker stays hot, until none is hot any more."""
MORE_HOME_MS = 1_000
"""When the next ones go home where there are more than go in one decision."""
OWN_MOVE_CHECK_MS = 1_000
"""How often it is looked whether a replica has arrived."""


@attrs.frozen(kw_only=True)
class RecentMove:
    """A move that nobody asked for, and when it was decided."""

    at_ms: int
    move: PlannedMove


class Balancer:
    """See the module. The active controller asks it for a decision when `next_deadline_ms` has come."""

    def __init__(self, settings: ControllerSettings, loads: Loads) -> None:
        self._settings = settings
        self._loads = loads
        balance = settings.balance
        self.strategy = balance.strategy
        self._by_load = balance.strategy is BalanceStrategy.LOAD
        self._limits = BalanceLimits(
            tolerance=balance.tolerance_percentage / 100,
            max_moves=balance.max_moves,
            negligible_load=float(balance.min_bytes_per_second),
        )
        self.homecomings = Homecomings()
        self.recent: deque[RecentMove] = deque(maxlen=MAX_RECENT)
        self._moved_ms: dict[PartitionKey, int] = {}
        self._was_hot = False
        self._wants_home = False
        self._wants_check = False
        self._stuck_rounds = 0
        self._said: dict[str, None] = {}
        self._next_check_ms = FAR_FUTURE_MS
        self._next_round_ms = FAR_FUTURE_MS
        self._next_own_ms = FAR_FUTURE_MS

    def begin(self, image: MetadataImage, now_ms: int) -> None:
        """This controller has become the active one; it remembers nothing, but finds in the metadata what was begun."""
        self.homecomings.clear()
        self.recent.clear()
        self._moved_ms.clear()
        self._was_hot = self._wants_home = self._wants_check = False
        self._stuck_rounds = 0
        self._said.clear()
        self._next_own_ms = now_ms if own_move(image) is not None else FAR_FUTURE_MS
        if self._settings.auto_leader_rebalance_enable:
            self._next_check_ms = now_ms + self._settings.leader_imbalance_check_interval_ms
            if self._by_load:
                self._next_round_ms = now_ms + self._settings.balance.load_interval_ms

    def next_deadline_ms(self) -> int:
        """When `decide` has something to do; never when nothing is to move by itself."""
        if not self._settings.auto_leader_rebalance_enable:
            return self._next_own_ms
        return min(self._next_check_ms, self._next_round_ms, self._next_own_ms, self.homecomings.next_due_ms())

    def decide(self, image: MetadataImage, now_ms: int) -> Decision:
        """What is to move now, or what has ended."""
        if now_ms >= self._next_own_ms:
            own = own_move(image)
            self._next_own_ms = now_ms + OWN_MOVE_CHECK_MS if own is not None else FAR_FUTURE_MS
            bytes_in = self._loads.load_of(own.key).bytes_in if own is not None else 0.0
            ended = decide_end(image, self._settings, bytes_in=bytes_in, now_ms=now_ms)
            if ended.records:
                return ended
        if not self._settings.auto_leader_rebalance_enable:
            return Decision()
        if now_ms >= self._next_check_ms:
            self._next_check_ms = now_ms + self._settings.leader_imbalance_check_interval_ms
            self._wants_check = True
        has_returned = self.homecomings.take_due(now_ms)
        self._wants_home = self._wants_home or self._wants_check or has_returned
        if self._by_load:
            if now_ms < self._next_round_ms and not has_returned:
                return Decision()
            self._next_round_ms = now_ms + self._settings.balance.load_interval_ms
        view = self._view(image, now_ms)
        if self._by_load and view.is_settled:
            plan = self._round(view)
        elif not self._by_load or self._wants_check:
            plan = self._go_home(view)
        else:
            return Decision()
        self._wants_home = self._wants_check = False
        if plan is None:
            return Decision()
        if plan.more_go_home:
            self._next_check_ms = now_ms + MORE_HOME_MS
        return self._carry_out(view, plan, now_ms, is_asked=False)

    def plan(self, image: MetadataImage, now_ms: int) -> tuple[LoadView, BalanceRound]:
        """What would be done if it were decided now, whether or not it is time for it."""
        view = self._view(image, now_ms)
        if not self._by_load:
            return view, self._go_home(view)
        if not view.is_settled:
            return view, attrs.evolve(plan_home(view, []), verdict="the brokers have not reported their loads yet")
        plan = plan_round(view, self._away(view), self._limits)
        if self._settings.balance.moves_replicas and not plan.moves and self._is_hot(view):
            plan = plan_replica(view, plan, self._limits)
        return view, plan

    def execute(self, image: MetadataImage, now_ms: int) -> tuple[LoadView, BalanceRound, Decision]:
        """That, because somebody asks for it."""
        view, plan = self.plan(image, now_ms)
        return view, plan, self._carry_out(view, plan, now_ms, is_asked=True)

    def resting_ms(self, key: PartitionKey, now_ms: int) -> int:
        """For how long a partition will not be moved because of load."""
        moved_ms = self._moved_ms.get(key)
        return 0 if moved_ms is None else max(moved_ms + self._settings.balance.cooldown_ms - now_ms, 0)

    def _view(self, image: MetadataImage, now_ms: int) -> LoadView:
        for key in [key for key in self._moved_ms if not self.resting_ms(key, now_ms)]:
            del self._moved_ms[key]
        return LoadView(image, self._loads, self._moved_ms, self._settings.disabled_rules)

    def _away(self, view: LoadView) -> list[AwayLeader]:
        percentage = self._settings.balance.imbalance_percentage
        return away_leaders(view.image, imbalance_percentage=percentage, disabled_rules=self._settings.disabled_rules)

    def _go_home(self, view: LoadView) -> BalanceRound:
        return plan_home(view, self._away(view))

    def _round(self, view: LoadView) -> BalanceRound | None:
        """A round by load: None when there is nothing to do yet."""
        is_hot = self._is_hot(view)
        was_hot, self._was_hot = self._was_hot, is_hot
        spreads = is_hot and was_hot and self.homecomings.next_due_ms() == FAR_FUTURE_MS
        if not spreads and not self._wants_home:
            if not is_hot:
                self._stuck_rounds = 0
                self._said.clear()
            return None
        away = self._away(view) if self._wants_home else away_under_load(view)
        plan = plan_round(view, away, self._limits, spreads=spreads)
        if plan.moves or not spreads:
            self._stuck_rounds = 0
            return plan
        self._stuck_rounds += 1
        may_help = self._settings.balance.moves_replicas and self._stuck_rounds % STUCK_ROUNDS == 0 and not self._waits(view, plan)
        return plan_replica(view, plan, self._limits) if may_help else plan

    def _waits(self, view: LoadView, plan: BalanceRound) -> bool:
        """Whether the hottest broker leads what will be able to move when it has rested."""
        hot = hottest(plan.after)
        return any(each.leader == hot and each.key in self._moved_ms and len(each.candidates) > 1 for each in view.partitions)

    def _is_hot(self, view: LoadView) -> bool:
        return not why_at_rest(broker_loads(view.brokers, view.partitions, view.rest), self._limits, self._limits.tolerance)

    def _carry_out(self, view: LoadView, plan: BalanceRound, now_ms: int, *, is_asked: bool) -> Decision:
        if plan.replica_move is not None:
            bytes_in = self._loads.load_of(plan.replica_move.key).bytes_in
            why = plan.moves[0].why
            decision = decide_begin(view.image, plan.replica_move, self._settings, bytes_in=bytes_in, why=why, now_ms=now_ms)
            self._next_own_ms = now_ms + OWN_MOVE_CHECK_MS
        else:
            wanted = [WantedLeader(key=move.key, target=move.target, why=move.why) for move in plan.moves]
            decision = decide_leader_moves(view.image, wanted, self._settings)
        for move in plan.moves:
            if move.key in plan.shifting:
                self._moved_ms[move.key] = now_ms
            if not is_asked:
                self.recent.append(RecentMove(at_ms=now_ms, move=move))
        if plan.moves:
            self._was_hot = plan.verdict == MORE
            return decision
        says = self._was_hot and not self._waits(view, plan)
        return attrs.evolve(decision, observed=self._stuck(plan.verdict) if says else ())

    def _stuck(self, verdict: str) -> list[Observed]:
        """Says why the hottest broker stays hot, when that reason is new."""
        reason = re.sub(r"[0-9.]+ %", "", verdict)
        if reason in self._said or len(self._said) >= MAX_SAID:
            return []
        self._said[reason] = None
        return [observed("balance-stuck", why=verdict)]
