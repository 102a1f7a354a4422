"""What the frames of a connection say, in a few words: the kind of message, its name, and the fields that matter.

    request  Fetch        records-0 from 14, epoch 2, hw 12
    answer   Fetch        records-0 14..16, hw 14
    raft     Append       epoch 3, 41..42, hw 41

A connection is told apart by its first frame: nodes introduce themselves on the links between them; everything else is Kafka's protocol.
An answer is read with the key and version of the request that it answers.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from raftkafka.base.errors import DecodeError, ErrorCode, PeerError
from raftkafka.broker.control import Forward, ForwardReply, Hello, RaftFrame, decode_control
from raftkafka.metadata import control_messages as control
from raftkafka.protocol.fetch_codec import FetchRequestData, FetchResponseData, decode_fetch_request, decode_fetch_response
from raftkafka.protocol.framing import read_message, read_request_body, read_request_header, read_response_header
from raftkafka.protocol.messages.produce import ProduceRequest, ProduceResponse
from raftkafka.protocol.registry import APIS
from raftkafka.raft import messages as raft
from raftkafka.simulation.network import frames_of
from raftkafka.storage.record_batch import batches

PRODUCE_KEY, FETCH_KEY = 0, 1
GROUP_KEYS = (8, 9, 10, 11, 12, 13, 14)
HEARTBEAT_KEY = 12
NOT_A_REPLICA = -1


class Kind(enum.Enum):
    """What a message belongs to."""

    RAFT = "raft"
    CONTROL = "control"
    FETCH = "fetch"
    PRODUCE = "produce"
    CONSUME = "consume"
    GROUP = "group"
    CLIENT = "client"


@attrs.frozen(kw_only=True)
class Message:
    """A frame. `idle`: it keeps things going and tells nothing new (heartbeats, fetches that bring nothing)."""

    kind: Kind
    name: str
    is_answer: bool
    text: str
    idle: bool = False

    def __str__(self) -> str:
        return f"{self.name}{' reply' if self.is_answer else ''} {self.text}".rstrip()


TopicName = Callable[[bytes], str]
"""The name of a topic by its id."""


@attrs.define(eq=False)
class _Connection:
    """`dialer` opened it and asks; `asked` holds what is to be answered: by correlation id the key, the version, and its kind."""

    dialer: str
    between_nodes: bool
    asked: dict[int, tuple[int, int, Kind]] = attrs.field(factory=dict)


class MessageReader:
    """Reads the frames of all connections of a world, in the order in which they were sent."""

    def __init__(self, topic_name: TopicName) -> None:
        self._topic_name = topic_name
        self._connections: dict[int, _Connection] = {}

    def read(self, connection: int, source: str, data: bytes) -> Iterator[Message]:
        """The messages in what was sent at once."""
        for frame in frames_of(data):
            known = self._connections.get(connection)
            if known is None:
                known = self._connections[connection] = _Connection(source, _is_hello(frame))
            yield self._between_nodes(frame) if known.between_nodes else self._of_kafka(known, source, frame)

    def _between_nodes(self, frame: bytes) -> Message:
        try:
            message, _ = decode_control(memoryview(frame))
        except PeerError as error:
            return Message(kind=Kind.CONTROL, name="unreadable", is_answer=False, text=str(error))
        if isinstance(message, RaftFrame):
            return _raft_message(message.message)
        return _control_message(message, self._topic_name)

    def _of_kafka(self, connection: _Connection, source: str, frame: bytes) -> Message:
        view = memoryview(frame)
        try:
            if source == connection.dialer:
                return self._request(connection, view)
            return self._answer(connection, view)
        except (DecodeError, KeyError) as error:
            return Message(kind=Kind.CLIENT, name="unreadable", is_answer=source != connection.dialer, text=str(error))

    def _request(self, connection: _Connection, frame: memoryview) -> Message:
        header, position = read_request_header(frame)
        key, version = header.api_key, header.api_version
        body: Any
        if key == FETCH_KEY:
            body = decode_fetch_request(frame, position, version)
            kind = Kind.FETCH if body.replica_id != NOT_A_REPLICA else Kind.CONSUME
        else:
            body = read_request_body(header, frame, position)
            kind = _kind_of(key)
        connection.asked[header.correlation_id] = (key, version, kind)
        text = _request_text(key, body, self._topic_name)
        idle = key == HEARTBEAT_KEY or (key == FETCH_KEY and not body.partitions)
        return Message(kind=kind, name=APIS[key].name, is_answer=False, text=text, idle=idle)

    def _answer(self, connection: _Connection, frame: memoryview) -> Message:
        correlation_id = int.from_bytes(frame[:4], "big")
        key, version, kind = connection.asked.pop(correlation_id)
        _, position = read_response_header(frame, key, version)
        if key == FETCH_KEY:
            fetched = decode_fetch_response(frame, position, version)
            return Message(
                kind=kind, name="Fetch", is_answer=True, text=_fetched_text(fetched, self._topic_name), idle=not _brings_something(fetched)
            )
        response_class: type[Any] = APIS[key].response
        body: Any = read_message(response_class, version, frame, position)[0]
        idle = key == HEARTBEAT_KEY and body.error_code == ErrorCode.NONE
        text = _produced_text(body, self._topic_name) if key == PRODUCE_KEY else _body_text(body, self._topic_name)
        return Message(kind=kind, name=APIS[key].name, is_answer=True, text=text, idle=idle)


def _is_hello(frame: bytes) -> bool:
    try:
        message, _ = decode_control(memoryview(frame))
    except PeerError:
        return False
    return isinstance(message, Hello)


def _kind_of(key: int) -> Kind:
    if key == PRODUCE_KEY:
        return Kind.PRODUCE
    return Kind.GROUP if key in GROUP_KEYS else Kind.CLIENT


# Raft


def _raft_message(message: raft.RaftMessage) -> Message:
    """Of the metadata quorum."""
    name, text, is_answer, idle = type(message).__name__, f"epoch {message.epoch}", False, False
    match message:
        case raft.VoteRequest():
            name = "PreVote" if message.pre_vote else "Vote"
            text += f", log ends at {message.end_offset} in epoch {message.last_epoch}"
        case raft.VoteResponse():
            name, is_answer = "PreVote" if message.pre_vote else "Vote", True
            text += ", granted" if message.granted else ", refused"
        case raft.AppendRequest():
            name, idle = "Append", not message.entries
            text += f", {_range(message.base_offset, len(message.entries))}, hw {message.high_watermark}"
        case raft.AppendResponse():
            name, is_answer, idle = "Append", True, message.accepted
            diverging = f", diverges from epoch {message.diverging_epoch} at {message.diverging_end_offset}"
            text += (
                f", has all below {message.end_offset}" if message.accepted else f", refused, log ends at {message.end_offset}{diverging}"
            )
        case raft.SnapshotRequest() | raft.ObserveRequest():
            name = name.removesuffix("Request")
            text += f", end {message.end_offset}"
        case raft.SnapshotResponse():
            name, is_answer = "Snapshot", True
            text += f", has {message.next_position} bytes"
        case raft.TimeoutNow() | raft.Resigned():
            pass
    return Message(kind=Kind.RAFT, name=name, is_answer=is_answer, text=text, idle=idle)


# Between the brokers and the controller


def _control_message(message: Any, topic_name: TopicName) -> Message:
    name = type(message).__name__
    is_answer, idle = name.endswith("Reply"), False
    match message:
        case Hello():
            text = f"I am n{message.node_id}"
            idle = True
        case control.BrokerHeartbeat():
            text = f"broker epoch {message.broker_epoch}, metadata applied to {message.applied_offset}"
            idle = not message.want_fence and not message.want_shutdown
        case control.BrokerHeartbeatReply():
            text = "fenced" if message.is_fenced else "unfenced"
            idle = message.error is ErrorCode.NONE and not message.should_shutdown
        case control.MetadataApplied():
            text, idle = f"broker epoch {message.broker_epoch}, applied to {message.applied_offset}", True
        case control.RegisterBroker():
            text = f"previous broker epoch {message.previous_broker_epoch}"
        case control.RegisterBrokerReply():
            text = f"broker epoch {message.broker_epoch}"
        case control.AlterPartition():
            text = f"broker epoch {message.broker_epoch}: " + "; ".join(_proposal_text(each, topic_name) for each in message.partitions)
        case control.AlterPartitionReply():
            text = "; ".join(_decision_text(each, topic_name) for each in message.partitions)
        case control.AllocateProducerIdsReply():
            text = f"from {message.first_producer_id}, {message.count} of them"
        case Forward():
            text = f"{APIS[message.api_key].name} of {message.client_id}"
        case _:
            text = ""
    error = getattr(message, "error", ErrorCode.NONE)
    if error is not ErrorCode.NONE:
        text = f"{error.name} {text}"
    shown = "Forward" if isinstance(message, ForwardReply) else name.removesuffix("Reply")
    return Message(kind=Kind.CONTROL, name=shown, is_answer=is_answer, text=text.strip(), idle=idle)


def _proposal_text(item: control.AlterPartitionItem, topic_name: TopicName) -> str:
    isr = ",".join(str(member.node_id) for member in item.new_isr)
    return f"{topic_name(item.topic_id)}-{item.partition} isr {isr}, epoch {item.leader_epoch}, partition epoch {item.partition_epoch}"


def _decision_text(item: control.AlterPartitionResult, topic_name: TopicName) -> str:
    name = f"{topic_name(item.topic_id)}-{item.partition}"
    if item.error is not ErrorCode.NONE:
        return f"{name} {item.error.name}"
    isr = ",".join(map(str, item.isr))
    return f"{name} isr {isr}, epoch {item.leader_epoch}, partition epoch {item.partition_epoch}"


# Kafka's protocol


def _request_text(key: int, body: Any, topic_name: TopicName) -> str:
    if key == FETCH_KEY:
        return _fetch_text(body, topic_name)
    return _produce_text(body, topic_name) if key == PRODUCE_KEY else _body_text(body, topic_name)


def _produce_text(request: ProduceRequest, topic_name: TopicName) -> str:
    parts = [f"acks {request.acks}"]
    for topic in request.topic_data:
        for each in topic.partition_data:
            text = f"{topic.name or topic_name(topic.topic_id)}-{each.index}"
            for _, header in batches(each.records or b""):
                text += f" {header.last_offset_delta + 1} records"
                if header.producer_id >= 0:
                    text += f" of producer {header.producer_id}/{header.producer_epoch} sequence {header.base_sequence}"
            parts.append(text)
    return "; ".join(parts)


def _produced_text(response: ProduceResponse, topic_name: TopicName) -> str:
    parts = []
    for topic in response.responses:
        for each in topic.partition_responses:
            outcome = _error_name(each.error_code) if each.error_code else f"at {each.base_offset}"
            parts.append(f"{topic.name or topic_name(topic.topic_id)}-{each.index} {outcome}")
    return "; ".join(parts)


def _fetch_text(request: FetchRequestData, topic_name: TopicName) -> str:
    parts = []
    for each in request.partitions:
        epoch = f" epoch {each.current_leader_epoch}" if each.current_leader_epoch >= 0 else ""
        parts.append(f"{_slot(each, topic_name)} from {each.fetch_offset}{epoch}")
    who = f"broker epoch {request.replica_epoch}: " if request.replica_epoch >= 0 and parts else ""
    return who + "; ".join(parts)


def _fetched_text(response: FetchResponseData, topic_name: TopicName) -> str:
    parts = [ErrorCode(response.error_code).name] if response.error_code else []
    for each in response.partitions:
        text = _slot(each, topic_name)
        if each.error_code:
            text += f" {ErrorCode(each.error_code).name}"
        if each.records_size:
            text += f" {_records_text(b''.join(bytes(buffer) for buffer in each.records))}"
        if each.diverging_epoch is not None:
            text += f" diverges from epoch {each.diverging_epoch[0]} at {each.diverging_epoch[1]}"
        parts.append(f"{text} hw {each.high_watermark}")
    return "; ".join(parts)


def _brings_something(response: FetchResponseData) -> bool:
    return bool(response.error_code) or any(
        each.records_size or each.error_code or each.diverging_epoch is not None for each in response.partitions
    )


def _records_text(records: bytes) -> str:
    found = [header for _, header in batches(records)]
    if not found:
        return f"{len(records)} bytes"
    return f"{found[0].base_offset}..{found[-1].last_offset} of epoch {found[-1].partition_leader_epoch}"


def _slot(part: Any, topic_name: TopicName) -> str:
    return f"{part.topic if part.topic is not None else topic_name(part.topic_id or b'')}-{part.partition}"


SHOWN_FIELDS = (
    *("name", "topic", "index", "partition_index", "partition", "acks", "offset", "base_offset", "committed_offset"),
    *("leader_epoch", "current_leader_epoch", "leader_id", "node_id", "producer_id", "producer_epoch"),
    *("group_id", "member_id", "generation_id", "generation_id_or_member_epoch", "key", "keys", "coordinator_keys"),
)
"""The fields of a message of Kafka's that are worth a word, besides errors."""

MAX_TEXT = 200


def _body_text(body: Any, topic_name: TopicName) -> str:
    text = " ".join(_field_texts(body, topic_name))
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _field_texts(body: Any, topic_name: TopicName) -> Iterator[str]:
    for field in attrs.fields(type(body)):
        value = getattr(body, field.name)
        if field.name.endswith("error_code"):
            if value:
                yield _error_name(value)
        elif field.name == "topic_id" and value and any(value):
            yield topic_name(value)
        elif field.name == "records" and value is not None:
            yield f"{len(value)} bytes"
        elif isinstance(value, list):
            for item in value:
                if attrs.has(type(item)):
                    yield from _field_texts(item, topic_name)
        elif attrs.has(type(value)):
            yield from _field_texts(value, topic_name)
        elif field.name in SHOWN_FIELDS and value not in (None, -1, "", b""):
            yield f"{field.name.replace('_', ' ')} {value}"


def _error_name(code: int) -> str:
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code}"


def _range(base_offset: int, count: int) -> str:
    if not count:
        return f"nothing new at {base_offset}"
    return f"entry {base_offset}" if count == 1 else f"entries {base_offset}..{base_offset + count - 1}"
