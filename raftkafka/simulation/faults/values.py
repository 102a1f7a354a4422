"""Faults and plans as values, and their text: one line for each fault.

    1200 ms +300 kill n2                  from 1.2 s on, for 0.3 s
    1500 ms +900 slow-network n1 n3 50 ms
    2000 ms +0 isolate-leader all 4

A fault has a beginning and, `duration_ms` later, an end that undoes it. Any subset of a plan is a plan.

Invariant: `FaultPlan.parse(str(plan)) == plan`.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Mapping

import attrs

ALL = "all"
"""The node of a fault that happens to the cluster as a whole."""


class FaultKind(enum.Enum):
    """What may happen. `node` is the machine it happens to, `peer` the other one where there is one, `amount` see `KIND_TRAITS`."""

    KILL = "kill"
    POWER_OFF = "power-off"
    PAUSE = "pause"
    STOP = "stop"
    CUT = "cut"
    CUT_ONE_WAY = "cut-one-way"
    DROP_CONNECTIONS = "drop-connections"
    SLOW_NETWORK = "slow-network"
    SLOW_DISK = "slow-disk"
    WALL_CLOCK_JUMP = "wall-clock-jump"

    KILL_ALL = "kill-all"
    ROLLING_RESTART = "rolling-restart"
    WIPE = "wipe"
    """The process is killed and its record directories are emptied."""
    FLIP_BIT = "flip-bit"
    """The process is killed, and a bit changes in the part of a log that the next start checks."""
    LOSE_DISK = "lose-disk"
    """The process is killed and its disk replaced by an empty one: the node comes back under its id, with another directory id."""
    FAIL_SYNC = "fail-sync"
    DISK_FULL = "disk-full"
    FAIL_DIRECTORY = "fail-directory"
    """One of several log directories cannot be read or written; the amount says which, and whether it comes back or is replaced."""

    ISOLATE = "isolate"
    ISOLATE_IN = "isolate-in"
    """Nothing reaches the node any more."""
    ISOLATE_OUT = "isolate-out"
    """Nothing leaves the node any more."""
    ISOLATE_LEADER = "isolate-leader"
    """The leader, at that moment, of some partition; the amount says which."""
    ISOLATE_CONTROLLER = "isolate-controller"
    MINORITY = "minority"
    """Two nodes are cut off together."""
    RING = "ring"
    """Each node hears its two neighbours only, so that every node sees another majority."""
    BRIDGE = "bridge"
    """Two halves that hear the node between them, and not each other."""
    CLOG = "clog"
    """Bytes are held back between two nodes and then flow, with no connection broken."""
    SWIZZLE_CLOG = "swizzle-clog"
    """Some nodes are clogged one by one and set free in another order; the amount is the chance to draw them from."""
    HEAVY_TAILS = "heavy-tails"
    """A few messages of all take very long."""

    CLOCK_SKEW = "clock-skew"
    """The wall clock is off, and then right again."""
    CLOCK_RATE = "clock-rate"
    """All of a machine's clocks run too fast or too slow."""


@attrs.frozen(kw_only=True)
class KindTraits:
    """What else a fault of a kind has. `amounts` are drawn from; `lowest_nodes` is how many nodes a cluster must have for it."""

    has_peer: bool = False
    is_of_all: bool = False
    amounts: tuple[int, ...] = ()
    unit: str = ""
    lowest_nodes: int = 1


_CHANCE = tuple(range(1, 1_000))

KIND_TRAITS: Mapping[FaultKind, KindTraits] = {
    FaultKind.KILL: KindTraits(),
    FaultKind.POWER_OFF: KindTraits(),
    FaultKind.PAUSE: KindTraits(),
    FaultKind.STOP: KindTraits(),
    FaultKind.CUT: KindTraits(has_peer=True, lowest_nodes=2),
    FaultKind.CUT_ONE_WAY: KindTraits(has_peer=True, lowest_nodes=2),
    FaultKind.DROP_CONNECTIONS: KindTraits(has_peer=True, lowest_nodes=2),
    FaultKind.SLOW_NETWORK: KindTraits(has_peer=True, amounts=(5, 50, 500), unit="ms", lowest_nodes=2),
    FaultKind.SLOW_DISK: KindTraits(amounts=(20, 200, 1_000), unit="ms"),
    FaultKind.WALL_CLOCK_JUMP: KindTraits(amounts=(-600_000, -5_000, 5_000, 600_000), unit="ms"),
    FaultKind.KILL_ALL: KindTraits(is_of_all=True),
    FaultKind.ROLLING_RESTART: KindTraits(is_of_all=True, amounts=(200, 1_000, 3_000), unit="ms"),
    FaultKind.WIPE: KindTraits(lowest_nodes=3),
    FaultKind.FLIP_BIT: KindTraits(amounts=_CHANCE, lowest_nodes=3),
    FaultKind.LOSE_DISK: KindTraits(lowest_nodes=3),
    FaultKind.FAIL_SYNC: KindTraits(),
    FaultKind.DISK_FULL: KindTraits(amounts=(0, 1_000, 20_000), unit="bytes"),
    FaultKind.FAIL_DIRECTORY: KindTraits(amounts=_CHANCE),
    FaultKind.ISOLATE: KindTraits(lowest_nodes=2),
    FaultKind.ISOLATE_IN: KindTraits(lowest_nodes=2),
    FaultKind.ISOLATE_OUT: KindTraits(lowest_nodes=2),
    FaultKind.ISOLATE_LEADER: KindTraits(is_of_all=True, amounts=_CHANCE, lowest_nodes=2),
    FaultKind.ISOLATE_CONTROLLER: KindTraits(is_of_all=True, lowest_nodes=2),
    FaultKind.MINORITY: KindTraits(has_peer=True, lowest_nodes=5),
    FaultKind.RING: KindTraits(is_of_all=True, amounts=_CHANCE, lowest_nodes=4),
    FaultKind.BRIDGE: KindTraits(lowest_nodes=3),
    FaultKind.CLOG: KindTraits(has_peer=True, lowest_nodes=2),
    FaultKind.SWIZZLE_CLOG: KindTraits(is_of_all=True, amounts=_CHANCE, lowest_nodes=2),
    FaultKind.HEAVY_TAILS: KindTraits(is_of_all=True, amounts=(20, 200, 2_000), unit="ms"),
    FaultKind.CLOCK_SKEW: KindTraits(amounts=(-5_000, -300, 300, 5_000), unit="ms"),
    FaultKind.CLOCK_RATE: KindTraits(amounts=(-100_000, -1_000, 1_000, 100_000), unit="ppm"),
}

