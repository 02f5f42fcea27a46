"""Queries about secrets, their KMS keys and their rotation functions; never for a value.

Each secret takes one DescribeSecret: ListSecrets may lag five minutes behind, omits replicas, and cannot be
granted for single secrets. Quotas of an account in one region: 10,000 requests per second for DescribeSecret
(shared with GetSecretValue), 50 for GetResourcePolicy (shared with requests that change policies), 50 for
ListSecretVersionIds. On AWS, requests of the slow kinds are spaced below their quota, so that they do not
throttle an update in the same account; a client also slows down when AWS throttles it.

Sources: AWS Secrets Manager API Reference; User Guide, "AWS Secrets Manager quotas".
"""

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from operations.status.errors import is_denied, is_not_found, query_error
from operations.status.model import AlarmState
from operations.threads import mapped

DESCRIBE = "secretsmanager:DescribeSecret"
_POLICY = "secretsmanager:GetResourcePolicy"
_VERSIONS = "secretsmanager:ListSecretVersionIds"
_KEY = "kms:DescribeKey"
_ALARMS = "cloudwatch:DescribeAlarmsForMetric"
_LOG = "logs:FilterLogEvents"
_MOST_PAGES = 50
_THREADS = 16
# a second, on AWS: four fifths of the quotas of GetResourcePolicy and ListSecretVersionIds
_SLOW_REQUESTS = 40.0
# In CloudTrail. Otherwise botocore composes it twice for each request, a quarter of its CPU time.
_USER_AGENT = f"aws-secrets-status Botocore/{botocore.__version__}"
# best first
_ALARM_STATES: tuple[AlarmState, ...] = ("OK", "INSUFFICIENT_DATA", "ALARM")

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The identity behind the credentials."""

    account_id: str
    partition: str
    arn: str


@dataclass(frozen=True, kw_only=True)
class Denied:
    """The answer to a request for which the caller lacks the permission."""

    action: str


@dataclass(frozen=True, kw_only=True)
class KmsKey:
    """A KMS key, with KMS's name for its state."""

    arn: str
    state: str

    @property
    def usable(self) -> bool:
        """Return whether the key decrypts: it exists and is neither disabled nor pending deletion."""
        # a key that is being imported, or whose external key store is unavailable, has another state
        return self.state in {"Enabled", "Updating"}


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """The worst error alarm of a function; `state` is None if the function has no alarm."""

    state: AlarmState | None
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Log:
    """Events of a log group: their times in milliseconds since 1970, and their texts."""

    events: tuple[tuple[int, str], ...]
    is_complete: bool


@dataclass(frozen=True, kw_only=True)
class AwsSecret:
    """A secret as AWS describes it.

    Attributes:
        described: the response of DescribeSecret; None if the secret does not exist.
        policy: the resource policy; None if there is none or it was not requested.
        policy_requested: whether the resource policy was requested.
    """

    described: Mapping[str, Any] | Denied | None
    policy: Mapping[str, Any] | Denied | None = None
    policy_requested: bool = False


