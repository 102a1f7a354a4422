"""Messages as JSON: the names, the order and the omissions of Apache Kafka's own converters, as its kafka-dump-log showed them."""

from __future__ import annotations

from raftkafka.protocol.json_form import compact, to_json
from raftkafka.protocol.messages.consumer_group_records import ConsumerGroupTargetAssignmentMemberValue, TopicPartition
from raftkafka.protocol.messages.consumer_protocol import ConsumerProtocolSubscription
from raftkafka.protocol.messages.transaction_records import TransactionLogValue, TransactionPartitions


def test_tagged_fields_are_written_only_when_they_are_not_the_default() -> None:
    value = TransactionLogValue(
        producer_id=8,
        previous_producer_id=8,
        producer_epoch=1,
        transaction_timeout_ms=60000,
        transaction_status=1,
        transaction_partitions=[TransactionPartitions(topic="perf", partition_ids=[1, 0])],
        transaction_last_update_timestamp_ms=1795499434849,
        transaction_start_timestamp_ms=1795499434697,
        client_transaction_version=2,
    )
    assert compact(to_json(value, 1)) == (
        '{"producerId":8,"previousProducerId":8,"producerEpoch":1,"transactionTimeoutMs":60000,"transactionStatus":1,'
        '"transactionPartitions":[{"topic":"perf","partitionIds":[1,0]}],"transactionLastUpdateTimestampMs":1795499434849,'
        '"transactionStartTimestampMs":1795499434697,"clientTransactionVersion":2}'
    )


def test_fields_that_a_version_lacks_are_left_out() -> None:
    assert to_json(ConsumerProtocolSubscription(topics=["a"]), 0) == {"topics": ["a"], "userData": None}
    assert list(to_json(ConsumerProtocolSubscription(topics=["a"]), 3)) == [
        "topics",
        "userData",
        "ownedPartitions",
        "generationId",
        "rackId",
    ]


def test_bytes_are_base64_and_ids_have_their_text() -> None:
    assert to_json(ConsumerProtocolSubscription(user_data=b"\x01\xff"), 0)["userData"] == "Af8="
    assigned = ConsumerGroupTargetAssignmentMemberValue(topic_partitions=[TopicPartition(topic_id=bytes(15) + b"\x01", partitions=[3])])
    assert to_json(assigned, 0) == {"topicPartitions": [{"topicId": "AAAAAAAAAAAAAAAAAAAAAQ", "partitions": [3]}]}
