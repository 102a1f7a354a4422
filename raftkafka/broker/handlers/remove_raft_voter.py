"""RemoveRaftVoter (81), version 0: a controller loses its vote in the metadata quorum and goes on as an observer (KIP-853).

- Answered when the new set of voters is committed. The leader may be told to remove itself: it then hands over.
- VOTER_NOT_FOUND when there is no such voter; a directory id of zeros matches any directory. The last voter is refused (INVALID_REQUEST).
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest, RemoveRaftVoterResponse

API_KEY = 81


def handle(services: Services, request: RemoveRaftVoterRequest, context: RequestContext, respond: Respond) -> None:
    """The leader of the quorum decides."""
    forward(services, request, RemoveRaftVoterResponse, refuse, context, respond)


def refuse(request: RemoveRaftVoterRequest, error: ApiError, version: int) -> RemoveRaftVoterResponse:
    """The error instead of an answer."""
    return RemoveRaftVoterResponse(error_code=error.code, error_message=error.message or None)
