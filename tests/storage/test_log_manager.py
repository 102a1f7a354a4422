"""Many logs: creation, deletion, checkpoints, flushes, and what an idle partition costs."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.base.disk import Persist
from raftkafka.base.errors import ApiError, CorruptRecord, DiskError
from raftkafka.base.ids import DirectoryId, NodeId, PartitionKey, TopicId, TopicPartition
from raftkafka.base.observed import Observed
from raftkafka.simulation.disk import SimDisk
from raftkafka.storage.checkpoints import decode_offsets, encode_offsets
from raftkafka.storage.config import LogConfig
from raftkafka.storage.log_manager import LogManager, LogManagerSettings
from raftkafka.storage.log_removal import DELETIONS_PER_TICK
from raftkafka.storage.meta_properties import MetaProperties, decode_meta_properties, read_meta_properties, write_meta_properties
from tests.storage.log_world import KEY, SMALL, LogWorld, produced, replicated

OTHER_KEY = PartitionKey(TopicId(b"another-topic-id"), 0)


def persists(manager: LogManager) -> list[Persist]:
    return [output for output in manager.drain() if isinstance(output, Persist)]


def test_new_partition_is_a_directory_with_its_topic_id_and_nothing_else() -> None:
    world = LogWorld()
    assert world.disk.list_dir("data/events-0") == ["partition.metadata"]
    assert world.disk.read_file("data/events-0/partition.metadata") == b"version: 0\ntopic_id: dGhlLXRvcGljLWlkLTE2Yg"
    world.restart()
    assert world.log.log_end_offset == 0
    world.stop_cleanly()
    assert world.disk.list_dir("data/events-0") == ["partition.metadata"]


def test_deleted_log_goes_at_once_and_its_files_after_the_delay() -> None:
    world = LogWorld(attrs.evolve(SMALL, file_delete_delay_ms=100))
    world.append(b"a")
    world.manager.delete(KEY, now_ms=1000)
    assert world.manager.get(KEY) is None
    (name,) = [name for name in world.disk.list_dir("data") if name.startswith("events-0")]
    assert name.endswith("-delete")
    world.manager.tick(1099, 0)
    assert world.disk.exists(f"data/{name}")
    assert world.manager.next_deadline_ms() == 1100
    world.manager.tick(1100, 0)
    assert not world.disk.exists(f"data/{name}")


def test_many_deleted_logs_are_removed_a_few_at_a_time() -> None:
    """A thousand of them at once held a node up for so long that the others elected another controller."""
    world = LogWorld(attrs.evolve(SMALL, file_delete_delay_ms=100))
    for partition in range(50):
        key = PartitionKey(TopicId(b"a-topic-of-many!"), partition)
        world.manager.create(key, "many", attrs.evolve(SMALL, file_delete_delay_ms=100), 0)
        world.manager.delete(key, now_ms=0)
    ticks = 0
    while world.manager.next_deadline_ms() <= 100:
        before = len(world.disk.list_dir("data"))
        world.manager.tick(100, 0)
        ticks += 1
        assert before - len(world.disk.list_dir("data")) <= DELETIONS_PER_TICK
    assert ticks > 1
    assert not [name for name in world.disk.list_dir("data") if name.endswith("-delete")]


def test_half_deleted_log_is_removed_at_start() -> None:
    world = LogWorld()
    world.append(b"a")
    world.manager.delete(KEY, now_ms=0)
    world.restart()
    assert [name for name in world.disk.list_dir("data") if name.endswith("-delete")] == []
    assert world.log.log_end_offset == 0


def test_recreated_topic_inherits_nothing() -> None:
    world = LogWorld()
    for _ in range(20):
        world.append(b"a")
    world.log.advance_log_start(9)
    world.manager.checkpoint({KEY: 20})
    world.manager.delete(KEY, now_ms=0)
    log = world.manager.create(OTHER_KEY, "events", SMALL, 0)
    assert (log.log_start_offset, log.log_end_offset, world.manager.checkpointed_high_watermark(OTHER_KEY)) == (0, 0, 0)
    world.manager.tick(0, 0)
    reopened = LogManager(disk=world.disk, log_dirs=["data"])
    reopened.load(0)
    again = reopened.get(OTHER_KEY)
    assert again is not None
    assert (again.log_start_offset, reopened.checkpointed_high_watermark(OTHER_KEY)) == (0, 0)


def test_log_of_another_topic_id_in_the_place_is_replaced() -> None:
    world = LogWorld()
    world.append(b"a")
    log = world.manager.create(OTHER_KEY, "events", SMALL, 0)
    assert log.log_end_offset == 0
    assert world.manager.get(KEY) is None


def test_partitions_spread_over_the_log_directories() -> None:
    disk = SimDisk()
    for name in ("d1", "d2"):
        disk.make_dir(name)
    manager = LogManager(disk=disk, log_dirs=["d1", "d2"])
    manager.load(0)
    for partition in range(4):
        manager.create(PartitionKey(KEY.topic_id, partition), "events", SMALL, 0)
    assert len(disk.list_dir("d1")) == len(disk.list_dir("d2")) == 2


def test_checkpoints_have_kafkas_form() -> None:
    world = LogWorld()
    world.append(b"a", b"b")
    world.manager.checkpoint({KEY: 2})
    assert world.disk.read_file("data/replication-offset-checkpoint") == b"0\n1\nevents 0 2\n"
    assert world.disk.read_file("data/recovery-point-offset-checkpoint") == b"0\n1\nevents 0 0\n"
    assert world.disk.read_file("data/log-start-offset-checkpoint") == b"0\n0\n"
    assert decode_offsets(encode_offsets({TopicPartition("t", 3): 5})) == {TopicPartition("t", 3): 5}
    for data in (b"", b"0\n2\nt 3 5\n", b"0\n1\nt 3\n", b"7\n0\n"):
        with pytest.raises(CorruptRecord):
            decode_offsets(data)


def test_rolled_segment_is_made_stable_and_moves_the_recovery_point() -> None:
    world = LogWorld()
    while len(world.log.segments) == 1:
        world.append(b"a" * 50)
    world.append(b"after the roll")
    base = world.log.segments[1].base_offset
    assert world.manager.next_deadline_ms() <= 0
    world.manager.tick(5, 0)
    (persist,) = persists(world.manager)
    assert "data/events-0/00000000000000000000.log" in persist.syncs
    assert world.log.recovery_point == 0
    world.manager.persisted(persist.token)
    assert world.log.recovery_point == base


def test_flush_under_way_does_not_vouch_for_what_replaced_a_truncated_tail() -> None:
    world = LogWorld()
    for index in range(10):
        world.append(b"%d" % index)
    plan = world.log.plan_flush(10)
    world.log.truncate_to(4)
    for index in range(10):
        world.append(b"other %d" % index, epoch=1)
    world.log.flushed(plan.end_offset)
    assert world.log.recovery_point <= 4


def test_flush_messages_and_flush_ms_are_honoured() -> None:
    world = LogWorld(LogConfig(flush_messages=3))
    world.append(b"a", b"b")
    world.manager.tick(1000, 1000)
    assert persists(world.manager) == []
    world.append(b"c")
    world.manager.tick(1000, 1000)
    (persist,) = persists(world.manager)
    world.manager.persisted(persist.token)
    assert world.log.recovery_point == 3

    world = LogWorld(LogConfig(flush_ms=50))
    world.append(b"a")
    assert world.manager.next_deadline_ms() == 0
    world.manager.tick(1000, 1000)
    world.manager.tick(1049, 1049)
    assert persists(world.manager) == []
    assert world.manager.next_deadline_ms() == 1050
    world.manager.tick(1050, 1050)
    assert len(persists(world.manager)) == 1


def test_failed_flush_takes_the_log_offline() -> None:
    world = LogWorld(LogConfig(flush_messages=1))
    world.append(b"a")
    world.manager.tick(1000, 1000)
    (persist,) = persists(world.manager)
    world.manager.persist_failed(persist.token, DiskError("x", "i/o error"))
    assert world.log.offline_reason is not None


def test_retention_runs_by_itself_below_the_high_watermark() -> None:
    world = LogWorld(attrs.evolve(SMALL, retention_ms=100))
    for index in range(40):
        world.append(b"%d" % index)
    base = world.log.segments[2].base_offset
    world.manager.checkpoint({KEY: base})
    world.manager.tick(0, 1_000_000)
    assert world.log.log_start_offset == base


def test_retention_waits_for_the_topics_own_configuration() -> None:
    """After each start the broker's default was applied once to what a topic keeps longer, or compacts: its old records were gone."""
    world = LogWorld(attrs.evolve(SMALL, retention_ms=100))
    for index in range(40):
        world.append(b"%d" % index)
    world.manager.checkpoint({KEY: 40})
    world.stop_cleanly()
    world.config = SMALL  # the topic keeps everything
    world.disk.kill()
    manager = LogManager(
        disk=world.disk, log_dirs=["data"], settings=LogManagerSettings(default_config=attrs.evolve(SMALL, retention_ms=100))
    )
    manager.load(1_000_000)
    manager.tick(0, 1_000_000)
    log = manager.get(KEY)
    assert log is not None
    assert log.log_start_offset == 0
    manager.create(KEY, "events", SMALL, 0)
    manager.tick(manager.next_deadline_ms(), 1_000_000)
    assert log.log_start_offset == 0
    manager.create(KEY, "events", attrs.evolve(SMALL, retention_ms=100), 0)
    manager.tick(300_000, 1_000_000)
    assert log.log_start_offset > 0


