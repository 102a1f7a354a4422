"""An administrator that moves replicas between the log directories of their brokers, in the middle of everything else.

It asks a broker what lies where, and for a move to another directory of the same broker. Nobody is to notice that: what the producers were
promised, and what the readers find, is the business of the other clients.
"""

from __future__ import annotations

from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.alter_replica_log_dirs import AlterReplicaLogDir, AlterReplicaLogDirsRequest, AlterReplicaLogDirTopic
from raftkafka.protocol.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from raftkafka.simulation.client import ALTER_REPLICA_LOG_DIRS_KEY, DESCRIBE_LOG_DIRS_KEY, RequestLost, SimClient
from raftkafka.simulation.workload.recording import Recording

EXPECTED_REFUSALS = frozenset({ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.REPLICA_NOT_AVAILABLE})
"""The directory has failed, or the replica has gone, between the two questions."""


class DirectoryMover:
    """Asks for one move after the other until `running` is false."""

    def __init__(self, *, client: SimClient, recording: Recording, interval_ms: int) -> None:
        self.running = True
        self.finished = False
        self._client = client
        self._recording = recording
        self._interval_ms = interval_ms

    async def run(self) -> None:
        while self.running:
            await self._client.heap.sleep(1 + self._client.rng.randrange(2 * self._interval_ms))
            if self.running:
                try:
                    await self._move_one()
                except RequestLost as error:
                    self._recording.note(self._client.name, f"a move: {error}")
        self.finished = True

    async def _move_one(self) -> None:
        rng = self._client.rng
        address = rng.choice(self._client.bootstrap)
        described: DescribeLogDirsResponse = await self._client.ask(address, DESCRIBE_LOG_DIRS_KEY, DescribeLogDirsRequest(topics=None))
        working = [result.log_dir for result in described.results if result.error_code == ErrorCode.NONE]
        replicas = [
            (topic.name, partition.partition_index, result.log_dir)
            for result in described.results
            for topic in result.topics
            for partition in topic.partitions
        ]
        if len(working) < 2 or not replicas:
            return
        name, index, source = rng.choice(replicas)
        target = rng.choice([path for path in working if path != source] or working)
        topic = AlterReplicaLogDirTopic(name=name, partitions=[index])
        request = AlterReplicaLogDirsRequest(dirs=[AlterReplicaLogDir(path=target, topics=[topic])])
        answered = await self._client.ask(address, ALTER_REPLICA_LOG_DIRS_KEY, request)
        code = ErrorCode(answered.results[0].partitions[0].error_code)
        self._recording.note(self._client.name, f"moves {name}-{index} on {address.host} from {source} to {target}: {code.name}")
        if code not in (ErrorCode.NONE, *EXPECTED_REFUSALS):
            self._recording.problems.append(f"a move of {name}-{index} to {target} was answered with {code.name}")
