"""The options of kafka-reassign-partitions, and which of them belong to which action."""

from __future__ import annotations

from raftkafka.tools.errors import UsageError
from raftkafka.tools.options import OptionParser, Options, flag, value
from raftkafka.tools.reassign_partitions.failure import Failed

ACTIONS = ("generate", "execute", "verify", "cancel", "list")

PARSER = OptionParser(
    script="kafka-reassign-partitions",
    summary="This tool helps to move topic partitions between replicas.",
    examples=(
        "kafka-reassign-partitions.sh --bootstrap-server localhost:9092 --topics-to-move-json-file topics.json"
        " --broker-list 0,1,2 --generate",
        "kafka-reassign-partitions.sh --bootstrap-server localhost:9092 --reassignment-json-file plan.json --execute --throttle 10000000",
        "kafka-reassign-partitions.sh --bootstrap-server localhost:9092 --reassignment-json-file plan.json --verify",
    ),
    options=(
        flag("verify", "Say whether the moves of --reassignment-json-file are done, and remove the throttles when they are."),
        flag("generate", "Propose new replicas for the topics of --topics-to-move-json-file. Nothing is moved."),
        flag("execute", "Start the moves of --reassignment-json-file."),
        flag("cancel", "Cancel the moves of --reassignment-json-file."),
        flag("list", "List all moves of replicas between brokers that are under way."),
        value("bootstrap-server", "The server(s) to connect to.", argument="Server(s) to use for bootstrapping", optional_argument=True),
        value(
            "bootstrap-controller",
            "The controller to connect to, for --cancel and --list.",
            argument="bootstrap controller to connect to",
            optional_argument=True,
        ),
        value("command-config", "Properties file with settings of the client.", argument="Admin client property file"),
        value(
            "reassignment-json-file",
            "The replicas that partitions shall have:\n"
            '{"version": 1, "partitions": [{"topic": "foo", "partition": 1, "replicas": [1,2,3], "log_dirs": ["any","any","/data"]}]}\n'
            '"log_dirs" may be left out; "any" leaves the choice of the log directory to the broker.',
            argument="manual assignment json file path",
        ),
        value(
            "topics-to-move-json-file",
            'The topics for --generate: {"version": 1, "topics": [{"topic": "foo"}, {"topic": "foo1"}]}',
            argument="topics to reassign json file path",
        ),
        value("broker-list", 'The brokers that --generate may use, in the form "0,1,2".', argument="brokerlist"),
        flag("disable-rack-aware", "Propose replicas without regard to racks."),
        value(
            "throttle",
            "At most so many bytes a second are moved between brokers. May be changed with --additional. At least 1 KB/s makes sense.",
            argument="throttle",
            default=-1,
        ),
        value(
            "replica-alter-log-dirs-throttle",
            "At most so many bytes a second are moved between log directories of a broker. At least 1 KB/s makes sense.",
            argument="replicaAlterLogDirsThrottle",
            default=-1,
        ),
        value("timeout", "How long to wait until moves between log directories have started, in ms.", argument="timeout", default=10000),
        flag("additional", "Start these moves although others are under way; also changes the throttle of moves under way."),
        flag("preserve-throttles", "Leave the throttles as they are."),
        flag("disallow-replication-factor-change", "Refuse to start when a move would change a replication factor."),
    ),
)

_REQUIRED = {
    "verify": ("reassignment-json-file",),
    "generate": ("topics-to-move-json-file", "broker-list"),
    "execute": ("reassignment-json-file",),
    "cancel": ("reassignment-json-file",),
    "list": (),
}
_PERMITTED = {
    "verify": ("bootstrap-server", "command-config", "preserve-throttles"),
    "generate": ("bootstrap-server", "command-config", "disable-rack-aware"),
    "execute": (
        "additional",
        "bootstrap-server",
        "command-config",
        "throttle",
        "replica-alter-log-dirs-throttle",
        "timeout",
        "disallow-replication-factor-change",
    ),
    "cancel": ("bootstrap-server", "bootstrap-controller", "command-config", "preserve-throttles", "timeout"),
    "list": ("bootstrap-server", "bootstrap-controller", "command-config"),
}


def check(options: Options) -> str:
    """The action; `UsageError` when the options do not go together."""
    actions = [action for action in ACTIONS if options.has(action)]
    if len(actions) != 1:
        raise UsageError(f"Command must include exactly one action: {', '.join(f'--{action}' for action in ACTIONS)}")
    action = actions[0]
    if options.has("bootstrap-server") and options.has("bootstrap-controller"):
        raise UsageError("Please don't specify both --bootstrap-server and --bootstrap-controller")
    if not options.has("bootstrap-server") and not options.has("bootstrap-controller"):
        raise UsageError("Please specify either --bootstrap-server or --bootstrap-controller")
    options.require(*_REQUIRED[action])
    for name in options.given:
        if name != action and name not in _REQUIRED[action] and name not in _PERMITTED[action]:
            raise UsageError(f'Option "[{name}]" can\'t be used with action "[{action}]"')
    return action


def long_value(options: Options, name: str) -> int:
    """The number that an option has; `Failed` when it is none, since Apache's tool reads it only when it needs it."""
    try:
        number = options.number(name, bits=64)
    except UsageError as error:
        raise Failed(str(error)) from None
    assert number is not None, f"--{name} has a default"
    return number
