"""Formatting gives directories an identity once, and a start refuses what does not fit."""

from pathlib import Path

import attrs
import pytest

from raftkafka.base.ids import DirectoryId, NodeId, id_to_text
from raftkafka.broker.config import BrokerConfig
from raftkafka.broker.config_loader import config_from_properties
from raftkafka.broker.formatting import FormatError, format_directories, inspect_directories, required_identity
from raftkafka.broker.initial_voters import parse_initial_controllers, standalone, without_voters
from raftkafka.raft.store import INITIAL_VOTERS_FILE, encode_initial_voters
from raftkafka.raft.voters import Voter
from raftkafka.storage.meta_properties import METADATA_DIRECTORY
from tests.house.test_broker_config import GOOD

ONE = NodeId(1)


@pytest.fixture
def config(tmp_path: Path) -> BrokerConfig:
    return config_from_properties(GOOD | {"log.dirs": f"{tmp_path}/a,{tmp_path}/b"})


def test_formatted_directories_have_own_ids_and_one_cluster(config: BrokerConfig) -> None:
    assert format_directories(config, "cluster") == config.log_dirs
    metas = [each.meta for each in inspect_directories(config)]
    assert {meta.cluster_id for meta in metas if meta} == {"cluster"}
    assert len({meta.directory_id for meta in metas if meta}) == 2


def test_formatted_directory_is_never_formatted_again(config: BrokerConfig) -> None:
    format_directories(config, "cluster")
    with pytest.raises(FormatError, match="already formatted"):
        format_directories(config, "cluster")
    assert format_directories(config, "cluster", ignore_formatted=True) == ()


def test_directory_of_another_cluster_is_refused(config: BrokerConfig) -> None:
    format_directories(config, "one")
    with pytest.raises(FormatError, match="belongs to cluster one"):
        format_directories(config, "two", ignore_formatted=True)


def test_start_needs_every_directory_formatted(config: BrokerConfig) -> None:
    with pytest.raises(FormatError, match="raftkafka storage format"):
        required_identity(config)
    format_directories(attrs.evolve(config, log_dirs=config.log_dirs[:1]), "cluster")
    with pytest.raises(FormatError, match="/b is not formatted"):
        required_identity(config)


def test_start_goes_on_without_a_directory_that_cannot_be_read(config: BrokerConfig, tmp_path: Path) -> None:
    format_directories(config, "cluster")
    (tmp_path / "b").rename(tmp_path / "was-b")
    (tmp_path / "b").write_text("where a directory was")
    identity, failed = required_identity(config)
    assert identity.cluster_id == "cluster"
    assert list(failed) == [f"{tmp_path}/b"]
    with pytest.raises(FormatError, match="cannot be read"):
        required_identity(attrs.evolve(config, metadata_log_dir=f"{tmp_path}/b"))


def test_start_refuses_the_directory_of_another_node(config: BrokerConfig) -> None:
    format_directories(config, "cluster")
    with pytest.raises(FormatError, match=r"belongs to node 1, but node.id is 7"):
        required_identity(attrs.evolve(config, node_id=7))


def test_damaged_identity_is_reported_with_its_path(config: BrokerConfig, tmp_path: Path) -> None:
    format_directories(config, "cluster")
    (tmp_path / "a" / "meta.properties").write_text("version=1\n")
    with pytest.raises(FormatError, match=r"/a/meta\.properties: .*Restore the file"):
        required_identity(config)


def test_initial_voters_are_written_once_with_the_directory_that_they_name(config: BrokerConfig, tmp_path: Path) -> None:
    initial = parse_initial_controllers(f"1@h:9093:{id_to_text(b'1' * 16)},2@[::1]:9094:{id_to_text(b'2' * 16)}", node_id=ONE, listener="C")
    format_directories(config, "cluster", initial=initial)
    assert next(each.meta.directory_id for each in inspect_directories(config) if each.meta) == b"1" * 16
    written = (tmp_path / "a" / METADATA_DIRECTORY / INITIAL_VOTERS_FILE).read_bytes()
    assert written == encode_initial_voters(initial.voters)
    assert initial.voters[NodeId(2)] == Voter(directory_id=b"2" * 16, endpoints=(("C", "::1", 9094),))
    format_directories(config, "cluster", ignore_formatted=True, initial=without_voters())
    assert (tmp_path / "a" / METADATA_DIRECTORY / INITIAL_VOTERS_FILE).read_bytes() == written


def test_who_is_not_among_the_initial_voters_gets_a_directory_of_its_own(config: BrokerConfig) -> None:
    initial = parse_initial_controllers(f"2@h:1:{id_to_text(b'2' * 16)}", node_id=ONE, listener="C")
    assert initial.directory_id is None
    format_directories(config, "cluster", initial=initial)
    assert next(each.meta.directory_id for each in inspect_directories(config) if each.meta) != b"2" * 16


def test_a_controller_that_stands_alone_is_its_only_voter(config: BrokerConfig) -> None:
    alone = standalone(config, DirectoryId(b"d" * 16))
    assert list(alone.voters) == [config.node_id]
    assert alone.voters[config.node_id].endpoints[0][0] == "CONTROLLER"
