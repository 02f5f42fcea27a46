"""Make a login work before its first rotation. A deployment invokes this, not Secrets Manager.

Event:
    Action        "provision"
    SecretId      the secret's ARN
    Connection    any of host, port, dbname, username, masterarn as declared; they must match the secret
    Grants        "read-only" | "read-write" | "owner" | a list of SQL templates
    Username      the declared login; with alternating users, the first of the two
    UserHost      MySQL and MariaDB: the host part of the account; default: "%"
    OwnerRole     PostgreSQL, alternating users: the role that both act as; default: Username + "_owner"
    Schemas       PostgreSQL: the schemas that Grants applies to; default: ["public"]
    CreateSchemas PostgreSQL: true creates missing schemas; otherwise they are an error
    Cache         caches: {"service": "elasticache" | "memorydb", "user": ARN}, or, for an AUTH token,
                  {"service": "elasticache", "replicationGroup": ARN}
    AccessString  cache users: the access string; a user that does not exist is created with it
    UserGroup     cache users: ARN of a user group (MemoryDB: ACL) that the user is added to

Answer:
    {"Roles": [names], "Warnings": [sentences]}; no value of a secret. Roles of a cache: its user, or its
    replication group.

The event may be sent again at any time: it adds what is missing and changes no password that works. A secret
without masterarn gets the declared one, in a new version with the same credentials: rotations need it, and
other functions keep it elsewhere. A cache's secret without a password gets one, which becomes current when it
works.

The Invocation resources of Terraform and Pulumi add a key "tf". One with the lifecycle CRUD also sends the
event at deletion, when there is nothing to do.
"""

import logging
import uuid
from collections.abc import Mapping

from . import store
from .driver import Fields
from .driver_selection import driver_for
from .errors import OperatorError
from .labels import CURRENT, MERGED
from .protocol import (
    ACTION,
    CONNECTION,
    END_SESSIONS,
    ENGINE,
    MASTER_ARN,
    OLD_PASSWORDS,
    PROVISION,
    REHEARSE,
    ROLES,
    SECRET_ID,
    WARNINGS,
)

LOG = logging.getLogger(__name__)

_LIFECYCLE = "tf"


def run(event: Mapping[str, object]) -> Mapping[str, object]:
    """Carry out one request.

    Raises:
        OperatorError: the request was rejected or failed.
    """
    action, arn, lifecycle = event.get(ACTION), event.get(SECRET_ID), event.get(_LIFECYCLE)
    if action != PROVISION:
        raise OperatorError(
            f"{ACTION} is {action!r}, which is not supported. Write {PROVISION!r}, {END_SESSIONS!r}, "
            f"{REHEARSE!r} or {OLD_PASSWORDS!r}."
        )
    if not isinstance(arn, str):
        raise OperatorError(f"{SECRET_ID} is missing from the event. Write the ARN of the secret.")
    if isinstance(lifecycle, Mapping) and lifecycle.get("action") == "delete":
        return {ROLES: [], WARNINGS: []}
    secret = store.describe(arn)
    request = {key: value for key, value in event.items() if key not in {ACTION, SECRET_ID, _LIFECYCLE}}
    administrator = _declared_administrator(request)

    def read(label: str) -> Fields | None:
        fields = store.find(arn, label=label)
        return _with_administrator(fields, administrator) if fields is not None else None

    # without tags, it is the secret's own masterarn that decides
    report = driver_for(secret, store.read(arn, CURRENT)).provision(request, read)
    if administrator:
        _write_administrator(arn, administrator)
    LOG.info("provision: succeeded for secret %s: %s", arn, report)
    return report


def _declared_administrator(request: Mapping[str, object]) -> str | None:
    """Return the declared ARN of the administrator's secret; None if there is none."""
    connection = request.get(CONNECTION)
    found = connection.get(MASTER_ARN) if isinstance(connection, Mapping) else None
    return found if isinstance(found, str) and found else None


def _with_administrator(fields: Fields, administrator: str | None) -> Fields:
    """Return a login's JSON with the declared administrator, unless it names one."""
    if administrator is None or ENGINE not in fields or fields.get(MASTER_ARN):
        return fields
    return {**fields, MASTER_ARN: administrator}


def _write_administrator(arn: str, administrator: str) -> None:
    """Write the declared administrator to the current version, if that names none.

    AWSCURRENT moves only from the version that was read, so that no edit or rotation is lost.
    """
    version = store.describe(arn).version_with(CURRENT)
    fields = store.find(arn, version=version) if version else None
    if version is None or fields is None:
        return
    written = _with_administrator(fields, administrator)
    if written == fields:
        return
    merged = str(uuid.uuid4())
    store.put(arn, merged, written, MERGED, None)
    store.move_current(arn, merged, version)
    LOG.info("provision: secret %s has the declared %s now, with the same credentials", arn, MASTER_ARN)
