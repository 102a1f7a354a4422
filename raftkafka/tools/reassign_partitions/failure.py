"""The two ways in which kafka-reassign-partitions says that it cannot go on; both on stdout, both with exit code 1."""

from __future__ import annotations


class Failed(Exception):
    """An error, printed with `Error: ` before it."""


class Terse(Exception):
    """A refusal that is printed as it is."""
