"""One run of chaos: start a cluster, let clients work and faults come, heal, read everything back, and judge.

    plan -> cluster up -> workers and nemesis for `time_s` -> heal -> the cluster is well -> final reads -> check -> report

Invariants
- However it ends, by itself, by Ctrl-C or by an error, the cluster's processes are ended, and a report of what is there is written.
- What is wrong with the wishes (a fault or a system that nobody knows) is said before anything is started: `BadWish`, `UnknownFault`.
- A run in which nothing succeeded, or whose final reads were not made, is never called valid.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from cluster.processes import fault_signal_ignored
from jepsen_like.chaos.faults import DEFAULT_FAULTS, faults_named
from jepsen_like.chaos.nemesis import Nemesis, Planned, plan_faults
from jepsen_like.chaos.progress import ProgressLine
from jepsen_like.chaos.recording import Recording
from jepsen_like.chaos.report import Report, write_report
from jepsen_like.chaos.session import TOPIC
from jepsen_like.chaos.systems import SYSTEMS, Cluster, KafkaUnavailable, make_cluster, wait_until
from jepsen_like.chaos.workload import Known, Worker, WorkloadSettings, final_reads
from jepsen_like.checker import Outcome, check
from jepsen_like.history import read_history

READY_TIMEOUT_S = 90.0
WELL_TIMEOUT_S = 90.0
WORKERS_END_S = 25.0
EXIT_CODES = {Outcome.VALID: 0, Outcome.INVALID: 1, Outcome.UNKNOWN: 3}


class ChaosError(Exception):
    """The run could not be made; the text says why."""


class BadWish(ChaosError):
    """Nobody can make such a run; nothing was started."""


@attrs.frozen(kw_only=True)
class Wishes:
    """What a run is to be like."""

    time_s: float = 120.0
    faults: str = DEFAULT_FAULTS
    system: str = "raftkafka"
    broken_rules: str = ""
    seed: int = 1
    node_count: int = 3
    workload: WorkloadSettings = attrs.field(factory=WorkloadSettings)
    directory: Path = Path("chaos")
    """Where report folders go."""


@attrs.frozen(kw_only=True)
class Done:
    """How a run ended. A node that ended by itself spoils the exit code too: the history does not show it, if all went well otherwise."""

    outcome: Outcome
    directory: Path
    report: Report

    @property
    def exit_code(self) -> int:
        return 1 if self.report.crashes else EXIT_CODES[self.outcome]


def run_chaos(wishes: Wishes) -> Done:
    """Makes a run; raises `ChaosError` for wishes that nobody can fulfil and a cluster that does not come up."""
    plan = _plan(wishes)
    directory = _report_directory(wishes)
    scratch = Path(tempfile.mkdtemp(prefix="raftkafka-chaos-"))
    with ProgressLine() as line:
        try:
            line.say(f"Report: {directory}")
            cluster = _make(wishes, scratch)
            report = Report(
                wishes=_wishes_as_text(wishes),
                version=cluster.version,
                settings=dict(cluster.settings),
                notes=[],
                fault_log=[],
                crashes=[],
                seed=wishes.seed,
            )
            try:
                with _interrupts():
                    _play(wishes, plan, cluster, directory, report, line)
            finally:
                line.say("Ending the nodes.")
                _keep_logs(cluster, directory)
                cluster.close()
                _keep_logs(cluster, directory)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        line.say("Checking the history.")
    return _judge(directory, report)


def _plan(wishes: Wishes) -> tuple[Planned, ...]:
    if wishes.system not in SYSTEMS:
        raise BadWish(f"there is no system {wishes.system!r}. Those there are: {', '.join(SYSTEMS)}.")
    if wishes.broken_rules and wishes.system != "raftkafka":
        raise BadWish("rules can be broken in raftkafka only.")
    if wishes.node_count < 1 or wishes.time_s <= 0:
        raise BadWish("a run needs at least one node and some time.")
    return plan_faults(seed=wishes.seed, faults=faults_named(wishes.faults), time_s=wishes.time_s)


def _report_directory(wishes: Wishes) -> Path:
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{wishes.system}"
    for suffix in ("", *(f"-{number}" for number in range(2, 100))):
        directory = wishes.directory / (stem + suffix)
        with contextlib.suppress(FileExistsError):
            directory.mkdir(parents=True)
            return directory
    raise ChaosError(f"no room for one more report in {wishes.directory}.")


def _make(wishes: Wishes, scratch: Path) -> Cluster:
    try:
        return make_cluster(wishes.system, scratch, wishes.node_count, broken_rules=wishes.broken_rules)
    except KafkaUnavailable as error:
        raise BadWish(str(error)) from None


def _play(wishes: Wishes, plan: tuple[Planned, ...], cluster: Cluster, directory: Path, report: Report, line: ProgressLine) -> None:
    """Everything between the start of the cluster and its end; Ctrl-C ends what is under way and goes on to the report."""
    line.say(f"Starting {wishes.node_count} nodes of {cluster.version}.")
    cluster.start(cluster.node_ids)
    if not wait_until(cluster.is_well, timeout_s=READY_TIMEOUT_S):
        raise ChaosError(f"the cluster did not come up within {READY_TIMEOUT_S:.0f} s; the logs are in {directory}.")
    _create_topic(cluster, wishes)
    options = {
        "acks": "all",
        "subscribe": wishes.workload.subscribe,
        "transactions": False,
        "system": cluster.version,
        "nodes": wishes.node_count,
        "faults": wishes.faults,
        "broken_rules": wishes.broken_rules,
        "seed": wishes.seed,
    }
    recording = Recording(directory / "history.jsonl", options)
    stop = threading.Event()
    known = Known()
    nemesis = Nemesis(cluster=cluster, plan=plan, recording=recording, stop=stop)
    workers = _workers(wishes, cluster, known, recording, stop)
    try:
        for thread in (*workers, nemesis):
            thread.start()
        try:
            _watch(wishes, cluster, nemesis, workers, recording, report, line)
        except KeyboardInterrupt:
            report.notes.append(f"Interrupted after {recording.elapsed_s():.0f} s.")
        stop.set()
        recording.nemesis("heal", {"fault": "heal", "nodes": [], "phase": "begin"})
        _finish(wishes, cluster, nemesis, workers, known, recording, report, line)
    except KeyboardInterrupt:
        report.notes.append("Interrupted again before everything was read back.")
    finally:
        stop.set()
        report.fault_log.extend(nemesis.log)
        report.crashes.extend(nemesis.crashes)
        recording.close()


def _workers(wishes: Wishes, cluster: Cluster, known: Known, recording: Recording, stop: threading.Event) -> list[Worker]:
    return [
        Worker(
            number,
            seed=wishes.seed,
            bootstrap=cluster.bootstrap,
            topic=TOPIC,
            settings=wishes.workload,
            known=known,
            recording=recording,
            stop=stop,
        )
        for number in range(1, wishes.workload.workers + 1)
    ]


def _watch(
    wishes: Wishes,
    cluster: Cluster,
    nemesis: Nemesis,
    workers: list[Worker],
    recording: Recording,
    report: Report,
    line: ProgressLine,
) -> None:
    """Shows how it goes until the time is over."""
    progress = recording.progress
    before, before_s = 0, 0.0
    noted = 0
    while (now_s := recording.elapsed_s()) < wishes.time_s:
        time.sleep(min(1.0, max(0.05, wishes.time_s - now_s)))
        now_s = recording.elapsed_s()
        acked = progress.acknowledged
        rate = (acked - before) / max(0.001, now_s - before_s)
        before, before_s = acked, now_s
        in_force = nemesis.in_force or "no fault"
        line.show(
            now_s,
            f"{now_s:4.0f} of {wishes.time_s:.0f} s  acked {acked} ({rate:.0f}/s)  read {progress.read}  failed {progress.failed}"
            f"  unknown {progress.unknown}  longest gap {progress.gap_s(now_s):.1f} s  | {in_force}",
        )
        for text in nemesis.log[noted:]:
            line.say(text)
        noted = len(nemesis.log)
        for name, error in ((nemesis.name, nemesis.error), *((worker.name, worker.error) for worker in workers)):
            if error is not None:
                raise ChaosError(f"{name} ended with {error!r}") from error


def _finish(
    wishes: Wishes,
    cluster: Cluster,
    nemesis: Nemesis,
    workers: list[Worker],
    known: Known,
    recording: Recording,
    report: Report,
    line: ProgressLine,
) -> None:
    """Heals, waits until the cluster is well and the workers are done, and reads everything back."""
    nemesis.join()
    nemesis.heal()
    line.say("Healed. Waiting until every partition has all its replicas.")
    begin = time.monotonic()
    if wait_until(cluster.is_well, timeout_s=WELL_TIMEOUT_S):
        report.notes.append(f"Well {time.monotonic() - begin:.1f} s after the healing.")
    else:
        report.notes.append(f"Not well within {WELL_TIMEOUT_S:.0f} s after the healing: {cluster.view()}")
    for worker in workers:
        worker.join(WORKERS_END_S)
    line.say("Reading everything back.")
    whole = final_reads(
        known=known,
        bootstrap=cluster.bootstrap,
        topic=TOPIC,
        keys=wishes.workload.keys,
        recording=recording,
        stop=threading.Event(),
    )
    if not whole:
        report.notes.append("The final reads did not get past every known offset.")


def _create_topic(cluster: Cluster, wishes: Wishes) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    replicas = min(3, wishes.node_count)
    try:
        admin.create_topics([NewTopic(TOPIC, num_partitions=wishes.workload.partitions, replication_factor=replicas)])[TOPIC].result(30)
    except KafkaException as error:
        raise ChaosError(f"the topic could not be created: {error}") from None
    if not wait_until(cluster.is_well, timeout_s=READY_TIMEOUT_S):
        raise ChaosError("the new topic has no leaders.")


def _keep_logs(cluster: Cluster, directory: Path) -> None:
    for node_id, path in cluster.log_paths().items():
        if path.exists():
            shutil.copyfile(path, directory / f"node{node_id}.log")


def _wishes_as_text(wishes: Wishes) -> dict[str, str]:
    return {
        "system": SYSTEMS[wishes.system],
        "time": f"{wishes.time_s:.0f} s",
        "faults": wishes.faults,
        "broken rules": wishes.broken_rules or "none",
        "seed": str(wishes.seed),
        "nodes": str(wishes.node_count),
        "workers": str(wishes.workload.workers),
        "partitions": str(wishes.workload.partitions),
        "consumers": "members of a group" if wishes.workload.subscribe else "assign their keys",
    }


def _judge(directory: Path, report: Report) -> Done:
    (directory / "faults.txt").write_text("".join(f"{line}\n" for line in report.fault_log))
    history = read_history(directory / "history.jsonl")
    verdict = check(history)
    write_report(directory, report, history, verdict)
    return Done(outcome=verdict.outcome, directory=directory, report=report)


@contextlib.contextmanager
def _interrupts() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does; and nodes that other threads start are born with SIGUSR1 ignored."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with fault_signal_ignored():
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
