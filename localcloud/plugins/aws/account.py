"""The AWS account and region that a provider's configuration leads to."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from localcloud.plugins.resource import Failure
from localcloud.plugins.serve import ProviderError
from localcloud.plugins.values import UNKNOWN, Properties

# Names of services as the official provider's errors spell them.
_SERVICES = {"secretsmanager": "Secrets Manager", "kms": "KMS", "sts": "STS"}
_NO_CREDENTIALS = (
    "No valid credential sources found. Give credentials by aws:profile, AWS_PROFILE, or AWS_ACCESS_KEY_ID "
    "and AWS_SECRET_ACCESS_KEY."
)
# The provider's own switches, which change nothing here.
_ACCEPTED = {
    "skipCredentialsValidation",
    "skipMetadataApiCheck",
    "skipRegionValidation",
    "skipRequestingAccountId",
    "maxRetries",
    "retryMode",
    "version",
}
_UNDERSTOOD = {
    "region",
    "profile",
    "accessKey",
    "secretKey",
    "token",
    "endpoints",
    "allowedAccountIds",
    "forbiddenAccountIds",
    "defaultTags",
}


@dataclass(frozen=True)
class Account:
    """Where calls go. Clients are made once each and shared by all threads."""

    region: str
    default_tags: Mapping[str, str]
    endpoints: Mapping[str, str]
    session: Any
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, service: str, properties: Properties | None = None) -> Any:  # noqa: ANN401  boto3 is untyped
        """The client of a service in the resource's region."""
        from botocore.config import Config  # noqa: PLC0415  loaded when first needed: it takes as long as Python

        region = str((properties or {}).get("region") or self.region)
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self.session.client(
                    service,
                    region_name=region,
                    endpoint_url=self.endpoints.get(service),
                    config=Config(max_pool_connections=128, connect_timeout=10, read_timeout=60),
                )
            return self._clients[service, region]


@contextmanager
def doing(action: str) -> Iterator[None]:
    """Turns an error of AWS into the provider's words; `action` as in `creating Secrets Manager Secret (x)`.

    Raises:
        ProviderError: with the service's error code and message.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  loaded when first needed

    try:
        yield
    except ClientError as error:
        raise ProviderError(f"{action}: {_words(error)}") from None
    except BotoCoreError as error:
        raise ProviderError(f"{action}: {error}") from None


def _words(error: Any) -> str:  # noqa: ANN401  botocore is untyped
    answer, about = error.response.get("ResponseMetadata", {}), error.response.get("Error", {})
    service = _SERVICES.get(getattr(error, "service", ""), "")
    if not service:
        service = "KMS" if error.operation_name in _KMS_OPERATIONS else "Secrets Manager"
    return (
        f"operation error {service}: {error.operation_name}, https response error "
        f"StatusCode: {answer.get('HTTPStatusCode', 0)}, RequestID: {answer.get('RequestId', '')}, "
        f"{about.get('Code', '')}: {about.get('Message', '')}"
    )


def missing(error: Exception, *codes: str) -> bool:
    """Whether an error of botocore says that the object is not there."""
    response: dict[str, Any] = getattr(error, "response", {})
    return response.get("Error", {}).get("Code") in {"ResourceNotFoundException", "NotFoundException", *codes}


def check_config(news: Properties) -> tuple[Properties, list[Failure]]:
    """The configuration with the provider's defaults; unknown keys and a missing region are refused."""
    inputs = dict(news)
    inputs.setdefault("skipRegionValidation", "true")
    region = inputs.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        inputs["region"] = region
    failures = [
        Failure(key, f"the stand-in for the aws plugin does not know the setting aws:{key}")
        for key in sorted(inputs.keys() - _ACCEPTED - _UNDERSTOOD)
    ]
    if not region:
        failures.append(
            Failure(
                "region", "Missing region configuration\nSet it with: pulumi config set aws:region us-east-1"
            )
        )
    return inputs, failures


def _structured(config: Properties, key: str) -> Any:  # noqa: ANN401  any JSON
    value = config.get(key)
    return json.loads(value) if isinstance(value, str) else value


def configure(config: Properties) -> Account:
    """The account, after asking AWS who we are.

    Raises:
        ProviderError: no credentials, AWS refuses them or cannot be reached, or the account is not allowed.
    """
    import boto3  # noqa: PLC0415  loaded when first needed: it takes as long as the rest of the plugin
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  likewise

    if UNKNOWN in config.values():
        raise ProviderError(
            "the provider's configuration is not known yet; its resources cannot be previewed"
        )
    try:
        session = boto3.Session(
            aws_access_key_id=config.get("accessKey"),
            aws_secret_access_key=config.get("secretKey"),
            aws_session_token=config.get("token"),
            profile_name=config.get("profile"),
            region_name=config["region"],
        )
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise ProviderError(f"unable to validate AWS credentials. Details: {error}") from None
    if credentials is None:
        raise ProviderError(_NO_CREDENTIALS)
    endpoints = {
        service: url for given in _structured(config, "endpoints") or [] for service, url in given.items()
    }
    tags = (_structured(config, "defaultTags") or {}).get("tags") or {}
    account = Account(str(config["region"]), tags, endpoints, session)
    try:
        identity = account.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise ProviderError(f"unable to validate AWS credentials. Details: {error}") from None
    _check_account(config, identity["Account"])
    return account


def _check_account(config: Properties, number: str) -> None:
    allowed = _structured(config, "allowedAccountIds")
    forbidden = _structured(config, "forbiddenAccountIds")
    if (allowed and number not in map(str, allowed)) or number in map(str, forbidden or []):
        raise ProviderError(f"AWS account ID not allowed: {number}")


_KMS_OPERATIONS = {
    "CreateAlias",
    "CreateKey",
    "DeleteAlias",
    "DescribeKey",
    "DisableKey",
    "DisableKeyRotation",
    "EnableKey",
    "EnableKeyRotation",
    "GetKeyPolicy",
    "GetKeyRotationStatus",
    "ListAliases",
    "ListResourceTags",
    "PutKeyPolicy",
    "ScheduleKeyDeletion",
    "UpdateAlias",
    "UpdateKeyDescription",
}