def test_meta_properties() -> None:
    disk = SimDisk()
    assert read_meta_properties(disk, "data") is None
    meta = MetaProperties(node_id=NodeId(3), directory_id=DirectoryId(b"0123456789abcdef"), cluster_id="qvnL5Z4iQYyCqvVqDlHAmA")
    write_meta_properties(disk, "data", meta)
    assert read_meta_properties(disk, "data") == meta
    theirs = (
        b"#\n#Tue Nov 24 06:46:49 UTC 2026\nnode.id=3\nversion=1\ndirectory.id=MDEyMzQ1Njc4OWFiY2RlZg\ncluster.id=qvnL5Z4iQYyCqvVqDlHAmA\n"
    )
    assert decode_meta_properties(theirs) == meta
    for data in (
        b"",
        b"node.id=x\nversion=1\ndirectory.id=MDEyMzQ1Njc4OWFiY2RlZg\ncluster.id=q\n",
        theirs.replace(b"version=1", b"version=2"),
    ):
        with pytest.raises(CorruptRecord):
            decode_meta_properties(data)


def test_clean_stop_is_complete_only_when_data_and_then_marker_are_stable() -> None:
    world = LogWorld()
    world.append(b"a")
    world.manager.clean_shutdown(5)
    (data,) = persists(world.manager)
    assert "data/events-0/00000000000000000000.log" in data.syncs
    world.manager.persisted(data.token)
    assert not world.manager.shut_down
    (marker,) = persists(world.manager)
    assert [write.path for write in marker.writes][-1] == "data/.kafka_cleanshutdown"
    world.manager.persisted(marker.token)
    assert world.manager.shut_down


