"""kafka-dump-log: our lines are Apache's, for whole files, for damaged ones, and for the logs of internal topics."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from cluster.bench import systems
from raftkafka.base.ids import DirectoryId, NodeId, TopicId
from raftkafka.group.records import CommittedOffset, GroupMetadata, MemberMetadata, group_record, offset_record
from raftkafka.metadata.image import MetadataImage, to_snapshot
from raftkafka.metadata.records import PartitionRecord, TopicRecord, encode_batch
from raftkafka.protocol.framing import write_message, write_versioned
from raftkafka.protocol.messages.consumer_group_records import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    TopicPartitions,
)
from raftkafka.protocol.messages.consumer_protocol import (
    AssignedTopicPartition,
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
)
from raftkafka.protocol.messages.transaction_records import TransactionLogKey, TransactionLogValue, TransactionPartitions
from raftkafka.raft.effects import Snapshot
from raftkafka.raft.messages import Entry, EntryKind
from raftkafka.raft.store import RaftStore
from raftkafka.raft.voters import Voter, encode_voters
from raftkafka.server.disk import PosixDisk
from raftkafka.storage.record_batch import Record, build_batch
from raftkafka.tools.run import run_tool
from tests.java.apache_kafka import requires_java
from tests.java.tool_server import run_tool as run_apaches
from tests.tools.compare import significant_lines, without_times
from tests.tools.segments import NAME, TIME, write_damaged, write_log


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def damaged(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_damaged(whole, tmp_path_factory.mktemp("damaged") / "events-1")


@pytest.fixture(scope="module")
def internal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logs of two internal topics, with a record of every kind."""
    root = tmp_path_factory.mktemp("internal")
    (root / f"{NAME}.log").write_bytes(_offsets_log())
    (root / "00000000000000000100.log").write_bytes(_transactions_log())
    return root


