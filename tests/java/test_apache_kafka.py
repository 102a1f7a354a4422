"""Apache Kafka's tools are here and run: without this, a test that uses them would blame the broker."""

import pytest

from tests.java.apache_kafka import KAFKA_VERSION, requires_java, run_tool

pytestmark = [pytest.mark.java, requires_java]


def test_tools_run_and_say_their_version() -> None:
    result = run_tool("kafka-topics", "--version")
    assert (result.exit_code, result.stdout.split()[0]) == (0, KAFKA_VERSION)


def test_their_storage_tool_makes_cluster_ids_that_ours_accepts() -> None:
    from raftkafka.base.ids import id_from_text

    assert len(id_from_text(run_tool("kafka-storage", "random-uuid").lines[0])) == 16
