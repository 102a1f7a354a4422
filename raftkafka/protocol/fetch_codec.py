"""The hand-made codec of Fetch: requests and responses of consumers and followers, without copying a record.

Invariants
- Equal, byte for byte, to the declared messages of `messages.fetch` in every version (a property test holds it). Only `snapshot_id`, which
  belongs to KRaft's own log, is neither read nor written; and null records, which Kafka's brokers never send, are read as none.
- Records go out as the buffers that the log gave, and come in as views into the frame, valid as long as it is.

Sources: the Fetch API; KIP-227 (sessions), KIP-392 (preferred replica), KIP-516 (topic ids, version 13), KIP-595 (diverging epoch),
KIP-903 (replica epoch, version 15), KIP-951 (node endpoints, version 16), KIP-1166 (follower's high watermark, version 18).
"""

from raftkafka.protocol.fetch_request_codec import (
    UNKNOWN_HIGH_WATERMARK,
    FetchPartition,
    FetchRequestData,
    decode_fetch_request,
    encode_fetch_request,
)
from raftkafka.protocol.fetch_response_codec import (
    FetchPartitionResult,
    FetchResponseData,
    decode_fetch_response,
    encode_fetch_response,
)
from raftkafka.protocol.hot_path import NodeEndpoint

__all__ = [
    "UNKNOWN_HIGH_WATERMARK",
    "FetchPartition",
    "FetchPartitionResult",
    "FetchRequestData",
    "FetchResponseData",
    "NodeEndpoint",
    "decode_fetch_request",
    "decode_fetch_response",
    "encode_fetch_request",
    "encode_fetch_response",
]
