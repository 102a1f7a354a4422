"""What a run is made of, apart from its seed."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from raftkafka.simulation.faults import FaultSettings
from raftkafka.simulation.network import NetworkSettings
from raftkafka.simulation.workload.settings import WorkloadSettings


@attrs.frozen(kw_only=True)
class Profile:
    """A kind of run. `properties` are given to every node; after all has healed, what waits must be done within `liveness_ms`."""

    name: str = "default"
    description: str = ""
    node_count: int = 3
    duration_ms: int = 20_000
    network: NetworkSettings = attrs.field(factory=NetworkSettings)
    faults: FaultSettings = attrs.field(factory=FaultSettings)
    workload: WorkloadSettings = attrs.field(factory=WorkloadSettings)
    properties: Mapping[str, str] = attrs.field(factory=dict)
    liveness_ms: int = 60_000