def test_offline_log_denies_the_marker_of_a_clean_stop() -> None:
    world = LogWorld()
    world.append(b"a")
    world.log.offline_reason = "damaged"
    world.stop_cleanly()
    assert not world.disk.exists("data/.kafka_cleanshutdown")


def test_clean_stop_makes_everything_stable() -> None:
    world = LogWorld()
    world.log.append_as_leader(bytearray(produced(b"a")), leader_epoch=0, wall_ms=1000)
    world.stop_cleanly()
    world.power_failure(seed=5)
    assert world.values() == [b"a"]
    assert world.manager.previous_broker_epoch == 5


def test_nothing_is_appended_once_a_clean_stop_has_begun() -> None:
    world = LogWorld()
    world.append(b"a")
    world.manager.clean_shutdown(5)
    with pytest.raises(ApiError, match="KAFKA_STORAGE_ERROR"):
        world.append(b"after the last flush")
    with pytest.raises(ApiError, match="KAFKA_STORAGE_ERROR"):
        world.log.append_as_follower(replicated(1, 0, b"after the last flush"))
    world.settle()
    world.power_failure(seed=1)
    assert world.values() == [b"a"]
    assert world.manager.previous_broker_epoch == 5


def test_a_clean_stop_that_could_not_make_all_stable_leaves_no_marker() -> None:
    world = LogWorld()
    world.append(b"a")
    world.manager.clean_shutdown(5)
    (data,) = persists(world.manager)
    world.manager.persist_failed(data.token, DiskError("data/events-0", "I/O error"))
    assert world.manager.shut_down
    assert persists(world.manager) == []


