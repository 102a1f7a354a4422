"""What the controller is to know of this broker's log directories: where its replicas are, what has failed, what is cordoned.

Invariants
- What is told is the difference between the directories as they are and the metadata as it is: it is told again until there is none.
- A broker with one directory tells nothing, unless the metadata has another one for a replica: a directory that is not used any more.
- Who cannot tell the controller of a failed directory for `log.dir.failure.timeout.ms` ends: others still count on the replicas there.

Sources: KIP-858 (assignments, failed directories, the time-out), KIP-1066 (cordoned directories).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NO_DIRECTORY_ID, DirectoryId, NodeId, PartitionKey
from raftkafka.broker.channel import FAR_FUTURE_MS, ControllerChannel
from raftkafka.broker.control import ControlReply
from raftkafka.broker.lifecycle import BrokerLifecycle
from raftkafka.metadata.brokers import BrokerRegistration
from raftkafka.metadata.control_messages import AssignedReplica, AssignReplicas, AssignReplicasReply
from raftkafka.metadata.image import MetadataImage
from raftkafka.storage.log_manager import LogManager

MAX_REPLICAS_PER_REQUEST = 2_000
RETRY_MS = 50
REQUEST_TIMEOUT_MS = 5_000


class DirectoryReports:
    """Looked at in every settle; costs nothing when nothing has changed."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        logs: LogManager,
        channel: ControllerChannel,
        lifecycle: BrokerLifecycle,
        image: Callable[[], MetadataImage],
        failure_timeout_ms: int,
    ) -> None:
        self._node_id = node_id
        self._logs = logs
        self._placement = logs.placement
        self._channel = channel
        self._lifecycle = lifecycle
        self._image = image
        self._failure_timeout_ms = failure_timeout_ms
        self._doubtful: dict[PartitionKey, None] = {}
        self._sent: tuple[AssignedReplica, ...] | None = None
        self._retry_ms = 0
        self._failed_count = 0
        self._give_up_ms = FAR_FUTURE_MS
        self._now_ms = 0

    def untold_failures(self) -> tuple[DirectoryId, ...]:
        """The directories that have failed and that the metadata still takes for working ones."""
        broker = self._registration()
        if broker is None or not self._placement.several:
            return ()
        failed = [each.directory_id for each in self._placement.directories if each.offline_reason is not None]
        return tuple(directory for directory in failed if directory in broker.directories)

    def metadata_changed(self, keys: Iterable[PartitionKey]) -> None:
        """What these partitions say of this broker's directories may have changed."""
        image, several = self._image(), self._placement.several
        for key in keys:
            partition = image.partition(key)
            if partition is not None and self._node_id in partition.replicas and (several or partition.directories):
                self._doubtful[key] = None

    def settle(self, now_ms: int) -> None:
        """Tells what there is to tell."""
        self._now_ms = now_ms
        if self._placement.news:
            self._doubtful.update(self._placement.news)
            self._placement.news.clear()
        self._watch_failures(now_ms)
        if self._sent is not None or now_ms < self._retry_ms or not (self._doubtful or self._must_tell_cordoned()):
            return
        broker = self._registration()
        if broker is None:
            return
        replicas = self._differences()
        cordoned = self._cordoned()
        if not replicas and cordoned == broker.cordoned:
            return
        self._sent = replicas
        request = AssignReplicas(node_id=self._node_id, broker_epoch=broker.broker_epoch, cordoned=cordoned, replicas=replicas)
        self._channel.request(request, self._answered, deadline_ms=now_ms + REQUEST_TIMEOUT_MS)

    def tick(self, now_ms: int) -> None:
        """Gives up when the controller did not hear of a failure in time."""
        if now_ms >= self._give_up_ms:
            self._give_up_ms = FAR_FUTURE_MS
            self._logs.failure = f"the controller could not be told of a failed log directory within {self._failure_timeout_ms} ms"

    def next_deadline_ms(self) -> int:
        waits = self._sent is None and self._retry_ms > self._now_ms and (bool(self._doubtful) or self._must_tell_cordoned())
        return min(self._give_up_ms, self._retry_ms if waits else FAR_FUTURE_MS)

    def _registration(self) -> BrokerRegistration | None:
        """This process's own, once the metadata has it."""
        broker = self._image().brokers.get(self._node_id)
        return broker if broker is not None and broker.broker_epoch == self._lifecycle.broker_epoch else None

    def _differences(self) -> tuple[AssignedReplica, ...]:
        image = self._image()
        found: list[AssignedReplica] = []
        while self._doubtful and len(found) < MAX_REPLICAS_PER_REQUEST:
            key = next(iter(self._doubtful))
            del self._doubtful[key]
            partition, directory = image.partition(key), self._placement.assignment(key)
            if partition is None or directory == NO_DIRECTORY_ID or self._node_id not in partition.replicas:
                continue
            if partition.directory(self._node_id) == directory:
                self._placement.is_known(key)
            else:
                made_anew = self._placement.is_made_anew(key)
                found.append(AssignedReplica(topic_id=key.topic_id, partition=key.partition, directory=directory, made_anew=made_anew))
        return tuple(found)

    def _cordoned(self) -> tuple[DirectoryId, ...]:
        return tuple(each.directory_id for each in self._placement.online() if self._placement.is_cordoned(each))

    def _must_tell_cordoned(self) -> bool:
        broker = self._registration()
        return broker is not None and broker.cordoned != self._cordoned()

    def _answered(self, reply: ControlReply | None) -> None:
        """What was granted is seen in the metadata a moment later: until then nothing is told again."""
        sent, self._sent = self._sent or (), None
        self._retry_ms = self._now_ms + RETRY_MS
        keys = [PartitionKey(each.topic_id, each.partition) for each in sent]
        if not isinstance(reply, AssignReplicasReply) or reply.error != ErrorCode.NONE:
            self._doubtful.update(dict.fromkeys(keys))
            return
        for key in keys:
            self._placement.is_known(key)  # that it was made anew: where it is may be another place by now

    def _watch_failures(self, now_ms: int) -> None:
        """A failure is told with a heartbeat, at once."""
        failed_count = sum(each.offline_reason is not None for each in self._placement.directories)
        if failed_count != self._failed_count:
            self._failed_count = failed_count
            if self.untold_failures():
                self._lifecycle.hurry(now_ms)
                self._give_up_ms = min(self._give_up_ms, now_ms + self._failure_timeout_ms)
        if self._give_up_ms != FAR_FUTURE_MS and not self.untold_failures():
            self._give_up_ms = FAR_FUTURE_MS
