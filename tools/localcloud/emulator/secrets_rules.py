"""Rules of AWS Secrets Manager for secrets, versions and staging labels, as plain data and functions.

Sources: AWS Secrets Manager API Reference (functions name their operation); User Guide, "Secret versions".
"""

import base64
import json
import re
import secrets as random
import string
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tools.localcloud.emulator.label_rules import LabelRules

if TYPE_CHECKING:
    from tools.localcloud.emulator.rotation import Rotation

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
AWS_MANAGED_KEY = "alias/aws/secretsmanager"
_DAY = 86_400
_SUFFIX = len("-AbCdEf")  # what AWS adds to the name in an ARN
_MAX_LABELS = 20  # over all versions. Source: User Guide, "AWS Secrets Manager quotas"
_MAX_LABEL_CHARACTERS = 256
_MAX_TAGS = 50
_KEPT_VERSIONS = 100
_MAX_VALUE_BYTES = 65_536
_NAME_CHARACTERS = r"[A-Za-z0-9/_+=.@!-]+"

label_rules = LabelRules()  # `__main__` sets it before the first request


class ServiceError(Exception):
    """An error with the code and message that AWS answers."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_parameter(message: str) -> ServiceError:
    """Return a value that AWS refuses whatever state the secret is in."""
    return ServiceError("InvalidParameterException", message)


def invalid_request(message: str) -> ServiceError:
    """Return a request that AWS refuses in the secret's present state."""
    return ServiceError("InvalidRequestException", message)


@dataclass(frozen=True)
class Content:
    """A version's value: a text or base64 text of bytes."""

    text: str | None
    binary: str | None

    @property
    def missing(self) -> bool:
        """A rotation makes its version before the function has a value for it."""
        return self.text is None and self.binary is None


@dataclass
class Version:
    """A version of a secret; `kms_key_id` is the key that its value is encrypted with."""

    version_id: str
    content: Content
    kms_key_id: str
    created: float = field(default_factory=time.time)
    labels: set[str] = field(default_factory=set)
    accessed: float | None = None


@dataclass
class Replica:
    """A copy in another region, kept in step with its primary; `failed` is why there is none after all."""

    region: str
    kms_key_id: str
    failed: str | None = None


@dataclass
class Secret:
    """A secret in its primary region."""

    arn: str
    name: str
    region: str
    description: str = ""
    kms_key_id: str = AWS_MANAGED_KEY
    created: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)
    accessed: float | None = None
    deleted: float | None = None
    tags: dict[str, str] = field(default_factory=dict)
    was_tagged: bool = False  # AWS then shows an empty list of tags, and none before
    policy: str | None = None
    versions: dict[str, Version] = field(default_factory=dict)
    replicas: dict[str, Replica] = field(default_factory=dict)
    rotation: "Rotation | None" = None
    owner: str | None = None  # the AWS service that manages it
    partner_type: str | None = None  # of a managed external secret
    fixed: bool = False  # it holds the password of a database that runs and that the emulator cannot change
    token: str | None = None  # ClientRequestToken of the request that created it

    def holder(self, label: str) -> Version | None:
        """Return the version that has a staging label."""
        return next((version for version in self.versions.values() if label in version.labels), None)

    def is_in(self, region: str) -> bool:
        """Return whether the secret is in a region: its own, or a replica's."""
        return region == self.region or (region in self.replicas and not self.replicas[region].failed)

    def labelled(self) -> dict[str, list[str]]:
        """Version to labels, without the deprecated versions that have none."""
        return {
            version.version_id: sorted(version.labels) for version in self.versions.values() if version.labels
        }


