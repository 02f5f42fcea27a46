"""A stack file's secrets in the form in which AWS describes them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from components.lambdas.notices.age import Declared as Age
from components.rotation import Schedule as Rotation
from program import account_checks
from program.arns import Account, is_cross_account, secret_name
from program.desired import (
    ROTATION_FUNCTION_NAMES,
    SERVERS,
    Desired,
    DesiredSecret,
    administrator_description,
)
from stack_file import Configuration
from stack_file.partners import Partner
from stack_file.secrets import Content


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A declared rotation.

    Attributes:
        days, expression, duration: as in RotationRules; exactly one of the first two is set.
        function_arn: of the operator's own function; None for the stack's.
        function_names: pattern for the names of the stack's functions; None if it cannot be known.
    """

    days: int | None
    expression: str | None
    duration: str | None
    function_arn: str | None
    function_names: str | None


@dataclass(frozen=True, kw_only=True)
class DeclaredSecret:
    """A secret as the stack file declares it.

    Attributes:
        content: JSON object with keys, one text, or binary.
        keys: JSON keys; empty for a text or binary.
        placeholders: key to where its value comes from; the key of a whole value is empty.
        age: what is declared about the age of its value.
        description: regular expression for the whole description.
        description_in_words: the description, for people.
        encryption: `aws-managed`, or the ARN of a KMS key or alias.
        schedule: None if it does not rotate.
        policy: resource policy; None if it has none.
        replicas: region to `aws-managed` or the ARN of a KMS key.
        reads: workload to the keys that it reads; no keys for a whole value.
        partner: the partner whose credentials AWS rotates itself; None for any other secret.
        is_login: whether its keys belong together: a login of a database, cache or mail server.
    """

    name: str
    path: str
    content: Content
    keys: tuple[str, ...]
    placeholders: Mapping[str, str]
    age: Age
    description: str
    description_in_words: str
    tags: Mapping[str, str]
    encryption: str
    schedule: Schedule | None
    policy: Mapping[str, Any] | None
    replicas: Mapping[str, str]
    reads: Mapping[str, tuple[str, ...]]
    partner: Partner | None = None
    is_login: bool = False


# Stands for a whole value, whichever keys it has.
WHOLE = "*"


@dataclass(frozen=True, kw_only=True)
class ExistingSecret:
    """A secret managed outside this stack: workloads read it, or RDS manages it.

    Attributes:
        name: in AWS; the full ARN for a secret of another account.
        path: of its first read in the stack file.
        foreign: whether it is in another account, where it is not queried.
        reads: workload to the keys that it reads, `*` for the whole value.
        rotation_declared: whether the stack file sets its rotation: a master secret of RDS.
        schedule: that rotation; None for never.
    """

    name: str
    path: str
    foreign: bool
    reads: Mapping[str, tuple[str, ...]]
    rotation_declared: bool = False
    schedule: Schedule | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the JSON keys that workloads read."""
        return tuple(dict.fromkeys(key for keys in self.reads.values() for key in keys))


@dataclass(frozen=True, kw_only=True)
class IgnoredTags:
    """Tags that the provider ignores, in addition to AWS's own."""

    keys: frozenset[str]
    prefixes: tuple[str, ...]

    def matches(self, key: str) -> bool:
        """Return whether the provider ignores a tag."""
        return key in self.keys or key.startswith(self.prefixes)


def ignored_tags(configuration: Configuration) -> IgnoredTags:
    """Return the tags that the provider's setting `aws:ignoreTags` names."""
    setting = configuration.values.get("aws:ignoreTags")
    ignored = setting if isinstance(setting, dict) else {}
    return IgnoredTags(
        keys=frozenset(ignored.get("keys") or ()), prefixes=("aws:", *(ignored.get("keyPrefixes") or ()))
    )


