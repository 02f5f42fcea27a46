"""The provider's configuration: what is accepted, and the account that it leads to.

Texts are those of the official provider as far as they are short (pulumi-aws `provider/resources.go` and
`provider/errors`, terraform-provider-aws `internal/conns/config.go`, aws-sdk-go-base `awsbase`); what to do
about it is said in our own words.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tools.localcloud.plugins.aws.account import Account, words
from tools.localcloud.plugins.property_types import Failure
from tools.localcloud.plugins.serve import ProviderError
from tools.localcloud.plugins.values import UNKNOWN, Properties, Secret

_SECRET_KEYS = {"accessKey", "secretKey", "token"}
_UNDERSTOOD = _SECRET_KEYS | {
    "allowedAccountIds",
    "assumeRoles",
    "defaultTags",
    "endpoints",
    "forbiddenAccountIds",
    "maxRetries",
    "profile",
    "region",
    "sharedConfigFiles",
    "sharedCredentialsFiles",
    "skipCredentialsValidation",
    "skipMetadataApiCheck",
    "skipRegionValidation",
    "skipRequestingAccountId",
    "version",
}
# The official provider's other settings. These may be given, because they change nothing here.
_WITHOUT_EFFECT = {
    "insecure",
    "retryMode",
    "s3UsEast1RegionalEndpoint",
    "s3UsePathStyle",
    "tagPolicyCompliance",
    "tokenBucketRateLimiterCapacity",
    "userAgents",
}
_NOT_IMPLEMENTED = {
    "assumeRoleWithWebIdentity",
    "customCaBundle",
    "ec2MetadataServiceEndpoint",
    "ec2MetadataServiceEndpointMode",
    "httpProxy",
    "httpsProxy",
    "ignoreTags",
    "noProxy",
    "stsRegion",
    "useDualstackEndpoint",
    "useFipsEndpoint",
}
_NO_CREDENTIALS = (
    "No valid credential sources found.\nGive credentials by aws:profile, AWS_PROFILE, or AWS_ACCESS_KEY_ID "
    "and AWS_SECRET_ACCESS_KEY."
)
_INVALID_CREDENTIALS = (
    "The configured AWS credentials are invalid or have expired.\nRenew them, or name others by aws:profile, "
    "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
)
_NO_REGION = (
    "Missing region information\nMake sure you have set your AWS region, e.g. "
    "`pulumi config set aws:region us-west-2`."
)
_REFUSED_CREDENTIALS = {"InvalidClientTokenId", "UnrecognizedClientException", "ExpiredToken"}


class ConfigurationError(ProviderError):
    """The configuration leads to no account."""


@dataclass(frozen=True)
class Identity:
    """An account, and its number, or None if the configuration says not to ask for it."""

    account: Account
    number: str | None


def check_config(news: Properties) -> tuple[Properties, list[Failure]]:
    """Return the configuration with the provider's defaults, and why it is refused.

    The credentials are tried here, before any resource is looked at, unless the configuration says not to.
    """
    inputs = dict(news)
    inputs.setdefault("skipRegionValidation", "true")
    region = inputs.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        inputs["region"] = region
    failures = [Failure("", reason) for key in sorted(inputs) if (reason := _refusal_of_key(key))]
    if not region:
        failures.append(Failure("", _NO_REGION))
    if not failures and UNKNOWN not in inputs.values() and not _is_set(inputs, "skipCredentialsValidation"):
        try:
            _identity(inputs)
        except ConfigurationError as error:
            failures.append(Failure("", str(error)))
    for key in _SECRET_KEYS & inputs.keys():
        inputs[key] = Secret(inputs[key])
    return inputs, failures


def _refusal_of_key(key: str) -> str | None:
    if key in _UNDERSTOOD | _WITHOUT_EFFECT:
        return None
    if key in _NOT_IMPLEMENTED:
        return (
            f"the local stand-in for the aws plugin does not implement the setting aws:{key}; run with "
            "PULUMI_PLUGINS=official"
        )
    known = _UNDERSTOOD | _WITHOUT_EFFECT | _NOT_IMPLEMENTED
    near = get_close_matches(key, known - {"version"}, n=1, cutoff=0.8)
    meant = f" Did you mean `aws:{near[0]}`?" if near else ""
    return (
        f"`aws:{key}` is not a valid configuration key for the aws provider.{meant} If the referenced key is "
        "not intended for the provider, please choose a different namespace from `aws:`."
    )


def configure(config: Properties) -> Account:
    """Return the account.

    Raises:
        ConfigurationError: AWS refuses the credentials or cannot be reached, or the account is not allowed.
    """
    found = _identity(config)
    allowed = _structured(config, "allowedAccountIds") or []
    forbidden = _structured(config, "forbiddenAccountIds") or []
    number = found.number or ""
    if number in map(str, forbidden) or (allowed and number not in map(str, allowed)):
        raise ConfigurationError(f"AWS account ID not allowed: {number}")
    return found.account


def _structured(config: Properties, key: str) -> Any:  # noqa: ANN401  any JSON
    """Return a setting that is a list or an object, which the engine sends as JSON text."""
    value = config.get(key)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise ConfigurationError(f"aws:{key} must be a list or an object") from None


def _is_set(config: Properties, key: str) -> bool:
    variable = {
        "skipCredentialsValidation": "AWS_SKIP_CREDENTIALS_VALIDATION",
        "skipMetadataApiCheck": "AWS_SKIP_METADATA_API_CHECK",
    }
    value = config.get(key, os.environ.get(variable.get(key, ""), ""))
    return str(value).lower() in {"true", "1", "t"}


def _identity(config: Properties) -> Identity:
    """Return the account, after asking AWS who we are.

    Raises:
        ConfigurationError: there are no credentials, AWS refuses them, or it cannot be reached.
    """
    if _is_set(config, "skipMetadataApiCheck"):
        os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    for key, variable in (
        ("sharedConfigFiles", "AWS_CONFIG_FILE"),
        ("sharedCredentialsFiles", "AWS_SHARED_CREDENTIALS_FILE"),
    ):
        for path in (_structured(config, key) or [])[:1]:
            os.environ[variable] = path
    with _worded():
        account = _account(config)
        if account.session.get_credentials() is None:
            raise ConfigurationError(_NO_CREDENTIALS)
        for role in _structured(config, "assumeRoles") or []:
            account = _in_role(account, role)
        if _is_set(config, "skipCredentialsValidation") and _is_set(config, "skipRequestingAccountId"):
            return Identity(account, None)
        return Identity(account, account.client("sts").get_caller_identity()["Account"])


@contextmanager
def _worded() -> Iterator[None]:
    from botocore.exceptions import (  # noqa: PLC0415  loaded when first needed: it takes as long as Python
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
    )
    from botocore.parsers import ResponseParserError  # noqa: PLC0415  likewise

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError):
        raise ConfigurationError(_NO_CREDENTIALS) from None
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _REFUSED_CREDENTIALS:
            raise ConfigurationError(_INVALID_CREDENTIALS) from None
        raise ConfigurationError(_unable(f"retrieving caller identity from STS: {words(error)}")) from None
    except (BotoCoreError, ResponseParserError) as error:
        raise ConfigurationError(_unable(words(error))) from None


def _unable(details: str) -> str:
    return f"unable to validate AWS credentials.\nDetails: validating provider credentials: {details}"


def _account(config: Properties) -> Account:
    import boto3  # noqa: PLC0415  loaded when first needed: it takes as long as the rest of the plugin

    session = boto3.Session(
        aws_access_key_id=config.get("accessKey"),
        aws_secret_access_key=config.get("secretKey"),
        aws_session_token=config.get("token"),
        profile_name=config.get("profile"),
        region_name=config["region"],
    )
    if config.get("skipRegionValidation") in {"false", False}:
        partition = session.get_partition_for_region(config["region"])
        if config["region"] not in session.get_available_regions("sts", partition):
            raise ConfigurationError(f"invalid AWS Region: {config['region']}")
    endpoints = {
        service: url for given in _structured(config, "endpoints") or [] for service, url in given.items()
    }
    options: dict[str, Any] = {}
    if config.get("maxRetries"):
        options["retries"] = {"mode": "standard", "total_max_attempts": int(config["maxRetries"])}
    tags = (_structured(config, "defaultTags") or {}).get("tags") or {}
    return Account(str(config["region"]), tags, endpoints, session, options)


def _in_role(account: Account, role: Mapping[str, Any]) -> Account:
    """Return the same account's clients with the credentials of a role."""
    import boto3  # noqa: PLC0415  loaded when first needed: it takes as long as the rest of the plugin
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  likewise

    names = {
        "externalId": "ExternalId",
        "policy": "Policy",
        "sessionName": "RoleSessionName",
        "sourceIdentity": "SourceIdentity",
    }
    request = {there: role[here] for here, there in names.items() if role.get(here)}
    request.setdefault("RoleSessionName", "localcloud")
    try:
        given = account.client("sts").assume_role(RoleArn=role.get("roleArn"), **request)["Credentials"]
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(
            f"Cannot assume IAM Role. IAM Role ({role.get('roleArn')}) cannot be assumed.\n\n"
            f"Error: {words(error)}"
        ) from None
    session = boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        region_name=account.region,
    )
    return Account(account.region, account.default_tags, account.endpoints, session, account.options)
