"""Formatting: giving a node's log directories their identity before the first start, and reading it back.

Invariants
- A directory that is formatted is never formatted over; all directories of a node are of one node id and one cluster id.
- `meta.properties` is on stable storage, with its directory entry, before formatting says that it is done; the voters that the node is to
  begin with are before it.

Sources: `kafka-storage format` of Apache Kafka 4.3; KIP-631, KIP-858 (directory ids).
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path

import attrs

from raftkafka.base.errors import CorruptRecord
from raftkafka.base.ids import DirectoryId, NodeId, random_id
from raftkafka.broker.config import BrokerConfig
from raftkafka.broker.initial_voters import InitialVoters
from raftkafka.raft.store import INITIAL_VOTERS_FILE, encode_initial_voters
from raftkafka.storage.meta_properties import (
    META_PROPERTIES_FILE,
    METADATA_DIRECTORY,
    MetaProperties,
    decode_meta_properties,
    encode_meta_properties,
)


class FormatError(Exception):
    """The directories cannot be formatted, or are not what the configuration says; the text says what to do."""


class UnreadableDirectory(FormatError):
    """A directory that the system does not let us read: its device may have failed."""


@attrs.frozen(kw_only=True)
class FormattedDirectory:
    """A log directory and its identity; None when it is not formatted."""

    path: str
    meta: MetaProperties | None


def directories_of(config: BrokerConfig) -> tuple[str, ...]:
    """Every directory a node keeps data in, the metadata log's included."""
    return tuple(dict.fromkeys((*config.log_dirs, config.metadata_log_dir)))


def inspect_directories(config: BrokerConfig) -> tuple[FormattedDirectory, ...]:
    """What each directory of a node says of itself; `FormatError` when one cannot be read."""
    return tuple(FormattedDirectory(path=path, meta=_read(Path(path))) for path in directories_of(config))


def format_directories(
    config: BrokerConfig, cluster_id: str, *, ignore_formatted: bool = False, initial: InitialVoters | None = None
) -> tuple[str, ...]:
    """Formats the directories that are not formatted yet and returns them. `initial` goes into the metadata directory if it is among them;
    without it the properties name the voters.
    """
    found = inspect_directories(config)
    for each in found:
        if each.meta is None:
            continue
        if not ignore_formatted:
            raise FormatError(f"{each.path} is already formatted. --ignore-formatted leaves it as it is and formats the others.")
        check_identity(each.path, each.meta, node_id=config.node_id, cluster_id=cluster_id)
    fresh = tuple(each.path for each in found if each.meta is None)
    for path in fresh:
        is_of_metadata = path == config.metadata_log_dir
        _format_directory(config, cluster_id, Path(path), initial if is_of_metadata else None)
    return fresh


def _format_directory(config: BrokerConfig, cluster_id: str, directory: Path, initial: InitialVoters | None) -> None:
    """Writes the identity of one directory, with a directory id of its own unless it has to be a certain one."""
    named = initial.directory_id if initial is not None else None
    directory_id = named if named is not None else DirectoryId(random_id(random.SystemRandom()))
    meta = MetaProperties(node_id=config.node_id, directory_id=directory_id, cluster_id=cluster_id)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if initial is not None:
            (directory / METADATA_DIRECTORY).mkdir(exist_ok=True)
            _write_file(directory / METADATA_DIRECTORY / INITIAL_VOTERS_FILE, encode_initial_voters(initial.voters))
        _write_file(directory / META_PROPERTIES_FILE, encode_meta_properties(meta))
    except OSError as error:
        raise FormatError(f"{directory} cannot be formatted: {error.strerror}. Check log.dirs and its permissions.") from None


def check_identity(path: str, meta: MetaProperties, *, node_id: NodeId, cluster_id: str | None = None) -> None:
    """Refuses a directory that belongs to another node or cluster."""
    if meta.node_id != node_id:
        raise FormatError(f"{path} belongs to node {meta.node_id}, but node.id is {node_id}. Correct node.id, or log.dirs.")
    if cluster_id is not None and meta.cluster_id != cluster_id:
        raise FormatError(f"{path} belongs to cluster {meta.cluster_id}, not to {cluster_id}. Correct log.dirs, or use an empty directory.")


def required_identity(config: BrokerConfig) -> tuple[MetaProperties, Mapping[str, str]]:
    """The identity of the metadata directory of a node that is about to start, and the log directories that have failed, with the reasons.

    All others must be formatted and agree. The metadata directory must work, and one log directory.
    """
    metas: dict[str, MetaProperties | None] = {}
    failed: dict[str, UnreadableDirectory] = {}
    for path in directories_of(config):
        try:
            metas[path] = _read(Path(path))
        except UnreadableDirectory as error:
            failed[path] = error
    for path in (config.metadata_log_dir, *config.log_dirs):
        if path in failed and (path == config.metadata_log_dir or all(each in failed for each in config.log_dirs)):
            raise failed[path]
    own = metas[config.metadata_log_dir]
    for path, meta in metas.items():
        if meta is None or own is None:
            unformatted = path if meta is None else config.metadata_log_dir
            raise FormatError(
                f"{unformatted} is not formatted. Run: raftkafka storage format --config <this file> --cluster-id <id> "
                "(the same id on every node; `raftkafka storage random-uuid` makes one)."
            )
        check_identity(path, meta, node_id=config.node_id, cluster_id=own.cluster_id)
    assert own is not None, "every directory was checked"
    return own, {path: str(error) for path, error in failed.items()}


def _read(directory: Path) -> MetaProperties | None:
    path = directory / META_PROPERTIES_FILE
    try:
        return decode_meta_properties(path.read_bytes())
    except FileNotFoundError:
        return None
    except CorruptRecord as error:
        raise FormatError(f"{path}: {error}. Restore the file from a copy, or empty the directory and format it anew.") from None
    except OSError as error:
        raise UnreadableDirectory(f"{path} cannot be read: {error.strerror}. Check log.dirs and its permissions.") from None


def _write_file(path: Path, data: bytes) -> None:
    """Writes a file so that it is there as a whole, and stable, or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
