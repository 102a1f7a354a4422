"""Several log directories of one node: what is where, and what a directory that has failed, or comes back, may and may not do."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ApiError
from raftkafka.base.ids import LOST_DIRECTORY_ID, DirectoryId, NodeId, PartitionKey, TopicPartition
from raftkafka.simulation.disk import SimDisk
from raftkafka.storage.log_manager import LogManager
from raftkafka.storage.meta_properties import MetaProperties, write_meta_properties
from raftkafka.storage.partition_log import PartitionLog
from tests.storage.log_world import KEY, SMALL, produced
from tests.storage.test_log_manager import OTHER_KEY, persists


class TwoDirectories:
    """A node with the directories a and b, and its processes one after the other."""

    def __init__(self) -> None:
        self.disk = SimDisk()
        for number, path in enumerate("ab"):
            meta = MetaProperties(node_id=NodeId(1), directory_id=DirectoryId(bytes([number + 1]) * 16), cluster_id="c")
            write_meta_properties(self.disk, path, meta)
        self.broker_epoch = 0
        self.manager = self.restart()

    def restart(self, *, failing: tuple[str, ...] = ()) -> LogManager:
        self.disk.kill()
        self.disk.failing = failing
        self.broker_epoch += 10
        self.manager = LogManager(disk=self.disk, log_dirs=["a", "b"])
        self.manager.load(0)
        self.manager.broker_epoch = self.broker_epoch
        for _ in range(3):
            for persist in persists(self.manager):
                self.disk.persist(persist)
                self.manager.persisted(persist.token)
            self.manager.tick(1_000, 1_000)
        return self.manager

    def create(self, key: PartitionKey, *, is_new: bool = True) -> PartitionLog:
        return self.manager.create(key, "events", SMALL, 0, is_new=is_new)


def test_log_that_may_lie_in_a_failed_directory_is_not_created_anew() -> None:
    node = TwoDirectories()
    where = node.create(KEY).directory[0]
    manager = node.restart(failing=(where,))
    with pytest.raises(ApiError, match="may lie in a log directory that has failed"):
        node.create(KEY, is_new=False)
    assert manager.placement.assignment(KEY) == LOST_DIRECTORY_ID
    assert node.create(OTHER_KEY).directory[0] != where
    node.restart()
    assert node.create(KEY, is_new=False).directory[0] == where


def test_log_that_is_nowhere_though_all_directories_work_is_made_anew_and_that_is_told() -> None:
    node = TwoDirectories()
    node.create(KEY, is_new=False)
    node.create(OTHER_KEY)
    placement = node.manager.placement
    assert (placement.is_made_anew(KEY), placement.is_made_anew(OTHER_KEY)) == (True, False)
    placement.is_known(KEY)
    assert not placement.is_made_anew(KEY)


def test_log_that_was_created_while_its_directory_was_away_is_the_later_one() -> None:
    """The replica was taken from this broker and given to it again meanwhile: what comes back with the directory is old."""
    node = TwoDirectories()
    old = node.create(KEY)
    old.append_as_leader(bytearray(produced(b"old")), leader_epoch=0, wall_ms=1000)
    where = old.directory[0]
    node.restart(failing=(where,))
    new = node.create(KEY)
    new.append_as_leader(bytearray(produced(b"new", b"er")), leader_epoch=5, wall_ms=1000)
    manager = node.restart()
    again = manager.get(KEY)
    assert again is not None
    assert (again.directory, again.log_end_offset) == (new.directory, 2)
    assert not node.disk.exists(f"{where}/events-0")


def test_log_of_a_deleted_topic_that_comes_back_does_not_replace_that_of_the_new_one() -> None:
    node = TwoDirectories()
    old = node.create(KEY)
    where = old.directory[0]
    node.manager.move(TopicPartition("events", 0), "b" if where == "a" else "a")  # of a higher generation
    node.restart()
    where = next(log.directory[0] for log in node.manager)
    node.restart(failing=(where,))
    new = node.create(OTHER_KEY)
    new.append_as_leader(bytearray(produced(b"new")), leader_epoch=0, wall_ms=1000)
    manager = node.restart()
    assert {log.key: log.log_end_offset for log in manager} == {KEY: 0, OTHER_KEY: 1}


def test_move_that_cannot_begin_since_the_log_cannot_be_read_does_not_cost_the_other_directory() -> None:
    node = TwoDirectories()
    where = node.create(KEY).directory[0]
    node.disk.failing = (where,)
    node.disk.exists = lambda path: True  # type: ignore[method-assign]  # as far as the node knows
    with pytest.raises(ApiError):
        node.manager.move(TopicPartition("events", 0), "b" if where == "a" else "a")
    assert [each.path for each in node.manager.placement.directories if each.offline_reason is not None] == [where]


def test_directory_without_a_name_among_those_that_have_one_has_failed() -> None:
    node = TwoDirectories()
    node.create(KEY)
    node.disk.delete("b")
    node.disk.make_dir("b")
    manager = node.restart()
    assert [each.offline_reason is None for each in manager.placement.directories] == [True, False]


def test_clean_stop_marks_the_directories_that_work() -> None:
    node = TwoDirectories()
    keys = [PartitionKey(KEY.topic_id, partition) for partition in range(4)]
    for key in keys:
        node.create(key).append_as_leader(bytearray(produced(b"v")), leader_epoch=0, wall_ms=1000)
    node.disk.failing = ("b",)
    with pytest.raises(ApiError):
        next(log for log in node.manager if log.directory[0] == "b").append_as_leader(bytearray(produced(b"v")), leader_epoch=0, wall_ms=1)
    node.manager.clean_shutdown(node.broker_epoch)
    for _ in range(2):
        for persist in persists(node.manager):
            node.disk.persist(persist)
            node.manager.persisted(persist.token)
    assert node.manager.shut_down
    node.disk.failing = ()
    assert (node.disk.exists("a/.kafka_cleanshutdown"), node.disk.exists("b/.kafka_cleanshutdown")) == (True, False)
    manager = node.restart()
    assert manager.previous_broker_epoch == -1  # what was in b is not vouched for
    assert [log.log_end_offset for log in manager] == [1, 1, 1, 1]
