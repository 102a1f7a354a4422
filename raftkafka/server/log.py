"""The log: one line for each `Observed`, and for what the shell sees, on stderr, for people or as JSON.

Each line belongs to a logger of `base.log_levels`, whose level decides whether it is written. Lines about peers are limited to
`PEER_LINES_PER_SECOND`, so that a hostile one cannot fill the disk; what was held back is counted.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Literal

from raftkafka.base.log_levels import NODE, PEERS, SERVER, LogLevels
from raftkafka.base.observed import Observed

PEER_LINES_PER_SECOND = 10

LogFormat = Literal["console", "json"]


class ServerLog:
    """`event` names are kebab-case, as those of `Observed`."""

    def __init__(self, *, node_id: int, log_format: LogFormat = "console") -> None:
        self._logger = _make_logger(log_format).bind(logged_by=node_id)
        self._peer_second = 0
        self._peer_lines = 0
        self.levels = LogLevels()
        """Those of the node, once there is one: a client may change them."""

    def observed(self, observed: Observed) -> None:
        if self.levels.passes(NODE, "INFO"):
            self._logger.info(observed.kind, **observed.fields)

    def info(self, event: str, **fields: Any) -> None:
        if self.levels.passes(SERVER, "INFO"):
            self._logger.info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        if self.levels.passes(SERVER, "WARN"):
            self._logger.warning(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        if self.levels.passes(SERVER, "ERROR"):
            self._logger.error(event, **fields)

    def peer_trouble(self, event: str, **fields: Any) -> None:
        """A warning about a peer, dropped when there were many within this second."""
        if not self.levels.passes(PEERS, "WARN"):
            return
        second = int(time.monotonic())
        if second != self._peer_second:
            if self._peer_lines > PEER_LINES_PER_SECOND:
                self._logger.warning("peer-lines-held-back", count=self._peer_lines - PEER_LINES_PER_SECOND)
            self._peer_second, self._peer_lines = second, 0
        self._peer_lines += 1
        if self._peer_lines <= PEER_LINES_PER_SECOND:
            self._logger.warning(event, **fields)


def _make_logger(log_format: LogFormat) -> Any:
    structlog = _import_structlog()
    renderer = structlog.processors.JSONRenderer() if log_format == "json" else _render_line
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), renderer],
        wrapper_class=structlog.BoundLogger,
    )


def _import_structlog() -> Any:
    """structlog without rich, which it would load only to draw tracebacks: 100 ms of every broker's start."""
    hidden = sys.modules.get("rich")
    if hidden is None:
        sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog
    finally:
        if hidden is None:
            del sys.modules["rich"]
    return structlog


def _render_line(_logger: object, _method: str, event: dict[str, Any]) -> str:
    """`time level [node 1] event name=value ...`, stable enough for grep; a field `node` is another node that the event is about."""
    head = f"{event.pop('timestamp')} {event.pop('level'):<7} [node {event.pop('logged_by')}] {event.pop('event')}"
    return " ".join([head, *(f"{name}={_quoted(value)}" for name, value in event.items())])


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text) if " " in text and not isinstance(value, (list, tuple, dict)) else text
