"""Clusters for the tests: one that all tests share and nobody may break, and as many of one's own as a test likes to break."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.real_cluster import RealCluster


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """Three brokers for every test that breaks nothing."""
    cluster = RealCluster(tmp_path_factory.mktemp("shared"))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Callable[..., RealCluster]]:
    """A function that starts a cluster for this test alone: `own_cluster(node_count=3, settings={...})`."""
    made: list[RealCluster] = []

    def start(**wishes: object) -> RealCluster:
        cluster = RealCluster(tmp_path / f"cluster{len(made)}", **wishes)  # type: ignore[arg-type]
        made.append(cluster)
        cluster.up()
        return cluster

    yield start
    for cluster in made:
        cluster.close()


@pytest.fixture
def fresh_name(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """A function that makes names for topics and groups that no other test uses."""
    return lambda stem: f"{stem}-{uuid.uuid4().hex[:8]}"
