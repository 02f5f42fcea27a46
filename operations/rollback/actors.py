"""Look up who put a secret's versions and made them current, as far as CloudTrail has it.

LookupEvents finds management events of the last 90 days. It cannot look up a secret: events of Secrets
Manager list no resources. So it is asked for names of events, and those of other secrets are left out.

Sources: AWS CloudTrail API Reference, LookupEvents (two requests per second; 50 events each); AWS Secrets
Manager User Guide, "CloudTrail entries".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.rollback.history import CURRENT, Secret
from operations.status.errors import code_of, denial, is_denied

LOOKUP = "cloudtrail:LookupEvents"
_PUTTING, _MOVING = ("PutSecretValue", "RotateSecret"), "UpdateSecretVersionStage"
_SOURCE = "secretsmanager.amazonaws.com"
_PAGES, _EVENTS = 4, 50


@dataclass(frozen=True, kw_only=True)
class Actors:
    """The principals that changed a secret.

    Attributes:
        put: id of a version to the ARN of who put it, or started the rotation that did.
        made_current: id of a version to the ARN of who last moved AWSCURRENT to it.
        gap: a sentence about what is not known; empty if CloudTrail was read completely.
    """

    put: Mapping[str, str] = field(default_factory=dict)
    made_current: Mapping[str, str] = field(default_factory=dict)
    gap: str = ""


def actors(client: Any, secret: Secret) -> Actors:  # noqa: ANN401  boto3 is untyped
    """Return who changed a secret; without the permission, or without CloudTrail, nobody is known.

    Args:
        client: of CloudTrail; it calls LookupEvents.
        secret: with its versions.
    """
    put: dict[str, str] = {}
    made_current: dict[str, str] = {}
    since = min((version.created for version in secret.versions), default=None)
    is_complete = True
    try:
        for name in (*_PUTTING, _MOVING):
            request: dict[str, Any] = {
                "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
                "MaxResults": _EVENTS,
                **({"StartTime": since} if since else {}),
            }
            for _ in range(_PAGES):
                page = client.lookup_events(**request)
                for event in page.get("Events", []):
                    _note(event, secret, put, made_current)
                request["NextToken"] = page.get("NextToken")
                if not request["NextToken"]:
                    break
            else:
                is_complete = False
    except ClientError as error:
        if is_denied(error):
            return Actors(gap=f"{denial(LOOKUP)}, so who put them is not shown.")
        return Actors(gap=f"CloudTrail answered with {code_of(error)}, so who put them is not shown.")
    except BotoCoreError:
        return Actors(gap="CloudTrail did not answer, so who put them is not shown.")
    read = f"CloudTrail has more events than the newest {_PAGES * _EVENTS}, which were read."
    gap = "" if is_complete else read
    return Actors(put=put, made_current=made_current, gap=gap)


def _note(
    event: Mapping[str, Any], secret: Secret, put: dict[str, str], made_current: dict[str, str]
) -> None:
    """Note who did an event of this secret; events come newest first."""
    try:
        record = json.loads(event.get("CloudTrailEvent", ""))
    except ValueError:
        return
    if not isinstance(record, dict) or record.get("eventSource") != _SOURCE or record.get("errorCode"):
        return
    request, response = (record.get(part) or {} for part in ("requestParameters", "responseElements"))
    secret_id = response.get("arn") or response.get("ARN") or request.get("secretId")
    if secret_id not in {secret.arn, secret.arn.rpartition("-")[0], secret.name}:
        return
    identity = record.get("userIdentity") or {}
    who = str(identity.get("arn") or identity.get("invokedBy") or identity.get("type") or "unknown")
    if record.get("eventName") in _PUTTING:
        put.setdefault(str(request.get("clientRequestToken") or response.get("versionId")), who)
    elif request.get("versionStage") == CURRENT:
        made_current.setdefault(str(request.get("moveToVersionId")), who)
