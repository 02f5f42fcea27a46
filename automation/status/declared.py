"""What a stack file declares, in the form in which AWS tells it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from automation.status.readers import reads_of
from components import rotation_tags
from components.postgres_login import PostgresLoginArgs
from program import rotations, workloads
from program.existing_secrets import is_foreign, name_of
from program.making import Account, chosen, key_alias, policy_of, tags_of
from settings import Checked, Configuration, StackFile
from settings import rotation as declared_rotation
from settings.databases import Database, Login
from settings.mistakes import path_of
from settings.partners import Partner
from settings.secrets import Content, Secret
from settings.stack_secrets import StackSecret, stack_secrets

# The logical names that program/rotations.py gives, with the suffix that Pulumi gives to physical ones.
_OUR_FUNCTION = r"rotation(-[0-9a-f]{8})?-function-[0-9a-f]{7}"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A rotation that is declared.

    Attributes:
        days, expression, duration: as RotationRules takes them; one of the first two.
        function_arn: of a function of the operator's own; None for the stack's.
        function_names: pattern of the names of the stack's own functions; None where it cannot be known.
    """

    days: int | None
    expression: str | None
    duration: str | None
    function_arn: str | None
    function_names: str | None


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A secret as it is declared.

    Attributes:
        content: whether it has keys, or is one text or binary.
        keys: none unless it has keys.
        placeholders: key to where a person gets its value; the whole value has an empty one.
        description: pattern that the whole of it matches.
        encryption: `aws-managed`, or the ARN of a KMS key or alias.
        replicas: region to `aws-managed` or the ARN of a KMS key.
        reads: workload to the keys that it reads; none of a whole value.
        partner: whose credentials AWS rotates itself.
    """

    name: str
    path: str
    content: Content
    keys: tuple[str, ...]
    placeholders: Mapping[str, str]
    description: str
    description_in_words: str
    tags: Mapping[str, str]
    encryption: str
    schedule: Schedule | None
    policy: Mapping[str, Any] | None
    replicas: Mapping[str, str]
    reads: Mapping[str, tuple[str, ...]]
    partner: Partner | None = None


# In the place of a key: all keys, whichever the secret has.
WHOLE = "*"


@dataclass(frozen=True, kw_only=True)
class Existing:
    """A secret that workloads read or RDS manages, and the stack does not make.

    Attributes:
        name: in AWS; the full ARN of one of another account.
        path: of the first read in the stack file.
        foreign: it is in another account, and AWS is not asked for it.
        reads: workload to the keys that it reads, or `*` for the whole.
        rotation_declared: the stack file says how it rotates: a master secret of RDS.
        schedule: that; None for never.
    """

    name: str
    path: str
    foreign: bool
    reads: Mapping[str, tuple[str, ...]]
    rotation_declared: bool = False
    schedule: Schedule | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The JSON keys that workloads read."""
        return tuple(dict.fromkeys(key for keys in self.reads.values() for key in keys))


@dataclass(frozen=True, kw_only=True)
class IgnoredTags:
    """Tags that the provider is told to leave alone, beside AWS's own."""

    keys: frozenset[str]
    prefixes: tuple[str, ...]

    def has(self, key: str) -> bool:
        """Whether a tag is none of the stack's business."""
        return key in self.keys or key.startswith(self.prefixes)


def ignored_tags(configuration: Configuration) -> IgnoredTags:
    """Of the provider's setting `aws:ignoreTags`."""
    found = configuration.values.get("aws:ignoreTags")
    ignored = found if isinstance(found, dict) else {}
    return IgnoredTags(
        keys=frozenset(ignored.get("keys") or ()), prefixes=("aws:", *(ignored.get("keyPrefixes") or ()))
    )


def declared_secrets(
    configuration: Configuration, checked: Checked, account: Account, outputs: Mapping[str, Any]
) -> list[Declared]:
    """All secrets of a stack.

    Raises:
        SettingsError: a workload of another account reads what only this one can decrypt.
    """
    stack_file = checked.stack_file
    foreign = workloads.foreign_readers(stack_file, account)
    defaults = configuration.values.get("aws:defaultTags")
    default_tags = defaults.get("tags") or {} if isinstance(defaults, dict) else {}
    alias = key_alias(configuration.project, configuration.stack)
    stack_key = f"arn:{account.partition}:kms:{account.region}:{account.account_id}:alias/{alias}"
    reads = reads_of(stack_file)
    names = _function_names(configuration, outputs)
    return [
        Declared(
            name=secret.name,
            path=path_of(configuration.project, secret.place),
            content=secret.content,
            keys=secret.keys,
            placeholders={
                place[1] if place[0] == "values" else "": value.filled_by_hand
                for place, value in secret.sources
                if value.filled_by_hand is not None
            },
            **_description(stack_file, secret),
            tags={**default_tags, **tags_of(stack_file, secret.kept), **_login_tags(secret)},
            encryption=_key(chosen(secret.kept.encryption, stack_file.encryption), stack_key),
            schedule=_schedule(stack_file, secret, names),
            policy=policy_of(secret.kept, foreign.get(secret.name, ())),
            replicas={
                replica.region: replica.encryption
                for replica in chosen(secret.kept.replicas, stack_file.replicas)
            },
            reads=reads.get(secret.name, {}),
            partner=secret.kept.partner if isinstance(secret.kept, Secret) else None,
        )
        for secret in stack_secrets(stack_file)
    ]


