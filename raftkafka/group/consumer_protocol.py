"""What the coordinator reads of the consumer protocol, which is otherwise opaque to it: the subscribed topics."""

from __future__ import annotations

from collections.abc import Iterable

from raftkafka.base.errors import DecodeError
from raftkafka.protocol.framing import read_message
from raftkafka.protocol.messages.consumer_protocol import ConsumerProtocolSubscription

CONSUMER_PROTOCOL_TYPE = "consumer"

_VERSION_BYTES = 2


def subscribed_topics(subscriptions: Iterable[bytes]) -> frozenset[str] | None:
    """The topics of these members' metadata together; None when one cannot be read (the coordinator then does not know).

    Every version of a subscription begins with the fields of version 0, so version 0 is read whatever it says.
    """
    topics: set[str] = set()
    for subscription in subscriptions:
        try:
            topics.update(read_message(ConsumerProtocolSubscription, 0, subscription, _VERSION_BYTES)[0].topics)
        except DecodeError:
            return None
    return frozenset(topics)
