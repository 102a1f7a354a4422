"""The command `check HISTORY`, as both `raftkafka` and `python -m jepsen_like` have it.

Exit codes: 0 valid, 1 invalid, 2 bad input, 3 unknown.
"""

from __future__ import annotations

from pathlib import Path

from jepsen_like.checker import Outcome, check
from jepsen_like.history import HistoryError, read_history
from jepsen_like.plots import write_plots
from jepsen_like.verdict_text import verdict_text

EXIT_CODES = {Outcome.VALID: 0, Outcome.INVALID: 1, Outcome.UNKNOWN: 3}
BAD_INPUT = 2


def check_command(path: Path, out: Path | None) -> tuple[int, str]:
    """The exit code and what to print. The plots go to the directory `out`, if there is one."""
    try:
        history = read_history(path)
        verdict = check(history)
    except HistoryError as error:
        return BAD_INPUT, f"{error}\n"
    text = verdict_text(history, verdict)
    if out is not None:
        try:
            written = write_plots(out, history, verdict)
        except OSError as error:
            return BAD_INPUT, f"{text}\n{out}: {error.strerror}; there are no plots\n"
        text += "\nPlots\n" + "".join(f"  {each}\n" for each in written)
    return EXIT_CODES[verdict.outcome], text