LOSSY_ENDS = (FaultKind.POWER_OFF, FaultKind.WIPE, FaultKind.LOSE_DISK, FaultKind.FLIP_BIT, FaultKind.FAIL_SYNC)
"""After these a replica may lack what it had acknowledged."""

OF_OWN_PROFILES = (FaultKind.FAIL_DIRECTORY, FaultKind.LOSE_DISK)
"""These need nodes of another kind than most profiles have: where all kinds are meant, they are not."""

UNCLEAN_ENDS = (FaultKind.KILL, FaultKind.KILL_ALL, FaultKind.DISK_FULL, FaultKind.FAIL_DIRECTORY, *LOSSY_ENDS)
"""These end a process without a clean stop."""


class UnknownFault(ValueError):
    """A text does not say a fault that there is."""


def kind_named(name: str) -> FaultKind:
    """The kind of this name; raises `UnknownFault` with the nearest names."""
    try:
        return FaultKind(name)
    except ValueError:
        names = [kind.value for kind in FaultKind]
        nearest = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(names)}"
        raise UnknownFault(f"there is no fault {name!r}; {hint}") from None


@attrs.frozen(kw_only=True)
class Fault:
    """One fault, from `at_ms` for `duration_ms`."""

    at_ms: int
    duration_ms: int
    kind: FaultKind
    node: str
    peer: str = ""
    amount: int = 0

    @property
    def end_ms(self) -> int:
        return self.at_ms + self.duration_ms

    @property
    def machines(self) -> tuple[str, ...]:
        """The machines that it names; none when it is of the whole cluster."""
        return tuple(name for name in (self.node, self.peer) if name and name != ALL)

    def __str__(self) -> str:
        peer = f" {self.peer}" if self.peer else ""
        unit = KIND_TRAITS[self.kind].unit
        amount = f" {self.amount}{' ' if unit else ''}{unit}" if self.amount else ""
        return f"{self.at_ms} ms +{self.duration_ms} {self.kind.value} {self.node}{peer}{amount}"

    @classmethod
    def parse(cls, line: str) -> Fault:
        """Reads what `str` writes; raises `UnknownFault`."""
        match line.split():
            case [at, "ms", duration, name, node, *rest] if duration.startswith("+"):
                pass
            case _:
                raise UnknownFault(f"{line.strip()!r} is no fault; one looks like '1200 ms +300 kill n2'")
        kind = kind_named(name)
        traits = KIND_TRAITS[kind]
        peer = rest.pop(0) if traits.has_peer and rest else ""
        amount = _whole(rest.pop(0)) if rest and traits.amounts else 0
        if rest and rest[0] == traits.unit:
            rest.pop(0)
        if rest:
            raise UnknownFault(f"{line.strip()!r}: nobody knows what {' '.join(rest)!r} means there")
        if traits.has_peer and not peer:
            raise UnknownFault(f"{line.strip()!r}: {kind.value} needs a second machine")
        if traits.is_of_all != (node == ALL):
            raise UnknownFault(f"{line.strip()!r}: {kind.value} happens to {ALL if traits.is_of_all else 'one machine'}")
        return cls(at_ms=_whole(at), duration_ms=_whole(duration), kind=kind, node=node, peer=peer, amount=amount)


@attrs.frozen
class FaultPlan:
    """Faults in order of time."""

    faults: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        return "".join(f"{fault}\n" for fault in self.faults)

    @classmethod
    def parse(cls, text: str) -> FaultPlan:
        """Reads a line for each fault, what follows a number sign left out; raises `UnknownFault` with the line's number."""
        faults: list[Fault] = []
        for number, line in enumerate(text.splitlines(), start=1):
            words = line.partition("#")[0].strip()
            if words:
                try:
                    faults.append(Fault.parse(words))
                except UnknownFault as error:
                    raise UnknownFault(f"line {number}: {error}") from None
        return cls(tuple(sorted(faults, key=lambda fault: fault.at_ms)))

    def without(self, index: int) -> FaultPlan:
        """The plan without one of its faults: the step of shrinking."""
        return FaultPlan(self.faults[:index] + self.faults[index + 1 :])


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UnknownFault(f"{text!r} is no whole number") from None
