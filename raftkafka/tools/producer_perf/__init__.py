"""`kafka-producer-perf-test`: produces records as fast as it can, or at a given rate, and tells rate and latencies.

Records are handed to librdkafka in batches, and a record's latency is taken by librdkafka: from the hand-over to the acknowledgement.
Payloads of --record-size are taken in turn from a pool of random ones, where Apache's tool makes each one anew.

Not implemented: the metrics of a Java client (--print-metrics prints what librdkafka counts).
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from raftkafka.tools.clients import check_bootstrap, java_error, open_producer
from raftkafka.tools.errors import ToolError
from raftkafka.tools.metrics_table import LastStatistics
from raftkafka.tools.producer_perf.command_line import Workload, make_parser, read_command_line
from raftkafka.tools.producer_perf.stats import Stats

BATCH_RECORDS = 1000
BATCHES_A_SECOND = 100
"""At a given rate records are handed over in so many portions."""
POOL_BYTES = 4 << 20
READY_WITHIN_S = 1.0
INIT_TIMEOUT_S = 60.0
MAX_WAITING_RECORDS = 200_000
MAX_WAITING_BYTES = 32 << 20
"""Java's `buffer.memory`: more than that does not wait in the client."""

_LETTERS = bytes(65 + number % 26 for number in range(256))


def main(arguments: Sequence[str]) -> int:
    """Runs the test; records that could not be delivered do not change the exit code, as with Apache's tool."""
    parser = make_parser()
    if not arguments:
        print(parser.format_help(), end="")
        return 0
    workload = read_command_line(parser, arguments)
    bootstrap = workload.settings.get("bootstrap.servers")
    if bootstrap is None:
        raise ToolError("No bootstrap urls given in bootstrap.servers")
    check_bootstrap(bootstrap)
    statistics = LastStatistics()
    producer = open_producer(workload.settings, on_statistics=statistics.keep)
    _wait_until_ready(producer, statistics)
    test = _Test(producer, workload)
    test.run()
    if workload.print_metrics:
        producer.poll(1.0)
        statistics.print_table("producer-metrics", workload.settings["client.id"])
    if test.failures:
        print(f"{test.failures} records could not be delivered.", file=sys.stderr)
    return 0


def _wait_until_ready(producer: Producer, statistics: LastStatistics) -> None:
    """librdkafka asks for its producer id half a second after its start; that is not what is measured."""
    deadline = time.monotonic() + READY_WITHIN_S
    while not statistics.may_send() and time.monotonic() < deadline:
        producer.poll(0.05)


