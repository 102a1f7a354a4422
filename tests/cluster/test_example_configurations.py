"""The files in `configs/` work as they are, but for ports and directories: formatted with the program, started, used by a client."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from raftkafka.broker.config_loader import config_from_entries
from raftkafka.broker.properties import parse_properties
from raftkafka.metadata.config_defs import BROKER_DEFS
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


def _wait_for_brokers(admin: AdminClient, brokers: set[int]) -> None:
    def all_are_there() -> bool:
        try:
            return set(admin.list_topics(timeout=2).brokers) == brokers
        except KafkaException:  # nobody listens yet
            return False

    eventually(all_are_there, timeout_s=40, what=f"brokers {brokers}")


def _produce_and_ask_for_brokers(bootstrap: str, *, brokers: set[int], replicas: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    _wait_for_brokers(admin, brokers)
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


def test_three_controllers_and_two_brokers_beside_them(run: Run, free_ports: FreePorts) -> None:
    names = ["9092", "9093", "19092", "19093", "19094"]
    ports = dict(zip(names, free_ports(5), strict=True))
    run(sorted((CONFIGS / "separate-roles").glob("*.properties")), ports)
    _produce_and_ask_for_brokers(f"127.0.0.1:{ports['9093']}", brokers={4, 5}, replicas=2)


def test_two_listeners_of_one_node_each_tell_their_own_address(run: Run, free_ports: FreePorts, tmp_path: Path) -> None:
    lan, wan, controller = free_ports(3)
    text = (CONFIGS / "server.properties").read_text()
    text = text.replace("\nlisteners=PLAINTEXT://127.0.0.1:9092", f"\nlisteners=LAN://127.0.0.1:{lan},WAN://127.0.0.1:{wan}")
    text += "listener.security.protocol.map=LAN:PLAINTEXT,WAN:PLAINTEXT,CONTROLLER:PLAINTEXT\ninter.broker.listener.name=LAN\n"
    text += f"advertised.listeners=LAN://127.0.0.1:{lan},WAN://localhost:{wan}\n"
    file = tmp_path / "two-listeners.properties"
    file.write_text(text)
    run([file], {"19092": controller})
    for bootstrap, address in ((f"127.0.0.1:{lan}", ("127.0.0.1", lan)), (f"127.0.0.1:{wan}", ("localhost", wan))):
        _wait_for_brokers(AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}), {1})
        (broker,) = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=15).brokers.values()
        assert (str(broker.host), broker.port) == address


def test_what_is_commented_out_is_the_default_or_good_as_well() -> None:
    """Who takes a number sign away gets what the comment promises."""
    text = (CONFIGS / "server.properties").read_text()
    for key, value in re.findall(r"^#([a-z.]+)=(.*)$", text, re.MULTILINE):
        if not key.startswith(("listener", "advertised", "inter")):
            assert BROKER_DEFS[key].default == value, key
    named = re.sub(r"^#(listeners|advertised.listeners=LAN|listener.security|inter.broker)", r"\1", text, flags=re.MULTILINE)
    entries = parse_properties(named.replace("#PLAINTEXT", ""), source="server.properties")
    config = config_from_entries(entries)
    assert [each.name for each in config.broker_listeners] == ["LAN", "WAN"]
    assert [(each.host, each.port) for each in config.advertised_listeners] == [("10.0.0.1", 9092), ("kafka.example.org", 9192)]
