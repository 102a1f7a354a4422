"""How far long work is: on a terminal a bar on standard error, gone when the work is done; where output is piped, nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHOWS_PER_SECOND = 5


@contextmanager
def progress(what: str, *, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Gives a function to be told how much of `total` is done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True, refresh_per_second=SHOWS_PER_SECOND) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
