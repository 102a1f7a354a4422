"""`meta.properties`: which node, directory and cluster a log directory belongs to. Formatting a directory writes it.

Sources: reference/disk-format.md; KIP-858 (directory ids).
"""

from __future__ import annotations

import attrs

from raftkafka.base.disk import Disk
from raftkafka.base.errors import CorruptRecord
from raftkafka.base.ids import DirectoryId, NodeId, id_from_text, id_to_text

META_PROPERTIES_FILE = "meta.properties"
METADATA_DIRECTORY = "__cluster_metadata-0"
"""Of the metadata log, in the metadata directory."""
VERSION = 1


@attrs.frozen(kw_only=True)
class MetaProperties:
    """The identity of one log directory."""

    node_id: NodeId
    directory_id: DirectoryId
    cluster_id: str


def encode_meta_properties(meta: MetaProperties) -> bytes:
    """The content of the file."""
    lines = (
        f"node.id={meta.node_id}",
        f"directory.id={id_to_text(meta.directory_id)}",
        f"version={VERSION}",
        f"cluster.id={meta.cluster_id}",
    )
    return ("\n".join(lines) + "\n").encode()


def decode_meta_properties(data: bytes) -> MetaProperties:
    """What the file says; `CorruptRecord` when a line is missing or makes no sense."""
    fields: dict[str, str] = {}
    for line in data.decode(errors="replace").splitlines():
        if line.strip() and not line.lstrip().startswith(("#", "!")):
            name, _, value = line.partition("=")
            fields[name.strip()] = value.strip()
    try:
        if int(fields["version"]) != VERSION:
            raise ValueError(f"version {fields['version']} is not known")
        return MetaProperties(
            node_id=NodeId(int(fields["node.id"])),
            directory_id=DirectoryId(id_from_text(fields["directory.id"])),
            cluster_id=fields["cluster.id"],
        )
    except KeyError as error:
        raise CorruptRecord(f"{META_PROPERTIES_FILE} has no {error.args[0]}") from None
    except ValueError as error:
        raise CorruptRecord(f"{META_PROPERTIES_FILE}: {error}") from None


def read_meta_properties(disk: Disk, log_dir: str) -> MetaProperties | None:
    """The identity of a log directory; `None` when it was never formatted."""
    path = meta_properties_path(log_dir)
    return decode_meta_properties(disk.read_file(path)) if disk.exists(path) else None


def write_meta_properties(disk: Disk, log_dir: str, meta: MetaProperties) -> None:
    """Formats a log directory."""
    if log_dir:
        disk.make_dir(log_dir)
    disk.replace_file(meta_properties_path(log_dir), encode_meta_properties(meta))


def meta_properties_path(log_dir: str) -> str:
    """Where the file lies in a log directory ("" is the data root itself)."""
    return f"{log_dir}/{META_PROPERTIES_FILE}" if log_dir else META_PROPERTIES_FILE
