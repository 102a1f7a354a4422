"""--delete and --delete-offsets: whole groups, or what they have committed for some topics."""

from __future__ import annotations

from collections.abc import Mapping

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient, CoordinatorRefused
from raftkafka.protocol.messages.delete_groups import DeleteGroupsRequest
from raftkafka.protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic
from raftkafka.tools.consumer_groups.failure import print_error
from raftkafka.tools.consumer_groups.groups import listed_groups
from raftkafka.tools.consumer_groups.scopes import known_topics, split_topics
from raftkafka.tools.java_errors import default_message, refusal
from raftkafka.tools.java_order import in_hash_map_order, string_hash
from raftkafka.tools.options import Options
from raftkafka.tools.tables import padded

_WIDTH = 15
_WHOLE_REQUEST = (
    ErrorCode.INVALID_GROUP_ID,
    ErrorCode.GROUP_ID_NOT_FOUND,
    ErrorCode.GROUP_AUTHORIZATION_FAILED,
    ErrorCode.NON_EMPTY_GROUP,
)
_OF_PARTITIONS = (ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


async def delete_groups(cluster: ClusterClient, options: Options) -> None:
    """Deletes the groups, and says of each whether it was."""
    if options.has("all-groups"):
        names = [group.group_id for group in await listed_groups(cluster)]
    else:
        names = options.texts("group")
    failed: dict[str, str] = {}
    for name in in_hash_map_order(names, string_hash):
        try:
            response = await cluster.ask_coordinator(name, DeleteGroupsRequest(groups_names=[name]))
        except CoordinatorRefused as denied:
            failed[name] = refusal(denied.code, str(denied)).named
            continue
        result = response.results[0]
        if result.error_code != ErrorCode.NONE:
            failed[name] = refusal(result.error_code, result.error_message).named
    deleted = ", ".join(f"'{name}'" for name in in_hash_map_order(names, string_hash) if name not in failed)
    if not failed:
        print(f"Deletion of requested consumer groups ({deleted}) was successful.")
        return
    print_error("Deletion of some consumer groups failed:")
    for name, why in failed.items():
        print(f"* Group '{name}' could not be deleted due to: {why}")
    if deleted:
        print(f"\nThese consumer groups were deleted successfully: {deleted}")


async def delete_offsets(cluster: ClusterClient, options: Options) -> None:
    """Deletes what a group has committed for the topics, and says of each partition whether it was."""
    group_id = options.required("group")
    partitions, topics = split_topics(options.texts("topic"))
    errors: dict[tuple[str, str], str] = {}
    for name, topic in (await known_topics(cluster, topics)).items():
        if topic.error_code != ErrorCode.NONE:
            errors[name, "-"] = refusal(topic.error_code).named
        partitions.extend(TopicPartition(name, each.partition_index) for each in topic.partitions)
    codes = await _deleted(cluster, group_id, list(dict.fromkeys(partitions)))
    _print_outcome(group_id, next((code for code in codes.values() if code), ErrorCode.NONE))
    rows = {(each.topic, str(each.partition)): refusal(code).named if code else "" for each, code in codes.items()} | errors
    _print_rows(rows)


async def _deleted(cluster: ClusterClient, group_id: str, partitions: list[TopicPartition]) -> Mapping[TopicPartition, ErrorCode]:
    topics: dict[str, OffsetDeleteRequestTopic] = {}
    for topic, number in partitions:
        entry = topics.setdefault(topic, OffsetDeleteRequestTopic(name=topic, partitions=[]))
        entry.partitions.append(OffsetDeleteRequestPartition(partition_index=number))
    response = await cluster.ask_coordinator(group_id, OffsetDeleteRequest(group_id=group_id, topics=list(topics.values())))
    if response.error_code != ErrorCode.NONE:
        return dict.fromkeys(partitions, ErrorCode(response.error_code))
    return {
        TopicPartition(topic.name, each.partition_index): ErrorCode(each.error_code)
        for topic in response.topics
        for each in topic.partitions
    }


def _print_outcome(group_id: str, code: ErrorCode) -> None:
    if code == ErrorCode.NONE:
        print(f"Request succeeded for deleting offsets from group {group_id}.")
    elif code in _WHOLE_REQUEST:
        print_error(default_message(code))
    elif code in _OF_PARTITIONS:
        print_error("Encountered some partition-level error, see the follow-up details.")
    else:
        print_error(f"Encountered some unknown error: {code.name}")


def _print_rows(rows: Mapping[tuple[str, str], str]) -> None:
    widths = [max([_WIDTH, *(len(topic) for topic, _ in rows)]), 10, _WIDTH]
    print("\n" + padded(("TOPIC", "PARTITION", "STATUS"), widths))
    for topic, partition in sorted(rows, key=lambda row: row[0] + ("-1" if row[1] == "-" else row[1])):
        why = rows[topic, partition]
        print(padded((topic, partition, f"Error: {why}" if why else "Successful"), widths))