class _Test:
    """One run: hands batches over, takes acknowledgements, counts."""

    def __init__(self, producer: Producer, workload: Workload) -> None:
        self.failures = 0
        self._producer = producer
        self._workload = workload
        self._sent = 0
        self._sent_bytes = 0
        self._acknowledged_bytes = 0
        self._delivered: list[Message] = []
        self._stats = Stats(expected_records=workload.num_records, interval_ms=workload.reporting_interval_ms)
        self._steady: Stats | None = None

    def run(self) -> None:
        """Sends all records, waits for the last acknowledgement, prints the summary."""
        workload = self._workload
        if workload.transaction_ms is not None:
            self._producer.init_transactions(INIT_TIMEOUT_S)
        if workload.warmup_records > 0:
            print(f"Warmup first {workload.warmup_records} records. Steady state results will print after the complete test summary.")
        self._stats = Stats(expected_records=workload.num_records, interval_ms=workload.reporting_interval_ms)
        started = time.monotonic()
        transaction_started: float | None = None
        payloads = _payloads(workload)
        while self._sent < workload.num_records:
            if workload.transaction_ms is not None and transaction_started is None:
                self._producer.begin_transaction()
                transaction_started = time.monotonic()
            self._send(list(islice(payloads, min(_portion(workload), workload.num_records - self._sent))))
            if transaction_started is not None and (time.monotonic() - transaction_started) * 1000 >= (workload.transaction_ms or 0):
                self._commit()
                transaction_started = None
            self._keep_to_rate(started)
        if transaction_started is not None:
            self._commit()
        while self._producer.flush(0.1):
            self._count()
        self._count()
        self._stats.print_total()
        if self._steady is not None:
            self._steady.print_total()

    def _send(self, payloads: list[bytes]) -> None:
        """Hands a batch over, after there is room for it."""
        size_bytes = sum(map(len, payloads))
        while (waiting := len(self._producer)) > MAX_WAITING_RECORDS or (
            waiting and self._sent_bytes + size_bytes - self._acknowledged_bytes > MAX_WAITING_BYTES
        ):
            self._poll(0.01)
        self._sent += len(payloads)
        self._sent_bytes += size_bytes
        while payloads:
            messages: list[dict[str, Any]] = [{"value": payload} for payload in payloads]
            taken = self._producer.produce_batch(self._workload.topic, messages, on_delivery=self._on_delivery)
            payloads = [] if taken == len(messages) else self._refused(messages)
            self._poll(0.01 if payloads else 0)

    def _refused(self, messages: list[dict[str, Any]]) -> list[bytes]:
        """The payloads for which there was no room; what was refused for another reason has failed."""
        again = []
        for message in messages:
            error = message.get("_error")
            if error is not None and error.code() == KafkaError._QUEUE_FULL:
                again.append(message["value"])
            elif error is not None:
                self._acknowledged_bytes += len(message["value"])
                self._fail(java_error(error))
        return again

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        """Called for every record, so it does next to nothing."""
        if error is None:
            self._delivered.append(message)
        else:
            self._acknowledged_bytes += len(message)
            self._fail(java_error(error))

    def _fail(self, error: str) -> None:
        if not self.failures:
            print(error, file=sys.stderr)
        self.failures += 1

    def _poll(self, timeout_s: float) -> None:
        self._producer.poll(timeout_s)
        self._count()

    def _count(self) -> None:
        """Gives what was acknowledged to the statistics."""
        if not self._delivered:
            return
        latencies = [int(1000 * (latency or 0)) for latency in map(Message.latency, self._delivered)]
        size_bytes = sum(map(len, self._delivered))
        self._acknowledged_bytes += size_bytes
        self._delivered.clear()
        warmup = self._workload.warmup_records
        if warmup and self._stats.count + len(latencies) > warmup:
            if self._steady is None:
                self._stats.heading = "In steady state."
                self._steady = Stats(expected_records=self._workload.num_records - warmup, interval_ms=None, title=" steady state")
            steady = latencies[max(0, warmup - self._stats.count) :]
            self._steady.add(steady, size_bytes * len(steady) // len(latencies))
        self._stats.add(latencies, size_bytes)

    def _commit(self) -> None:
        self._producer.commit_transaction()
        self._count()

    def _keep_to_rate(self, started: float) -> None:
        """Sleeps while more was sent than the rate allows."""
        rate = self._workload.throughput
        if rate < 0:
            return
        while self._sent < self._workload.num_records and (ahead_s := started + self._sent / max(rate, 1e-9) - time.monotonic()) > 0:
            self._poll(0)
            time.sleep(min(ahead_s, 0.01))


def _portion(workload: Workload) -> int:
    """How many records are handed over together."""
    return BATCH_RECORDS if workload.throughput < 0 else max(1, min(BATCH_RECORDS, int(workload.throughput / BATCHES_A_SECOND)))


def _payloads(workload: Workload) -> Iterator[bytes]:
    chance = random.Random(0)
    if workload.payloads:
        while True:
            yield from chance.choices(workload.payloads, k=BATCH_RECORDS)
    elif workload.record_size is not None:
        size = workload.record_size
        pool = [chance.randbytes(size).translate(_LETTERS) for _ in range(max(1, min(BATCH_RECORDS, POOL_BYTES // size)))]
        yield from cycle(pool)
    else:
        yield from (b"%d" % number for number in range(workload.num_records))
