"""Blocks of producer ids for brokers: no id is ever given twice (KIP-730)."""

from __future__ import annotations

from raftkafka.controller.decision import Decision
from raftkafka.metadata.control_messages import AllocateProducerIds, AllocateProducerIdsReply
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import ProducerIdsRecord

BLOCK_SIZE = 1_000


def decide_allocate_producer_ids(image: MetadataImage, request: AllocateProducerIds) -> Decision:
    """The next block; the ids from it on are gone even if the answer is lost."""
    first = image.next_producer_id
    record = ProducerIdsRecord(node_id=request.node_id, broker_epoch=request.broker_epoch, next_producer_id=first + BLOCK_SIZE)
    return Decision(reply=AllocateProducerIdsReply(first_producer_id=first, count=BLOCK_SIZE), records=[record])
