"""The command line of the tools that have commands of their own (kafka-cluster, kafka-storage, kafka-metadata-quorum ...).

    parser = CommandParser(script="kafka-cluster", summary="The Kafka cluster tool.", examples=("kafka-cluster.sh cluster-id ...",))
    commands = parser.commands()
    cluster_id = commands.add("cluster-id", "Get information about the ID of a cluster.")
    cluster_id.add_argument("--bootstrap-server", "-b", metavar="HOST:PORT")
    given = parser.parse_args(arguments)       # given.command is the name of the command

Apache's tools of this kind are built on argparse4j, which is like Python's argparse; wrong usage is a `UsageError` in its words.

Sources: argparse4j 0.7 as Apache Kafka 4.3.1's tools show it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from raftkafka.tools.errors import UsageError

_REQUIRED = re.compile(r"the following arguments are required: (?P<names>.*)")
_INVALID_CHOICE = re.compile(r"argument [^:]*: (?P<rest>invalid choice: .*)", re.DOTALL)
_UNKNOWN = re.compile(r"unrecognized arguments: (?P<first>\S+)")


class CommandParser(argparse.ArgumentParser):
    """An argument parser that raises instead of exiting, and whose help leads with examples.

    `--help` exits with `help_exit_code`. With `bare_errors` a usage error has no name of the tool before it.
    """

    def __init__(
        self,
        *,
        script: str,
        summary: str = "",
        examples: Sequence[str] = (),
        help_exit_code: int = 0,
        bare_errors: bool = False,
        prog: str | None = None,
    ) -> None:
        super().__init__(prog=script, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False, allow_abbrev=True)
        self.examples = list(examples)
        self.summary = summary
        self.help_exit_code = help_exit_code
        self.bare_errors = bare_errors
        self.add_argument("-h", "--help", action="store_true", dest="help_wanted", help="show this help message and exit")

    def commands(self, *, dest: str = "command") -> Commands:
        """The place for commands; `parse_args` refuses a command line without one."""
        made = self.add_subparsers(dest=dest, metavar="command", parser_class=CommandParser)
        made.required = True
        return Commands(made, self)

    def format_help(self) -> str:
        head = f"Example{'s' if len(self.examples) > 1 else ''}:\n" + "".join(f"  {example}\n" for example in self.examples) + "\n"
        return (head if self.examples else "") + (f"{self.summary}\n\n" if self.summary else "") + super().format_help()

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        """The arguments that are given; `--help` anywhere prints the help of its command and exits."""
        arguments = list(sys.argv[1:] if args is None else args)
        wanted = self._parser_of(arguments)
        if {"-h", "--help"} & set(arguments):
            print(wanted.format_help(), end="")
            raise SystemExit(wanted.help_exit_code)
        self._refuse_unknown(arguments, wanted)
        parsed: argparse.Namespace = super().parse_args(arguments, namespace)
        return parsed

    def error(self, message: str) -> NoReturn:
        said = _as_argparse4j(message)
        raise UsageError(said if self.bare_errors else f"{self.prog.split(' ')[0]}: error: {said}")

    def _refuse_unknown(self, arguments: Sequence[str], command: CommandParser) -> None:
        """As argparse4j, complains of an unknown option before it complains of what is missing, but first of an unknown command."""
        if command is self and self._subparsers is not None and arguments and not arguments[0].startswith("-"):
            return
        known = [*self._option_string_actions, *command._option_string_actions]
        for argument in arguments:
            name = argument.partition("=")[0]
            if name.startswith("--") and not any(each.startswith(name) for each in known):
                self.error(f"unrecognized arguments: {name}")

    def _parser_of(self, arguments: Sequence[str]) -> CommandParser:
        """The parser of the command that is named first, this one when none is."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for argument in arguments:
                    if argument in action.choices:
                        chosen: CommandParser = action.choices[argument]
                        return chosen._parser_of(arguments)
        return self


class Commands:
    """The commands of a tool."""

    def __init__(self, made: Any, parent: CommandParser) -> None:
        self._made = made
        self._parent = parent

    def add(self, name: str, help: str, *, examples: Sequence[str] = ()) -> CommandParser:
        """The parser of one more command, whose arguments are added to it."""
        parent = self._parent
        added: CommandParser = self._made.add_parser(
            name,
            help=help,
            script=f"{parent.prog} {name}",
            summary=help,
            examples=examples,
            help_exit_code=parent.help_exit_code,
            bare_errors=parent.bare_errors,
        )
        return added


def _as_argparse4j(message: str) -> str:
    """Python's sentence in the words of argparse4j."""
    if required := _REQUIRED.fullmatch(message):
        first = required["names"].split(", ")[0]
        return "too few arguments" if first == "command" else f"argument {first} is required"
    if choice := _INVALID_CHOICE.fullmatch(message):
        return choice["rest"]
    if unknown := _UNKNOWN.match(message):
        return f"unrecognized arguments: '{unknown['first']}'"
    return message
