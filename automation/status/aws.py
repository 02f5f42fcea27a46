"""What AWS says of secrets, their keys and rotation functions; never a value.

DescribeSecret is asked for each secret by its name: ListSecrets may be five minutes late, tells nothing of
replicas, and cannot be allowed for some secrets alone. The quotas of an account in a region are 10,000
requests a second for DescribeSecret (together with GetSecretValue), and 50 for GetResourcePolicy.

Sources: AWS Secrets Manager API Reference; User Guide, "AWS Secrets Manager quotas".
"""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from automation.status.errors import cannot_ask, code_of, is_denied

AlarmState: TypeAlias = Literal["OK", "INSUFFICIENT_DATA", "ALARM"]

_DESCRIBE = "secretsmanager:DescribeSecret"
_POLICY = "secretsmanager:GetResourcePolicy"
_VERSIONS = "secretsmanager:ListSecretVersionIds"
_KEY = "kms:DescribeKey"
_ALARMS = "cloudwatch:DescribeAlarmsForMetric"
_AT_ONCE = 16
_ALARM_STATES: tuple[AlarmState, ...] = ("OK", "INSUFFICIENT_DATA", "ALARM")

_NOT_FOUND = {
    "DBClusterNotFoundFault",
    "DBInstanceNotFound",
    "DBInstanceNotFoundFault",
    "NotFoundException",
    "ResourceNotFoundException",
}

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, and where."""

    account_id: str
    partition: str
    arn: str


@dataclass(frozen=True, kw_only=True)
class Denied:
    """AWS did not say, because the caller may not do this."""

    action: str


@dataclass(frozen=True, kw_only=True)
class Key:
    """A KMS key; `usable` unless it is disabled, waits for its deletion or is not there."""

    arn: str
    state: str

    @property
    def usable(self) -> bool:
        """Whether it decrypts."""
        # while an external key store or an import is under way, the state is another one
        return self.state in {"Enabled", "Updating"}


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """The worst of a function's error alarms; `state` is None where there is none."""

    state: AlarmState | None
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What AWS says of one secret.

    Attributes:
        described: DescribeSecret's answer; None if there is no such secret.
        policy: its resource policy; None without one, or where nobody asked.
        policy_asked: whether anybody did.
    """

    described: Mapping[str, Any] | Denied | None
    policy: Mapping[str, Any] | Denied | None = None
    policy_asked: bool = False


@dataclass(frozen=True)
class Asking:
    """A session of boto3 in one region. Every method raises CannotAskError for what is no plain denial."""

    region: str
    session: Any

    def caller(self) -> Caller:
        """Who asks; fails soon where there is no network."""
        client = self.client("sts", attempts=2)
        try:
            found = client.get_caller_identity()
        except (BotoCoreError, ClientError) as error:
            raise cannot_ask(error, "sts:GetCallerIdentity") from None
        arn = str(found["Arn"])
        return Caller(account_id=str(found["Account"]), partition=arn.split(":")[1], arn=arn)

    def client(self, service: str, attempts: int = 8) -> Any:  # noqa: ANN401  boto3 makes its types at run time
        """A client of its own, which slows down when AWS throttles it."""
        config = Config(
            connect_timeout=5,
            read_timeout=20,
            max_pool_connections=_AT_ONCE,
            retries={"mode": "adaptive", "total_max_attempts": attempts},
        )
        try:
            return self.session.client(service, region_name=self.region, config=config)
        except (BotoCoreError, ValueError) as error:  # the latter for an endpoint that is no address
            raise cannot_ask(error, service) from None

    @property
    def on_aws(self) -> bool:
        """Whether Secrets Manager is AWS's own, and not an emulated one."""
        host = urlsplit(self.client("secretsmanager").meta.endpoint_url).hostname or ""
        return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))

    def each(self, items: Iterable[str], ask: Callable[[str], Answer]) -> dict[str, Answer]:
        """Ask for several things at a time; the first failure ends it."""
        return _each(items, ask)

    def asked(self, action: str, ask: Callable[[], Answer]) -> Answer | Denied | None:
        """Return the answer; None where there is no such thing."""
        return _asked(action, ask)

    def secrets(self, names: Iterable[str], *, policies: bool) -> dict[str, Found]:
        """Name to what there is; all at once."""
        client = self.client("secretsmanager")
        slowly = self.client("secretsmanager")  # its own pace: what throttles it shall not slow the other

        def find(name: str) -> Found:
            described = _asked(_DESCRIBE, lambda: client.describe_secret(SecretId=name))
            if described is None or isinstance(described, Denied) or not policies:
                return Found(described=described)
            if described.get("DeletedDate"):  # AWS tells nothing more of it
                return Found(described=described)
            asked = _asked(_POLICY, lambda: slowly.get_resource_policy(SecretId=described["ARN"]))
            return Found(described=described, policy=_document(asked), policy_asked=True)

        return _each(names, find)

    def versions(self, arns: Iterable[str]) -> dict[str, Mapping[str, datetime] | Denied]:
        """ARN to when each version that has a value and a label was made."""
        client = self.client("secretsmanager")

        def dates(arn: str) -> Mapping[str, datetime] | Denied:
            # those with labels alone, of which a secret has 20 at the most: never more than one page
            found = _asked(
                _VERSIONS, lambda: client.list_secret_version_ids(SecretId=arn, MaxResults=100)["Versions"]
            )
            if isinstance(found, Denied):
                return found
            return {str(version["VersionId"]): version["CreatedDate"] for version in found or ()}

        return _each(arns, dates)

    def keys(self, identifiers: Iterable[str]) -> dict[str, Key | Denied]:
        """Id or ARN of a key or alias to the key."""
        client = self.client("kms")

        def key(identifier: str) -> Key | Denied:
            found = _asked(_KEY, lambda: client.describe_key(KeyId=identifier)["KeyMetadata"])
            if isinstance(found, Denied):
                return found
            if found is None:
                return Key(arn=identifier, state="not there")
            return Key(arn=str(found["Arn"]), state=str(found["KeyState"]))

        return _each(identifiers, key)

    def alarms(self, functions: Iterable[str]) -> dict[str, Alarm | Denied]:
        """ARN of a function to its error alarms.

        Source: AWS Lambda Developer Guide, "Types of metrics for Lambda functions".
        """
        client = self.client("cloudwatch")

        def alarm(arn: str) -> Alarm | Denied:
            dimensions = [{"Name": "FunctionName", "Value": arn.split(":")[6]}]
            found = _asked(
                _ALARMS,
                lambda: client.describe_alarms_for_metric(
                    Namespace="AWS/Lambda", MetricName="Errors", Dimensions=dimensions
                )["MetricAlarms"],
            )
            if isinstance(found, Denied):
                return found
            # an emulator may answer with the alarms of all functions
            ours = [known for known in found or () if known.get("Dimensions") == dimensions]
            states = {_ALARM_STATES.index(known["StateValue"]): known for known in ours}
            if not states:
                return Alarm(state=None)
            worst = max(states)
            return Alarm(state=_ALARM_STATES[worst], since=states[worst].get("StateUpdatedTimestamp"))

        return _each(functions, alarm)