def existing_secrets(project: str, stack_file: StackFile, account: Account) -> list[Existing]:
    """Return all secrets that workloads read and the stack does not make."""
    paths: dict[str, str] = {}
    reads: dict[str, dict[str, tuple[str, ...]]] = {}
    foreign = set()
    for workload, declared in stack_file.workloads.items():
        for read in declared.existing_reads:
            elsewhere = is_foreign(read.secret, account)
            name = read.secret if elsewhere else name_of(read.secret)
            foreign |= {name} if elsewhere else set()
            paths.setdefault(name, path_of(project, ("workloads", workload, *read.place)))
            keys = reads.setdefault(name, {}).get(workload, ())
            reads[name][workload] = tuple(dict.fromkeys([*keys, WHOLE if read.key is None else read.key]))
    return [
        Existing(name=name, path=path, foreign=name in foreign, reads=reads[name])
        for name, path in paths.items()
    ]


def _key(encryption: str, stack_key: str) -> str:
    return stack_key if encryption == "stack-key" else encryption


def _database(stack_file: StackFile, secret: StackSecret) -> Database | None:
    return stack_file.databases[str(secret.place[1])] if secret.place[0] == "databases" else None


def _description(stack_file: StackFile, secret: StackSecret) -> dict[str, str]:
    database = _database(stack_file, secret)
    if database is not None and not isinstance(secret.kept, Login):
        # of an RDS instance's administrator it has the host, which only RDS knows
        host = re.escape(database.host) if database.host else ".+"
        words = f"Administrator of {database.host or 'its server'}"
        return {"description": f"Administrator of {host}", "description_in_words": words}
    text = secret.kept.description or ""
    return {"description": re.escape(text), "description_in_words": text}


def _login_tags(secret: StackSecret) -> dict[str, str]:
    if secret.place[0] != "databases":
        return {}
    login = secret.kept if isinstance(secret.kept, Login) else None
    return rotation_tags.of_login(
        login.password_length if login else PostgresLoginArgs.password_length,
        alternating=login is not None and login.users == "alternating",
    )


def _function_names(configuration: Configuration, outputs: Mapping[str, Any]) -> str | None:
    databases = outputs.get("databases") or {}
    known = {str(about["rotationFunction"]) for about in databases.values() if about.get("rotationFunction")}
    if known:
        return "|".join(re.escape(name) for name in sorted(known)) + "|rotation-function-[0-9a-f]{7}"
    return None if configuration.values.get("pulumi:autonaming") else _OUR_FUNCTION


def _schedule(stack_file: StackFile, secret: StackSecret, names: str | None) -> Schedule | None:
    rotation: declared_rotation.Schedule | None
    own_function = None
    database = _database(stack_file, secret)
    if isinstance(secret.kept, Secret) and secret.kept.partner:
        by_aws = secret.kept.partner.rotation
        return schedule_of(by_aws) if by_aws.enabled else None
    if isinstance(secret.kept, Secret):
        rotation = secret.kept.rotation
        own_function = secret.kept.rotation.function_arn if secret.kept.rotation else None
    elif isinstance(secret.kept, Login):
        rotation = secret.kept.rotation if secret.kept.rotation.enabled else None
    else:
        admin = database.admin.rotation if database and database.admin else None
        rotation = admin if admin and admin.enabled else None
    if rotation is None:
        return None
    return replace(schedule_of(rotation), function_arn=own_function, function_names=names)


def schedule_of(rotation: declared_rotation.Schedule) -> Schedule:
    """Return when it rotates, by whatever function."""
    known = rotations.schedule_of(rotation)
    return Schedule(
        days=known.automatically_after_days,
        expression=known.schedule_expression,
        duration=known.duration,
        function_arn=None,
        function_names=None,
    )
