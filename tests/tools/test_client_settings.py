"""Settings of clients as Java knows them, and what librdkafka makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from raftkafka.base.errors import ErrorCode
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.java_errors import as_java_error, default_message, exception_name, refusal
from raftkafka.tools.properties_file import librdkafka_settings, parse_settings, read_properties


def test_a_file_is_read_as_java_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "client.properties"
    path.write_text("# comment\nacks = all\nlinger.ms:5\nclient.id=a\\\n  b\nacks=1\n")
    assert read_properties(str(path)) == {"acks": "1", "linger.ms": "5", "client.id": "ab"}


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolError, match=str(tmp_path)):
        read_properties(str(tmp_path / name))


def test_single_settings() -> None:
    assert parse_settings(["a=1", "b=x=y", "c"]) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(UsageError):
        parse_settings(["=1"])


def test_settings_of_java_that_librdkafka_has_by_another_name(capsys: pytest.CaptureFixture[str]) -> None:
    given = {
        "acks": "all",
        "buffer.memory": "1048576",
        "fetch.max.wait.ms": "100",
        "compression.type": "LZ4",
        "key.serializer": "org.apache.kafka.common.serialization.StringSerializer",
        "partition.assignment.strategy": "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
        "sasl.jaas.config": 'org.apache.kafka.common.security.plain.PlainLoginModule required username="a" password="b c";',
    }
    assert librdkafka_settings(given) == {
        "acks": "all",
        "queue.buffering.max.kbytes": "1024",
        "fetch.wait.max.ms": "100",
        "compression.type": "lz4",
        "partition.assignment.strategy": "cooperative-sticky",
        "sasl.username": "a",
        "sasl.password": "b c",
    }
    assert capsys.readouterr().err == ""


def test_a_setting_that_librdkafka_lacks_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert librdkafka_settings({"ssl.truststore.location": "/x.jks"}) == {}
    assert "ssl.truststore.location is ignored" in capsys.readouterr().err


def test_librdkafka_takes_what_it_is_given() -> None:
    settings = librdkafka_settings({"acks": "-1", "linger.ms": "5", "batch.size": "1000", "max.request.size": "2000000"})
    Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0} | settings)
    settings = librdkafka_settings({"auto.offset.reset": "EARLIEST", "isolation.level": "READ_COMMITTED", "fetch.min.bytes": "1"})
    Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0} | settings).close()


def test_errors_have_the_names_that_people_know() -> None:
    assert exception_name(ErrorCode.INVALID_PARTITIONS) == "org.apache.kafka.common.errors.InvalidPartitionsException"
    assert exception_name(ErrorCode.INVALID_RECORD) == "org.apache.kafka.common.InvalidRecordException"
    assert default_message(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) == "This server does not host this topic-partition."
    assert exception_name(12345) == exception_name(ErrorCode.UNKNOWN_SERVER_ERROR)
    error = refusal(ErrorCode.TOPIC_ALREADY_EXISTS, "Topic 'x' already exists.")
    assert error.named == "org.apache.kafka.common.errors.TopicExistsException: Topic 'x' already exists."


@pytest.mark.parametrize("code", [code for code in ErrorCode if code != ErrorCode.NONE])
def test_every_error_code_has_a_name_and_a_sentence(code: ErrorCode) -> None:
    assert exception_name(code).startswith("org.apache.kafka.common.")
    assert default_message(code)


def test_a_bug_has_no_java_name() -> None:
    assert as_java_error(KeyError("x")) is None
