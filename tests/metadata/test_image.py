"""The metadata image: replay by any grouping gives the same image, snapshots give it back, deltas say what changed (D15)."""

from __future__ import annotations

import random

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.metadata.configs import ResourceType
from raftkafka.metadata.image import ImageEntry, MetadataImage, from_snapshot, to_snapshot
from raftkafka.metadata.records import (
    BrokerRegistrationChangeRecord,
    ClientQuotaRecord,
    ConfigRecord,
    FeatureLevelRecord,
    NoOpRecord,
    PartitionChangeRecord,
    PartitionRecord,
    ProducerIdsRecord,
    Record,
    RegisterBrokerRecord,
    RemoveTopicRecord,
    TopicRecord,
    UnregisterBrokerRecord,
    decode,
    decode_batch,
    encode,
    encode_batch,
)

EMPTY = MetadataImage(cluster_id="c")


def topic_id(number: int) -> TopicId:
    return TopicId(number.to_bytes(16, "big"))


def nodes(*ids: int) -> tuple[NodeId, ...]:
    return tuple(NodeId(i) for i in ids)


def register(node_id: int) -> RegisterBrokerRecord:
    return RegisterBrokerRecord(node_id=NodeId(node_id), incarnation_id=bytes(16), endpoints=(("PLAINTEXT", "h", 9092, "PLAINTEXT"),))


def random_history(seed: int, length: int) -> list[list[Record]]:
    """Decisions that a controller could have made: they never refer to what is not there."""
    rng = random.Random(seed)
    topics: dict[str, tuple[TopicId, int]] = {}
    brokers: dict[int, None] = {}
    history: list[list[Record]] = []
    for step in range(length):
        records: list[Record] = []
        for _ in range(rng.randint(1, 3)):
            kind = rng.randrange(9)
            if kind == 0 and f"t{step % 5}" not in topics:
                name, new_id = f"t{step % 5}", topic_id(rng.getrandbits(100))
                topics[name] = (new_id, 2)
                records.append(TopicRecord(name=name, topic_id=new_id))
                records += [
                    PartitionRecord(topic_id=new_id, partition=p, replicas=nodes(1, 2), isr=nodes(1, 2), leader=NodeId(1)) for p in (0, 1)
                ]
            elif kind == 1 and topics and rng.random() < 0.4:
                records.append(RemoveTopicRecord(topic_id=topics.pop(rng.choice(sorted(topics)))[0]))
            elif kind in (2, 3) and topics:
                changed, _ = topics[rng.choice(sorted(topics))]
                leader = NodeId(rng.choice([-2, -1, 1, 2]))
                isr = rng.choice([None, nodes(2), nodes(1)])
                records.append(PartitionChangeRecord(topic_id=changed, partition=rng.randrange(2), leader=leader, isr=isr, elr=isr))
            elif kind == 4:
                node = rng.randint(1, 3)
                brokers[node] = None
                records.append(register(node))
            elif kind == 5 and brokers:
                node = rng.choice(sorted(brokers))
                fenced = rng.choice([None, True, False])
                records.append(
                    BrokerRegistrationChangeRecord(
                        node_id=NodeId(node), broker_epoch=1, fenced=fenced, in_controlled_shutdown=rng.random() < 0.2
                    )
                )
            elif kind == 6 and brokers and rng.random() < 0.2:
                node = rng.choice(sorted(brokers))
                del brokers[node]
                records.append(UnregisterBrokerRecord(node_id=NodeId(node), broker_epoch=1))
            elif kind == 7 and topics:
                name = rng.choice(sorted(topics))
                value = rng.choice([None, "1", "2"])
                records.append(ConfigRecord(resource_type=ResourceType.TOPIC, resource_name=name, name="retention.ms", value=value))
            else:
                other: list[Record] = [
                    FeatureLevelRecord(name="f", level=rng.randrange(3)),
                    ProducerIdsRecord(node_id=NodeId(1), broker_epoch=1, next_producer_id=1_000 * step),
                    NoOpRecord(),
                    ClientQuotaRecord(entity=(("user", rng.choice(["u", None])),), key="k", value=rng.choice([None, 1.5, 2.0])),
                ]
                records.append(rng.choice(other))
        history.append(records)
    return history


