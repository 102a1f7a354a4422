"""What a leader checks of a batch that a client or a coordinator sends, and the rare cases in which it must rewrite it.

Invariants
- A batch is decoded only when the topic asks for it: compaction (every record needs a key) or a broker-side `compression.type`.

Sources: KIP-32 (timestamps), KIP-98 (producer fields), KIP-937 (timestamps of the future and the past); the error codes are those that
Apache Kafka answers.
"""

from __future__ import annotations

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import ApiError, CorruptRecord, ErrorCode
from raftkafka.storage.compression import COMPRESSION_BY_NAME, Compression
from raftkafka.storage.config import LogConfig
from raftkafka.storage.producers import AppendOrigin
from raftkafka.storage.record_batch import (
    CONTROL_FLAG,
    HEADER_SIZE,
    LENGTH_OVERHEAD,
    LOG_APPEND_TIME_FLAG,
    MAGIC,
    NO_TIMESTAMP,
    TRANSACTIONAL_FLAG,
    BatchHeader,
    build_batch,
    crc_matches,
    decode_records,
    read_header,
)


def read_produced_batch(records: Buffer, config: LogConfig, origin: AppendOrigin) -> BatchHeader:
    """The header of the one batch that `records` must hold; refuses what is damaged, too large, or not for this origin to write."""
    size = len(records)
    if size < HEADER_SIZE:
        raise ApiError(ErrorCode.INVALID_RECORD if size == 0 else ErrorCode.CORRUPT_MESSAGE, f"{size} bytes are not a record batch")
    header = read_header(records)
    if header.magic != MAGIC:
        raise ApiError(ErrorCode.INVALID_RECORD, f"Record batches must have magic version {MAGIC}, not {header.magic}")
    whole = header.batch_length + LENGTH_OVERHEAD
    if whole != size:
        if HEADER_SIZE <= whole < size:
            raise ApiError(ErrorCode.INVALID_RECORD, "A partition's records must be exactly one record batch")
        raise ApiError(ErrorCode.CORRUPT_MESSAGE, f"The record batch claims {whole} bytes, but there are {size}")
    if size > config.max_message_bytes:
        raise ApiError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"The record batch size is {size} bytes, which exceeds the maximum configured value of {config.max_message_bytes}",
        )
    if not crc_matches(records, header):
        raise ApiError(ErrorCode.CORRUPT_MESSAGE, "The checksum of the record batch is wrong")
    if header.record_count <= 0 or header.last_offset_delta != header.record_count - 1:
        raise ApiError(
            ErrorCode.INVALID_RECORD, f"The batch has {header.record_count} records but its last offset delta is {header.last_offset_delta}"
        )
    if origin is AppendOrigin.CLIENT:
        _check_client_fields(header)
    return header


def check_timestamps(header: BatchHeader, config: LogConfig, wall_ms: int) -> None:
    """Refuses a batch whose times are too far from the broker's; a record without time passes."""
    if header.attributes & LOG_APPEND_TIME_FLAG:
        raise ApiError(ErrorCode.INVALID_TIMESTAMP, "A client may not set the timestamp type to LogAppendTime")
    if header.max_timestamp - wall_ms > config.after_max_ms:
        raise ApiError(
            ErrorCode.INVALID_TIMESTAMP,
            f"Timestamp {header.max_timestamp} is more than message.timestamp.after.max.ms={config.after_max_ms} later than {wall_ms}",
        )
    if header.base_timestamp != NO_TIMESTAMP and wall_ms - header.base_timestamp > config.before_max_ms:
        raise ApiError(
            ErrorCode.INVALID_TIMESTAMP,
            f"Timestamp {header.base_timestamp} is more than message.timestamp.before.max.ms={config.before_max_ms} before {wall_ms}",
        )


def must_decode(header: BatchHeader, config: LogConfig) -> bool:
    """Whether this batch cannot be stored without looking at its records."""
    if header.attributes & CONTROL_FLAG:
        return False
    if config.compact:
        return True
    return config.compression_type != "producer" and COMPRESSION_BY_NAME[config.compression_type] != header.compression_id


def rewrite(records: Buffer, header: BatchHeader, config: LogConfig, origin: AppendOrigin) -> bytes | None:
    """Checks the records themselves; the batch in the topic's own compression, or `None` when it can stay as it is."""
    try:
        decoded = decode_records(records)
    except CorruptRecord as error:
        raise ApiError(ErrorCode.CORRUPT_MESSAGE, str(error)) from None
    if config.compact and origin is AppendOrigin.CLIENT:
        for index, record in enumerate(decoded):
            if record.key is None:
                raise ApiError(ErrorCode.INVALID_RECORD, f"Record {index} has no key, but the topic is compacted")
    if config.compression_type == "producer" or COMPRESSION_BY_NAME[config.compression_type] == header.compression_id:
        return None
    return build_batch(
        decoded,
        base_offset=header.base_offset,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
        compression=COMPRESSION_BY_NAME[config.compression_type],
        compression_level=config.compression_level(config.compression_type),
        is_transactional=header.is_transactional,
    )


def _check_client_fields(header: BatchHeader) -> None:
    if header.base_offset != 0:
        raise ApiError(ErrorCode.INVALID_RECORD, f"The base offset of a produced batch must be 0, not {header.base_offset}")
    if header.attributes & CONTROL_FLAG:
        raise ApiError(ErrorCode.INVALID_RECORD, "Clients are not allowed to write control records")
    if header.compression_id > Compression.ZSTD:
        raise ApiError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"Unknown compression {header.compression_id}")
    if header.producer_id >= 0:
        if header.producer_epoch < 0 or header.base_sequence < 0:
            raise ApiError(
                ErrorCode.INVALID_RECORD,
                f"Invalid producer epoch {header.producer_epoch} or sequence {header.base_sequence} of producer {header.producer_id}",
            )
    elif header.attributes & TRANSACTIONAL_FLAG:
        raise ApiError(ErrorCode.INVALID_RECORD, "A transactional batch must have a producer id")
