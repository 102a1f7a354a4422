"""Clusters for the tests of the tools: three of our brokers, one of them alone, and one of Apache Kafka's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient

from cluster.bench import systems
from tests.cluster.conftest import fresh_name as fresh_name
from tests.cluster.conftest import own_cluster as own_cluster
from tests.cluster.real_cluster import RealCluster, eventually
from tests.java.apache_kafka import kafka_home


@pytest.fixture(scope="module")
def our_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """Three of our brokers for the tests of one module, which may change everything but the nodes."""
    cluster = RealCluster(tmp_path_factory.mktemp("ours"))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def apache_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[systems.System]:
    """One broker of Apache Kafka 4.3.1, where everything is allowed that no ACL forbids; skips where it cannot be had."""
    kafka_home()
    authorizer = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    flags = ("-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
    system = systems.apache_kafka(tmp_path_factory.mktemp("apache"), 1, lambda *_: authorizer, jvm_flags=flags)
    try:
        system.start()
        admin = AdminClient({"bootstrap.servers": system.bootstrap, "log_level": 0})

        def answers() -> bool:
            try:
                return bool(admin.list_topics(timeout=1).brokers)
            except Exception:
                return False

        eventually(answers, timeout_s=60, what="Apache Kafka's broker answers")
        yield system
    finally:
        for node in system.nodes:
            if node.process is not None:
                node.process.kill()
                node.process.wait()
