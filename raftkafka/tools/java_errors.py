"""Apache Kafka's names and sentences of the error codes, and the line that its tools log of an error.

People and scripts know errors by these: `InvalidPartitionsException`, "This server does not host this topic-partition."

Sources: `java_error_table`; the log lines of Apache Kafka 4.3.1's tools.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from datetime import datetime

from raftkafka.base.errors import ErrorCode
from raftkafka.tools.errors import ToolError
from raftkafka.tools.java_error_table import ERRORS

PACKAGE = "org.apache.kafka.common.errors."
ILLEGAL_ARGUMENT = "java.lang.IllegalArgumentException"


class JavaError(ToolError):
    """A failure under the name that Apache's tools give it; `str` is the sentence alone, `named` has the name before it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message

    @property
    def named(self) -> str:
        """`org.apache.kafka.common.errors.TopicExistsException: Topic 'x' already exists.`"""
        return f"{self.name}: {self.message}"


def refusal(code: int, message: str | None = None) -> JavaError:
    """The error of an answer: its code, and its own sentence or else Kafka's."""
    return JavaError(exception_name(code), message or default_message(code))


def raise_refusal(code: int, message: str | None = None) -> None:
    """Raises the error of an answer unless its code says that there is none."""
    if code != ErrorCode.NONE:
        raise refusal(code, message)


def as_java_error(error: Exception) -> JavaError | None:
    """An error of this program under the name that it would have in Apache's tools; None for a bug."""
    from raftkafka.base.errors import PeerError
    from raftkafka.client.cluster import CoordinatorRefused, Unsupported
    from raftkafka.client.connection import RequestFailed
    from raftkafka.tools.errors import UsageError

    match error:
        case JavaError():
            return error
        case Unsupported():
            return JavaError(exception_name(ErrorCode.UNSUPPORTED_VERSION), str(error))
        case CoordinatorRefused():
            return JavaError(exception_name(error.code), str(error))
        case RequestFailed():
            return JavaError(exception_name(ErrorCode.REQUEST_TIMED_OUT), str(error))
        case PeerError():
            return JavaError("org.apache.kafka.common.protocol.types.SchemaException", str(error))
        case UsageError():
            return JavaError("joptsimple.OptionException", str(error))
        case _:
            return None


@contextlib.contextmanager
def errors_by_name() -> Iterator[None]:
    """Lets an error from outside end the tool under its Java name: the class, a colon and the sentence."""
    from raftkafka.base.errors import PeerError
    from raftkafka.client.connection import RequestFailed

    try:
        yield
    except (JavaError, PeerError, RequestFailed) as error:
        known = as_java_error(error)
        raise ToolError(known.named if known is not None else str(error)) from None


def exception_name(code: int) -> str:
    """The full name of the Java class of an error code."""
    name = _row(code)[0]
    return name if "." in name else PACKAGE + name


def default_message(code: int) -> str:
    """Kafka's sentence of an error code, for an answer that brings none of its own."""
    return _row(code)[1]


def log_error(name: str, message: str, logger: str) -> None:
    """Prints an error to stderr as Apache's tools log it, but without a stack trace: a time, the exception, the tool's Java class."""
    print(f"{log_time()} ERROR {name}: {message}\n ({logger})", file=sys.stderr)


def log_time() -> str:
    """The time of a log line, `[2026-11-24 05:37:41,051]`."""
    now = datetime.now().astimezone()
    return f"[{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}]"


def log_warning(message: str, logger: str) -> None:
    """Prints a warning to stderr as Apache's tools log it: a time, the sentence, the tool's Java class."""
    now = datetime.now().astimezone()
    print(f"[{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}] WARN {message} ({logger})", file=sys.stderr)


def _row(code: int) -> tuple[str, str]:
    try:
        return ERRORS[ErrorCode(code)]
    except (ValueError, KeyError):
        return ERRORS[ErrorCode.UNKNOWN_SERVER_ERROR]
