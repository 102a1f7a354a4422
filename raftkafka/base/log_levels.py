"""The levels of the loggers of one broker: which lines are written. They are changed while it runs (KIP-412), and not remembered.

`root` is the logger of whatever has no level of its own. The names of levels are Kafka's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ROOT = "root"
NODE = "raftkafka.node"
"""What the node observes: elections, replicas, settings."""
SERVER = "raftkafka.server"
"""What the process itself says: listening, stopping, trouble that ends it."""
PEERS = "raftkafka.peers"
"""Trouble with clients and other nodes: connections that were refused or closed."""
LOGGERS = (ROOT, NODE, PEERS, SERVER)

LEVELS: Mapping[str, int] = MappingProxyType({"DEBUG": 10, "ERROR": 40, "FATAL": 50, "INFO": 20, "TRACE": 5, "WARN": 30})
"""By name, as Kafka lists them, with what makes one pass another."""

DEFAULT_LEVEL = "INFO"


class LogLevels:
    """Which level each logger has."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {ROOT: DEFAULT_LEVEL}

    def level_of(self, logger: str) -> str:
        """The level in effect for a logger: its own, or that of the root."""
        return self._own.get(logger, self._own[ROOT])

    def set(self, logger: str, level: str) -> None:
        """Gives a logger a level of its own."""
        assert logger in LOGGERS and level in LEVELS
        self._own[logger] = level

    def reset(self, logger: str) -> None:
        """Takes a logger's own level away; the root keeps its own."""
        assert logger != ROOT
        self._own.pop(logger, None)

    def passes(self, logger: str, level: str) -> bool:
        """Whether a line of this level is written."""
        return LEVELS[level] >= LEVELS[self.level_of(logger)]
