"""Identities: nodes, topics, directories, partitions; and Kafka's text form of a 16-byte id.

A 16-byte id is `bytes` everywhere inside and on the wire; its text form is the 22-character unpadded base64url of Kafka.
"""

from __future__ import annotations

import base64
import binascii
import random
from typing import NamedTuple, NewType

NodeId = NewType("NodeId", int)
TopicId = NewType("TopicId", bytes)
DirectoryId = NewType("DirectoryId", bytes)

ZERO_ID = bytes(16)
NO_TOPIC_ID = TopicId(ZERO_ID)
NO_DIRECTORY_ID = DirectoryId(ZERO_ID)
"""Of a replica whose log directory is not known (yet)."""
LOST_DIRECTORY_ID = DirectoryId(bytes(15) + b"\x01")
"""Of a replica whose log is on none of the directories that its broker can use: a directory that has failed may hold it."""
NO_NODE = NodeId(-1)


class TopicPartition(NamedTuple):
    """A partition by topic name, as people and old protocol versions say it."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class PartitionKey(NamedTuple):
    """A partition by topic id: the identity that a deleted and recreated topic does not share with its predecessor."""

    topic_id: TopicId
    partition: int


def random_id(rng: random.Random) -> bytes:
    """A random 16-byte id whose text form does not begin with a dash (it would read as an option) and which is not reserved."""
    while True:
        value = bytearray(rng.randbytes(16))
        value[6] = (value[6] & 0x0F) | 0x40
        value[8] = (value[8] & 0x3F) | 0x80
        candidate = bytes(value)
        if not id_to_text(candidate).startswith("-"):
            return candidate


def id_to_text(value: bytes) -> str:
    """The 22-character base64url text of a 16-byte id."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def id_from_text(text: str) -> bytes:
    """The 16 bytes of a 22-character base64url text; `ValueError` when it is not one."""
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{text!r} is not a 22-character base64url id") from None
    if len(value) != 16:
        raise ValueError(f"{text!r} is not a 22-character base64url id")
    return value
