"""Every API that is declared: its key, its versions, and where its messages are.

A declared API is not yet a served one: the broker says which it serves, and what it advertises (Produce from version 0 on, though 0 to 2
are refused: KAFKA-18659). Message modules are imported on first use, since making their classes is most of the cost of starting.

Invariant: versions are those of Apache Kafka 4.4 and of the declarations, without the unstable ones (InitProducerId 6, KIP-939).
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Mapping
from types import MappingProxyType

import attrs


@attrs.frozen
class Api:
    """One API; the version bounds are inclusive, `flexible_from` is None when no version is flexible."""

    key: int
    name: str
    min_version: int
    max_version: int
    flexible_from: int | None

    @property
    def request(self) -> type:
        """The class of its requests."""
        return self._message("Request")

    @property
    def response(self) -> type:
        """The class of its responses."""
        return self._message("Response")

    def supports(self, version: int) -> bool:
        """Whether this version can be read and written."""
        return self.min_version <= version <= self.max_version

    def is_flexible(self, version: int) -> bool:
        """Whether this version has compact types and tagged fields."""
        return self.flexible_from is not None and version >= self.flexible_from

    def _message(self, suffix: str) -> type:
        return _declared(self.name, suffix)


@functools.cache
def _declared(name: str, suffix: str) -> type:
    module = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    declared: type = getattr(importlib.import_module(f"raftkafka.protocol.messages.{module}"), name + suffix)
    return declared


_DECLARED = (
    Api(0, "Produce", 3, 13, 9),
    Api(1, "Fetch", 4, 18, 12),
    Api(2, "ListOffsets", 1, 11, 6),
    Api(3, "Metadata", 0, 13, 9),
    Api(8, "OffsetCommit", 2, 10, 8),
    Api(9, "OffsetFetch", 1, 10, 6),
    Api(10, "FindCoordinator", 0, 6, 3),
    Api(11, "JoinGroup", 0, 9, 6),
    Api(12, "Heartbeat", 0, 4, 4),
    Api(13, "LeaveGroup", 0, 5, 4),
    Api(14, "SyncGroup", 0, 5, 4),
    Api(15, "DescribeGroups", 0, 6, 5),
    Api(16, "ListGroups", 0, 5, 3),
    Api(18, "ApiVersions", 0, 5, 3),
    Api(19, "CreateTopics", 2, 7, 5),
    Api(20, "DeleteTopics", 1, 6, 4),
    Api(21, "DeleteRecords", 0, 2, 2),
    Api(22, "InitProducerId", 0, 5, 2),
    Api(23, "OffsetForLeaderEpoch", 2, 4, 4),
    Api(32, "DescribeConfigs", 1, 4, 4),
    Api(33, "AlterConfigs", 0, 2, 2),
    Api(34, "AlterReplicaLogDirs", 1, 2, 2),
    Api(35, "DescribeLogDirs", 1, 5, 2),
    Api(37, "CreatePartitions", 0, 3, 2),
    Api(42, "DeleteGroups", 0, 3, 2),
    Api(43, "ElectLeaders", 0, 2, 2),
    Api(44, "IncrementalAlterConfigs", 0, 1, 1),
    Api(45, "AlterPartitionReassignments", 0, 1, 0),
    Api(46, "ListPartitionReassignments", 0, 0, 0),
    Api(47, "OffsetDelete", 0, 0, None),
    Api(48, "DescribeClientQuotas", 0, 1, 1),
    Api(49, "AlterClientQuotas", 0, 1, 1),
    Api(50, "DescribeUserScramCredentials", 0, 0, 0),
    Api(51, "AlterUserScramCredentials", 0, 0, 0),
    Api(55, "DescribeQuorum", 0, 2, 0),
    Api(57, "UpdateFeatures", 0, 2, 0),
    Api(60, "DescribeCluster", 0, 2, 0),
    Api(61, "DescribeProducers", 0, 0, 0),
    Api(64, "UnregisterBroker", 0, 0, 0),
    Api(69, "ConsumerGroupDescribe", 0, 1, 0),
    Api(74, "ListConfigResources", 0, 1, 0),
    Api(75, "DescribeTopicPartitions", 0, 0, 0),
    Api(80, "AddRaftVoter", 0, 1, 0),
    Api(81, "RemoveRaftVoter", 0, 0, 0),
    Api(82, "UpdateRaftVoter", 0, 0, 0),
    Api(10_001, "BalanceCluster", 0, 0, 0),
)

FIRST_PRIVATE_KEY = 10_000
"""APIs from this key on are this project's own: none of Kafka's clients asks for them, and they are not advertised."""

APIS: Mapping[int, Api] = MappingProxyType({api.key: api for api in _DECLARED})
"""Every declared API by its key, in ascending order of keys."""
