"""`make balance-demo`: three brokers, 24 partitions that broker 1 leads all, a skewed load; then the load shifts.

The cluster is its own: free ports, a temporary directory. Balance is what it is by default. Loads are measured from outside (`scales`).
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from cluster.balance_demo.load import SkewedLoad, zipf
from cluster.balance_demo.picture import picture
from cluster.balance_demo.reasons import Reasons
from cluster.balance_demo.scales import SAMPLE_S, Sample, Scales, balanced_after_s, peak_to_mean
from cluster.bench import measures, systems

TOPIC = "orders"
PARTITIONS = 24
BROKERS = (1, 2, 3)
BYTES_PER_SECOND = 4e6
LIMIT = 1.3
"""No broker is to carry more than so many times the mean."""
_MEAN_WIDTH = 10


def one_leads_all(bootstrap: str, *, topic: str = TOPIC, partitions: int = PARTITIONS, replicas: Sequence[int] = BROKERS) -> None:
    """Creates the topic so that the first broker leads every partition, and is the preferred leader of every partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    config = {"min.insync.replicas": str(len(replicas) // 2 + 1)}
    wanted = NewTopic(topic, partitions, replica_assignment=[list(replicas) for _ in range(partitions)], config=config)
    admin.create_topics([wanted])[topic].result(30)


def shifted(shares: Sequence[float], leaders: Mapping[int, int]) -> list[float]:
    """The same shares in another order, as bad as can be: the biggest go to what the broker leads that leads the most partitions."""
    counts = Counter(leaders.values())
    unlucky = max(sorted(counts), key=lambda broker: counts[broker])
    order = sorted(leaders, key=lambda partition: (leaders[partition] != unlucky, partition))
    by_size = sorted(shares, reverse=True)
    return [by_size[order.index(partition)] for partition in range(len(shares))]


def demonstrate(*, seconds: float, picture_path: Path | None) -> int:
    """Half of the time with the first load, half with the other; 1 when something was lost or the end is not balanced."""
    with tempfile.TemporaryDirectory(prefix="raftkafka-balance-") as scratch:
        system = systems.raftkafka(Path(scratch) / "cluster", len(BROKERS))
        try:
            measures.start_and_wait(system)
            return _show(system.bootstrap, seconds=seconds, picture_path=picture_path)
        finally:
            system.stop()


def _show(bootstrap: str, *, seconds: float, picture_path: Path | None) -> int:
    one_leads_all(bootstrap)
    first = 100 * zipf(PARTITIONS)[0]
    print(f"{len(BROKERS)} brokers, topic {TOPIC} with {PARTITIONS} partitions; broker 1 leads them all.")
    print(f"{BYTES_PER_SECOND / 1e6:.0f} MB/s, read by one consumer; {first:.0f} % for partition 0, ever less for the others.")
    print(f"Shown is what goes through each broker, in MB/s; | is {LIMIT} times the mean.\n")
    load = SkewedLoad(bootstrap, TOPIC, zipf(PARTITIONS), bytes_per_second=BYTES_PER_SECOND)
    scales, reasons = Scales(bootstrap, TOPIC, load), Reasons(bootstrap)
    try:
        _watch(scales, reasons, until_s=seconds / 2)
        shift_s = scales.now_s
        load.shares = shifted(load.shares, scales.leaders)
        print("\nThe load shifts: the partitions of the broker that leads the most are the busiest now.\n")
        _watch(scales, reasons, until_s=seconds)
    finally:
        scales.stop()
        load.stop()
    if picture_path is not None:
        title = f"{PARTITIONS} partitions that one broker leads, and a load that shifts"
        picture_path.write_text(picture(scales.samples, title=title, events=[(0.0, "all on broker 1"), (shift_s, "the load shifts")]))
        print(f"\nThe picture is {picture_path}.")
    return _conclude(load, scales, shift_s)


def _watch(scales: Scales, reasons: Reasons, *, until_s: float) -> None:
    """A line for each second, and one for each move."""
    shown = len(scales.samples)
    while scales.now_s < until_s:
        time.sleep(0.05)
        if len(scales.samples) >= shown + round(1 / SAMPLE_S):
            print(_line(scales.samples[shown:]), flush=True)
            shown = len(scales.samples)
            for reason in reasons.new_ones():
                print(f"         {reason}", flush=True)


def _line(samples: list[Sample]) -> str:
    """The loads as bars, and the hottest beside the mean."""
    brokers = sorted(samples[-1].loads)
    loads = {broker: sum(sample.loads[broker] for sample in samples) / len(samples) for broker in brokers}
    mean = sum(loads.values()) / len(loads) or 1.0
    bars = [f"{broker} {_bar(load / mean)} {load / 1e6:5.1f}" for broker, load in loads.items()]
    return f"{samples[-1].at_s:5.1f} s  {'  '.join(bars)}   hottest/mean {peak_to_mean(samples):.2f}"


def _bar(ratio: float) -> str:
    limit, width = round(_MEAN_WIDTH * LIMIT), _MEAN_WIDTH * len(BROKERS)
    filled = min(width, round(_MEAN_WIDTH * ratio))
    return "".join("#" if place < filled else "|" if place == limit else "." for place in range(width))


def _conclude(load: SkewedLoad, scales: Scales, shift_s: float) -> int:
    is_good = True
    for what, window in (("at the beginning", scales.between(0.0, shift_s)), ("after the shift", scales.between(shift_s))):
        began_s = window[0].at_s - SAMPLE_S
        moves = [(sample.at_s - began_s, len(sample.moved)) for sample in window if sample.moved]
        last = f", the last after {moves[-1][0]:.1f} s" if moves else ""
        balanced_s = balanced_after_s(window, limit=LIMIT)
        is_good = is_good and balanced_s is not None
        when = "not balanced at the end" if balanced_s is None else f"no broker beyond {LIMIT} times the mean from {balanced_s:.1f} s on"
        print(f"{what}: {when}; {sum(count for _, count in moves)} leaderships moved{last}; in the end {peak_to_mean(window[-10:]):.2f}")
    pauses = [load.longest_pause_s(partition) for partition, share in enumerate(zipf(PARTITIONS)) if share > 0.03]
    print(f"{load.record_count} records were acknowledged; the longest pause of a busy partition was {1000 * max(pauses):.0f} ms")
    problems = load.verdict()
    print("\n".join(problems[:10]) if problems else "no error to the clients; nothing lost, nothing twice, everything in order")
    return 0 if is_good and not problems else 1
