"""How kafka-consumer-groups says that something went wrong: a line on stdout that begins with `Error:`, and exit code 0."""

from __future__ import annotations

from raftkafka.base.errors import ErrorCode
from raftkafka.tools.java_errors import refusal

WRAPPED = "java.util.concurrent.ExecutionException: "
"""What stands before an error that Apache's tool found while it waited for an answer."""


class CommandFailed(Exception):
    """The command cannot go on; the text is what Apache's tool gives as the reason."""


def refused(code: int, message: str | None = None, *, wrapped: bool = False) -> CommandFailed:
    """The failure of a request that was answered with an error."""
    return CommandFailed((WRAPPED if wrapped else "") + refusal(code, message).named)


def raise_for(code: int, message: str | None = None, *, wrapped: bool = False) -> None:
    """Raises when the code says that a request was refused."""
    if code != ErrorCode.NONE:
        raise refused(code, message, wrapped=wrapped)


def print_error(text: str) -> None:
    """Prints an error where Apache's tool prints it."""
    print(f"\nError: {text}")