@given(seed=st.integers(0, 2**32), length=st.integers(0, 30), cuts=st.lists(st.integers(1, 6), min_size=1))
def test_image_is_the_same_however_entries_are_grouped(seed: int, length: int, cuts: list[int]) -> None:
    entries = [ImageEntry(offset, 1 + offset // 10, records) for offset, records in enumerate(random_history(seed, length))]
    one_by_one = EMPTY
    for entry in entries:
        one_by_one, _ = one_by_one.apply(entry.records, entry.offset, entry.epoch)
    grouped, at, turn = EMPTY, 0, 0
    while at < len(entries):
        size = cuts[turn % len(cuts)]
        grouped, _ = grouped.apply_entries(entries[at : at + size])
        at, turn = at + size, turn + 1
    assert one_by_one == grouped
    assert from_snapshot(to_snapshot(one_by_one)) == one_by_one


@given(seed=st.integers(0, 2**32))
def test_delta_names_exactly_what_differs(seed: int) -> None:
    history = random_history(seed, 20)
    before, _ = EMPTY.apply_entries([ImageEntry(offset, 1, records) for offset, records in enumerate(history[:12])])
    after, delta = before.apply_entries([ImageEntry(offset, 1, records) for offset, records in enumerate(history[12:], start=12)])
    assert set(delta.created_topics) == set(after.topics.by_id) - set(before.topics.by_id)
    assert set(delta.removed_topics) == set(before.topics.by_id) - set(after.topics.by_id)
    differing = {key for key, partition in after.topics.partitions() if before.partition(key) != partition}
    assert differing <= set(delta.changed_partitions) <= {key for key, _ in after.topics.partitions()}
    assert {n for n in (*before.brokers, *after.brokers) if before.brokers.get(n) != after.brokers.get(n)} <= set(delta.changed_brokers)
    resources = {*before.configs.by_resource, *after.configs.by_resource}
    assert {r for r in resources if before.configs.get(*r) != after.configs.get(*r)} <= set(delta.changed_configs)
    assert before.features == after.features or delta.features_changed
    assert before.quotas == after.quotas or delta.quotas_changed


@given(seed=st.integers(0, 2**32))
def test_records_come_back_from_their_bytes(seed: int) -> None:
    for records in random_history(seed, 10):
        assert decode_batch(encode_batch(records)) == records
        assert [decode(encode(record)) for record in records] == records


def test_image_is_not_changed_by_what_is_built_on_it() -> None:
    base, _ = EMPTY.apply(
        [TopicRecord(name="t", topic_id=topic_id(1)), PartitionRecord(topic_id=topic_id(1), partition=0, replicas=nodes(1), isr=nodes(1))],
        0,
        1,
    )
    kept = to_snapshot(base)
    base.apply([PartitionChangeRecord(topic_id=topic_id(1), partition=0, leader=NodeId(1)), register(1)], 1, 1)
    base.apply([RemoveTopicRecord(topic_id=topic_id(1))], 1, 1)
    assert to_snapshot(base) == kept


def test_untouched_parts_are_shared() -> None:
    first, _ = EMPTY.apply([TopicRecord(name="t", topic_id=topic_id(1)), TopicRecord(name="u", topic_id=topic_id(2)), register(1)], 0, 1)
    second, _ = first.apply([PartitionRecord(topic_id=topic_id(1), partition=0, replicas=nodes(1), isr=nodes(1))], 1, 1)
    assert second.topics.by_name["u"] is first.topics.by_name["u"]
    assert second.brokers is first.brokers
    assert second.configs is first.configs


def test_topic_created_and_removed_in_one_step_leaves_no_trace() -> None:
    created: list[Record] = [
        TopicRecord(name="t", topic_id=topic_id(1)),
        PartitionRecord(topic_id=topic_id(1), partition=0, replicas=nodes(1), isr=nodes(1)),
    ]
    image, delta = EMPTY.apply([*created, RemoveTopicRecord(topic_id=topic_id(1))], 0, 1)
    assert image.topics == EMPTY.topics
    assert (dict(delta.changed_partitions), dict(delta.created_topics), dict(delta.removed_topics)) == ({}, {}, {})


def test_topic_recreated_in_one_step_is_another_topic() -> None:
    before, _ = EMPTY.apply([TopicRecord(name="t", topic_id=topic_id(1))], 0, 1)
    after, delta = before.apply([RemoveTopicRecord(topic_id=topic_id(1)), TopicRecord(name="t", topic_id=topic_id(2))], 1, 1)
    assert after.topics.by_name["t"].topic_id == topic_id(2)
    assert list(after.topics.by_id) == [topic_id(2)]
    assert (list(delta.removed_topics), list(delta.created_topics)) == ([topic_id(1)], [topic_id(2)])


def test_named_leader_bumps_the_leader_epoch_and_every_change_the_partition_epoch() -> None:
    key = PartitionKey(topic_id(1), 0)
    image, _ = EMPTY.apply(
        [
            TopicRecord(name="t", topic_id=key.topic_id),
            PartitionRecord(topic_id=key.topic_id, partition=0, replicas=nodes(1, 2), isr=nodes(1, 2)),
        ],
        0,
        1,
    )
    epochs = []
    for leader in (-2, 1, 1, -1):
        image, _ = image.apply([PartitionChangeRecord(topic_id=key.topic_id, partition=0, leader=NodeId(leader))], image.offset + 1, 1)
        partition = image.partition(key)
        assert partition is not None
        epochs.append((partition.leader, partition.leader_epoch, partition.partition_epoch))
    assert epochs == [(-1, 0, 1), (1, 1, 2), (1, 2, 3), (-1, 3, 4)]


def test_registration_without_an_epoch_takes_its_offset() -> None:
    image, _ = EMPTY.apply([register(1)], 41, 1)
    assert image.brokers[NodeId(1)].broker_epoch == 41


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        msgpack.packb(7),
        msgpack.packb([[99, 0]]),
        msgpack.packb([[11, 1]]),
        msgpack.packb([[5, 0]]),
        msgpack.packb([[[], 0, 1]]),
        encode_batch([NoOpRecord()]) + b"x",
    ],
)
def test_entry_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_batch(data)


@pytest.mark.parametrize("data", [b"", b"\x01", msgpack.packb([9, 0, 0, "c", b""]), msgpack.packb([0, 0])])
def test_snapshot_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        from_snapshot(data)
