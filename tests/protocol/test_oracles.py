"""Every declared message is held against two independent implementations, kio and kafka-python, over generated values.

Each must read our bytes to the same value in every field, and write that value as the same bytes.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import io
import uuid
from typing import Any

import kafka.protocol.admin
import kafka.protocol.consumer
import kafka.protocol.metadata
import kafka.protocol.producer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kio.index import UnknownAPIKey, UnknownEntity, load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer
from kio.static.primitive import u32

from raftkafka.base.ids import ZERO_ID
from raftkafka.protocol import schema
from raftkafka.protocol.framing import write_message
from raftkafka.protocol.messages.api_versions import ApiVersionsResponse
from raftkafka.protocol.registry import APIS, FIRST_PRIVATE_KEY

from .generated_messages import CASES, case_id, messages

QUICK = settings(max_examples=4, deadline=None, derandomize=True)

KEYS = {cls: api.key for api in APIS.values() for cls in (api.request, api.response)}


def kio_class(cls: type, version: int) -> Any:
    load = load_request_schema if cls.__name__.endswith("Request") else load_response_schema
    try:
        return load(KEYS[cls], version)
    except (UnknownAPIKey, UnknownEntity):
        return None


def kafka_python_class(cls: type, version: int) -> Any:
    for package in (kafka.protocol.admin, kafka.protocol.consumer, kafka.protocol.metadata, kafka.protocol.producer):
        found = getattr(package, cls.__name__, None)
        if found is not None:
            return found if version <= found.max_version else None
    return None


@functools.cache
def oracles(cls: type, version: int) -> tuple[Any, Any]:
    """The classes of kio and of kafka-python for a message; None where one does not know it."""
    return kio_class(cls, version), kafka_python_class(cls, version)


def in_version(message: Any, version: int) -> list[tuple[str, Any]]:
    return [(name, getattr(message, name)) for name, spec in schema.field_specs(type(message)).items() if spec.versions.has(version)]


def assert_same_as_kio(ours: Any, theirs: Any, version: int) -> None:
    """Compares by position and name; kio leaves a unit out of the name of what it gives a type of time."""
    if isinstance(ours, list) and theirs is not None:
        assert len(ours) == len(theirs)
        for our_element, their_element in zip(ours, theirs, strict=True):
            assert_same_as_kio(our_element, their_element, version)
    elif dataclasses.is_dataclass(theirs):
        fields = in_version(ours, version)
        names = [field.name for field in dataclasses.fields(theirs)]
        assert len(names) == len(fields)
        for (name, value), their_name in zip(fields, names, strict=True):
            assert name.startswith(their_name)
            assert_same_as_kio(value, getattr(theirs, their_name), version)
    elif isinstance(theirs, datetime.timedelta):
        assert ours == round(theirs.total_seconds() * 1000)
    elif isinstance(theirs, datetime.datetime):
        assert ours == round(theirs.timestamp() * 1000)
    elif isinstance(theirs, uuid.UUID):
        assert ours == theirs.bytes
    elif theirs is None:
        assert ours in (None, ZERO_ID, -1)
    else:
        assert ours == theirs


def assert_same_as_kafka_python(ours: Any, theirs: Any, version: int) -> None:
    if isinstance(ours, list) and theirs is not None:
        assert len(ours) == len(theirs)
        for our_element, their_element in zip(ours, theirs, strict=True):
            assert_same_as_kafka_python(our_element, their_element, version)
    elif hasattr(type(ours), "__attrs_attrs__"):
        for name, value in in_version(ours, version):
            if name.endswith("authorized_operations"):
                continue  # a bit set of another name there; equal bytes must do
            assert_same_as_kafka_python(value, getattr(theirs, name), version)
    elif isinstance(theirs, uuid.UUID):
        assert ours == theirs.bytes
    elif theirs is None:
        assert ours in (None, ZERO_ID)
    else:
        assert ours == theirs


@pytest.mark.parametrize(("cls", "version"), [case for case in CASES if any(oracles(*case))], ids=case_id)
@QUICK
@given(data=st.data())
def test_oracles_read_and_write_the_same_bytes(cls: type, version: int, data: st.DataObject) -> None:
    message = data.draw(messages(cls, version))
    encoded = write_message(message, version)
    kio_oracle, kafka_python_oracle = oracles(cls, version)
    if kio_oracle is not None:
        theirs, size = entity_reader(kio_oracle)(encoded, u32(0))
        assert size == len(encoded)
        assert_same_as_kio(message, theirs, version)
        out = io.BytesIO()
        entity_writer(kio_oracle)(out, theirs)
        assert out.getvalue() == encoded
    if isinstance(message, ApiVersionsResponse) and message.error_code:
        return  # which kafka-python reads as version 0
    if kafka_python_oracle is not None:
        theirs = kafka_python_oracle.decode(encoded, version=version)
        assert_same_as_kafka_python(message, theirs, version)
        theirs._header = None  # a decoded message lacks it, and encode() asks for it
        assert theirs.encode(version=version) == encoded


def test_only_versions_newer_than_the_oracles_have_none() -> None:
    without = {(cls.__name__, version) for cls, version in CASES if not any(oracles(cls, version)) and KEYS[cls] < FIRST_PRIVATE_KEY}
    assert without == {("ApiVersionsRequest", 5), ("ApiVersionsResponse", 5), ("DeleteGroupsRequest", 3), ("DeleteGroupsResponse", 3)}


def test_nearly_all_versions_have_both_oracles() -> None:
    assert sum(all(oracles(*case)) for case in CASES) > 0.95 * len(CASES)
