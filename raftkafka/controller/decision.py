"""A decision: what a decider wants written, and what is answered once it is.

Deciders are functions of an image and a request. They only read; nothing changes before the records are replayed. The records of one
decision are one entry of the metadata log: they take effect together or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from raftkafka.base.observed import Observed
from raftkafka.metadata.records import Record


@attrs.frozen(kw_only=True)
class Decision:
    """The answer leaves when the records are committed; with `applied_by_ms`, when all live brokers have also applied them.

    `applied_by_ms` is the time until which that is waited for. `late_reply` is answered when it passes first (default: `reply`).
    """

    reply: Any = None
    records: Sequence[Record] = ()
    observed: Sequence[Observed] = ()
    applied_by_ms: int | None = None
    late_reply: Any = None
