"""DescribeUserScramCredentials (50), version 0: who can log in with SCRAM, without the secrets (KIP-554).

Nobody has credentials: a named user is RESOURCE_NOT_FOUND, as an unknown one is in Kafka; all users are none.

Not implemented: SCRAM itself.
"""

from __future__ import annotations

from collections import Counter

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
)

API_KEY = 50


def handle(services: Services, request: DescribeUserScramCredentialsRequest, context: RequestContext, respond: Respond) -> None:
    """Answers for each user that was named."""
    named = Counter(user.name for user in request.users or ())
    results = [_nobody(name) if count == 1 else _twice(name) for name, count in named.items()]
    respond(DescribeUserScramCredentialsResponse(results=results))


def refuse(request: DescribeUserScramCredentialsRequest, error: ApiError, version: int) -> DescribeUserScramCredentialsResponse:
    """The error instead of an answer."""
    return DescribeUserScramCredentialsResponse(error_code=error.code, error_message=error.message or None)


def _nobody(user: str) -> DescribeUserScramCredentialsResult:
    message = f"Attempt to describe a user credential that does not exist: {user}"
    return DescribeUserScramCredentialsResult(user=user, error_code=ErrorCode.RESOURCE_NOT_FOUND, error_message=message)


def _twice(user: str) -> DescribeUserScramCredentialsResult:
    message = f"Cannot describe SCRAM credentials for the same user twice in a single request: {user}"
    return DescribeUserScramCredentialsResult(user=user, error_code=ErrorCode.DUPLICATE_RESOURCE, error_message=message)
