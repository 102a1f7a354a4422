"""The command line of most tools: the options that Apache's tools take, read as joptsimple reads them.

    PARSER = OptionParser(
        script="kafka-topics",
        summary="Create, delete, describe, or change a topic.",
        examples=("kafka-topics.sh --bootstrap-server localhost:9092 --list",),
        options=(
            flag("list", "List all available topics."),
            value("topic", "The topic to create, alter, describe or delete.", argument="topic"),
            value("producer.config", "Old name of --command-config.", argument="file"),
        ),
    )
    options = PARSER.parse(arguments)          # prints the help and raises SystemExit(1) for --help, as Apache's tools do
    options.has("list"), options.text("topic"), options.number("partitions"), options.texts("config")

Invariants
- An option that takes a value takes whatever comes next, also when it begins with a dash; `--name=value` and `-name` work too.
- Values are converted when they are read: a number that is none is reported then, in joptsimple's words.
- Arguments that belong to no option are kept in `rest`; Apache's tools ignore them.

Sources: joptsimple 5.0 as Apache Kafka 4.3.1's tools show it: exit codes, the words of its errors, options without abbreviations.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs

from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.help_text import help_text

__all__ = ["Option", "OptionParser", "Options", "ToolError", "UsageError", "flag", "value"]

KAFKA_VERSION = "4.3.1"
"""What `--version` answers: the version whose tools these are like."""

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Option:
    """One option: its names (the first is the one that is shown and asked for), and the word for its value; None for a flag."""

    names: tuple[str, ...]
    help: str
    argument: str | None = None
    default: str | None = None
    separator: str | None = None
    """One value is split into several at this character."""
    optional_argument: bool = False
    """The value may be left out when the next argument is an option, or there is none."""

    @property
    def name(self) -> str:
        return self.names[0]


def flag(name: str, help: str, *aliases: str) -> Option:
    """An option without a value."""
    return Option(names=(name, *aliases), help=help)


def value(
    name: str,
    help: str,
    *aliases: str,
    argument: str,
    default: object = None,
    separator: str | None = None,
    optional_argument: bool = False,
) -> Option:
    """An option with a value; `argument` is the word for it in the help."""
    return Option(
        names=(name, *aliases),
        help=help,
        argument=argument,
        default=None if default is None else str(default),
        separator=separator,
        optional_argument=optional_argument,
    )


@attrs.frozen(kw_only=True)
class Options:
    """What was given. Each question names an option by its first name."""

    given: dict[str, list[str]]
    declared: dict[str, Option]
    rest: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Whether the option is on the command line (a default does not count)."""
        assert name in self.declared, f"--{name} is not declared"
        return name in self.given

    def texts(self, name: str) -> list[str]:
        """All values of an option in order; its default, or nothing, when it is not given."""
        option = self.declared[name]
        if name in self.given:
            return self.given[name]
        return [] if option.default is None else [option.default]

    def text(self, name: str) -> str | None:
        """The one value of an option; `UsageError` when it was given several times."""
        values = self.texts(name)
        if len(values) > 1:
            raise UsageError(f"Found multiple arguments for option {name}, but you asked for only one")
        return values[0] if values else None

    def required(self, name: str) -> str:
        """The one value of an option that must be there."""
        found = self.text(name)
        if found is None:
            raise UsageError(f'Missing required argument "[{name}]"')
        return found

    def number(self, name: str, *, bits: int = 32) -> int | None:
        """The value as a signed integer of that many bits; `UsageError` in joptsimple's words when it is none."""
        return self._converted(name, lambda text: _integer(text, bits))

    def _converted(self, name: str, convert: Callable[[str], T]) -> T | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            return convert(text)
        except ValueError:
            raise UsageError(f"Cannot parse argument '{text}' of option {name}") from None

    def require(self, *names: str) -> None:
        """`UsageError` when one of the options is not given."""
        for name in names:
            if not self.has(name):
                raise UsageError(f'Missing required argument "[{name}]"')

    def refuse(self, used: str, *names: str) -> None:
        """`UsageError` when `used` is given together with one of the others."""
        if self.has(used):
            for name in names:
                if self.has(name):
                    raise UsageError(f'Option "[{used}]" can\'t be used with option "[{name}]"')


@attrs.frozen(kw_only=True)
class OptionParser:
    """The options of one tool; `--help` and `--version` belong to every tool and need not be declared."""

    script: str
    summary: str
    examples: tuple[str, ...]
    options: tuple[Option, ...]
    help_when_empty: bool = True
    """Without any argument the tool prints its help and ends with 1, as most of Apache's do."""

    def parse(self, arguments: Sequence[str]) -> Options:
        """The options that are given; `UsageError` in joptsimple's words. Prints the help or the version and exits when asked to."""
        options = self.read(arguments)
        if (self.help_when_empty and not arguments) or options.has("help"):
            print(self.help(), file=sys.stderr)
            raise SystemExit(1)
        if options.has("version"):
            print(KAFKA_VERSION)
            raise SystemExit(0)
        return options

    def read(self, arguments: Sequence[str]) -> Options:
        """As `parse`, but `--help` and `--version` are options like others."""
        declared = {option.name: option for option in (*self.options, _HELP, _VERSION)}
        by_name = {name: option for option in declared.values() for name in option.names}
        given: dict[str, list[str]] = {}
        rest: list[str] = []
        pending = list(reversed(arguments))
        while pending:
            argument = pending.pop()
            if argument == "--":
                rest.extend(reversed(pending))
                break
            if not argument.startswith("-") or argument == "-":
                rest.append(argument)
                continue
            name, _, attached = argument.lstrip("-").partition("=")
            option = by_name.get(name)
            if option is None:
                raise UsageError(f"{name} is not a recognized option")
            given.setdefault(option.name, []).extend(_values_of(option, name, attached, pending))
        return Options(given=given, declared=declared, rest=tuple(rest))

    def help(self) -> str:
        """The help: an example first, then what the tool is for and its options."""
        return help_text(
            summary=self.summary,
            examples=self.examples,
            options=sorted((_shown(option) for option in (*self.options, _HELP, _VERSION)), key=lambda each: each[0]),
        )


_HELP = flag("help", "Print usage information.", "h")
_VERSION = flag("version", "Display Kafka version.")


def _values_of(option: Option, name: str, attached: str, pending: list[str]) -> list[str]:
    """The values that one occurrence of an option gives; takes the next argument when the option needs it."""
    if option.argument is None:
        return []
    if not attached:
        if option.optional_argument and (not pending or pending[-1].startswith("-")):
            return []
        if not pending:
            raise UsageError(f"Option {name} requires an argument")
        attached = pending.pop()
    return [attached] if option.separator is None else attached.split(option.separator)


def _integer(text: str, bits: int) -> int:
    number = int(text, 10)
    if "_" in text or text != text.strip() or not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
        raise ValueError(text)
    return number


def _shown(option: Option) -> tuple[str, str]:
    names = ", ".join(f"--{name}" if len(name) > 1 else f"-{name}" for name in option.names)
    if option.argument is not None:
        names += f" <{option.argument}>" if not option.optional_argument else f" [{option.argument}]"
    default = f" (default: {option.default})" if option.default is not None else ""
    return names, option.help + default
