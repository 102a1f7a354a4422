"""`kafka-dump-log`: what is in the files of a log directory (segments, indexes, producer snapshots) and of the metadata log.

Where Apache's tool ends with a stack trace, this one ends with its sentence. Two outputs are our own: the files of our metadata log
(`raft_files`), and `DefaultDecoder`, which shows bytes as hexadecimal digits instead of a Java object's address.

Not implemented: --remote-log-metadata-decoder and --share-group-state-decoder (neither topic exists here); decoders of the user's own; what
the records of Apache Kafka's metadata log say (their type and version are shown); batches older than format version 2.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.errors import CorruptRecord, DecodeError
from raftkafka.tools.dump_log import decoders
from raftkafka.tools.dump_log.dump import DEFAULT_MAX_MESSAGE_BYTES, DumpPlan, dump_files
from raftkafka.tools.dump_log.segments import NO_LIMIT, SegmentView
from raftkafka.tools.errors import ToolError
from raftkafka.tools.options import OptionParser, Options, flag, value

PARSER = OptionParser(
    script="kafka-dump-log",
    summary=(
        "This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log segment."
    ),
    examples=(
        "kafka-dump-log.sh --print-data-log --files data/hello.kafka-0/00000000000000000000.log",
        "kafka-dump-log.sh --offsets-decoder --files data/__consumer_offsets-10/00000000000000000000.log",
        "kafka-dump-log.sh --cluster-metadata-decoder --files data/__cluster_metadata-0/snapshot",
    ),
    options=(
        flag("cluster-metadata-decoder", "If set, log data will be parsed as cluster metadata records."),
        flag(
            "deep-iteration",
            "If set, uses deep instead of shallow iteration. Automatically set if print-data-log is enabled.",
        ),
        value(
            "files",
            "REQUIRED: The comma separated list of data and index log files to be dumped.",
            argument="file1, file2, ...",
        ),
        flag("index-sanity-check", "If set, just checks the index sanity without printing its content."),
        value(
            "key-decoder-class",
            "How to show keys: one of Kafka's StringDecoder, IntegerDecoder, LongDecoder, DefaultDecoder.",
            argument="class",
            default=decoders.DEFAULT_DECODER,
            optional_argument=True,
        ),
        value("max-bytes", "Limit the amount of total batches read in bytes.", argument="size", default=NO_LIMIT),
        value("max-message-size", "Size of largest message.", argument="size", default=DEFAULT_MAX_MESSAGE_BYTES),
        flag("offsets-decoder", "If set, log data will be parsed as offset data from the __consumer_offsets topic."),
        flag(
            "print-data-log",
            "If set, printing the messages content when dumping data logs. Automatically set if any decoder option is specified.",
        ),
        flag("remote-log-metadata-decoder", "Not supported: there is no remote log here."),
        flag("share-group-state-decoder", "Not supported: there are no share groups here."),
        flag("skip-record-metadata", "Skip metadata when printing records. This flag also skips control records."),
        flag("transaction-log-decoder", "If set, log data will be parsed as transaction metadata from the __transaction_state topic."),
        value(
            "value-decoder-class",
            "How to show values; see --key-decoder-class.",
            argument="class",
            default=decoders.DEFAULT_DECODER,
            optional_argument=True,
        ),
        flag("verify-index-only", "If set, just verify the index log without printing its content."),
    ),
)

_DECODER_OPTIONS = ("offsets-decoder", "transaction-log-decoder", "cluster-metadata-decoder", "value-decoder-class", "key-decoder-class")
_UNSUPPORTED = ("remote-log-metadata-decoder", "share-group-state-decoder")


def main(arguments: Sequence[str]) -> int:
    """Dumps files; 1 when one of them cannot be read."""
    options = PARSER.parse(arguments)
    options.require("files")
    for name in _UNSUPPORTED:
        if options.has(name):
            raise ToolError(f"--{name} is not supported by this tool.")
    contents = options.has("print-data-log") or any(options.has(name) for name in _DECODER_OPTIONS)
    plan = DumpPlan(
        view=SegmentView(
            deep=contents or options.has("deep-iteration"),
            contents=contents,
            skip_record_metadata=options.has("skip-record-metadata"),
            max_bytes=options.number("max-bytes") or 0,
            decoder=_decoder(options),
        ),
        sanity_only=options.has("index-sanity-check"),
        verify_only=options.has("verify-index-only"),
        max_message_bytes=options.number("max-message-size") or 0,
    )
    try:
        dump_files(options.required("files").split(","), plan)
    except (CorruptRecord, DecodeError) as error:
        raise ToolError(str(error)) from None
    return 0


def _decoder(options: Options) -> decoders.RecordDecoder:
    if options.has("offsets-decoder"):
        return decoders.decode_offsets
    if options.has("transaction-log-decoder"):
        return decoders.decode_transaction
    if options.has("cluster-metadata-decoder"):
        return decoders.decode_kraft_metadata
    return decoders.plain_decoder(_field_decoder(options, "key-decoder-class"), _field_decoder(options, "value-decoder-class"))


def _field_decoder(options: Options, name: str) -> decoders.FieldDecoder:
    class_name = options.text(name) or decoders.DEFAULT_DECODER
    try:
        return decoders.field_decoder(class_name)
    except KeyError:
        raise ToolError(f"Failed to load decoder class {class_name}: this tool knows {', '.join(decoders.DECODER_NAMES)}.") from None
