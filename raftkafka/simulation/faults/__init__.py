"""What is done to a world: faults as values with their time, drawn from the seed, and carried out.

values    what a fault and a plan are, and their text
draw      a plan from chance
nemesis   puts a plan into a world's future, and undoes what still stands
machines, network, disks    how each kind is done, and undone
"""

from raftkafka.simulation.faults.draw import BASIC_KINDS, FaultSettings, draw_plan
from raftkafka.simulation.faults.nemesis import Nemesis
from raftkafka.simulation.faults.values import ALL, LOSSY_ENDS, UNCLEAN_ENDS, Fault, FaultKind, FaultPlan, UnknownFault, kind_named

__all__ = [
    "ALL",
    "BASIC_KINDS",
    "LOSSY_ENDS",
    "UNCLEAN_ENDS",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "FaultSettings",
    "Nemesis",
    "UnknownFault",
    "draw_plan",
    "kind_named",
]