@dataclass
class Store:
    """All secrets of an account: region to name to secret."""

    secrets: dict[str, dict[str, Secret]] = field(default_factory=dict)

    def in_region(self, region: str) -> Iterator[Secret]:
        """Yield the secrets of a region, including replicas."""
        for named in self.secrets.values():
            yield from (secret for secret in named.values() if secret.is_in(region))

    def named(self, region: str, name: str) -> Secret | None:
        """Return the secret of that name in a region, replicas included."""
        for named in (self.secrets.get(region, {}), *self.secrets.values()):
            if name in named and named[name].is_in(region):
                return named[name]
        return None

    def find(self, region: str, secret_id: str) -> Secret:
        """Find a secret by name, ARN, or ARN without its random suffix.

        Raises:
            ServiceError: ResourceNotFoundException.
        """
        name = secret_id
        if secret_id.startswith("arn:"):
            # a whole ARN ends in the suffix, a partial one in the name
            whole = self.named(region, secret_id.rpartition(":")[2][:-_SUFFIX])
            if whole is not None and arn_in(whole, region) == secret_id:
                return whole
            name = secret_id.rpartition(":")[2]
        found = self.named(region, name)
        if found is not None and secret_id in {name, arn_in(found, region)[:-_SUFFIX]}:
            return found
        raise ServiceError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")

    def find_living(self, region: str, secret_id: str) -> Secret:
        """Return a secret that is not scheduled for deletion.

        Raises:
            ServiceError: ResourceNotFoundException or InvalidRequestException.
        """
        secret = self.find(region, secret_id)
        if secret.deleted is not None:
            raise invalid_request(
                "You can't perform this operation on the secret because it was marked for deletion."
            )
        return secret

    def find_writable(self, region: str, secret_id: str) -> Secret:
        """Return a living secret in its primary region.

        Raises:
            ServiceError: as above, or InvalidParameterException for a replica.
        """
        secret = self.find_living(region, secret_id)
        require_primary(secret, region)
        return secret

    def forget_expired(self) -> None:
        """Delete secrets past their recovery window."""
        now = time.time()
        for named in self.secrets.values():
            for name in [name for name, secret in named.items() if secret.deleted and secret.deleted <= now]:
                del named[name]


def require_primary(secret: Secret, region: str) -> None:
    """Reject a change of a replica.

    Raises:
        ServiceError: InvalidParameterException.
    """
    if secret.region != region:
        raise invalid_parameter(
            "Operation not permitted on a replica secret. Call must be made in primary secret's region."
        )


def arn_in(secret: Secret, region: str) -> str:
    """Return the secret's ARN as that region has it."""
    return secret.arn.replace(f":{secret.region}:", f":{region}:", 1)


def check_name(name: object) -> str:
    """Reject an invalid name for CreateSecret."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9/_+=.@-]{1,512}", name):
        raise ServiceError("ValidationException", _INVALID_NAME)
    return name


def check_secret_id(secret_id: object) -> None:
    """Reject characters that no secret's name has; an ARN is looked up as it is."""
    if isinstance(secret_id, str) and not secret_id.startswith("arn:") and secret_id:
        check_name_characters(secret_id)


def check_name_characters(name: str) -> None:
    """Reject characters that no secret's name has.

    Raises:
        ServiceError: ValidationException.
    """
    if not re.fullmatch(_NAME_CHARACTERS, name):
        raise ServiceError("ValidationException", _INVALID_NAME)


_INVALID_NAME = (
    "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
)


def check_tags(tags: Mapping[str, str]) -> None:
    """Reject more tags than AWS keeps and keys that are AWS's own."""
    if len(tags) > _MAX_TAGS:
        raise invalid_parameter(f"The number of tags exceeds the limit of {_MAX_TAGS}.")
    if any(key.lower().startswith("aws:") for key in tags):
        raise invalid_parameter("aws: prefixed tag key names are not allowed for external use.")


def check_content(content: Content) -> Content:
    """Reject a value beyond AWS's limit."""
    size = len(base64.b64decode(content.binary) if content.binary else (content.text or "").encode())
    if size > _MAX_VALUE_BYTES:
        place = "secretBinary" if content.binary else "secretString"
        raise ServiceError(
            "ValidationException",
            f"1 validation error detected: Value at '{place}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_MAX_VALUE_BYTES}",
        )
    return content


def check_label(label: object) -> str:
    """Reject an invalid staging label."""
    if not isinstance(label, str) or not 1 <= len(label) <= _MAX_LABEL_CHARACTERS:
        raise ServiceError(
            "ValidationException", f"A staging label must have 1 to {_MAX_LABEL_CHARACTERS} characters."
        )
    return label


def new_token() -> str:
    """Return a version id for a request that brings none."""
    return str(uuid.uuid4())


UNIDENTIFIED = "You must provide a ClientRequestToken value. We recommend a UUID-type value."


def check_token(token: object) -> str:
    """Reject an invalid ClientRequestToken."""
    if not isinstance(token, str) or not 32 <= len(token) <= 64:  # noqa: PLR2004  AWS's limits, said below
        raise invalid_parameter("ClientRequestToken must be 32-64 characters long.")
    return token


