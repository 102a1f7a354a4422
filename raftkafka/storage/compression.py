"""The compression codecs of record batches, in the exact framings that Kafka's clients write and read.

Invariants
- Nothing inflates to more than the given limit: a hostile batch costs at most that much memory.
- What `compress` writes, the Java client and librdkafka read; what either of them writes, `decompress` reads.
- The codecs' libraries are imported when first used: a broker hardly ever needs one, and they would cost it memory and start-up time.

Sources: the record batch format of the Kafka protocol guide (attributes bits 0-2); KIP-57 (LZ4 frames), KIP-110 (zstd), KIP-390 (levels);
the snappy framing of snappy-java ("xerial"), which the Java client writes, while librdkafka writes raw snappy.
"""

from __future__ import annotations

import enum
import gzip
import struct
import zlib
from collections.abc import Callable

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import CorruptRecord

DEFAULT_LIMIT_BYTES = 512 * 1024 * 1024
XERIAL_MAGIC = b"\x82SNAPPY\x00"
XERIAL_HEADER = XERIAL_MAGIC + struct.pack(">ii", 1, 1)
XERIAL_BLOCK_BYTES = 32 * 1024


class Compression(enum.IntEnum):
    """The codec of a batch; the value is bits 0-2 of its attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


COMPRESSION_BY_NAME = {
    "none": Compression.NONE,
    "uncompressed": Compression.NONE,
    "gzip": Compression.GZIP,
    "snappy": Compression.SNAPPY,
    "lz4": Compression.LZ4,
    "zstd": Compression.ZSTD,
}
"""The values of `compression.type`, without `producer`."""


def compress(codec: Compression, data: bytes, level: int | None = None) -> bytes:
    """The compressed form of the records of a batch; `None` stands for the default level of the codec."""
    match codec:
        case Compression.NONE:
            return data
        case Compression.GZIP:
            return gzip.compress(data, 6 if level is None or level < 0 else level, mtime=0)
        case Compression.SNAPPY:
            return _compress_xerial(data)
        case Compression.LZ4:
            return _compress_lz4(data, level)
        case Compression.ZSTD:
            import zstandard

            return zstandard.ZstdCompressor(level=3 if level is None else level).compress(data)


def decompress(codec: Compression, data: Buffer, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> bytes:
    """The records of a batch in plain form; raises `CorruptRecord` for damaged data or more than `limit_bytes` of output."""
    if codec is Compression.NONE:
        return bytes(data)
    inflate = _INFLATE[codec]
    try:
        plain = inflate(bytes(data), limit_bytes)
    except Exception as error:  # each library has its own classes, all of which say that the bytes are wrong
        raise CorruptRecord(f"the {codec.name.lower()} data is damaged: {error}") from None
    if len(plain) > limit_bytes:
        raise CorruptRecord(f"the {codec.name.lower()} data inflates to more than {limit_bytes} bytes")
    return plain


def _decompress_gzip(data: bytes, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    room = limit_bytes + 1
    while data and room > 0:
        inflater = zlib.decompressobj(31)
        part = inflater.decompress(data, room)
        parts.append(part)
        room -= len(part)
        if room > 0 and not inflater.eof:
            raise EOFError("truncated")
        data = inflater.unused_data
    return b"".join(parts)


def _compress_lz4(data: bytes, level: int | None) -> bytes:
    from lz4 import frame

    packed: bytes = frame.compress(
        data,
        compression_level=level or 0,
        block_size=frame.BLOCKSIZE_MAX64KB,
        block_linked=False,  # the Java client refuses linked blocks
        store_size=False,
    )
    return packed


def _decompress_lz4(data: bytes, limit_bytes: int) -> bytes:
    from lz4 import frame

    inflater = frame.LZ4FrameDecompressor()
    plain: bytes = inflater.decompress(data, limit_bytes + 1)
    if not inflater.eof and len(plain) <= limit_bytes:
        raise EOFError("truncated")
    return plain


def _decompress_zstd(data: bytes, limit_bytes: int) -> bytes:
    import zstandard

    # A frame that is cut off yields what was there, and the records' own lengths then tell.
    return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read(limit_bytes + 1)


def _compress_xerial(data: bytes) -> bytes:
    from cramjam import snappy

    parts = [XERIAL_HEADER]
    for start in range(0, len(data), XERIAL_BLOCK_BYTES):
        block = bytes(snappy.compress_raw(data[start : start + XERIAL_BLOCK_BYTES]))
        parts += (struct.pack(">i", len(block)), block)
    return b"".join(parts)


def _decompress_snappy(data: bytes, limit_bytes: int) -> bytes:
    if not data.startswith(XERIAL_MAGIC):
        return _decompress_snappy_block(data, limit_bytes)
    parts: list[bytes] = []
    room = limit_bytes
    position = len(XERIAL_HEADER)
    while position < len(data):
        if data.startswith(XERIAL_MAGIC, position):  # concatenated streams
            position += len(XERIAL_HEADER)
            continue
        (length,) = struct.unpack_from(">i", data, position)
        position += 4
        if length < 0 or position + length > len(data):
            raise EOFError("truncated block")
        part = _decompress_snappy_block(data[position : position + length], room)
        parts.append(part)
        room -= len(part)
        position += length
    return b"".join(parts)


def _decompress_snappy_block(block: bytes, limit_bytes: int) -> bytes:
    from cramjam import snappy

    if snappy.decompress_raw_len(block) > limit_bytes:
        raise ValueError(f"more than {limit_bytes} bytes")
    return bytes(snappy.decompress_raw(block))


_INFLATE: dict[Compression, Callable[[bytes, int], bytes]] = {
    Compression.GZIP: _decompress_gzip,
    Compression.SNAPPY: _decompress_snappy,
    Compression.LZ4: _decompress_lz4,
    Compression.ZSTD: _decompress_zstd,
}
