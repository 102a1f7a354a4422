"""Moves of replicas between the log directories of their broker: started, and how far they are."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs
import trio

from raftkafka.base.errors import ErrorCode
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.alter_replica_log_dirs import AlterReplicaLogDir, AlterReplicaLogDirsRequest, AlterReplicaLogDirTopic
from raftkafka.tools.reassign_partitions.cluster_state import Place, places
from raftkafka.tools.reassign_partitions.failure import Failed, Terse
from raftkafka.tools.reassign_partitions.plan_json import Replica

_RETRY_S = 0.1


class Progress(enum.Enum):
    """How far a move is."""

    NOT_FOUND = "the replica lies in no directory that works"
    ACTIVE = "a copy is being made"
    NOT_MOVING = "the replica lies elsewhere, and nothing moves it"
    COMPLETED = "the replica lies where it should"


@attrs.frozen(kw_only=True)
class DirectoryMove:
    """A replica, where it should lie, and where it lies."""

    replica: Replica
    target: str
    place: Place

    @property
    def progress(self) -> Progress:
        if self.place.current is None:
            return Progress.NOT_FOUND
        if self.place.future is not None:
            return Progress.ACTIVE
        return Progress.COMPLETED if self.place.current == self.target else Progress.NOT_MOVING

    @property
    def is_done(self) -> bool:
        """Whether nothing more will happen."""
        return self.progress in (Progress.COMPLETED, Progress.NOT_MOVING)

    def describe(self) -> str:
        """One sentence for a person."""
        name = f"Partition {self.replica.topic}-{self.replica.partition}"
        broker_id = self.replica.broker_id
        match self.progress:
            case Progress.NOT_FOUND:
                return (
                    f"{name} is not found in any live log dir on broker {broker_id}. "
                    "There is likely an offline log directory on the broker."
                )
            case Progress.ACTIVE if self.place.future == self.target:
                return f"Reassignment of replica {self.replica} is still in progress."
            case Progress.ACTIVE:
                return f"{name} on broker {broker_id} is being moved to log dir {self.place.future} instead of {self.target}."
            case Progress.NOT_MOVING:
                return f"{name} on broker {broker_id} is not being moved from log dir {self.place.current} to {self.target}."
            case Progress.COMPLETED:
                return f"Reassignment of replica {self.replica} completed successfully."


async def directory_moves(cluster: ClusterClient, targets: Mapping[Replica, str]) -> list[DirectoryMove]:
    """How far the moves to these directories are, by broker, topic and partition."""
    found = await places(cluster, targets)
    return [DirectoryMove(replica=replica, target=targets[replica], place=found[replica]) for replica in sorted(targets)]


async def start_directory_moves(cluster: ClusterClient, targets: Mapping[Replica, str], *, timeout_ms: int) -> None:
    """Starts the moves; a replica that its broker does not have yet is tried again until the time is over."""
    deadline = trio.current_time() + timeout_ms / 1000
    pending = dict(targets)
    while True:
        started = await _start(cluster, pending)
        for replica in sorted(started):
            print(
                f"Successfully started moving log directory to {pending.pop(replica)} for replica "
                f"{replica.topic}-{replica.partition} with broker {replica.broker_id} "
            )
        if not pending:
            return
        if trio.current_time() >= deadline:
            named = ",".join(map(str, sorted(pending)))
            raise Terse(f"Timed out before log directory move{'' if len(pending) == 1 else 's'} could be started for: {named}")
        await trio.sleep(_RETRY_S)


async def _start(cluster: ClusterClient, targets: Mapping[Replica, str]) -> list[Replica]:
    """The replicas whose moves have started; `Failed` when a broker refuses one for good."""
    by_broker: dict[int, dict[str, AlterReplicaLogDir]] = {}
    for replica, path in targets.items():
        directory = by_broker.setdefault(replica.broker_id, {}).setdefault(path, AlterReplicaLogDir(path=path, topics=[]))
        topic = next((each for each in directory.topics if each.name == replica.topic), None)
        if topic is None:
            topic = AlterReplicaLogDirTopic(name=replica.topic, partitions=[])
            directory.topics.append(topic)
        topic.partitions.append(replica.partition)
    started = []
    for broker_id, directories in by_broker.items():
        response = await cluster.ask(AlterReplicaLogDirsRequest(dirs=list(directories.values())), broker_id)
        for topic_result in response.results:
            for result in topic_result.partitions:
                replica = Replica(broker_id, topic_result.topic_name, result.partition_index)
                if result.error_code == ErrorCode.NONE:
                    started.append(replica)
                elif result.error_code != ErrorCode.REPLICA_NOT_AVAILABLE:
                    raise Failed(f"Failed to alter dir for {replica}")
    return started