def dump(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Runs our tool in this process: exit code, stdout, stderr."""
    code = run_tool("dump-log", list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_batch_and_its_records_are_lines(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = dump(capsys, "--print-data-log", "--files", str(whole / f"{NAME}.log"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == [f"Dumping {whole}/{NAME}.log", "Log starting offset: 0"]
    assert lines[5] == (
        "baseOffset: 2 lastOffset: 3 count: 2 baseSequence: 2 lastSequence: 3 producerId: 9 producerEpoch: 1 partitionLeaderEpoch: 0"
        " isTransactional: true isControl: false deleteHorizonMs: OptionalLong.empty position: 75 CreateTime: 1795493172321 size: 115"
        " magic: 2 compresscodec: gzip crc: 792372530 isvalid: true"
    )
    assert lines[6] == (
        "| offset: 2 CreateTime: 1795493172321 keySize: 4 valueSize: 4 sequence: 2 headerKeys: [header,h2] key: key1 payload: 값1"
    )
    assert lines[-1] == (
        "| offset: 83 CreateTime: 1795493172359 keySize: 4 valueSize: 6 sequence: -1 headerKeys: [] endTxnMarker: ABORT coordinatorEpoch: 0"
    )


def test_records_of_consumer_offsets_are_json(internal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = dump(capsys, "--offsets-decoder", "--files", str(internal / f"{NAME}.log"))
    texts = [line.partition("headerKeys: [] ")[2] for line in out.splitlines() if line.startswith("| ")]
    assert texts[0].startswith('key: {"type":"2","data":{"group":"g"}} payload: {"version":"3","data":{"protocolType":"consumer"')
    assert '"subscription":{"topics":["hello.kafka"],"userData":null,"ownedPartitions":[],"generationId":-1,"rackId":null}' in texts[0]
    assert '"assignment":{"assignedPartitions":[{"topic":"hello.kafka","partitions":[0,1]}],"userData":null}' in texts[0]
    assert texts[1] == 'key: {"type":"2","data":{"group":"g"}} payload: <DELETE>'
    assert texts[2].startswith(
        'key: {"type":"1","data":{"group":"g","topic":"t","partition":3}} payload: {"version":"4","data":{"offset":7'
    )
    assert texts[-2] == "key: Unknown record type 99 at offset 6, skipping."


def test_what_is_damaged_is_told_at_the_end(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = dump(capsys, "--deep-iteration", "--files", str(damaged / "00000000000000000007.log"))
    assert code == 0
    assert err.splitlines()[1:] == ["  3 is followed by 8", "  17 is followed by 23"]


def test_what_cannot_be_a_batch_ends_the_dump(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = damaged / "00000000000000000004.log"
    code, out, err = dump(capsys, "--files", str(path))
    assert code == 1
    assert out.count("baseOffset") == 44
    assert err == f"Found record size 0 smaller than minimum record overhead (14) in file {path}.\n"


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = dump(capsys, "--files", str(tmp_path / f"{NAME}.log"))
    assert (code, err) == (1, f"{tmp_path}/{NAME}.log: no such file or directory\n")


def test_files_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = dump(capsys, "--print-data-log")
    assert (code, err.splitlines()[0]) == (1, 'Missing required argument "[files]"')


def test_an_unknown_decoder_is_refused(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = dump(capsys, "--key-decoder-class", "my.Decoder", "--files", str(whole / f"{NAME}.log"))
    assert code == 1
    assert err.startswith("Failed to load decoder class my.Decoder")


def test_our_metadata_log_is_shown_record_by_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its files are not Apache's; the lines are in the same manner."""
    segment, snapshot = _metadata_log(tmp_path)
    _, out, err = dump(capsys, "--cluster-metadata-decoder", "--files", f"{segment},{snapshot},{tmp_path / 'meta' / 'vote'}")
    lines = out.splitlines()
    assert err == ""
    assert lines[1:4] == [
        "Log starting offset: 0",
        "baseOffset: 0 lastOffset: 0 count: 1 epoch: 1 kind: LEADER_CHANGE stableOffset: 0 position: 0 size: 24 isvalid: true",
        "| offset: 0 controlType: LEADER_CHANGE",
    ]
    assert lines[5] == (
        '| offset: 1 payload: {"type":"TOPIC_RECORD","version":0,"data":{"name":"orders","topicId":"AQEBAQEBAQEBAQEBAQEBAQ"}}'
    )
    assert '"type":"PARTITION_RECORD"' in lines[6]
    assert '"replicas":[1,2],"isr":[1,2],"leader":1' in lines[6]
    voters = '{"voters":[{"voterId":1,"voterDirectoryId":null,"endpoints":[{"name":"CONTROLLER","host":"localhost","port":9093}]}]}'
    assert f"| offset: 2 controlType: VOTERS {voters}" in lines
    assert "Snapshot end offset: 2, epoch: 1" in lines
    assert f"| controlType: VOTERS {voters}" in lines
    assert lines[-1] == "epoch: 1 votedFor: 1"


def test_damage_in_our_metadata_log_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment, _ = _metadata_log(tmp_path)
    data = bytearray(segment.read_bytes())
    data[20] ^= 1
    segment.write_bytes(bytes(data) + b"torn")
    _, out, _ = dump(capsys, "--files", str(segment))
    assert out.splitlines()[2] == f"Found 24 invalid bytes at position 0 of {segment.name}"
    assert out.splitlines()[-1] == f"Found 4 invalid bytes at the end of {segment.name}"


WHOLE = [f"{NAME}{suffix}" for suffix in (".log", ".index", ".timeindex", ".txnindex")] + ["00000000000000000084.snapshot"]
MATRIX = [
    ("whole", WHOLE, ()),
    ("whole", WHOLE, ("--deep-iteration",)),
    ("whole", WHOLE, ("--print-data-log",)),
    ("whole", WHOLE, ("--print-data-log", "--skip-record-metadata")),
    ("whole", WHOLE[:1], ("--print-data-log", "--max-bytes", "700")),
    ("whole", WHOLE[:1], ("--print-data-log", "--max-bytes=700")),
    ("whole", WHOLE[1:3], ("--index-sanity-check",)),
    ("whole", WHOLE[1:3], ("--verify-index-only",)),
    ("whole", WHOLE[:1], ("--key-decoder-class", "--value-decoder-class", "org.apache.kafka.tools.api.StringDecoder")),
    ("whole", WHOLE[:1], ("--cluster-metadata-decoder", "--skip-record-metadata")),
    ("whole", WHOLE[:1], ("--offsets-decoder",)),
    ("damaged", ["00000000000000000001.log"], ()),
    ("damaged", ["00000000000000000002.log"], ("--print-data-log",)),
    ("damaged", ["00000000000000000003.log"], ()),
    ("damaged", ["00000000000000000004.log"], ()),
    ("damaged", ["00000000000000000005.log", "00000000000000000005.index", "00000000000000000005.timeindex"], ()),
    ("damaged", ["00000000000000000006.index", "00000000000000000006.timeindex"], ()),
    ("damaged", ["00000000000000000006.index", "00000000000000000006.timeindex"], ("--verify-index-only",)),
    ("damaged", ["00000000000000000006.txnindex", "x.foo", "no-suffix"], ()),
    ("damaged", ["00000000000000000007.log"], ("--deep-iteration",)),
    ("damaged", ["00000000000000000008.log"], ("--print-data-log",)),
    ("internal", [f"{NAME}.log"], ("--offsets-decoder",)),
    ("internal", ["00000000000000000100.log"], ("--transaction-log-decoder",)),
]


@pytest.mark.java
@requires_java
@pytest.mark.parametrize(("directory", "names", "options"), MATRIX, ids=lambda value: "-".join(value) if isinstance(value, tuple) else None)
def test_lines_are_those_of_apaches_tool(
    directory: str, names: list[str], options: tuple[str, ...], request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    root: Path = request.getfixturevalue(directory)
    arguments = (*options, "--files", ",".join(str(root / name) for name in names))
    code, out, err = dump(capsys, *arguments)
    apaches = run_apaches("kafka-dump-log", *arguments)
    assert code == apaches.exit_code, apaches.stderr
    assert without_times(out).splitlines() == without_times(apaches.stdout).splitlines()
    assert significant_lines(err) == [_without_exception(line) for line in significant_lines(apaches.stderr)]


@pytest.mark.java
@requires_java
def test_a_log_of_kraft_metadata_is_read_as_far_as_its_types(
    apache_cluster: systems.System, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the records say is Apache Kafka's own; the batches, control records, types and versions are shown."""
    growing = next(apache_cluster.nodes[0].directory.rglob(f"__cluster_metadata-0/{NAME}.log"))
    (tmp_path / f"{NAME}.log").write_bytes(growing.read_bytes())
    arguments = ("--cluster-metadata-decoder", "--files", str(tmp_path / f"{NAME}.log"))
    _, out, _ = dump(capsys, *arguments)
    theirs = run_apaches("kafka-dump-log", *arguments).stdout.splitlines()
    ours = out.splitlines()
    assert [line.partition(" payload: ")[0] for line in ours] == [line.partition(" payload: ")[0] for line in theirs]
    assert {_type_of(line) for line in ours} == {_type_of(line) for line in theirs}


@pytest.mark.java
@requires_java
def test_the_log_of_apaches_group_coordinator_is_shown_alike(
    apache_cluster: systems.System, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Groups of both protocols, as Apache Kafka's broker wrote them."""
    bootstrap = {"bootstrap.servers": apache_cluster.bootstrap}
    producer = Producer(bootstrap)
    producer.produce("dumped", b"x")
    producer.flush()
    for protocol in ("classic", "consumer"):
        consumer = Consumer({**bootstrap, "group.id": f"dumped-{protocol}", "group.protocol": protocol, "auto.offset.reset": "earliest"})
        consumer.subscribe(["dumped"])
        assert consumer.consume(1, timeout=30)
        consumer.commit(asynchronous=False)
        consumer.close()
    logs = [path for path in apache_cluster.nodes[0].directory.rglob(f"__consumer_offsets-*/{NAME}.log") if path.stat().st_size]
    assert logs
    for number, growing in enumerate(logs):
        (tmp_path / str(number)).mkdir()
        copy = tmp_path / str(number) / f"{NAME}.log"
        copy.write_bytes(growing.read_bytes())
        _, out, _ = dump(capsys, "--offsets-decoder", "--files", str(copy))
        assert out.splitlines() == run_apaches("kafka-dump-log", "--offsets-decoder", "--files", str(copy)).stdout.splitlines()


def _type_of(line: str) -> str:
    return line.partition('payload: {"type":"')[2].partition('"')[0]


def _without_exception(line: str) -> str:
    """Apache's line without the name of the exception before its message."""
    _, found, message = line.partition("Exception: ")
    return message if found else line


def _offsets_log() -> bytes:
    member = MemberMetadata(
        member_id="m",
        client_id="c",
        client_host="/127.0.0.1",
        rebalance_timeout_ms=300_000,
        session_timeout_ms=45_000,
        subscription=write_versioned(ConsumerProtocolSubscription(topics=["hello.kafka"]), 3),
        assignment=write_versioned(
            ConsumerProtocolAssignment(assigned_partitions=[AssignedTopicPartition(topic="hello.kafka", partitions=[0, 1])]), 3
        ),
    )
    group = GroupMetadata(protocol_type="consumer", generation=1, protocol="range", leader="m", state_timestamp_ms=TIME, members=(member,))
    assigned = TopicPartitions(topic_id=bytes(range(16)), partitions=[0, 2])
    committed = CommittedOffset(offset=7, metadata="메모", commit_timestamp_ms=TIME, topic_id=TopicId(bytes(range(16))))
    pairs = [
        (group_record("g", group).key, group_record("g", group).value),
        (group_record("g", None).key, None),
        tuple(offset_record("g", "t", 3, committed)),
        tuple(offset_record("g", "t", 3, CommittedOffset(offset=7, commit_timestamp_ms=TIME, expire_timestamp_ms=TIME + 5))),
        (_key(3, ConsumerGroupMetadataKey(group_id="new")), write_versioned(ConsumerGroupMetadataValue(epoch=4, metadata_hash=99), 0)),
        (
            _key(8, ConsumerGroupCurrentMemberAssignmentKey(group_id="new", member_id="m")),
            write_versioned(
                ConsumerGroupCurrentMemberAssignmentValue(member_epoch=4, previous_member_epoch=3, assigned_partitions=[assigned]), 0
            ),
        ),
        (struct.pack(">h", 99) + b"abc", b"xyz"),
        (_key(2, ConsumerGroupMetadataKey(group_id="g")), struct.pack(">h", 3) + b"\0\0\0\0\0\1\xff\xff\xff\xff\0\0\0\0\0\0\0\5\0\0\0\0"),
    ]
    return build_batch([Record(0, TIME, key, value) for key, value in pairs])


def _transactions_log() -> bytes:
    key = _key(0, TransactionLogKey(transactional_id="tx"))
    empty = TransactionLogValue(producer_id=8, producer_epoch=0, transaction_timeout_ms=60_000, transaction_partitions=None)
    ongoing = TransactionLogValue(
        producer_id=8,
        previous_producer_id=8,
        producer_epoch=1,
        transaction_timeout_ms=60_000,
        transaction_status=1,
        transaction_partitions=[TransactionPartitions(topic="perf", partition_ids=[1, 0])],
        transaction_last_update_timestamp_ms=TIME,
        transaction_start_timestamp_ms=TIME,
        client_transaction_version=2,
    )
    values = [write_versioned(empty, 1), write_versioned(ongoing, 1), write_versioned(ongoing, 0), None]
    return build_batch([Record(0, TIME, key, value) for value in values], base_offset=100)


def _key(number: int, message: object) -> bytes:
    return struct.pack(">h", number) + write_message(message, 0)


def _metadata_log(root: Path) -> tuple[Path, Path]:
    """A segment with a leader change and a topic, and a snapshot of them."""
    disk = PosixDisk(str(root))
    store = RaftStore(disk, "meta")
    store.load()
    store.write_vote(1, NodeId(1))
    records = [
        TopicRecord(name="orders", topic_id=TopicId(b"\1" * 16)),
        PartitionRecord(
            topic_id=TopicId(b"\1" * 16),
            partition=0,
            replicas=(NodeId(1), NodeId(2)),
            isr=(NodeId(1), NodeId(2)),
            leader=NodeId(1),
            directories=(DirectoryId(b"\2" * 16), DirectoryId(b"\3" * 16)),
        ),
    ]
    store.write_entries(0, [Entry(0, 1, EntryKind.LEADER_CHANGE, b"", True), Entry(1, 1, EntryKind.DATA, encode_batch(records), True)])
    image, _ = MetadataImage(cluster_id="c").apply(records, 1, 1)
    segment = next((root / "meta").glob("log-*"))
    content = segment.read_bytes()
    voters = encode_voters({NodeId(1): Voter(endpoints=(("CONTROLLER", "localhost", 9093),))})
    store.write_entries(2, [Entry(2, 1, EntryKind.VOTERS, voters, True)])
    content += segment.read_bytes()[len(content) :]
    store.write_snapshot(Snapshot(end_offset=2, epoch=1, data=to_snapshot(image), voters=voters), reset=False)
    writes, _ = store.begin_persist()
    for write in writes:
        disk.replace_file(write.path, write.data)
    segment.write_bytes(content)
    return segment, root / "meta" / "snapshot"