@dataclass(frozen=True)
class AwsSession:
    """A boto3 session in one region. Every method raises QueryError on failures other than denials."""

    region: str
    session: Any

    def caller(self) -> Caller:
        """Return the caller's identity; fails within seconds if there is no network."""
        client = self.client("sts", attempts=2)
        try:
            identity = client.get_caller_identity()
        except (BotoCoreError, ClientError) as error:
            raise query_error(error, "sts:GetCallerIdentity") from None
        arn = str(identity["Arn"])
        return Caller(account_id=str(identity["Account"]), partition=arn.split(":")[1], arn=arn)

    def client(self, service: str, attempts: int = 8) -> Any:  # noqa: ANN401  boto3 makes its types at run time
        """Return a new client, which slows down when AWS throttles it."""
        config = Config(
            connect_timeout=5,
            read_timeout=20,
            max_pool_connections=_THREADS,
            user_agent=_USER_AGENT,
            retries={"mode": "adaptive", "total_max_attempts": attempts},
        )
        try:
            return self.session.client(service, region_name=self.region, config=config)
        except (BotoCoreError, ValueError) as error:  # ValueError for an invalid AWS_ENDPOINT_URL
            raise query_error(error, service) from None

    @property
    def on_aws(self) -> bool:
        """Return whether Secrets Manager is AWS's own, not an emulator."""
        return _is_aws(self.client("secretsmanager"))

    def each(self, items: Iterable[str], query: Callable[[str], Answer]) -> dict[str, Answer]:
        """Run a query for each item, in parallel; the first failure ends all."""
        return _each(items, query)

    def call(self, action: str, request: Callable[[], Answer]) -> Answer | Denied | None:
        """Return the response to a request; None if the resource does not exist."""
        return _call(action, request)

    def secrets(self, names: Iterable[str], *, policies: bool) -> dict[str, AwsSecret]:
        """Return every secret by its name, queried in parallel."""
        client = self.client("secretsmanager")
        # a client of its own: throttled policy requests must not slow down the others
        policy_client = self.client("secretsmanager")
        pace = _pace_of(policy_client)

        def secret(name: str) -> AwsSecret:
            described = _call(DESCRIBE, lambda: client.describe_secret(SecretId=name))
            if described is None or isinstance(described, Denied) or not policies:
                return AwsSecret(described=described)
            if described.get("DeletedDate"):  # AWS rejects every other request about it
                return AwsSecret(described=described)
            pace.wait()
            response = _call(_POLICY, lambda: policy_client.get_resource_policy(SecretId=described["ARN"]))
            return AwsSecret(described=described, policy=_document(response), policy_requested=True)

        return _each(names, secret)

    def versions(self, arns: Iterable[str]) -> dict[str, Mapping[str, datetime] | Denied]:
        """Return by ARN the creation dates of the versions that have a value and a staging label."""
        client = self.client("secretsmanager")
        pace = _pace_of(client)

        def dates(arn: str) -> Mapping[str, datetime] | Denied:
            pace.wait()
            # only labelled versions; a secret has at most 20 labels, so one page holds them all
            versions = _call(
                _VERSIONS, lambda: client.list_secret_version_ids(SecretId=arn, MaxResults=100)["Versions"]
            )
            if isinstance(versions, Denied):
                return versions
            return {str(version["VersionId"]): version["CreatedDate"] for version in versions or ()}

        return _each(arns, dates)

    def keys(self, identifiers: Iterable[str]) -> dict[str, KmsKey | Denied]:
        """Return the keys by the identifiers given: an id, or the ARN of a key or an alias."""
        client = self.client("kms")

        def key(identifier: str) -> KmsKey | Denied:
            metadata = _call(_KEY, lambda: client.describe_key(KeyId=identifier)["KeyMetadata"])
            if isinstance(metadata, Denied):
                return metadata
            if metadata is None:
                return KmsKey(arn=identifier, state="does not exist")
            return KmsKey(arn=str(metadata["Arn"]), state=str(metadata["KeyState"]))

        return _each(identifiers, key)

    def alarms(self, functions: Iterable[str]) -> dict[str, Alarm | Denied]:
        """Return the worst error alarm of every function by its ARN.

        Source: AWS Lambda Developer Guide, "Types of metrics for Lambda functions".
        """
        client = self.client("cloudwatch")

        def alarm(arn: str) -> Alarm | Denied:
            dimensions = [{"Name": "FunctionName", "Value": arn.split(":")[6]}]
            alarms = _call(
                _ALARMS,
                lambda: client.describe_alarms_for_metric(
                    Namespace="AWS/Lambda", MetricName="Errors", Dimensions=dimensions
                )["MetricAlarms"],
            )
            if isinstance(alarms, Denied):
                return alarms
            # an emulator may return the alarms of all functions
            own = [one for one in alarms or () if one.get("Dimensions") == dimensions]
            states = {_ALARM_STATES.index(one["StateValue"]): one for one in own}
            if not states:
                return Alarm(state=None)
            worst = max(states)
            return Alarm(state=_ALARM_STATES[worst], since=states[worst].get("StateUpdatedTimestamp"))

        return _each(functions, alarm)

    def log(self, arguments: Mapping[str, object]) -> "Log | Denied | None":
        """Return the events of a log group that FilterLogEvents selects; None if the group does not exist.

        Pages may be empty, so their number is bounded, not that of the events.
        """
        client = self.client("logs")
        events: list[tuple[int, str]] = []
        token: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = _call(_LOG, lambda: client.filter_log_events(**arguments, **token))  # noqa: B023  called now
            if page is None or isinstance(page, Denied):
                return page
            events += [(int(one["timestamp"]), str(one["message"])) for one in page.get("events", ())]
            if not page.get("nextToken"):
                return Log(events=tuple(events), is_complete=True)
            token = {"nextToken": str(page["nextToken"])}
        return Log(events=tuple(events), is_complete=False)


class Pace:
    """Spaces the requests of all threads evenly over time."""

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval, self._clock, self._sleep = 1 / per_second, clock, sleep
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may be sent."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._interval
        if turn > now:
            self._sleep(turn - now)


def _pace_of(client: Any) -> Pace:  # noqa: ANN401  boto3 makes its types at run time
    """Return the pace of slow requests; an emulator has no quota."""
    return Pace(_SLOW_REQUESTS if _is_aws(client) else math.inf)


def _is_aws(client: Any) -> bool:  # noqa: ANN401  as above
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


def connect(region: str) -> AwsSession:
    """Return a session with the environment's credentials.

    Raises:
        QueryError: AWS_PROFILE names a profile that does not exist.
    """
    try:
        return AwsSession(region, boto3.session.Session())
    except BotoCoreError as error:
        raise query_error(error, "credentials") from None


def _each(items: Iterable[str], query: Callable[[str], Answer]) -> dict[str, Answer]:
    unique = list(dict.fromkeys(items))
    return dict(zip(unique, mapped(query, unique, _THREADS), strict=True))


def _call(action: str, request: Callable[[], Answer]) -> Answer | Denied | None:
    """Return the response; None if the resource does not exist.

    Raises:
        QueryError: the request failed for another reason than a missing permission.
    """
    try:
        return request()
    except ClientError as error:
        if is_not_found(error):
            return None
        if is_denied(error):
            return Denied(action=action)
        raise query_error(error, action) from None
    except BotoCoreError as error:
        raise query_error(error, action) from None


def _document(response: Mapping[str, Any] | Denied | None) -> Mapping[str, Any] | Denied | None:
    if response is None or isinstance(response, Denied):
        return response
    text = response.get("ResourcePolicy")
    return dict(json.loads(text)) if text else None
