"""Latencies of a run of records, and the lines that kafka-producer-perf-test prints of them.

Invariants
- Latencies are whole milliseconds, as Java measures them.
- At most `MAX_SAMPLES` of them are kept for the percentiles, evenly spread over the run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

MAX_SAMPLES = 500_000
_MEBIBYTE = 1024.0 * 1024.0


class Stats:
    """Counts records from now on; `title` is put before "records sent" in the summary."""

    def __init__(self, *, expected_records: int, interval_ms: int | None, title: str = "") -> None:
        self.count = 0
        self._title = title
        self._start = self._window_start = time.time()
        self._interval_s = None if interval_ms is None else interval_ms / 1000
        self._sampling = max(1, expected_records // min(expected_records, MAX_SAMPLES)) if expected_records else 1
        self._samples: list[int] = []
        self._bytes = 0
        self._total_ms = 0
        self._max_ms = 0
        self._window: list[int] = []
        self._window_bytes = 0
        self.heading: str | None = None
        """A line to be printed before the next window's."""

    def add(self, latencies_ms: Sequence[int], size_bytes: int) -> None:
        """More records, in the order in which they were acknowledged; prints a line when a window has passed."""
        if not latencies_ms:
            return
        self._samples += latencies_ms[-self.count % self._sampling :: self._sampling]
        self.count += len(latencies_ms)
        self._bytes += size_bytes
        self._total_ms += sum(latencies_ms)
        self._max_ms = max(self._max_ms, *latencies_ms)
        if self._interval_s is not None:
            self._window += latencies_ms
            self._window_bytes += size_bytes
            if time.time() - self._window_start >= self._interval_s:
                self._print_window()

    def print_total(self) -> None:
        """Prints the summary."""
        elapsed_s = max(time.time() - self._start, 0.001)
        samples = sorted(self._samples) or [0]
        p50, p95, p99, p999 = (samples[min(int(share * len(samples)), len(samples) - 1)] for share in (0.5, 0.95, 0.99, 0.999))
        average = self._total_ms / self.count if self.count else float("nan")
        print(
            f"{self.count}{self._title} records sent, {self.count / elapsed_s:f} records/sec"
            f" ({self._bytes / elapsed_s / _MEBIBYTE:.2f} MB/sec),"
            f" {_java(average, 2)} ms avg latency, {float(self._max_ms):.2f} ms max latency,"
            f" {p50} ms 50th, {p95} ms 95th, {p99} ms 99th, {p999} ms 99.9th."
        )

    def _print_window(self) -> None:
        now = time.time()
        elapsed_s = now - self._window_start
        count = len(self._window)
        if self.heading is not None:
            print(self.heading)
            self.heading = None
        print(
            f"{count} records sent, {count / elapsed_s:.1f} records/sec ({self._window_bytes / elapsed_s / _MEBIBYTE:.2f} MB/sec),"
            f" {sum(self._window) / count:.1f} ms avg latency, {float(max(self._window)):.1f} ms max latency.",
            flush=True,
        )
        self._window, self._window_bytes, self._window_start = [], 0, now


def _java(value: float, digits: int) -> str:
    return "NaN" if value != value else f"{value:.{digits}f}"
