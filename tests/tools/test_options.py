"""The command lines of the tools, read as joptsimple and argparse4j read them."""

from __future__ import annotations

import pytest

from raftkafka.tools.errors import UsageError
from raftkafka.tools.options import OptionParser, Options, flag, value
from raftkafka.tools.subcommands import CommandParser

PARSER = OptionParser(
    script="kafka-sample",
    summary="A sample.",
    examples=("kafka-sample.sh --topic x",),
    options=(
        flag("list", "List."),
        value("topic", "A topic.", argument="topic"),
        value("command-property", "A setting.", "property", argument="key=value"),
        value("count", "A number.", argument="n", default=7),
        value("groups", "Several.", argument="a,b", separator=","),
        value("state", "Perhaps.", argument="state", optional_argument=True),
    ),
)


def read(*arguments: str) -> Options:
    return PARSER.read(arguments)


@pytest.mark.parametrize("arguments", [("--topic", "x"), ("--topic=x",), ("-topic", "x"), ("--topic=", "x")])
def test_a_value_may_follow_or_be_attached(arguments: tuple[str, ...]) -> None:
    assert read(*arguments).text("topic") == "x"


def test_a_value_may_look_like_an_option() -> None:
    options = read("--topic", "--list")
    assert (options.text("topic"), options.has("list")) == ("--list", False)


def test_an_old_name_means_the_new_option() -> None:
    assert read("--property", "a=1", "--command-property=b=2").texts("command-property") == ["a=1", "b=2"]


def test_a_default_is_a_value_that_was_not_given() -> None:
    options = read("rest")
    assert (options.number("count"), options.has("count"), options.rest) == (7, False, ("rest",))


def test_a_list_is_split() -> None:
    assert read("--groups", "a,b", "--groups", "c").texts("groups") == ["a", "b", "c"]


@pytest.mark.parametrize(("arguments", "values"), [(("--state",), []), (("--state", "Empty"), ["Empty"]), (("--state", "--list"), [])])
def test_an_optional_value_may_be_left_out(arguments: tuple[str, ...], values: list[str]) -> None:
    options = read(*arguments)
    assert options.has("state")
    assert options.texts("state") == values


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--bogus",), "bogus is not a recognized option"),
        (("--li",), "li is not a recognized option"),
        (("--topic",), "Option topic requires an argument"),
    ],
)
def test_errors_are_joptsimples(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^{sentence}$"):
        read(*arguments)


@pytest.mark.parametrize("text", ["many", "1.5", "1_000", "99999999999", " 1"])
def test_a_number_that_is_none_is_told_when_it_is_read(text: str) -> None:
    options = read("--count", text)
    with pytest.raises(UsageError, match=f"^Cannot parse argument '{text}' of option count$"):
        options.number("count")


def test_one_value_is_asked_for() -> None:
    with pytest.raises(UsageError, match="Found multiple arguments for option topic, but you asked for only one"):
        read("--topic", "a", "--topic", "b").text("topic")


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(UsageError, match=r'^Option "\[topic\]" can\'t be used with option "\[list\]"$'):
        read("--list", "--topic", "a").refuse("topic", "count", "list")
    with pytest.raises(UsageError, match=r'^Missing required argument "\[topic\]"$'):
        read("--list").require("list", "topic")


def test_version_is_that_of_the_tools_it_is_like(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        PARSER.parse(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, "4.3.1\n")


def command_parser() -> CommandParser:
    parser = CommandParser(script="kafka-sample", summary="A sample.", examples=("kafka-sample.sh show",))
    show = parser.commands().add("show", "Show it.", examples=("kafka-sample.sh show --id 1",))
    show.add_argument("--id", "-i", type=int, required=True)
    return parser


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "kafka-sample: error: too few arguments"),
        (["show"], "kafka-sample: error: argument --id/-i is required"),
        (["burn"], r"kafka-sample: error: invalid choice: 'burn' \(choose from 'show'\)"),
        (["show", "--bogus"], "kafka-sample: error: unrecognized arguments: '--bogus'"),
    ],
)
def test_errors_are_argparse4js(arguments: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^{sentence}$"):
        command_parser().parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "example"), [(["-h"], "kafka-sample.sh show\n"), (["show", "--help"], "kafka-sample.sh show --id 1\n")]
)
def test_help_of_a_command_leads_with_its_example(arguments: list[str], example: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_parser().parse_args(arguments)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"Example:\n  {example}")
