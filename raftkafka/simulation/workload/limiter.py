"""An administrator that limits the clients: quotas for each client, each user and the changes of topics, and settings of brokers, set and
taken away in the middle of everything else.

Nobody is to lose anything by that. A client whose connection is muted for longer than it waits for an answer gives the connection up, as
Kafka's clients do; once the limits are lifted everything must go on (`liveness`), and nothing of them be left (`check`).
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.errors import ErrorCode
from raftkafka.metadata.client_quotas import CLIENT_ID, CONSUMER_BYTE_RATE, CONTROLLER_MUTATION_RATE, PRODUCER_BYTE_RATE, USER
from raftkafka.metadata.configs import CLUSTER_DEFAULT, ResourceType
from raftkafka.protocol.messages.alter_client_quotas import AlterClientQuotasRequest, EntityData, EntryData, OpData
from raftkafka.protocol.messages.describe_client_quotas import DescribeClientQuotasRequest
from raftkafka.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from raftkafka.simulation.client import (
    ALTER_CLIENT_QUOTAS_KEY,
    DESCRIBE_CLIENT_QUOTAS_KEY,
    INCREMENTAL_ALTER_CONFIGS_KEY,
    RequestLost,
    SimClient,
)
from raftkafka.simulation.workload.recording import Recording, error_name

ENTITIES = (CLIENT_ID, USER)
"""Of whom: each client for itself, or all of them together (nobody logs in)."""
RATES = {
    PRODUCER_BYTE_RATE: (1_000, 5_000, 50_000),
    CONSUMER_BYTE_RATE: (1_000, 5_000, 50_000),
    CONTROLLER_MUTATION_RATE: (1, 5),
}
SETTINGS = {"log.segment.bytes": "2000000", "log.index.interval.bytes": "100", "log.flush.interval.messages": "3"}
"""Settings of brokers that change what they do, and nothing that a client could tell."""
SET, DELETE = 0, 1

Quota = tuple[str, str]
"""(type of the entity, key)."""


class Limiter:
    """Does one operation after the other until `running` is false; then it lifts all limits."""

    def __init__(self, *, client: SimClient, recording: Recording, interval_ms: int) -> None:
        self.running = True
        self.finished = False
        self._client = client
        self._recording = recording
        self._interval_ms = interval_ms

    async def run(self) -> None:
        rng = self._client.rng
        while self.running:
            await self._client.heap.sleep(1 + rng.randrange(2 * self._interval_ms))
            if not self.running:
                break
            await rng.choice((self.set_quota, self.set_quota, self.take_quota, self.change_setting))()
        await self.lift()
        self.finished = True

    # Operations

    async def set_quota(self) -> None:
        rng = self._client.rng
        key = rng.choice(list(RATES))
        await self._alter([(rng.choice(ENTITIES), key)], float(rng.choice(RATES[key])))

    async def take_quota(self) -> None:
        rng = self._client.rng
        await self._alter([(rng.choice(ENTITIES), rng.choice(list(RATES)))], None)

    async def change_setting(self) -> None:
        """All brokers get a setting, or lose it."""
        rng = self._client.rng
        name = rng.choice(list(SETTINGS))
        value = rng.choice((SETTINGS[name], None))
        config = AlterableConfig(name=name, config_operation=DELETE if value is None else SET, value=value)
        resource = AlterConfigsResource(resource_type=ResourceType.BROKER, resource_name=CLUSTER_DEFAULT, configs=[config])
        try:
            response = await self._client.ask_any(INCREMENTAL_ALTER_CONFIGS_KEY, IncrementalAlterConfigsRequest(resources=[resource]))
        except RequestLost:
            return
        self._note(f"{name}={value} for all brokers", response.responses[0].error_code)

    async def lift(self) -> None:
        """Takes all quotas away, until that has certainly happened."""
        while not await self._alter([(entity, key) for entity in ENTITIES for key in RATES], None):
            await self._client.retry_pause()

    async def check(self) -> None:
        """Complains about a quota that is left. What was set without an answer may have come late: it is taken away once more."""
        while True:
            await self.lift()
            try:
                response = await self._client.ask_any(DESCRIBE_CLIENT_QUOTAS_KEY, DescribeClientQuotasRequest())
            except RequestLost:
                await self._client.retry_pause()
                continue
            left = [str(entry) for entry in response.entries or ()]
            if left:
                self._recording.problem(f"quotas that were taken away are still there: {left}")
            return

    async def _alter(self, quotas: Sequence[Quota], value: float | None) -> bool:
        """Gives everybody of these kinds a quota, or (None) takes it away; whether that certainly happened."""
        by_entity: dict[str, list[OpData]] = {}
        for entity, key in quotas:
            by_entity.setdefault(entity, []).append(OpData(key=key, value=value or 0.0, remove=value is None))
        entries = [EntryData(entity=[EntityData(entity_type=entity, entity_name=None)], ops=ops) for entity, ops in by_entity.items()]
        try:
            response = await self._client.ask_any(ALTER_CLIENT_QUOTAS_KEY, AlterClientQuotasRequest(entries=entries))
        except RequestLost:
            return False
        codes = [entry.error_code for entry in response.entries]
        text = ", ".join(f"{key} of each {entity}" for entity, key in quotas)
        self._note(f"{text}: {'no more' if value is None else value}", *codes)
        return not any(codes)

    def _note(self, text: str, *codes: int) -> None:
        self._recording.note(self._client.name, f"limit {text}: {' '.join(map(error_name, codes))}")
        for code in codes:
            if code not in (ErrorCode.NONE, ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_CONTROLLER):
                self._recording.problem(f"{self._client.name}: {text} was refused with {error_name(code)}")
