"""AddRaftVoter (80), versions 0 and 1: a controller that observes the metadata quorum gets a vote (KIP-853).

- The active controller waits, up to the request's time-out, until the node has caught up, and answers when the new set of voters is
  committed; with `ack_when_committed` false, when it is in the leader's log.
- DUPLICATE_VOTER when a voter has that id already, whatever its directory: that one must be removed first.
- A directory id of zeros takes the node with whatever directory it has.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.add_raft_voter import AddRaftVoterRequest, AddRaftVoterResponse

API_KEY = 80


def handle(services: Services, request: AddRaftVoterRequest, context: RequestContext, respond: Respond) -> None:
    """The leader of the quorum decides."""
    forward(services, request, AddRaftVoterResponse, refuse, context, respond)


def refuse(request: AddRaftVoterRequest, error: ApiError, version: int) -> AddRaftVoterResponse:
    """The error instead of an answer."""
    return AddRaftVoterResponse(error_code=error.code, error_message=error.message or None)
