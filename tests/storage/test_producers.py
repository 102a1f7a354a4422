"""Idempotent producers: rules T1 and T2 of reference/replication-rules.md (KIP-98, KIP-360)."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ApiError, CorruptRecord, ErrorCode
from raftkafka.storage.producers import AppendOrigin, ProducerStates
from raftkafka.storage.record_batch import MAX_SEQUENCE
from tests.storage.log_world import LogWorld


def send(world: LogWorld, sequence: int, *values: bytes, epoch: int = 0) -> tuple[int, bool]:
    result = world.append(*(values or (b"v",)), producer_id=7, producer_epoch=epoch, base_sequence=sequence)
    return result.base_offset, result.duplicate


def refused(world: LogWorld, sequence: int, code: ErrorCode, *, epoch: int = 0) -> None:
    before = world.log.log_end_offset
    with pytest.raises(ApiError) as caught:
        send(world, sequence, epoch=epoch)
    assert caught.value.code is code
    assert world.log.log_end_offset == before


def test_t1_each_of_the_last_five_batches_is_recognised_as_duplicate() -> None:
    world = LogWorld()
    offsets = [send(world, 2 * index, b"a", b"b")[0] for index in range(7)]
    for index in range(2, 7):
        assert send(world, 2 * index, b"a", b"b") == (offsets[index], True)
    refused(world, 2, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    assert world.log.log_end_offset == 14


def test_t1_gap_is_out_of_order() -> None:
    world = LogWorld()
    send(world, 0)
    refused(world, 2, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)


def test_t1_same_start_but_another_length_is_no_duplicate() -> None:
    world = LogWorld()
    send(world, 0, b"a", b"b")
    refused(world, 0, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)


def test_t1_sequence_wraps_to_zero() -> None:
    world = LogWorld()
    send(world, MAX_SEQUENCE - 1, b"a", b"b", b"c")
    refused(world, 0, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    assert send(world, 1) == (3, False)
    assert send(world, MAX_SEQUENCE - 1, b"a", b"b", b"c") == (0, True)

    world = LogWorld()
    send(world, MAX_SEQUENCE)
    assert send(world, 0) == (1, False)


def test_t1_new_epoch_must_start_at_zero() -> None:
    world = LogWorld()
    send(world, 0)
    refused(world, 1, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, epoch=1)
    assert send(world, 0, epoch=1) == (1, False)


def test_t2_stale_epoch_is_refused() -> None:
    world = LogWorld()
    send(world, 0, epoch=3)
    refused(world, 1, ErrorCode.INVALID_PRODUCER_EPOCH, epoch=2)


def test_t3_unknown_producer_may_start_anywhere() -> None:
    assert send(LogWorld(), 42) == (0, False)


def test_duplicate_is_recognised_after_a_crash_and_after_a_clean_stop() -> None:
    world = LogWorld()
    for sequence in range(30):
        send(world, sequence)
    world.flush()
    world.power_failure(seed=1)
    for sequence in range(25, 30):
        assert send(world, sequence) == (sequence, True)
    world.stop_cleanly()
    world.restart()
    for sequence in (29, 25, 26, 27, 28):
        assert send(world, sequence) == (sequence, True), "the snapshot keeps the last batch only, as Kafka's does; the log has the others"
    refused(world, 24, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    assert send(world, 30) == (30, False)


def test_batches_in_flight_are_recognised_after_a_clean_stop_and_more_batches() -> None:
    world = LogWorld()
    for sequence in range(4):
        send(world, sequence)
        world.append(b"other", producer_id=99, producer_epoch=0, base_sequence=sequence)
    world.stop_cleanly()
    world.restart()
    send(world, 4)
    for sequence in range(5):
        assert send(world, sequence)[1], "sent before the stop or after it"
    refused(world, 6, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)


def test_batches_of_an_older_epoch_are_not_recalled() -> None:
    world = LogWorld()
    send(world, 0, epoch=0)
    send(world, 0, epoch=1)
    send(world, 1, epoch=1)
    world.stop_cleanly()
    world.restart()
    refused(world, 5, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, epoch=1)
    entry = world.log.producers.get(7)
    assert entry is not None
    assert [batch.base_sequence for batch in entry.batches] == [0, 1]


def test_coordinators_batches_are_not_held_to_sequences() -> None:
    world = LogWorld()
    for _ in range(2):
        world.append(b"v", origin=AppendOrigin.COORDINATOR, producer_id=7, producer_epoch=0, base_sequence=5)
    assert world.log.log_end_offset == 2


def test_silent_producers_expire_but_not_within_a_transaction() -> None:
    world = LogWorld()
    world.append(b"v", producer_id=1, producer_epoch=0, base_sequence=0)
    world.append(b"v", producer_id=2, producer_epoch=0, base_sequence=0, is_transactional=True)
    assert world.log.producers.expire(1000 + 99, 100) == 0
    assert world.log.producers.expire(1000 + 100, 100) == 1
    assert world.log.producers.get(1) is None
    assert world.log.producers.get(2) is not None


def test_snapshot_round_trip_and_damage() -> None:
    world = LogWorld()
    world.append(b"a", b"b", producer_id=1, producer_epoch=4, base_sequence=10)
    world.append(b"v", producer_id=2, producer_epoch=0, base_sequence=0, is_transactional=True)
    data = world.log.producers.encode()
    loaded = ProducerStates()
    loaded.load(data, 3)
    assert loaded.encode() == data
    assert loaded.first_unstable_offset(3) == 2
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        with pytest.raises(CorruptRecord):
            ProducerStates().load(bytes(damaged), 3)
