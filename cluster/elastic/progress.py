"""How far long work is: on a terminal a bar that moves, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PLAIN_LINES_EVERY_S = 2.0

Tell = Callable[[float, str], None]
"""How much of the whole is done (0 to 1), and the rest in words."""


@contextmanager
def progress(what: str, *, lines_every_s: float = PLAIN_LINES_EVERY_S) -> Iterator[Tell]:
    """Gives a function to be told how far the work is; where there is no terminal no more than so many lines are shown."""
    if sys.stdout.isatty():
        with _bar(what) as tell:
            yield tell
        return
    shown = [""]
    next_at = [0.0]

    def tell_plainly(share: float, words: str) -> None:
        line = f"{what}: {100 * share:.0f} %, {words}"
        if line != shown[0] and (time.monotonic() >= next_at[0] or share >= 1):
            print(line, flush=True)
            shown[0] = line
            next_at[0] = time.monotonic() + lines_every_s

    yield tell_plainly


@contextmanager
def _bar(what: str) -> Iterator[Tell]:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, refresh_per_second=8) as bar:
        task = bar.add_task(what, total=1.0, words="")
        yield lambda share, words: bar.update(task, completed=share, words=words)


def bytes_text(count: float) -> str:
    """A number of bytes for people."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"
