"""DescribeUserScramCredentials (key 50), version 0."""

from __future__ import annotations

from raftkafka.protocol.schema import INT8, INT16, INT32, STRING, array, field, message, struct


@struct
class UserName:
    name: str = field(STRING, "0+")


@message("0", flexible="0+")
class DescribeUserScramCredentialsRequest:
    users: list[UserName] | None = field(array(UserName), "0+", nullable="0+")


@struct
class CredentialInfo:
    mechanism: int = field(INT8, "0+")
    iterations: int = field(INT32, "0+")


@struct
class DescribeUserScramCredentialsResult:
    user: str = field(STRING, "0+")
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "0+", nullable="0+")
    credential_infos: list[CredentialInfo] = field(array(CredentialInfo), "0+")


@message("0", flexible="0+")
class DescribeUserScramCredentialsResponse:
    throttle_time_ms: int = field(INT32, "0+")
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "0+", nullable="0+")
    results: list[DescribeUserScramCredentialsResult] = field(array(DescribeUserScramCredentialsResult), "0+")
