"""What kafka-metadata-quorum add-controller reads of a controller's own properties and directory: its id, directory id and endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from raftkafka.base.errors import CorruptRecord
from raftkafka.base.ids import ZERO_ID
from raftkafka.storage.meta_properties import META_PROPERTIES_FILE, decode_meta_properties
from raftkafka.tools.errors import ToolError

_NO_CONTROLLER_FILE = "file. Is this a valid controller configuration file?"


@attrs.frozen(kw_only=True)
class Endpoint:
    """Where a controller listens, under the name of its listener."""

    name: str
    host: str
    port: int


@attrs.frozen(kw_only=True)
class ControllerFile:
    """The controller that a properties file describes."""

    node_id: int
    directory_id: bytes
    endpoints: tuple[Endpoint, ...]


def read_controller_file(settings: Mapping[str, str]) -> ControllerFile:
    """The controller of these properties; `ToolError` when they are not a controller's, or its directory is not formatted."""
    node_id = _node_id(settings)
    directory = settings.get("metadata.log.dir") or settings.get("log.dirs", "").strip().split(",")[0]
    if not directory:
        raise ToolError("Neither metadata.log.dir nor log.dirs were found. Is this a valid controller configuration file?")
    return ControllerFile(node_id=node_id, directory_id=_directory_id(directory), endpoints=_endpoints(settings))


def _node_id(settings: Mapping[str, str]) -> int:
    text = settings.get("node.id")
    if text is None:
        raise ToolError(f"node.id not found in configuration {_NO_CONTROLLER_FILE}")
    try:
        node_id = int(text)
    except ValueError:
        raise ToolError(f'For input string: "{text}"') from None
    if node_id < 0:
        raise ToolError(f"node.id was negative in configuration {_NO_CONTROLLER_FILE}")
    if "controller" not in settings.get("process.roles", ""):
        raise ToolError(f"process.roles did not contain 'controller' in configuration {_NO_CONTROLLER_FILE}")
    return node_id


def _directory_id(directory: str) -> bytes:
    try:
        meta = decode_meta_properties((Path(directory) / META_PROPERTIES_FILE).read_bytes())
    except (OSError, CorruptRecord):
        raise ToolError(f"Unable to read meta.properties from {directory}") from None
    if meta.directory_id == ZERO_ID:
        raise ToolError(f"No directory id found in {directory}")
    return meta.directory_id


def _endpoints(settings: Mapping[str, str]) -> tuple[Endpoint, ...]:
    by_name = {
        endpoint.name: endpoint for key in ("listeners", "advertised.listeners") for endpoint in _parse_listeners(settings.get(key, ""))
    }
    names = settings.get("controller.listener.names")
    if names is None:
        raise ToolError("controller.listener.names was not found. Is this a valid controller configuration file?")
    found = []
    for name in (part.strip().upper() for part in names.split(",")):
        if name not in by_name:
            raise ToolError(f"Cannot find information about controller listener name: {name}")
        found.append(by_name[name])
    return tuple(found)


def _parse_listeners(text: str) -> list[Endpoint]:
    endpoints = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, address = part.partition("://")
        host, _, port = address.rpartition(":")
        if not port.isdecimal():
            raise ToolError(f"Unable to parse {part} to a broker endpoint")
        endpoints.append(Endpoint(name=name.upper(), host=host.strip("[]") or "localhost", port=int(port)))
    return endpoints
