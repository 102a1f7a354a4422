"""Which partition of a coordinator's topic a key belongs to: the same arithmetic as Kafka's, so that tools and logs agree."""

from __future__ import annotations


def java_string_hash(text: str) -> int:
    """Java's `String.hashCode`: over UTF-16 code units, as a signed 32-bit value."""
    value = 0
    data = text.encode("utf-16-be", "surrogatepass")
    for position in range(0, len(data), 2):
        value = (31 * value + (data[position] << 8 | data[position + 1])) & 0xFFFFFFFF
    return value - 0x1_0000_0000 if value & 0x8000_0000 else value


def partition_for(key: str, partition_count: int) -> int:
    """The partition of a group id or a transactional id; Kafka takes the absolute value, and 0 for the one that has none."""
    value = java_string_hash(key)
    return (0 if value == -0x8000_0000 else abs(value)) % partition_count
