"""The files in `configs/` work as they are, but for ports and directories: formatted with the program, started, used by a client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.cluster.real_cluster import eventually

pytestmark = pytest.mark.cluster

CONFIGS = Path(__file__).parents[2] / "configs"
FreePorts = Callable[[int], list[int]]
Run = Callable[..., None]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Formats and starts a node for each file. In the end they are stopped cleanly, brokers before controllers, and must end with 0."""
    processes: dict[Path, subprocess.Popen[bytes]] = {}

    def start(files: list[Path], ports: dict[str, int]) -> None:
        paths = [_adapted(file, tmp_path, ports) for file in files]
        for path in paths:
            _program("storage", "format", "--cluster-id", "4L6g3nShT-eMCtK--X86sw", "--config", str(path))
        for path in paths:
            with path.with_suffix(".log").open("wb") as log:
                command = [sys.executable, "-m", "raftkafka.cli.main", "broker", str(path)]
                processes[path] = subprocess.Popen(command, stdout=log, stderr=log)

    yield start
    try:
        for is_controller in (False, True):
            group = {path: process for path, process in processes.items() if path.name.startswith("controller") == is_controller}
            for process in group.values():
                process.send_signal(signal.SIGTERM)
            for path, process in group.items():
                assert process.wait(timeout=20) == 0, path.with_suffix(".log").read_text()
    finally:
        for process in processes.values():
            process.kill()


def _adapted(file: Path, directory: Path, ports: dict[str, int]) -> Path:
    """A copy with free ports and a directory of its own."""
    text = file.read_text()
    for port in sorted(ports, key=len, reverse=True):
        text = text.replace(f":{port}", f":<{port}>")
    for port, free in ports.items():
        text = text.replace(f":<{port}>", f":{free}")
    text = text.replace("=/tmp/", f"={directory}/data/")
    (directory / "data").mkdir(exist_ok=True)
    path = directory / file.name
    path.write_text(text)
    return path


def _program(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "raftkafka.cli.main", *arguments], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stdout + done.stderr


def _produce_and_ask_for_brokers(bootstrap: str, *, brokers: set[int], replicas: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    eventually(lambda: set(admin.list_topics(timeout=15).brokers) == brokers, what=f"brokers {brokers}")
    admin.create_topics([NewTopic("t", num_partitions=3, replication_factor=replicas)])["t"].result(15)
    errors: list[KafkaError | None] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        errors.append(error)

    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for partition in range(3):
        producer.produce("t", b"x", partition=partition, on_delivery=delivered)
    assert producer.flush(15) == 0
    assert errors == [None] * 3


def test_one_node(run: Run, free_ports: FreePorts) -> None:
    client, controller = free_ports(2)
    run([CONFIGS / "server.properties"], {"9092": client, "19092": controller, "9093": controller})
    _produce_and_ask_for_brokers(f"127.0.0.1:{client}", brokers={1}, replicas=1)


def test_three_combined_nodes(run: Run, free_ports: FreePorts) -> None:
    names = ["9092", "9093", "9094", "19092", "19093", "19094"]
    ports = dict(zip(names, free_ports(6), strict=True))
    run(sorted((CONFIGS / "three-combined").glob("*.properties")), ports)
    _produce_and_ask_for_brokers(f"127.0.0.1:{ports['9092']}", brokers={1, 2, 3}, replicas=3)


def test_a_controller_and_two_brokers_beside_it(run: Run, free_ports: FreePorts) -> None:
    names = ["9092", "9093", "19092"]
    ports = dict(zip(names, free_ports(3), strict=True))
    run(sorted((CONFIGS / "separate-roles").glob("*.properties")), ports)
    _produce_and_ask_for_brokers(f"127.0.0.1:{ports['9093']}", brokers={2, 3}, replicas=2)