def create(store: Store, *, partition: str, account: str, region: str, name: str) -> Secret:
    """Create a secret without its value (CreateSecret).

    Raises:
        ServiceError: the name is taken, or is scheduled for deletion.
    """
    taken = store.named(region, name)
    if taken is not None and taken.deleted is not None:
        raise invalid_request(
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
    if taken is not None:
        raise ServiceError(
            "ResourceExistsException", f"The operation failed because the secret {name} already exists."
        )
    suffix = "-" + "".join(random.choice(string.ascii_letters + string.digits) for _ in range(_SUFFIX - 1))
    arn = f"arn:{partition}:secretsmanager:{region}:{account}:secret:{name}{suffix}"
    secret = store.secrets.setdefault(region, {})[name] = Secret(arn=arn, name=name, region=region)
    return secret


def put_value(secret: Secret, token: str, content: Content, labels: list[str] | None) -> Version:
    """Add a version (PutSecretValue), or return the one that the same token created before.

    Labels move from the version that has them; AWSCURRENT leaves AWSPREVIOUS behind. Whether a secret's first
    version gets AWSCURRENT unasked, and whether the version that loses AWSCURRENT keeps other labels, is said
    by `label_rules`.

    Raises:
        ServiceError: the token has another value, or there are too many labels.
    """
    wanted = {check_label(label) for label in (labels if labels is not None else [CURRENT])}
    check_content(content)
    if labels is not None and not labels:
        raise invalid_parameter("VersionStages must hold at least one staging label.")
    existing = secret.versions.get(token)
    if existing is not None and not existing.content.missing:
        if existing.content != content:
            raise ServiceError(
                "ResourceExistsException",
                f"You can't use ClientRequestToken {token} because that value is already in use for a "
                f"version of secret {secret.arn}.",
            )
        return existing
    current = secret.holder(CURRENT)
    if current is None and label_rules.first_version_current:
        wanted.add(CURRENT)
    _check_room(secret, wanted)
    version = existing or Version(token, content, secret.kms_key_id)
    version.content, version.kms_key_id = content, secret.kms_key_id
    secret.versions[token] = version
    before = secret.holder(CURRENT)
    for label in sorted(wanted):
        _move(secret, label, version)
    if before is not None and CURRENT not in before.labels:
        before.labels.discard(PENDING)  # AWS does so here, and not at UpdateSecretVersionStage
        if not label_rules.labels_survive_put:
            before.labels &= {PREVIOUS}
    secret.changed = time.time()
    _forget_oldest(secret)
    return version


def _forget_oldest(secret: Secret) -> None:
    """Remove deprecated versions beyond 100 that are older than a day, as AWS does in its own time."""
    deprecated = sorted(
        (version for version in secret.versions.values() if not version.labels),
        key=lambda version: version.created,
    )
    for version in deprecated[: max(0, len(deprecated) - _KEPT_VERSIONS)]:
        if version.created < time.time() - _DAY:
            del secret.versions[version.version_id]


def begin_version(secret: Secret, token: str, *, as_current: bool) -> None:
    """Add a pending version, which RotateSecret does before it calls the function.

    Args:
        secret: the one that rotates.
        token: id of the version.
        as_current: whether it has the current value, as for testSecret alone; it has none otherwise.
    """
    current = secret.holder(CURRENT)
    content = current.content if as_current and current is not None else Content(None, None)
    secret.versions[token] = Version(token, content, secret.kms_key_id)
    _move(secret, PENDING, secret.versions[token])


def _move(secret: Secret, label: str, target: Version) -> None:
    holder = secret.holder(label)
    if holder is target:
        return
    if label == CURRENT and holder is not None:
        previous = secret.holder(PREVIOUS)
        if previous is not None:
            previous.labels.discard(PREVIOUS)
        holder.labels.add(PREVIOUS)
        target.labels.discard(PREVIOUS)
    if holder is not None:
        holder.labels.discard(label)
    target.labels.add(label)


def _check_room(secret: Secret, wanted: set[str]) -> None:
    """Reject more labels than all versions together may have; one that moves is counted once."""
    known = {label for version in secret.versions.values() for label in version.labels}
    if len(known | wanted) > max(_MAX_LABELS, len(known)):
        raise ServiceError(
            "LimitExceededException",
            f"The versions of a secret can have {_MAX_LABELS} staging labels together at most.",
        )


def move_label(secret: Secret, label: str, remove_from: str | None, move_to: str | None) -> None:
    """Move a label (UpdateSecretVersionStage); the request must name the version that has it.

    Raises:
        ServiceError: it names another, or would leave the secret without AWSCURRENT.
    """
    check_label(label)
    for version_id in (remove_from, move_to):
        if version_id is not None and version_id not in secret.versions:
            raise ServiceError(
                "ResourceNotFoundException", "Secrets Manager can't find the specified secret version."
            )
    holder = secret.holder(label)
    target = secret.versions[move_to] if move_to else None
    if label == CURRENT and target is None:
        raise invalid_parameter(
            f"You can only move staging label {CURRENT} to a different secret version. "
            "It can't be completely removed."
        )
    if holder is not None and holder is not target and remove_from is None:
        raise invalid_parameter(
            f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached "
            f"to version {holder.version_id}, so you must explicitly reference that version in "
            "RemoveFromVersionId."
        )
    if remove_from is not None and (holder is None or holder.version_id != remove_from):
        raise invalid_parameter(
            f"When you move staging label {label}, if you specify RemoveFromVersionId, it must be set to the "
            f"version that currently has the staging label {label}."
        )
    if target is not None:
        _check_room(secret, {label})
        _move(secret, label, target)
    elif holder is not None:
        holder.labels.discard(label)
    secret.changed = time.time()


def wanted_version(secret: Secret, version_id: str | None, label: str | None) -> Version:
    """Return the version that GetSecretValue means: by id, by label, or AWSCURRENT.

    Raises:
        ServiceError: there is none, or the two do not belong together.
    """
    if version_id is not None:
        found = secret.versions.get(version_id)
        if found is None or found.content.missing:
            raise ServiceError(
                "ResourceNotFoundException",
                f"Secrets Manager can't find the specified secret value for VersionId: {version_id}",
            )
        if label is not None and label not in found.labels:
            raise invalid_request(
                "You provided a VersionStage that is not associated to the provided VersionId."
            )
        return found
    found = secret.holder(label or CURRENT)
    if found is None or found.content.missing:
        raise ServiceError(
            "ResourceNotFoundException",
            f"Secrets Manager can't find the specified secret value for staging label: {label or CURRENT}",
        )
    return found


def change_key(secret: Secret, kms_key_id: str) -> None:
    """Change the key: like AWS, re-encrypt the versions that have AWS's own labels, and no others."""
    secret.kms_key_id = kms_key_id
    for version in secret.versions.values():
        if version.labels & {CURRENT, PREVIOUS, PENDING}:
            version.kms_key_id = kms_key_id


def delete(store: Store, secret: Secret, days: int | None, *, force: bool) -> float:
    """DeleteSecret and return the time of the deletion in seconds since 1970.

    Raises:
        ServiceError: an impossible recovery window, replicas, or a deletion that is scheduled already.
    """
    if force and days is not None:
        raise invalid_parameter(
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
        )
    if days is not None and not 7 <= days <= 30:  # noqa: PLR2004  AWS's limits, said below
        raise invalid_parameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
    if secret.replicas:
        raise invalid_parameter(
            f"You can't delete secret {secret.arn} that still has replica regions "
            f"[{', '.join(secret.replicas)}]."
        )
    if force:
        del store.secrets[secret.region][secret.name]
        return time.time()
    if secret.deleted is not None:
        raise invalid_request(
            "You can't perform this operation on the secret because it was already scheduled for deletion."
        )
    secret.deleted = time.time() + (days or 30) * _DAY
    return secret.deleted


def collect(secret: Secret) -> int:
    """Delete the versions without a staging label, as AWS does in its own time, and return how many."""
    gone = [version_id for version_id, version in secret.versions.items() if not version.labels]
    for version_id in gone:
        del secret.versions[version_id]
    return len(gone)


def parsed_policy(text: str) -> dict[str, Any]:
    """Return a resource policy's document.

    Raises:
        ServiceError: MalformedPolicyDocumentException.
    """
    try:
        document = json.loads(text)
        statements = document["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            if (
                statement["Effect"] not in {"Allow", "Deny"}
                or not {"Principal", "NotPrincipal"} & statement.keys()
            ):
                raise KeyError  # noqa: TRY301  one answer for every way to be malformed
    except (json.JSONDecodeError, KeyError, TypeError):
        raise ServiceError(
            "MalformedPolicyDocumentException", "This resource policy contains invalid Json."
        ) from None
    found: dict[str, Any] = document
    return found


# Condition keys that limit the principals of a statement.
# Source: AWS Secrets Manager User Guide, "Determine who has permissions to your secrets".
_LIMITING = {"aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths"}
_LIMITING |= {"aws:sourceaccount", "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:userid"}


def is_public(document: Mapping[str, Any]) -> bool:
    """Return whether a resource policy grants public access."""
    statements = document["Statement"]
    return any(
        statement["Effect"] == "Allow"
        and ("NotPrincipal" in statement or _is_everyone(statement.get("Principal")))
        and not _is_limited(statement)
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def _is_everyone(principal: object) -> bool:
    if isinstance(principal, dict):
        principal = principal.get("AWS")
    return principal == "*" or (isinstance(principal, list) and "*" in principal)


def _is_limited(statement: Mapping[str, Any]) -> bool:
    conditions = statement.get("Condition") or {}
    return any(
        key.lower() in _LIMITING
        and operator.startswith(("StringEquals", "ArnEquals", "StringLike", "ArnLike"))
        for operator, keys in conditions.items()
        for key, value in keys.items()
        if "*" not in (value if isinstance(value, list) else [value])
    )
