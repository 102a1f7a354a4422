"""What a leader checks of a batch that a client or a coordinator sends, and the rare cases in which it must rewrite it.

Invariants
- A batch is decoded only when the topic asks for it (compaction: every record needs a key; a broker-side `compression.type`;
  `message.timestamp.before.max.ms`), or to tell which of its records are refused.

Sources: KIP-32 (timestamps), KIP-98 (producer fields), KIP-467 (errors of single records), KIP-937 (timestamps of the future and the
past); codes and texts of refused records are those that Apache Kafka 4.3.1 answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import ApiError, CorruptRecord, ErrorCode, RecordError
from raftkafka.storage.compression import COMPRESSION_BY_NAME, Compression
from raftkafka.storage.config import LONG_MAX, LogConfig
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
    Record,
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
    if size > config.segment_bytes:
        raise ApiError(
            ErrorCode.RECORD_LIST_TOO_LARGE,
            f"The record batch size is {size} bytes, which exceeds the maximum configured segment size of {config.segment_bytes}",
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


def check_timestamps(records: Buffer, header: BatchHeader, config: LogConfig, wall_ms: int) -> None:
    """Refuses a batch with times that are too far from the broker's, and names the records; one without time passes.

    The header has the latest time of the batch, but not the earliest: who sets `message.timestamp.before.max.ms` pays for a look at each.
    """
    if header.attributes & LOG_APPEND_TIME_FLAG:
        raise ApiError(ErrorCode.INVALID_TIMESTAMP, "A client may not set the timestamp type to LogAppendTime")
    latest = wall_ms + config.after_max_ms
    if header.max_timestamp <= latest and config.before_max_ms == LONG_MAX:
        return
    earliest = wall_ms - config.before_max_ms
    errors = [
        RecordError(
            index,
            f"Timestamp {record.timestamp} of message with offset {index} is out of range. "
            f"The timestamp should be within [{earliest}, {latest}]",
        )
        for index, record in enumerate(_decoded(records))
        if record.timestamp != NO_TIMESTAMP and not earliest <= record.timestamp <= latest
    ]
    if errors:
        text = "One or more records have been rejected due to invalid timestamp"
        raise ApiError(ErrorCode.INVALID_TIMESTAMP, text, record_errors=errors)


def must_decode(header: BatchHeader, config: LogConfig) -> bool:
    """Whether this batch cannot be stored without looking at its records."""
    if header.attributes & CONTROL_FLAG:
        return False
    if config.compact:
        return True
    return config.compression_type != "producer" and COMPRESSION_BY_NAME[config.compression_type] != header.compression_id


def rewrite(records: Buffer, header: BatchHeader, config: LogConfig, origin: AppendOrigin, *, partition_name: str) -> bytes | None:
    """Checks the records themselves; the batch in the topic's own compression, or `None` when it can stay as it is."""
    decoded = _decoded(records)
    if config.compact and origin is AppendOrigin.CLIENT:
        _refuse_without_key(decoded, partition_name)
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


def _decoded(records: Buffer) -> list[Record]:
    try:
        return decode_records(records)
    except CorruptRecord as error:
        raise ApiError(ErrorCode.CORRUPT_MESSAGE, str(error)) from None


def _refuse_without_key(decoded: Sequence[Record], partition_name: str) -> None:
    text = f"Compacted topic cannot accept message without key in topic partition {partition_name}"
    errors = [RecordError(index, text) for index, record in enumerate(decoded) if record.key is None]
    if errors:
        first = ", ".join(f"RecordError(batchIndex={error.batch_index}, message='{error.message}')" for error in errors[:3])
        text = f"One or more records have been rejected due to {len(errors)} record errors in total, "
        text += f"and only showing the first three errors at most: [{first}]"
        raise ApiError(ErrorCode.INVALID_RECORD, text, record_errors=errors)


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
