"""The addresses at which a cluster is first asked, as `bootstrap.servers` names them."""

from __future__ import annotations


def parse_bootstrap(text: str) -> list[tuple[str, int]]:
    """The addresses of `host:port,[v6]:port,PLAINTEXT://host:port`; `ValueError` with Kafka's sentence when one is none."""
    addresses = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        host, _, port = part.rpartition("://")[2].rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise ValueError(f"Invalid url in bootstrap.servers: {part}")
        addresses.append((host.strip("[]"), int(port)))
    if not addresses:
        raise ValueError("No bootstrap urls given in bootstrap.servers")
    return addresses
