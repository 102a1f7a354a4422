"""How a tool ends when it cannot do what is asked: one sentence for the person, an exit code for the script."""

from __future__ import annotations


class UsageError(Exception):
    """The command line is wrong; the text says how. `run_tool` prints it and, with `hint`, where the help is."""

    def __init__(self, text: str, *, exit_code: int = 1, hint: bool = True) -> None:
        super().__init__(text)
        self.exit_code = exit_code
        self.hint = hint


class ToolError(Exception):
    """The tool could not do its work; the text is the whole message, printed to stderr (nothing is printed when it is empty)."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code
