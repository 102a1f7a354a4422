"""What a person sees while chaos runs: one line that lives on a terminal, a plain line every few seconds in a pipe."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

PLAIN_EVERY_S = 5.0


class ProgressLine:
    """`with ProgressLine() as line: line.show(elapsed_s, text)`."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stdout, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True) if self._console.is_terminal else None
        self._shown_s = -PLAIN_EVERY_S

    def __enter__(self) -> ProgressLine:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, elapsed_s: float, text: str) -> None:
        """The state now. A pipe gets only one in five seconds."""
        if self._live is not None:
            self._live.update(Text(text))
        elif elapsed_s - self._shown_s >= PLAIN_EVERY_S:
            self._shown_s = elapsed_s
            self._print(text)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
        sys.stdout.flush()
