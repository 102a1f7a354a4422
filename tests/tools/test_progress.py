"""Progress is for eyes: a bar on a terminal, and nothing where output is piped."""

from __future__ import annotations

import io
import sys

import pytest

from raftkafka.tools.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "shows"), [(Terminal(), True), (io.StringIO(), False)], ids=["terminal", "pipe"])
def test_progress_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, shows: bool) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("consuming", total=200, unit="records") as tell:
        tell(150)
    assert ("consuming" in stream.getvalue() and "150/200" in stream.getvalue()) == shows
    assert (stream.getvalue() == "") != shows