def asking(region: str) -> Asking:
    """With the credentials of the environment.

    Raises:
        CannotAskError: AWS_PROFILE names a profile that is not there.
    """
    try:
        return Asking(region, boto3.session.Session())
    except BotoCoreError as error:
        raise cannot_ask(error, "no operation yet") from None


def _each(items: Iterable[str], ask: Callable[[str], Answer]) -> dict[str, Answer]:
    """Several at a time; the first failure ends it."""
    wanted = list(dict.fromkeys(items))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        try:
            return dict(zip(wanted, threads.map(ask, wanted), strict=True))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _asked(action: str, ask: Callable[[], Answer]) -> Answer | Denied | None:
    """The answer; None where there is no such thing.

    Raises:
        CannotAskError: AWS did not answer, and did not deny it.
    """
    try:
        return ask()
    except ClientError as error:
        if code_of(error) in _NOT_FOUND:
            return None
        if is_denied(error):
            return Denied(action=action)
        raise cannot_ask(error, action) from None
    except BotoCoreError as error:
        raise cannot_ask(error, action) from None


def _document(asked: Mapping[str, Any] | Denied | None) -> Mapping[str, Any] | Denied | None:
    if asked is None or isinstance(asked, Denied):
        return asked
    text = asked.get("ResourcePolicy")
    return dict(json.loads(text)) if text else None