def declared_secrets(
    configuration: Configuration, desired: Desired, account: Account, outputs: Mapping[str, Any]
) -> list[DeclaredSecret]:
    """Return all secrets that a stack declares.

    Raises:
        SettingsError: a workload of another account reads a secret that only this account can decrypt.
    """
    account_checks.check(desired, account)
    readers = desired.cross_account_readers(account)
    defaults = configuration.values.get("aws:defaultTags")
    default_tags = defaults.get("tags") or {} if isinstance(defaults, dict) else {}
    stack_key = account.arn("kms", f"alias/{desired.key_alias}")
    names = _function_names(configuration, outputs)
    return [
        DeclaredSecret(
            name=secret.name,
            path=secret.path,
            content=secret.content,
            keys=secret.keys,
            placeholders=secret.placeholders,
            age=_age(secret, desired.stack_file.remind_days),
            **_description(secret),
            tags={**default_tags, **secret.tags, **secret.component_tags(account)},
            encryption=_key(secret.encryption, stack_key),
            schedule=_schedule(secret, names),
            policy=secret.policy(readers.get(secret.name, ())),
            replicas={replica.region: replica.encryption for replica in secret.replicas},
            reads=secret.readers,
            partner=secret.partner,
            is_login=secret.is_login,
        )
        for secret in desired.secrets.values()
    ]


def existing_secrets(desired: Desired, account: Account) -> list[ExistingSecret]:
    """Return the secrets that workloads read and that are managed outside this stack."""
    paths: dict[str, str] = {}
    reads: dict[str, dict[str, tuple[str, ...]]] = {}
    foreign = set()
    for workload in desired.workloads.values():
        for read in workload.existing_reads:
            in_other_account = is_cross_account(read.secret, account)
            name = read.secret if in_other_account else secret_name(read.secret)
            foreign |= {name} if in_other_account else set()
            paths.setdefault(name, desired.path("workloads", workload.name, *read.place))
            keys = reads.setdefault(name, {}).get(workload.name, ())
            key = WHOLE if read.key is None else read.key
            reads[name][workload.name] = tuple(dict.fromkeys([*keys, key]))
    return [
        ExistingSecret(name=name, path=path, foreign=name in foreign, reads=reads[name])
        for name, path in paths.items()
    ]


def _age(secret: DesiredSecret, remind_days: int) -> Age:
    return Age(
        secret.name,
        max_age_days=secret.max_age_days,
        expires=secret.expires,
        hints=secret.placeholders,
        rotates=secret.schedule is not None,
        remind_days=remind_days,
    )


def _key(encryption: str, stack_key: str) -> str:
    return stack_key if encryption == "stack-key" else encryption


def _description(secret: DesiredSecret) -> dict[str, str]:
    if secret.description is None and secret.database is not None and secret.login is None:
        # it holds the host, which only RDS knows for an instance or a cluster
        pattern, words = administrator_description(".+"), administrator_description("its server")
        return {"description": pattern, "description_in_words": words}
    text = secret.description or ""
    return {"description": re.escape(text), "description_in_words": text}


def _function_names(configuration: Configuration, outputs: Mapping[str, Any]) -> str | None:
    servers = [one for section in SERVERS for one in (outputs.get(section) or {}).values()]
    known = {str(one["rotationFunction"]) for one in servers if one.get("rotationFunction")}
    if known:
        return "|".join(re.escape(name) for name in sorted(known)) + "|rotation-function-[0-9a-f]{7}"
    return None if configuration.values.get("pulumi:autonaming") else ROTATION_FUNCTION_NAMES


def _schedule(secret: DesiredSecret, names: str | None) -> Schedule | None:
    if secret.schedule is None:
        return None
    function_names = None if secret.rotated_by == "aws" else names
    return replace(
        schedule_of(secret.schedule), function_arn=secret.function_arn, function_names=function_names
    )


def schedule_of(rotation: Rotation) -> Schedule:
    """Return a schedule as AWS reports it, without its function."""
    return Schedule(
        days=rotation.automatically_after_days,
        expression=rotation.schedule_expression,
        duration=rotation.duration,
        function_arn=None,
        function_names=None,
    )
