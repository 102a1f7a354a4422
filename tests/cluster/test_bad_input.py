"""Bad bytes, bad files and bad settings: each has its clear effect, and the broker goes on for everybody else."""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from raftkafka.base.errors import ErrorCode
from raftkafka.broker.handlers import SERVED
from raftkafka.protocol.framing import encode_request, read_message, read_response_header
from raftkafka.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from raftkafka.protocol.messages.produce import PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData
from raftkafka.protocol.registry import APIS
from raftkafka.storage.record_batch import Record, batches, build_batch
from tests.cluster.real_cluster import RealCluster, eventually

pytestmark = pytest.mark.cluster

TIMEOUT_S = 5.0
TOPIC = "bystander"
PRODUCE_VERSION = 9


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """One broker with one topic."""
    cluster = RealCluster(tmp_path_factory.mktemp("bad-input"), node_count=1)
    try:
        cluster.up()
        cluster.create_topic(TOPIC)
        yield cluster
    finally:
        cluster.close()


class Raw:
    """A bare connection."""

    def __init__(self, cluster: RealCluster) -> None:
        self.socket = socket.create_connection(("127.0.0.1", cluster.node(1).port), timeout=TIMEOUT_S)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive_frame(self) -> memoryview:
        """The next frame, without its length."""
        (size,) = struct.unpack(">i", self._exactly(4))
        return memoryview(self._exactly(size))

    def is_closed_by_peer(self) -> bool:
        """Whether the broker ends the connection, in the time given, without another word."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            assert more, "the broker closed the connection"
            data += more
        return data


@pytest.fixture
def bystander(broker: RealCluster) -> Iterator[Raw]:
    """A well-behaved connection that was there before: it must be served before and after."""
    connection = Raw(broker)
    assert_served(connection)
    yield connection
    assert_served(connection)
    connection.socket.close()


def assert_served(connection: Raw) -> None:
    connection.send(encode_request(18, 3, 7, "bystander", ApiVersionsRequest(client_software_name="a", client_software_version="1")))
    frame = connection.receive_frame()
    correlation_id, offset = read_response_header(frame, 18, 3)
    response, _ = read_message(ApiVersionsResponse, 3, frame, offset)
    assert (correlation_id, response.error_code) == (7, ErrorCode.NONE)


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def header(api_key: int, api_version: int) -> bytes:
    return struct.pack(">hhih", api_key, api_version, 1, 3) + b"bad"


BAD_FRAMES = {
    "negative length": (struct.pack(">i", -1), "-1"),
    "most negative length": (struct.pack(">i", -(2**31)), "-2147483648"),
    "oversized length": (struct.pack(">i", 2**31 - 1), "2147483647"),
    "one byte more than allowed": (struct.pack(">i", 104857601), "104857601"),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "1195725856"),
    "TLS": (bytes.fromhex("16030100f8010000f40303") + bytes(200), "369295616"),
    "shorter than a header": (framed(b"\x00\x12"), "shorter than its header"),
    "unknown API key": (framed(header(9999, 0)), "9999"),
    "negative API key": (framed(header(-1, 0)), "-1"),
    "unknown version of Metadata": (framed(header(3, 99) + bytes(8)), "version 99"),
    "unknown version of Produce": (framed(header(0, 999) + bytes(8)), "version 999"),
    "version that Kafka 4 dropped": (framed(header(1, 0) + bytes(20)), "version 0"),
    "client id beyond the frame": (framed(struct.pack(">hhih", 3, 12, 1, 30000) + b"short"), ""),
    "array of two thousand million": (framed(header(3, 4) + struct.pack(">i", 2**31 - 1)), ""),
    "string of a negative length": (framed(header(3, 4) + struct.pack(">ih", 1, -77)), ""),
    "body cut in the middle": (encode_request(3, 4, 1, "bad", APIS[3].request())[:-1], ""),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_bad_frame_closes_its_connection_with_a_reason_in_the_log(broker: RealCluster, bystander: Raw, name: str) -> None:
    data, reason = BAD_FRAMES[name]
    if name == "body cut in the middle":
        data = framed(data[4:])
    time.sleep(0.11)  # A broker writes ten such lines a second at most: a hostile peer must not fill its disk.
    known = len(broker.log_of(1))
    connection = Raw(broker)
    port = connection.socket.getsockname()[1]
    connection.send(data)
    assert connection.is_closed_by_peer()
    line = eventually(
        lambda: next((each for each in broker.log_of(1)[known:].splitlines() if f":{port} " in each), None), what="a log line"
    )
    assert "connection-closed" in line
    assert reason in line, line


def test_frame_that_never_ends_disturbs_nobody(broker: RealCluster, bystander: Raw) -> None:
    connections = [Raw(broker) for _ in range(20)]
    for connection in connections:
        connection.send(struct.pack(">i", 1_000_000) + header(0, 9) + bytes(1000))
    assert_served(bystander)
    for connection in connections:
        connection.socket.close()


@pytest.mark.parametrize("api_key", sorted(SERVED))
def test_garbage_in_a_body_is_answered_or_ends_its_connection_only(broker: RealCluster, bystander: Raw, api_key: int) -> None:
    draw = random.Random(api_key)
    api = APIS[api_key]
    for version in range(api.min_version, api.max_version + 1):
        connection = Raw(broker)
        tags = b"\x00" if api.is_flexible(version) else b""
        connection.send(framed(header(api_key, version) + tags + draw.randbytes(draw.randrange(1, 60))))
        connection.socket.shutdown(socket.SHUT_WR)
        while connection.socket.recv(65536):
            pass
        connection.socket.close()
    assert_served(bystander)


def test_unknown_version_of_api_versions_is_answered_so_that_the_client_can_ask_again(broker: RealCluster, bystander: Raw) -> None:
    """KIP-511."""
    connection = Raw(broker)
    connection.send(framed(header(18, 99)))
    frame = connection.receive_frame()
    response, _ = read_message(ApiVersionsResponse, 0, frame, 4)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert {each.api_key: each.max_version for each in response.api_keys}[18] == APIS[18].max_version
    assert_served(connection)


def good_batch() -> bytearray:
    return bytearray(build_batch([Record(offset=0, timestamp=1_700_000_000_000, key=b"k", value=b"v" * 50, headers=[])], base_offset=0))


def patched(position: int, data: bytes) -> bytes:
    batch = good_batch()
    batch[position : position + len(data)] = data
    return bytes(batch)


BAD_BATCHES = {
    "wrong checksum": (patched(17, b"\xde\xad\xbe\xef"), ErrorCode.CORRUPT_MESSAGE),
    "a flipped bit in the value": (patched(80, b"\x01"), ErrorCode.CORRUPT_MESSAGE),
    "old message format": (patched(16, b"\x01"), ErrorCode.INVALID_RECORD),
    "length beyond the data": (patched(8, struct.pack(">i", 5000)), ErrorCode.CORRUPT_MESSAGE),
    "negative length": (patched(8, struct.pack(">i", -5)), ErrorCode.CORRUPT_MESSAGE),
    "cut in the middle": (bytes(good_batch()[:70]), ErrorCode.CORRUPT_MESSAGE),
    "garbage": (random.Random(1).randbytes(200), None),
    "two batches": (bytes(good_batch() * 2), ErrorCode.INVALID_RECORD),
    "nothing": (b"", ErrorCode.INVALID_RECORD),
}


def produce(connection: Raw, records: bytes) -> int:
    """Produces these bytes as they are; the error code."""
    data = [TopicProduceData(name=TOPIC, partition_data=[PartitionProduceData(index=0, records=records)])]
    connection.send(encode_request(0, PRODUCE_VERSION, 1, "bad", ProduceRequest(acks=-1, timeout_ms=5000, topic_data=data)))
    frame = connection.receive_frame()
    _, offset = read_response_header(frame, 0, PRODUCE_VERSION)
    response, _ = read_message(ProduceResponse, PRODUCE_VERSION, frame, offset)
    return int(response.responses[0].partition_responses[0].error_code)


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_bad_batch_is_refused_with_its_code_and_leaves_no_trace(broker: RealCluster, bystander: Raw, name: str) -> None:
    records, code = BAD_BATCHES[name]
    connection = Raw(broker)
    before = end_offset(broker)
    found = produce(connection, records)
    assert found == code if code is not None else found != ErrorCode.NONE
    assert end_offset(broker) == before
    assert produce(connection, bytes(good_batch())) == ErrorCode.NONE
    assert end_offset(broker) == before + 1


def end_offset(broker: RealCluster) -> int:
    client = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "nobody"})
    try:
        return int(client.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=10)[1])
    finally:
        client.close()


# --- settings


@attrs.frozen(kw_only=True)
class BadStart:
    """Lines for the properties file, or what else is wrong; what is said then."""

    lines: str = ""
    exit_code: int = 1
    says: str


BAD_SETTINGS = {
    "misspelt key": BadStart(lines="num.partition=3", says="num.partitions"),
    "unknown key": BadStart(lines="colour.of.the.broker=red", says="colour.of.the.broker"),
    "ZooKeeper": BadStart(lines="zookeeper.connect=localhost:2181", says="zookeeper.connect"),
    "no number": BadStart(lines="num.partitions=many", says="num.partitions"),
    "out of range": BadStart(lines="min.insync.replicas=0", says="min.insync.replicas"),
    "no such role": BadStart(lines="process.roles=broker,chef", says="chef"),
    "port that is none": BadStart(lines="listeners=PLAINTEXT://127.0.0.1:99999,CONTROLLER://127.0.0.1:1", says="99999"),
    "another node's id": BadStart(lines="node.id=7", says="7"),
}


@pytest.fixture
def unstarted(tmp_path: Path) -> RealCluster:
    return RealCluster(tmp_path, node_count=1)


def run_broker(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "raftkafka.cli.main", "broker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, env={**os.environ})


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings_end_the_start_with_a_sentence(unstarted: RealCluster, name: str) -> None:
    wrong = BAD_SETTINGS[name]
    path = unstarted.node(1).properties_path
    path.write_text(path.read_text() + wrong.lines + "\n")
    done = run_broker(str(path))
    assert done.returncode == wrong.exit_code, done.stderr
    assert wrong.says in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_file_and_wrong_usage_end_with_a_sentence(tmp_path: Path) -> None:
    missing = run_broker(str(tmp_path / "none.properties"))
    assert missing.returncode == 1
    assert "none.properties" in missing.stderr
    assert run_broker().returncode == 2
    assert run_broker("a", "b").returncode == 2


def test_data_directory_that_is_not_formatted_says_how_to_format_it(unstarted: RealCluster) -> None:
    (unstarted.node(1).data_dir / "meta.properties").unlink()
    done = run_broker(str(unstarted.node(1).properties_path))
    assert done.returncode == 1
    assert "raftkafka storage format" in done.stderr


def test_port_and_directory_in_use_are_said_so_and_the_first_broker_goes_on(
    broker: RealCluster, bystander: Raw, unstarted: RealCluster
) -> None:
    twin = run_broker(str(broker.node(1).properties_path))
    assert twin.returncode == 1
    assert "another process uses" in twin.stderr
    path = unstarted.node(1).properties_path
    taken = str(broker.node(1).port)
    path.write_text(path.read_text().replace(str(unstarted.node(1).port) + ",", taken + ",").replace("\nadvertised", "\n#advertised"))
    rival = run_broker(str(path))
    assert rival.returncode == 1
    assert taken in rival.stderr
    assert "Traceback" not in rival.stderr


# --- files


@pytest.mark.parametrize("position", [70, 5], ids=["a value", "a base offset"])
def test_corrupt_segment_is_reported_and_not_served_and_the_rest_goes_on(own_cluster: Callable[..., RealCluster], position: int) -> None:
    cluster = own_cluster(node_count=1)
    fill(cluster, "sick")
    fill(cluster, "well")
    cluster.kill(1)
    damage_batch(cluster.node(1).data_dir / "sick-0" / f"{0:020}.log", index=25, position=position)
    cluster.start(1)
    assert "log-offline topic=sick partition=0" in cluster.log_of(1)
    assert read_values(cluster, "well") == [b"%d" % number for number in range(50)]
    assert read_values(cluster, "sick", patience_s=2) == []
    producer = Producer({"bootstrap.servers": cluster.bootstrap})
    producer.produce("well", b"on we go")
    assert producer.flush(10) == 0


def test_torn_tail_of_a_segment_is_cut_and_the_rest_is_served(own_cluster: Callable[..., RealCluster]) -> None:
    cluster = own_cluster(node_count=1)
    fill(cluster, "torn")
    cluster.kill(1)
    segment = cluster.node(1).data_dir / "torn-0" / f"{0:020}.log"
    segment.write_bytes(segment.read_bytes()[:-10])
    cluster.start(1)
    assert read_values(cluster, "torn", patience_s=2) == [b"%d" % number for number in range(49)]


def fill(cluster: RealCluster, topic: str) -> None:
    """Fifty records, each in a batch of its own."""
    cluster.create_topic(topic)
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "batch.num.messages": 1})
    for number in range(50):
        producer.produce(topic, b"%d" % number)
    assert producer.flush(10) == 0


def damage_batch(path: Path, *, index: int, position: int) -> None:
    """Flips a byte, so far from its beginning, in the batch with this index."""
    data = bytearray(path.read_bytes())
    start = [start for start, _ in batches(data)][index]
    data[start + position] ^= 0xFF
    path.write_bytes(data)


def read_values(cluster: RealCluster, topic: str, *, patience_s: float = 10.0) -> list[bytes]:
    """The values of a topic's one partition, up to fifty, as far as they come in time."""
    client = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "nobody"})
    try:
        client.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        return [message.value() for message in client.consume(50, patience_s) if message.error() is None]
    finally:
        client.close()
