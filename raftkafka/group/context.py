"""What an operation needs to know beside its request: who asks, and which topics there are."""

from __future__ import annotations

from typing import Protocol

from raftkafka.base.ids import TopicId


class RequestContext(Protocol):
    """Who asks, and in which version of the API."""

    @property
    def client_id(self) -> str | None: ...

    @property
    def client_host(self) -> str:
        """As Kafka says it: `/127.0.0.1`."""

    @property
    def api_version(self) -> int: ...


class TopicResolver(Protocol):
    """The topics of the cluster as this node knows them now."""

    def name_of(self, topic_id: TopicId) -> str | None: ...

    def id_of(self, name: str) -> TopicId | None: ...

    def partition_count(self, name: str) -> int:
        """0 when there is no such topic."""
