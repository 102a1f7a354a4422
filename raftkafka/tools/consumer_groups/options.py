"""The options of kafka-consumer-groups, and which of them go together."""

from __future__ import annotations

import sys

from raftkafka.tools.consumer_groups.failure import CommandFailed
from raftkafka.tools.errors import UsageError
from raftkafka.tools.options import OptionParser, Options, flag, value

ACTIONS = ("list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex")
SCENARIOS = ("shift-by", "to-offset", "to-earliest", "to-current", "to-latest", "by-duration", "to-datetime", "from-file")
"""The ways to choose new offsets, in the order in which the tool names them."""

PARSER = OptionParser(
    script="kafka-consumer-groups",
    summary=(
        "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, "
        "or reset consumer group offsets."
    ),
    examples=(
        "kafka-consumer-groups.sh --bootstrap-server localhost:9092 --list",
        "kafka-consumer-groups.sh --bootstrap-server localhost:9092 --describe --group my-group",
        "kafka-consumer-groups.sh --bootstrap-server localhost:9092 --group my-group --topic my-topic"
        " --reset-offsets --to-earliest --execute",
    ),
    options=(
        value(
            "bootstrap-server",
            "The server(s) to connect to. Required for all options except --validate-regex.",
            argument="server to connect to",
        ),
        value("group", "The consumer group to act on. May be given several times.", argument="consumer group"),
        flag("all-groups", "Apply to all consumer groups."),
        value(
            "topic",
            "The topic whose offsets are reset or deleted, also as `topic:0,1,2` for some partitions only. May be given several times.",
            argument="topic",
        ),
        flag("all-topics", "Consider all topics of which the group has offsets (--reset-offsets)."),
        flag("list", "List all consumer groups."),
        flag("describe", "Describe consumer groups: their offsets and lag (number of messages not yet processed)."),
        flag("offsets", "With --describe: all partitions of the group with their offset and lag. This is what it does by default."),
        flag("members", "With --describe: the members of the group."),
        value(
            "state",
            "With --describe: the state of the group. With --list: the states of all groups, or the groups in these states only "
            "(--list --state stable,empty).",
            argument="states",
            optional_argument=True,
        ),
        value(
            "type",
            "With --list: the types of all groups, or the groups of these types only (--list --type classic,consumer).",
            argument="types",
            optional_argument=True,
        ),
        flag("verbose", "With --describe: more information, if there is any."),
        flag("delete", "Delete consumer groups, with all they have committed (--group g1 --group g2)."),
        flag("delete-offsets", "Delete the offsets of a consumer group for topics."),
        flag(
            "reset-offsets",
            "Reset the offsets of consumer groups without members. It shows the plan (--dry-run, the default) or carries it out "
            "(--execute); --export prints the plan as CSV. Choose how: --to-datetime, --by-duration, --to-earliest, --to-latest, "
            "--shift-by, --from-file, --to-current, --to-offset; and of what: --all-topics or --topic, but not with --from-file.",
        ),
        flag("dry-run", "Only show the plan of --reset-offsets."),
        flag("execute", "Carry out the plan of --reset-offsets."),
        flag("export", "Print the plan of --reset-offsets as CSV."),
        value("to-offset", "Reset offsets to a specific offset.", argument="offset"),
        value("from-file", "Reset offsets to the values of a CSV file.", argument="path to CSV file"),
        value("to-datetime", "Reset offsets to the first record at or after a time, 'YYYY-MM-DDThh:mm:ss.sss'.", argument="datetime"),
        value("by-duration", "Reset offsets to the first record that is younger than 'PnDTnHnMnS'.", argument="duration"),
        flag("to-earliest", "Reset offsets to the first record."),
        flag("to-latest", "Reset offsets to the end."),
        flag("to-current", "Reset offsets to what is committed now."),
        value("shift-by", "Shift the committed offsets by 'n', which may be negative.", argument="number-of-offsets"),
        value("timeout", "How long to try, in milliseconds.", argument="timeout (ms)", default=5000),
        value("command-config", "Properties file with settings of the client.", argument="command config property file"),
        value("validate-regex", "Say whether a regular expression is valid in the syntax of RE2.", argument="regex"),
    ),
)

_NO_EXECUTE = (
    "WARN: No action will be performed as the --execute option is missing. In version 5.0, this command will require either --dry-run or "
    "--execute to be specified. You should add the --dry-run option explicitly if you are scripting this command and want to keep the "
    "current default behavior without prompting."
)


def check(options: Options) -> None:
    """`UsageError` when the options do not go together; warns when --reset-offsets will only show its plan."""
    _check_availability(options)
    if options.has("validate-regex"):
        return
    options.require("bootstrap-server")
    if options.has("describe"):
        _check_describe(options)
    if options.has("delete"):
        _check_groups(options, "delete")
        if options.has("topic"):
            raise UsageError("The consumer does not support topic-specific offset deletion from a consumer group.")
    if options.has("delete-offsets") and not (options.has("group") and options.has("topic")):
        raise UsageError("Option [delete-offsets] takes the following options: [topic], [group]")
    if options.has("reset-offsets"):
        _check_reset(options)
    options.refuse("group", "all-groups")
    options.refuse("group", "list")
    options.refuse("topic", "list", "describe")
    if sum(options.has(action) for action in ACTIONS) != 1:
        raise UsageError(f"Command must include exactly one action: {', '.join(f'--{action}' for action in ACTIONS)}")


def long_value(options: Options, name: str) -> int:
    """The number that an option has; `CommandFailed` when it is none, since Apache's tool reads it only when it needs it."""
    try:
        return options.number(name, bits=64) or 0
    except UsageError as error:
        raise CommandFailed(str(error)) from None


def _check_availability(options: Options) -> None:
    for name, needs in (("members", ("describe",)), ("verbose", ("describe",)), ("offsets", ("describe",))):
        _check_available(options, name, needs)
    _check_available(options, "state", ("describe", "list"))
    _check_available(options, "type", ("list",))


def _check_available(options: Options, name: str, needs: tuple[str, ...]) -> None:
    if options.has(name) and not any(options.has(need) for need in needs):
        raise UsageError(f"Option(s) [{name}] are unavailable given other options on the command line")


def _check_groups(options: Options, action: str) -> None:
    if not options.has("group") and not options.has("all-groups"):
        raise UsageError(f"Option [{action}] takes one of these options: [all-groups], [group]")


def _check_describe(options: Options) -> None:
    _check_groups(options, "describe")
    if sum(options.has(name) for name in ("members", "offsets", "state")) > 1:
        raise UsageError("Option [describe] takes at most one of these options: [members], [offsets], [state]")
    if options.has("state") and options.text("state") is not None:
        raise UsageError("Option [describe] does not take a value for [state]")


def _check_reset(options: Options) -> None:
    if options.has("dry-run") and options.has("execute"):
        raise UsageError("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
    if not options.has("dry-run") and not options.has("execute"):
        print(_NO_EXECUTE, file=sys.stderr)
    _check_groups(options, "reset-offsets")
    for scenario in ("to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "to-current", "shift-by", "from-file"):
        options.refuse(scenario, *(other for other in SCENARIOS if other != scenario))
