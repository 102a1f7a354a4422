"""What the checker says: anomalies, and the verdict that holds them."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs


class Outcome(enum.Enum):
    """UNKNOWN: nothing was written or nothing was read, so nothing can be said."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Anomaly:
    """Something that a log may not do (or that this workload allows). `operations` are indexes of the history."""

    kind: str
    key: str | None
    text: str
    operations: tuple[int, ...]


@attrs.frozen(kw_only=True)
class Availability:
    """How sends were acknowledged while a fault was in force, all its occurrences together.

    `unserved_s`: the part of `seconds` in gaps of a second or more without an acknowledgement; `longest_gap_s` is the longest such time.
    """

    fault: str
    times: int
    seconds: float
    acknowledged: int
    unserved_s: float
    longest_gap_s: float

    @property
    def share(self) -> float:
        """The share of the time that was served."""
        return 1 - self.unserved_s / self.seconds if self.seconds else 1.0


@attrs.frozen(kw_only=True)
class Lag:
    """The longest time by which a poll was behind what was known to exist: at `time_ns`, by `process`."""

    key: str
    process: int | str
    time_ns: int
    lag_ns: int


@attrs.frozen(kw_only=True)
class Verdict:
    """What came of a check. `reason` is a sentence; `unseen` are (time in ns, acknowledged values nobody has read) of all keys together;
    `consume_counts` says how many values were consumed once, twice, ... by the same member of a group."""

    outcome: Outcome
    reason: str
    anomalies: tuple[Anomaly, ...]
    allowed: tuple[Anomaly, ...]
    counts: Mapping[str, int]
    availability: tuple[Availability, ...]
    unseen: tuple[tuple[int, int], ...]
    lags: tuple[Lag, ...]
    consume_counts: Mapping[int, int]