def test_a_log_that_cannot_be_closed_goes_alone_and_denies_the_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    world = LogWorld()
    world.append(b"a")
    other = world.manager.create(OTHER_KEY, "other", SMALL, 0)
    other.append_as_leader(bytearray(produced(b"b")), leader_epoch=0, wall_ms=1000)
    fail_writes(world, monkeypatch, "data/events-0/")
    world.manager.clean_shutdown(5)
    (data,) = persists(world.manager)
    assert "data/other-0/00000000000000000000.log" in data.syncs
    world.manager.persisted(data.token)
    assert world.manager.shut_down
    assert persists(world.manager) == []


def test_checkpoints_that_cannot_be_written_end_one_log_and_not_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    world = LogWorld()
    world.append(b"a")
    fail_writes(world, monkeypatch, "data/events-0/")
    world.manager.checkpoint({KEY: 1})
    assert world.log.offline_reason is not None
    assert "log-offline" in [each.kind for each in world.manager.drain() if isinstance(each, Observed)]


def test_a_checkpoint_file_that_could_not_be_written_is_written_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world = LogWorld()
    world.append(b"a")
    with monkeypatch.context() as patch:
        fail_writes(world, patch, "data/replication-offset-checkpoint")
        world.manager.checkpoint({KEY: 1})
    world.manager.checkpoint({KEY: 1})
    assert decode_offsets(world.disk.read_file("data/replication-offset-checkpoint")) == {TopicPartition("events", 0): 1}


def test_a_directory_whose_topic_is_unknown_is_set_aside_and_not_written_to() -> None:
    world = LogWorld()
    world.append(b"of nobody knows which topic")
    world.disk.delete("data/events-0/partition.metadata")
    world.restart()
    world.append(b"a")
    world.restart()
    assert world.values() == [b"a"]
    (stray,) = [name for name in world.disk.list_dir("data") if name.endswith("-stray")]
    assert "00000000000000000000.log" in world.disk.list_dir(f"data/{stray}")


def test_a_flush_makes_the_name_of_the_topic_stable_too() -> None:
    world = LogWorld()
    world.append(b"a")
    assert "data/events-0/partition.metadata" in world.log.plan_flush(1).syncs


def fail_writes(world: LogWorld, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    """Makes small files under this path impossible to write."""
    replace_file = world.disk.replace_file

    def failing(path: str, data: bytes) -> None:
        if path.startswith(prefix):
            raise DiskError(path, "I/O error")
        replace_file(path, data)

    monkeypatch.setattr(world.disk, "replace_file", failing)
