"""Runs a tool and turns every way it may fail into one sentence and an exit code; never a traceback.

Sources: the exit codes of Apache Kafka 4.3.1's tools: 0 good, 1 everything else, 130 for Ctrl-C as of any program.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence

from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.registry import TOOLS

INTERRUPTED = 130
SHOW_BUGS = "RAFTKAFKA_TRACEBACK"
"""The environment variable with which a bug of a tool is shown with its traceback."""


def run_program(subcommand: str, arguments: Sequence[str]) -> int:
    """As `run_tool`, for a program of its own: a bug is one sentence too."""
    try:
        return run_tool(subcommand, arguments)
    except Exception as bug:
        if os.environ.get(SHOW_BUGS):
            raise
        _say(f"This is a bug of {TOOLS[subcommand].script}: {type(bug).__name__}: {bug}. With {SHOW_BUGS}=1 it shows where.")
        return 1


def run_tool(subcommand: str, arguments: Sequence[str]) -> int:
    """Runs the tool of that subcommand; returns its exit code. What is raised is a bug."""
    entry = TOOLS[subcommand]
    return exit_code_of(lambda: importlib.import_module(entry.module).main(list(arguments)), hint=f"Try {entry.script}.sh --help.")


def exit_code_of(work: Callable[[], int], *, hint: str = "") -> int:
    """What `work` returns, or the exit code of the way it failed, which is told in one sentence. What is raised is a bug."""
    try:
        try:
            code = work()
        finally:
            sys.stdout.flush()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except UsageError as error:
        _say(f"{error}\n{hint}" if error.hint else str(error))
        return error.exit_code
    except ToolError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()  # Whoever read our output has seen enough.
        return 0
    except OSError as error:
        if error.filename is None:
            _drop_output()
        _say(_sentence_of_system(error))
        return 1
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        _say(sentence)
        return 1
    return code


def sentence_of(error: BaseException) -> str | None:
    """What to tell a person of an error from outside this program; None for a bug."""
    from raftkafka.base.errors import ApiError, DecodeError, PeerError
    from raftkafka.client.connection import RequestFailed

    if isinstance(error, ApiError):
        return error.message or error.code.name
    if isinstance(error, RequestFailed | PeerError | DecodeError):
        return str(error)
    if isinstance(error, OSError):
        return _sentence_of_system(error)
    confluent_kafka = sys.modules.get("confluent_kafka")
    if confluent_kafka is not None and isinstance(error, confluent_kafka.KafkaException):
        inner = error.args[0] if error.args else error
        return str(inner.str()) if hasattr(inner, "str") else str(inner)
    return None


def _sentence_of_system(error: OSError) -> str:
    """What the operating system refused, with the file if it was one; without one it was mostly our own output."""
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename is not None else f"The output cannot be written: {reason}"


def _drop_output() -> None:
    """Makes stdout lead nowhere: the interpreter would flush what is left of it once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    if text:
        print(text, file=sys.stderr)
