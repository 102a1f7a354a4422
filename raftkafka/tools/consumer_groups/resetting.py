"""--reset-offsets: the plan, and its execution.

A group without members, or one that does not exist yet, gets new offsets; for one with members an error is printed and the plan is empty.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import trio

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import BACKOFF_S, ClusterClient
from raftkafka.protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from raftkafka.tools.consumer_groups.failure import print_error, refused
from raftkafka.tools.consumer_groups.groups import EMPTY, Committed, committed_offsets, described_group, listed_groups
from raftkafka.tools.consumer_groups.log_offsets import EARLIEST, LATEST, log_offsets
from raftkafka.tools.consumer_groups.offset_plan import Plan, plan_as_csv, plan_from_csv, read_plan
from raftkafka.tools.consumer_groups.options import SCENARIOS, long_value
from raftkafka.tools.consumer_groups.scopes import check_partitions, named_partitions
from raftkafka.tools.consumer_groups.times import duration_ms, timestamp_ms
from raftkafka.tools.errors import UsageError
from raftkafka.tools.java_errors import log_warning
from raftkafka.tools.java_order import in_hash_map_order, partition_hash, string_hash
from raftkafka.tools.options import Options
from raftkafka.tools.tables import padded

_LAST_OFFSET_COMMIT_WITH_NAMES = 9
_LOGGER = "org.apache.kafka.tools.OffsetsUtils"
_WIDTH = 15
_COORDINATOR_MOVES = (ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)


async def reset_offsets(cluster: ClusterClient, options: Options) -> None:
    """Prints the plan; carries it out first with --execute."""
    if options.has("all-groups"):
        names = [group.group_id for group in await listed_groups(cluster)]
    else:
        names = options.texts("group")
    plans: dict[str, Plan] = {}
    for group_id in in_hash_map_order(names, string_hash):
        group = await described_group(cluster, group_id)
        if group is not None and group.state != EMPTY:
            print_error(f"Assignments can only be reset if the group '{group_id}' is inactive, but the current state is {group.state}.")
            plans[group_id] = {}
            continue
        plan = await _plan(cluster, options, group_id)
        if options.has("execute"):
            await _commit(cluster, group_id, plan)
        plans[group_id] = plan
    if options.has("export"):
        print(plan_as_csv(plans, with_group=len(options.texts("group")) != 1))
    else:
        _print_plans(plans)


async def _plan(cluster: ClusterClient, options: Options, group_id: str) -> Plan:
    """The new offsets of a group, in the order in which Apache's tool shows them."""
    plan = await _offsets(cluster, options, group_id)
    return {partition: plan[partition] for partition in in_hash_map_order(plan, partition_hash)}


