"""Judges a history of what clients of a log saw. It knows nothing of the system under test.

    verdict = check(read_history("history.jsonl"))
    verdict.outcome       VALID, INVALID or UNKNOWN
    verdict.anomalies     what may not be; `verdict.allowed` is what this workload allows

Source: reference/history-checker.md, 4.3.
"""

from jepsen_like.checker.values import Anomaly, Availability, Lag, Outcome, Verdict
from jepsen_like.checker.verdict import check

__all__ = ["Anomaly", "Availability", "Lag", "Outcome", "Verdict", "check"]
