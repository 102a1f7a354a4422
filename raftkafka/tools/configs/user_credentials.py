"""SCRAM credentials of users: which a user has, and new ones.

Invariant: a password never leaves this process; what is sent is salted and hashed as often as the credential says.

Sources: RFC 5802 (Hi is PBKDF2 with HMAC), KIP-554.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence

from raftkafka.base.errors import ErrorCode
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from raftkafka.protocol.messages.describe_user_scram_credentials import DescribeUserScramCredentialsRequest, UserName
from raftkafka.tools.configs.entities import CLIENTS, IPS, USERS, Entities
from raftkafka.tools.configs.settings_text import Change
from raftkafka.tools.errors import ToolError
from raftkafka.tools.java_errors import raise_refusal

_MECHANISMS = {"SCRAM-SHA-256": (1, "sha256"), "SCRAM-SHA-512": (2, "sha512")}
_MECHANISM_NAMES = {number: name for name, (number, _) in _MECHANISMS.items()}
_CREDENTIAL = re.compile(r"(?:iterations=(-?[0-9]*),)?password=(.*)")
_DEFAULT_ITERATIONS = _FEWEST_ITERATIONS = 4096
_SALT_BYTES = 32

_QUOTAS = ("producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate")
_IP_QUOTAS = ("connection_creation_rate",)


def changes_credentials(entities: Entities, change: Change) -> bool:
    """Whether a change of users is one of credentials; `ToolError` when something in it is neither quota nor credential."""
    if entities.first_type == IPS:
        unknown = [key for key in (*change.added, *change.deleted) if key not in _IP_QUOTAS]
        if unknown:
            raise ToolError(
                f"Only connection quota configs can be added for '{IPS}' using --bootstrap-server. "
                f"Unexpected config names: {','.join(unknown)}"
            )
        return False
    only_quotas = CLIENTS in entities.types
    kind, what = (CLIENTS, "quota") if only_quotas else (USERS, "quota and SCRAM credential")
    for verb, keys, collection in (("added", tuple(change.added), "Set"), ("deleted", change.deleted, "ArrayBuffer")):
        unknown = [key for key in keys if key not in _QUOTAS and (only_quotas or key not in _MECHANISMS)]
        if unknown:
            raise ToolError(
                f"Only {what} configs can be {verb} for '{kind}' using --bootstrap-server. "
                f"Unexpected config names: {collection}({', '.join(unknown)})"
            )
    keys = (*change.added, *change.deleted)
    if not any(key in _MECHANISMS for key in keys):
        return False
    if "" in entities.names:
        raise ToolError(
            "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using --bootstrap-server."
        )
    if any(key in _QUOTAS for key in keys):
        raise ToolError(f"Cannot alter both quota and SCRAM credential configs simultaneously for '{USERS}' using --bootstrap-server.")
    return True


async def describe_credentials(cluster: ClusterClient, names: Sequence[str]) -> None:
    """Prints the mechanisms for which the users have credentials; all users when none is named."""
    users = [UserName(name=name) for name in names] if names else None
    response = await cluster.ask(DescribeUserScramCredentialsRequest(users=users))
    raise_refusal(response.error_code, response.error_message)
    for result in response.results:
        if result.error_code == ErrorCode.RESOURCE_NOT_FOUND:
            continue
        raise_refusal(result.error_code, result.error_message)
        shown = ", ".join(f"{_MECHANISM_NAMES.get(each.mechanism)}=iterations={each.iterations}" for each in result.credential_infos)
        print(f"SCRAM credential configs for user-principal '{result.user}' are {shown}")


async def alter_credentials(cluster: ClusterClient, user: str, change: Change) -> None:
    """Sets and deletes credentials of one user."""
    upsertions = [_credential(user, mechanism, text) for mechanism, text in change.added.items()]
    deletions = [ScramCredentialDeletion(name=user, mechanism=_MECHANISMS[mechanism][0]) for mechanism in change.deleted]
    response = await cluster.ask_controller(AlterUserScramCredentialsRequest(deletions=deletions, upsertions=upsertions))
    for result in response.results:
        raise_refusal(result.error_code, result.error_message)


def _credential(user: str, mechanism: str, text: str) -> ScramCredentialUpsertion:
    number, hash_name = _MECHANISMS[mechanism]
    match = _CREDENTIAL.fullmatch(text)
    if match is None:
        raise ToolError(f"Invalid credential property {mechanism.replace('-', '_')}={text}")
    iterations = _DEFAULT_ITERATIONS if match[1] in (None, "", "-1") else int(match[1])
    if iterations < _FEWEST_ITERATIONS:
        raise ToolError(f"Iterations {iterations} is less than the minimum {_FEWEST_ITERATIONS} required for {mechanism}")
    salt = secrets.token_bytes(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac(hash_name, match[2].encode(), salt, iterations)
    return ScramCredentialUpsertion(name=user, mechanism=number, iterations=iterations, salt=salt, salted_password=salted)