async def _offsets(cluster: ClusterClient, options: Options, group_id: str) -> Plan:
    partitions = await _scope(cluster, options, group_id)
    await check_partitions(cluster, partitions)
    if options.has("to-offset"):
        offset = long_value(options, "to-offset")
        return await _in_range(cluster, dict.fromkeys(partitions, offset))
    if options.has("to-earliest"):
        return _known(await log_offsets(cluster, partitions, EARLIEST))
    if options.has("to-latest"):
        return _known(await log_offsets(cluster, partitions, LATEST))
    if options.has("shift-by"):
        shift = long_value(options, "shift-by")
        committed = await committed_offsets(cluster, group_id)
        return await _in_range(cluster, {each: _committed(committed, each) + shift for each in partitions})
    if options.has("to-datetime"):
        return await _at_time(cluster, partitions, timestamp_ms(options.required("to-datetime")))
    if options.has("by-duration"):
        return await _at_time(cluster, partitions, time.time_ns() // 1_000_000 - duration_ms(options.required("by-duration")))
    if options.has("from-file"):
        return await _from_file(cluster, options, group_id)
    if options.has("to-current"):
        return await _current(cluster, partitions, await committed_offsets(cluster, group_id))
    scenarios = ", ".join(f"[{name}]" for name in SCENARIOS)
    raise UsageError(f"Option '[reset-offsets]' requires one of the following scenarios: [{scenarios}]")


async def _scope(cluster: ClusterClient, options: Options, group_id: str) -> Sequence[TopicPartition]:
    """The partitions whose offsets are reset."""
    if options.has("all-topics"):
        return list(await committed_offsets(cluster, group_id))
    if options.has("topic"):
        return await named_partitions(cluster, options.texts("topic"))
    if not options.has("from-file"):
        raise UsageError("One of the reset scopes should be defined: --all-topics, --topic.")
    return []


def _ordered(partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
    return in_hash_map_order(partitions, partition_hash)


def _known(offsets: Mapping[TopicPartition, int | None]) -> Plan:
    return {partition: offset for partition, offset in offsets.items() if offset is not None}


def _committed(committed: Mapping[TopicPartition, Committed], partition: TopicPartition) -> int:
    if partition not in committed:
        raise UsageError(f"Cannot shift offset for partition {partition} since there is no current committed offset")
    return committed[partition].offset


async def _at_time(cluster: ClusterClient, partitions: Sequence[TopicPartition], at_ms: int) -> Plan:
    """The first record at or after a time; the end of the partition where there is none."""
    found = await log_offsets(cluster, _ordered(partitions), at_ms)
    without = [partition for partition, offset in found.items() if offset is None]
    for partition in _ordered(without):
        print(f"\nWarn: Partition {partition.partition} from topic {partition.topic} is empty. Falling back to latest known offset.")
    return _known(found) | _known(await log_offsets(cluster, without, LATEST))


async def _current(cluster: ClusterClient, partitions: Sequence[TopicPartition], committed: Mapping[TopicPartition, Committed]) -> Plan:
    """What is committed; the end of the partition where nothing is."""
    without = [partition for partition in partitions if partition not in committed]
    with_offset = {partition: committed[partition].offset for partition in partitions if partition in committed}
    return with_offset | _known(await log_offsets(cluster, without, LATEST))


async def _from_file(cluster: ClusterClient, options: Options, group_id: str) -> Plan:
    named = options.texts("group")
    plans = plan_from_csv(read_plan(options.required("from-file")), group_id=named[0] if len(named) == 1 else None)
    if group_id not in plans:
        print_error(f"No reset plan for group {group_id} found")
        return {}
    return await _in_range(cluster, plans[group_id])


async def _in_range(cluster: ClusterClient, wanted: Plan) -> Plan:
    """The offsets, but none before the start or behind the end of its partition; says which were moved."""
    partitions = _ordered(list(wanted))
    starts = await log_offsets(cluster, partitions, EARLIEST)
    ends = await log_offsets(cluster, partitions, LATEST)
    plan: Plan = {}
    for partition in partitions:
        offset, start, end = wanted[partition], starts[partition], ends[partition]
        if end is not None and offset > end:
            _warn(f"New offset ({offset}) is higher than latest offset for topic partition {partition}. Value will be set to {end}")
            offset = end
        elif start is not None and offset < start:
            _warn(f"New offset ({offset}) is lower than earliest offset for topic partition {partition}. Value will be set to {start}")
            offset = start
        plan[partition] = offset
    return plan


def _warn(text: str) -> None:
    log_warning(text, _LOGGER)


async def _commit(cluster: ClusterClient, group_id: str, plan: Plan) -> None:
    """Commits the offsets as nobody's, which a coordinator allows while the group has no members."""
    if not plan:
        return
    topics: dict[str, OffsetCommitRequestTopic] = {}
    for (topic, number), offset in plan.items():
        entry = topics.setdefault(topic, OffsetCommitRequestTopic(name=topic, partitions=[]))
        entry.partitions.append(OffsetCommitRequestPartition(partition_index=number, committed_offset=offset, committed_metadata=""))
    request = OffsetCommitRequest(group_id=group_id, topics=list(topics.values()))
    while True:
        response = await cluster.ask_coordinator(group_id, request, max_version=_LAST_OFFSET_COMMIT_WITH_NAMES)
        codes = [partition.error_code for topic in response.topics for partition in topic.partitions if partition.error_code]
        if not any(code in _COORDINATOR_MOVES for code in codes):
            break
        await trio.sleep(BACKOFF_S)
    if codes:
        raise refused(codes[0], wrapped=True)


def _print_plans(plans: Mapping[str, Plan]) -> None:
    rows = [(group_id, each.topic, each.partition, offset) for group_id, plan in plans.items() for each, offset in plan.items()]
    widths = [max([_WIDTH, *(len(row[0]) for row in rows)]), max([_WIDTH, *(len(row[1]) for row in rows)]), 10]
    if plans:
        print("\n" + padded(("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"), widths), end="")
    for row in rows:
        print("\n" + padded(row, widths), end="")
    print()
