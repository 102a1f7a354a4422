"""How Raft's files hold values: frames of a magic number, a length, an xxh3 checksum, and msgpack.

```
| "RKf1" | length of the payload, uint32 | xxh3-64 of the payload, uint64 | payload: msgpack |        big-endian
```

A frame that is cut off, zeroed or damaged is recognised as such; `next_frame_position` finds whole frames behind a damaged one.
"""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import xxhash

from raftkafka.base.disk import Buffer

MAGIC = b"RKf1"
_HEAD = struct.Struct(">4sIQ")
HEAD_BYTES = _HEAD.size


def encode_frame(value: Any) -> list[Buffer]:
    """The buffers of one frame."""
    payload: bytes = msgpack.packb(value)
    return [_HEAD.pack(MAGIC, len(payload), xxhash.xxh3_64_intdigest(payload)), payload]


def decode_frame(data: bytes, position: int) -> tuple[Any, int] | None:
    """The value of the frame at this position and the position after it; None when there is no whole, undamaged frame."""
    payload_at = position + HEAD_BYTES
    if payload_at > len(data):
        return None
    magic, length, checksum = _HEAD.unpack_from(data, position)
    end = payload_at + length
    if magic != MAGIC or end > len(data):
        return None
    payload = memoryview(data)[payload_at:end]
    if xxhash.xxh3_64_intdigest(payload) != checksum:
        return None
    return msgpack.unpackb(payload, use_list=True), end


def next_frame_position(data: bytes, position: int) -> int | None:
    """Where the next whole frame begins, at or after this position."""
    while (found := data.find(MAGIC, position)) >= 0:
        if decode_frame(data, found) is not None:
            return found
        position = found + 1
    return None
