"""Hypothesis strategies for any declared message in any version, made from its declaration."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from raftkafka.protocol import schema
from raftkafka.protocol.registry import APIS

INTEGER_BITS = {"b": 8, "h": 16, "i": 32, "q": 64}

TIMES = st.sampled_from([0, 1, 1_700_000_000_123, 2**40])
MEANINGFUL: dict[tuple[str, schema.WireType], st.SearchStrategy[Any]] = {
    ("error_code", schema.INT16): st.integers(-1, 119),
    ("topic_config_error_code", schema.INT16): st.integers(-1, 119),
    ("transaction_start_offset", schema.INT64): st.integers(-1, 2**63 - 1),
    **{
        (name, schema.INT64): TIMES
        for name in (
            "log_append_time_ms",
            "retention_time_ms",
            "last_fetch_timestamp",
            "last_caught_up_timestamp",
            "last_timestamp",
        )
    },
}
"""The oracles give some fields a meaning (an error, a time), and know only values that have one."""

CASES = [
    (message, version)
    for api in APIS.values()
    for message in (api.request, api.response)
    for version in range(api.min_version, api.max_version + 1)
]
"""Every message class of every declared API with each of its versions."""


def case_id(value: object) -> str:
    """The test id of a part of a case."""
    return value.__name__ if isinstance(value, type) else f"v{value}"


def messages(cls: type, version: int) -> st.SearchStrategy[Any]:
    """Messages of a class with values in the fields that the version has; the other fields keep their defaults."""
    fields = {
        name: MEANINGFUL.get((name, spec.wire_type), _values(spec.wire_type, version, nullable=spec.nullable.has(version)))
        for name, spec in schema.field_specs(cls).items()
        if spec.versions.has(version)
    }
    return st.fixed_dictionaries(fields).map(lambda values: cls(**values))


@cache
def _values(wire_type: schema.WireType, version: int, *, nullable: bool) -> st.SearchStrategy[Any]:
    match wire_type:
        case schema.Fixed(code="?"):
            values: st.SearchStrategy[Any] = st.booleans()
        case schema.Fixed(code="d"):
            values = st.floats(allow_nan=False)
        case schema.Fixed(code="H"):
            values = st.integers(0, 2**16 - 1)
        case schema.Fixed(code="16s"):
            values = st.binary(min_size=16, max_size=16)
        case schema.Fixed(code=code):
            values = st.integers(-(1 << INTEGER_BITS[code] - 1), (1 << INTEGER_BITS[code] - 1) - 1)
        case schema.Variable(kind="string"):
            values = st.text(max_size=12) | st.sampled_from(["", "x" * 127, "é" * 100])
        case schema.Variable():
            values = st.binary(max_size=20) | st.sampled_from([b"", b"\x00" * 126, b"\x01" * 300])
        case schema.Array(element=element):
            values = st.lists(_values(element, version, nullable=False), max_size=3)
        case _:
            values = messages(wire_type, version)
    return st.none() | values if nullable else values
