"""Apache Kafka's own programs, fetched once from Maven Central: its tools to run against our brokers, its broker to compare with.

    run_tool("kafka-topics", "--bootstrap-server", ..., "--list")

The jars are kept in $RAFTKAFKA_JAVA_CACHE, or ~/.cache/raftkafka. Nothing of Apache Kafka is in this repository.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

KAFKA_VERSION = "4.3.1"
FETCH_TIMEOUT_S = 600
TOOL_TIMEOUT_S = 90

TOOLS = {
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-e2e-latency": "org.apache.kafka.tools.EndToEndLatency",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-server-start": "kafka.Kafka",
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
}

_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>raftkafka</groupId><artifactId>apache-kafka-tools</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.4</version></dependency>
  </dependencies>
</project>
"""

_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = stderr
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
"""

_JVM_FLAGS = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


class KafkaUnavailable(Exception):
    """Apache Kafka's programs cannot be run here; the text is the reason."""


@attrs.frozen(kw_only=True)
class ToolResult:
    """What a tool did."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """The lines of stdout that are not blank."""
        return [line for line in self.stdout.splitlines() if line.strip()]


@functools.cache
def missing_reason() -> str | None:
    """Why the tools cannot be run here, without fetching anything; None when they probably can."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None and not (program == "mvn" and _jars_dir().is_dir()):
            return f"Apache Kafka's tools need {program}, which is not installed"
    return None


@functools.cache
def kafka_home() -> Path:
    """The directory with `lib/` and `log4j2.properties`; fetched on first use. Raises `KafkaUnavailable`."""
    reason = missing_reason()
    if reason is not None:
        raise KafkaUnavailable(reason)
    with _only_one_fetches():
        if not _jars_dir().is_dir():
            _fetch()
    return _home()


def java_command(tool: str, *arguments: str, jvm_flags: tuple[str, ...] = _JVM_FLAGS) -> list[str]:
    """The whole command that runs a tool."""
    home = kafka_home()
    logging = f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}"
    return ["java", *jvm_flags, logging, "-cp", f"{home / 'lib'}/*", TOOLS[tool], *arguments]


def run_tool(tool: str, *arguments: str, stdin: str = "", timeout_s: float = TOOL_TIMEOUT_S) -> ToolResult:
    """Runs a tool to its end; `subprocess.TimeoutExpired`, with what it printed, when it does not come to one."""
    done = subprocess.run(java_command(tool, *arguments), input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
    return ToolResult(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def start_tool(tool: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts a tool that runs beside the test; the caller ends it."""
    return subprocess.Popen(
        java_command(tool, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _home() -> Path:
    root = os.environ.get("RAFTKAFKA_JAVA_CACHE") or Path.home() / ".cache" / "raftkafka"
    return Path(root) / f"apache-kafka-{KAFKA_VERSION}"


def _jars_dir() -> Path:
    return _home() / "lib"


@contextmanager
def _only_one_fetches() -> Iterator[None]:
    _home().mkdir(parents=True, exist_ok=True)
    with (_home() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch() -> None:
    with tempfile.TemporaryDirectory(dir=_home()) as scratch:
        (Path(scratch) / "pom.xml").write_text(_POM)
        fetched = Path(scratch) / "lib"
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
        command = ["mvn", "--batch-mode", "--quiet", goal, f"-DoutputDirectory={fetched}", "-DincludeScope=runtime"]
        try:
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise KafkaUnavailable(f"Maven did not fetch Apache Kafka {KAFKA_VERSION} within {FETCH_TIMEOUT_S} s") from None
        if done.returncode != 0 or not any(fetched.glob("kafka-clients-*.jar")):
            said = next((line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line), "no reason given")
            raise KafkaUnavailable(f"Maven could not fetch Apache Kafka {KAFKA_VERSION}: {said}")
        (_home() / "log4j2.properties").write_text(_LOGGING)
        fetched.rename(_jars_dir())
