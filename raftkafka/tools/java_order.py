"""The order in which Java's hash maps hand out their entries: Apache's tools print many things in it, and so do ours.

    in_hash_map_order(["beta", "alpha"], string_hash)

Java's HashMap keeps a table of buckets, a power of two, at least a third larger than its entries; an entry lies in the bucket that the
lowest bits of its spread hash name; a bucket keeps the order of insertion, also when the table grows. So the order follows from the
hashes, the number of entries and, inside a bucket, the order of insertion.

Not implemented: buckets of more than eight entries, which Java turns into trees.

Sources: the documentation of java.util.HashMap, of String.hashCode, List.hashCode and Map.hashCode; golden transcripts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from raftkafka.base.ids import TopicPartition

K = TypeVar("K")

_MASK = 0xFFFFFFFF
DEFAULT_CAPACITY = 16


def string_hash(text: str) -> int:
    """String.hashCode, as an unsigned number of 32 bits."""
    encoded = text.encode("utf-16-be", "surrogatepass")
    result = 0
    for index in range(0, len(encoded), 2):
        result = (31 * result + (encoded[index] << 8 | encoded[index + 1])) & _MASK
    return result


def integer_hash(number: int) -> int:
    """Integer.hashCode."""
    return number & _MASK


def partition_hash(partition: TopicPartition) -> int:
    """TopicPartition.hashCode."""
    return (31 * (31 + partition.partition) + string_hash(partition.topic)) & _MASK


def string_map_hash(entries: Mapping[str, str | None]) -> int:
    """Map.hashCode of a map of strings, where a value may be null."""
    return sum(string_hash(key) ^ (0 if value is None else string_hash(value)) for key, value in entries.items()) & _MASK


def in_hash_map_order(keys: Iterable[K], hash_of: Callable[[K], int], *, capacity: int = DEFAULT_CAPACITY) -> list[K]:
    """The keys in the order of a HashMap of them; `capacity` is what the map was made with, `keys` in the order of insertion."""
    inserted = list(dict.fromkeys(keys))
    size = 1 << max(0, capacity - 1).bit_length()
    while len(inserted) > size * 3 // 4:
        size *= 2
    buckets: dict[int, list[K]] = {}
    for key in inserted:
        spread = hash_of(key) & _MASK
        buckets.setdefault((spread ^ spread >> 16) & (size - 1), []).append(key)
    return [key for bucket in sorted(buckets) for key in buckets[bucket]]
