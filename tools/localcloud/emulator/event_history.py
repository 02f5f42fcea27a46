"""CloudTrail's event history of Secrets Manager: who called what, with names and never a value.

Every request to Secrets Manager is an event, denied ones included. BatchGetSecretValue is one more event of
GetSecretValue for each secret. A secret of another account is an event in both accounts; its owner learns
the caller's account and id, not its ARN. Events are kept in memory, the newest of each account and region.

Sources: AWS CloudTrail User Guide, "CloudTrail record contents" and "CloudTrail userIdentity element"; AWS
CloudTrail API Reference, LookupEvents; AWS Secrets Manager User Guide, "AWS CloudTrail entries for Secrets
Manager"; AWS Secrets Manager API Reference, BatchGetSecretValue.
"""

import io
import json
import re
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any

from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError
from moto.core.models import DEFAULT_ACCOUNT_ID

from tools.localcloud.emulator import identities
from tools.localcloud.emulator.operations import Environ, Operation
from tools.localcloud.emulator.role_assumption import administrator

_KEPT = 5_000
_PAGE = 50
_SOURCE = "secretsmanager.amazonaws.com"
# AWS records these parameters; SecretString, SecretBinary, descriptions and tags are left out here
_PARAMETERS = (
    "ClientRequestToken",
    "MoveToVersionId",
    "Name",
    "RemoveFromVersionId",
    "SecretId",
    "SecretIdList",
    "VersionId",
    "VersionStage",
)
# those that events of Secrets Manager have: they name no resources
_ATTRIBUTES = {"AccessKeyId", "EventId", "EventName", "EventSource", "ReadOnly", "Username"}
_READS = ("BatchGet", "Describe", "Get", "List", "Validate")
_SECRET_ARN = re.compile(r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:(\d{12}):secret:")
_SESSION = re.compile(r"arn:aws:sts::\d{12}:assumed-role/(?P<role>[^/]+)/(?P<name>[^/]+)")
_ACCESS_KEY = re.compile(r"Credential=([A-Z0-9]{16,})/")


@dataclass(frozen=True)
class _Event:
    """An event, with its place in the history."""

    number: int
    record: Mapping[str, Any]
    moment: float


# account and region to the newest events, oldest first
_HISTORY: dict[tuple[str, str], deque[_Event]] = {}
_NUMBERS = count(1)


def sent(environ: Environ, operation: Operation) -> Mapping[str, Any]:
    """Return the parameters of a request that becomes an event, which may be read again; empty for others."""
    if operation.service != "secretsmanager":
        return {}
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(content)
    return _object(content)


def record(
    environ: Environ, operation: Operation, asked: Mapping[str, Any], status: str, answer: Iterable[bytes]
) -> None:
    """Note a request to Secrets Manager, served or denied; requests to other services are not noted.

    Args:
        environ: the request.
        operation: its name and region.
        asked: from `sent`.
        status: of the answer, such as `200 OK`.
        answer: the body; of a batch, the ARNs of its secrets are read.
    """
    if operation.service != "secretsmanager":
        return
    who = _Caller.of(environ)
    if who is None:
        return
    is_served, is_batch = status.startswith("200"), operation.name == "BatchGetSecretValue"
    body = _object(b"".join(answer)) if is_batch or not is_served else {}
    _note(who, operation, operation.name, asked, "" if is_served else _code(body.get("__type")))
    for one in body.get("SecretValues") or ():
        _note(who, operation, "GetSecretValue", {"SecretId": one["ARN"]}, "")
    for one in body.get("Errors") or ():
        _note(who, operation, "GetSecretValue", {"SecretId": one["SecretId"]}, _code(one["ErrorCode"]))


def _code(of_the_answer: object) -> str:
    """Return an error's code as CloudTrail has it."""
    code = str(of_the_answer)
    return "AccessDenied" if code == "AccessDeniedException" else code


@dataclass(frozen=True)
class _Caller:
    """A caller, in the form of userIdentity."""

    identity: Mapping[str, Any]
    account: str
    access_key: str
    name: str

    @classmethod
    def of(cls, environ: Environ) -> "_Caller | None":
        """Return the caller of a request; None if its credentials are invalid."""
        try:
            found = identities.identity_of(environ)
        except identities.CredentialsError:
            return None
        key = _ACCESS_KEY.search(str(environ.get("HTTP_AUTHORIZATION", "")))
        access_key = key[1] if key else ""
        if found is None:
            account = str(environ.get("HTTP_X_MOTO_ACCOUNT_ID", DEFAULT_ACCOUNT_ID))
            root = administrator(account).caller.arn
            identity = {"type": "Root", "principalId": account, "arn": root, "accountId": account}
            return cls(identity, account, access_key, "root")
        caller, context = found.caller, found.context
        identity = {
            "type": "IAMUser",
            "principalId": _first(context, "aws:userid"),
            "arn": caller.arn,
            "accountId": caller.account,
            "accessKeyId": access_key,
        }
        session = _SESSION.fullmatch(caller.arn)
        if session is None:
            name = _first(context, "aws:username")
            return cls({**identity, "userName": name}, caller.account, access_key, name)
        issuer = {
            "type": "Role",
            "principalId": identity["principalId"].partition(":")[0],
            "arn": _first(context, "aws:principalarn"),
            "accountId": caller.account,
            "userName": session["role"],
        }
        begun = _first(context, "aws:tokenissuetime").replace("+00:00", "Z")
        provider = _first(context, "aws:federatedprovider")
        details = {
            "sessionIssuer": issuer,
            "webIdFederationData": {"federatedProvider": provider, "attributes": {}} if provider else {},
            "attributes": {"creationDate": begun, "mfaAuthenticated": "false"},
        }
        return cls(
            {**identity, "type": "AssumedRole", "sessionContext": details},
            caller.account,
            access_key,
            session["name"],
        )

    def seen_by(self, account: str) -> Mapping[str, Any]:
        """Return what the history of an account says about the caller."""
        if account == self.account:
            return self.identity
        return {
            "type": "AWSAccount",
            "principalId": self.identity["principalId"],
            "accountId": self.account,
        }


def _first(context: Mapping[str, tuple[str, ...]], key: str) -> str:
    return context.get(key, ("",))[0]


def _note(who: _Caller, operation: Operation, name: str, asked: Mapping[str, Any], error: str) -> None:
    moment = time.time()
    parameters = {key[0].lower() + key[1:]: asked[key] for key in _PARAMETERS if asked.get(key) is not None}
    found = _SECRET_ARN.match(str(asked.get("SecretId")))
    owner = found[1] if found else who.account
    accounts = dict.fromkeys((who.account, owner))
    shared = str(uuid.uuid4()) if len(accounts) > 1 else None
    for account in accounts:
        event = {
            "eventVersion": "1.11",
            "userIdentity": who.seen_by(account),
            "eventTime": datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": _SOURCE,
            "eventName": name,
            "awsRegion": operation.region,
            "sourceIPAddress": "127.0.0.1",
            "userAgent": "local-cloud",
            **({"errorCode": error} if error else {}),
            "requestParameters": parameters or None,
            "responseElements": None,
            "requestID": str(uuid.uuid4()),
            "eventID": str(uuid.uuid4()),
            "readOnly": name.startswith(_READS),
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": account,
            **({"sharedEventID": shared} if shared else {}),
            "eventCategory": "Management",
        }
        history = _HISTORY.setdefault((account, operation.region), deque(maxlen=_KEPT))
        history.append(_Event(next(_NUMBERS), event, moment))


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class CloudTrail(CloudTrailResponse):
    """moto's CloudTrail, with an event history."""

    def lookup_events(self) -> str:  # noqa: D102  AWS's operation
        most = self._get_param("MaxResults") or _PAGE
        if not 1 <= int(most) <= _PAGE:
            raise JsonRESTError("InvalidMaxResultsException", "The max results must be between 1 and 50.")
        first, last = self._get_param("StartTime"), self._get_param("EndTime")
        if first is not None and last is not None and first > last:
            raise JsonRESTError("InvalidTimeRangeException", "The start time is after the end time.")
        attributes = self._get_param("LookupAttributes") or []
        if len(attributes) > 1:
            raise JsonRESTError("InvalidLookupAttributesException", "You can specify one lookup attribute.")
        token = self._get_param("NextToken")
        if token is not None and not str(token).isdigit():
            raise JsonRESTError("InvalidNextTokenException", "The token is not valid.")
        matching = self._matching(attributes, first, last, int(token) if token else None)
        page = list(islice(matching, int(most)))
        more = {"NextToken": str(page[-1].number)} if next(matching, None) else {}
        return json.dumps({"Events": [_as_looked_up(event) for event in page], **more})

    def _matching(
        self, attributes: list[dict[str, str]], first: float | None, last: float | None, before: int | None
    ) -> Iterator[_Event]:
        """Yield events, newest first; both times are included, in whole seconds."""
        history = _HISTORY.get((self.current_account, self.region), ())
        for event in reversed(history):
            second = int(event.moment)
            if (
                (before is None or event.number < before)
                and (first is None or second >= int(first))
                and (last is None or second <= int(last))
                and all(_has(event, one["AttributeKey"], one["AttributeValue"]) for one in attributes)
            ):
                yield event


def _has(event: _Event, key: str, value: str) -> bool:
    return key in _ATTRIBUTES and _as_looked_up(event)[key] == value


def _as_looked_up(event: _Event) -> dict[str, Any]:
    record_ = event.record
    identity = record_["userIdentity"]
    session = _SESSION.fullmatch(str(identity.get("arn")))
    return {
        "EventId": record_["eventID"],
        "EventName": record_["eventName"],
        "ReadOnly": str(record_["readOnly"]).lower(),
        "AccessKeyId": identity.get("accessKeyId", ""),
        "EventTime": int(event.moment),
        "EventSource": record_["eventSource"],
        "Username": session["name"] if session else identity.get("userName", ""),
        "Resources": [],
        "CloudTrailEvent": json.dumps(record_),
    }
