"""The records of __transaction_state: keys carry their type and values their version as an int16 before the fields."""

from __future__ import annotations

from raftkafka.protocol.schema import INT8, INT16, INT32, INT64, STRING, array, field, message, struct


@message("0", flexible="none")
class TransactionLogKey:
    transactional_id: str = field(STRING, "0")


@struct
class TransactionPartitions:
    topic: str = field(STRING, "0+")
    partition_ids: list[int] = field(array(INT32), "0+")


@message("0-1", flexible="1+")
class TransactionLogValue:
    producer_id: int = field(INT64, "0+")
    previous_producer_id: int = field(INT64, "1+", tag=0, default=-1)
    next_producer_id: int = field(INT64, "1+", tag=1, default=-1)
    producer_epoch: int = field(INT16, "0+")
    next_producer_epoch: int = field(INT16, "1+", tag=3, default=-1)
    transaction_timeout_ms: int = field(INT32, "0+")
    transaction_status: int = field(INT8, "0+")
    transaction_partitions: list[TransactionPartitions] | None = field(array(TransactionPartitions), "0+", nullable="0+")
    transaction_last_update_timestamp_ms: int = field(INT64, "0+")
    transaction_start_timestamp_ms: int = field(INT64, "0+")
    client_transaction_version: int = field(INT16, "1+", tag=2)
