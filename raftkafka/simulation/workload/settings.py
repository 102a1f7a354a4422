"""What the clients of a run do, as a value: a profile has one, and chance draws from it."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class WorkloadSettings:
    """How many clients of each kind, what they write, and how they write it."""

    topics: int = 1
    partitions: int = 2
    replication_factor: int = 3
    min_insync_replicas: int = 2
    produce_interval_ms: int = 40
    """Mean pause of a producer between two batches."""
