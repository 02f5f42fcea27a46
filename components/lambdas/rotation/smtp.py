"""Rotate SMTP credentials of Amazon SES: the access key ID of an IAM user, and a password derived from it.

A user may have two access keys. A rotation deletes the one that is not in use, and creates another; what a
workload has read works until the rotation after next. Only the derived password is stored, which sends email
in one region and signs no request of AWS.

Authority comes from what the deployment declares (the provisioning request, the permissions of the
function's role), and from the tag `aws-secrets:secret` of the IAM user, with the name of its secret. Writing
that tag takes permissions on the user, which applications do not have. The secret's tag, which names the
user, and the secret's JSON are claims. So the function logs in at the endpoint of the region, never at the
address in the JSON.

An access key's secret part can be read once. If a step ends between CreateAccessKey and PutSecretValue, the
key is lost: a later attempt that needs its place deletes it, because neither AWSCURRENT nor AWSPENDING
names it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from . import first_password, smtp_aws, store
from .cache_authority import secret_name
from .driver import Fields, Part, Rehearsal, Versions
from .errors import LoginRefusedError, OperatorError, PendingOutdatedError
from .labels import CURRENT, PENDING, PREVIOUS
from .protocol import (
    OWNER_TAG,
    ROLES,
    SMTP_PASSWORD,
    SMTP_REGION_TAG,
    SMTP_REQUEST,
    SMTP_USER,
    SMTP_USERNAME,
    USER_TAG,
    WARNINGS,
)
from .rehearsal_steps import CREATE, TEST
from .smtp_aws import User
from .smtp_endpoint import endpoint
from .smtp_password import smtp_password
from .smtp_session import SmtpLogin, log_in

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SmtpDriver:
    """The driver for one secret.

    Attributes:
        arn: the secret's ARN.
        user: the user that the secret's tag names.
    """

    arn: str
    user: User

    def next_fields(self, current: Fields) -> Fields:
        """Return `current` with a new access key; delete one first if the user has two."""
        region = self._region()
        pending = store.find(self.arn, label=PENDING)
        self._make_room([current, pending], store.find(self.arn, label=PREVIOUS))
        key = smtp_aws.create_access_key(self.user)
        password = smtp_password(key.secret_access_key, region)
        return {**current, SMTP_USERNAME: key.key_id, SMTP_PASSWORD: password}

    def merge(self, current: Fields, pending: Fields) -> Fields:
        """Return `current` with the credentials of `pending`."""
        return {**current, **{key: _text(pending, key) for key in (SMTP_USERNAME, SMTP_PASSWORD)}}

    def apply(self, versions: Versions) -> None:
        """Do nothing: an access key is valid as soon as it exists."""

    def verify(self, fields: Fields) -> None:
        """Log in at the SMTP endpoint as a workload would; send nothing.

        Raises:
            PendingOutdatedError: the access key is deleted or inactive: another attempt has replaced it.
            OperatorError: the login fails.
        """
        region = self._region()
        username, password = _text(fields, SMTP_USERNAME), _text(fields, SMTP_PASSWORD)
        if not username or not password:
            raise OperatorError(
                f"Secret {self.arn}: it has no SMTP credentials yet. Run the provisioning, which makes them."
            )
        partition = self.arn.split(":")[1]
        try:
            log_in(SmtpLogin(host=endpoint(partition, region), username=username, password=password))
        except LoginRefusedError as refused:
            if not any(key.key_id == username and key.active for key in smtp_aws.access_keys(self.user)):
                raise PendingOutdatedError(
                    f"Secret {self.arn}: {self.user.arn} has no active access key {username!r}. A pending "
                    "rotation is abandoned. Rotate the secret, which creates another key."
                ) from None
            raise OperatorError(
                f"Secret {self.arn}: {refused} The access key exists and is active. AWS may take minutes to "
                "make a new key known; a rotation is tried again. If it lasts, check that SES is available "
                f"in {region}, and that the user may send email: SES also rejects the login of one that may "
                "not."
            ) from None

    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Create the first access key if the secret has none; otherwise check that the user still has it.

        Returns:
            {"Roles": [user name], "Warnings": [sentences]}.
        """
        self._check_request(request)
        current = read(CURRENT)
        if current is None:
            raise OperatorError(
                f"Secret {self.arn}: no version has the label {CURRENT}. Put an initial value into it."
            )
        self._region()
        if _text(current, SMTP_PASSWORD):
            self._check_key(current)
            return self._report()
        first = first_password.generate(self.arn, self.next_fields)
        self.verify(first.fields)
        first.make_current()
        return self._report()

    def end_sessions(self, current: Fields) -> int:
        """Return 0: an SMTP session ends with its connection, and nothing lists them."""
        del current
        return 0

    def rehearse(
        self, current: Fields, previous: Callable[[], Fields | None], schemas: Sequence[str]
    ) -> Rehearsal:
        """Return the parts, which only read: an access key cannot be created on trial."""
        del schemas
        gap = (
            "createSecret: CreateAccessKey and DeleteAccessKey, which IAM cannot try without a change: that "
            "the function's role allows them"
        )
        parts = [
            Part(step=CREATE, run=partial(self._check_room, current, previous)),
            Part(step=TEST, run=partial(self.verify, current)),
        ]
        return Rehearsal(pending=current, parts=parts, gaps=[gap])

    def _check_room(self, current: Fields, previous: Callable[[], Fields | None]) -> None:
        """Raise OperatorError if the next key could not be created, because the user has two in use."""
        self._region()
        self._superfluous([current, store.find(self.arn, label=PENDING)], previous())

    def _region(self) -> str:
        """Return the region of SES, after a check that the user belongs to the secret."""
        tags = smtp_aws.tags(self.user)
        owner = tags.get(OWNER_TAG)
        if owner != secret_name(self.arn):
            tagged = f"has the tag {OWNER_TAG} = {owner!r}" if owner else f"has no tag {OWNER_TAG}"
            raise OperatorError(
                f"Secret {self.arn}: {self.user.arn} {tagged}, not the secret's name, so its access keys are "
                "not touched. Correct the secret's tag (`pulumi up --refresh`), or, if the user is the "
                f"secret's, have an administrator run: aws iam tag-user --user-name {self.user.name} --tags "
                f"Key={OWNER_TAG},Value={secret_name(self.arn)}"
            )
        return tags.get(SMTP_REGION_TAG) or self.arn.split(":")[3]

    def _make_room(self, in_use: Sequence[Fields | None], previous: Fields | None) -> None:
        """Delete an access key if the user has two, never one that a value in use names."""
        key_id = self._superfluous(in_use, previous)
        if key_id is not None:
            smtp_aws.delete_access_key(self.user, key_id)
            LOG.info("Deleted access key %s of %s", key_id, self.user.arn)

    def _superfluous(self, in_use: Sequence[Fields | None], previous: Fields | None) -> str | None:
        """Return the ID of the access key to delete for another one; None if the user has fewer than two."""
        keys = smtp_aws.access_keys(self.user)
        if len(keys) < smtp_aws.MOST_KEYS:
            return None
        used = _names(in_use)
        spare = [key for key in keys if key.key_id not in used]
        if not spare:
            raise OperatorError(
                f"Secret {self.arn}: {self.user.arn} has two access keys, and AWSCURRENT and AWSPENDING name "
                "them. Finish or cancel the pending rotation (aws secretsmanager cancel-rotate-secret), then "
                "rotate again."
            )
        # if somebody deleted the current key, the previous one may be all that still works
        return min(spare, key=lambda key: (key.key_id in _names([previous]), key.created)).key_id

    def _check_key(self, current: Fields) -> None:
        username = _text(current, SMTP_USERNAME)
        if any(key.key_id == username for key in smtp_aws.access_keys(self.user)):
            return
        raise OperatorError(
            f"Secret {self.arn}: key {SMTP_USERNAME!r} is not an access key of {self.user.arn}. Somebody "
            "changed the secret or deleted the key, or the user was replaced. If the user is the right one, "
            f"set {SMTP_PASSWORD!r} to an empty string in the secret and run the provisioning again: it "
            "creates a key."
        )

    def _check_request(self, request: Mapping[str, object]) -> None:
        unknown = sorted(request.keys() - {SMTP_REQUEST})
        if unknown:
            raise OperatorError(
                f"The provisioning event has unknown keys: {', '.join(unknown)}. Use {SMTP_REQUEST}."
            )
        if request.get(SMTP_REQUEST) != {SMTP_USER: self.user.arn}:
            raise OperatorError(
                f"Secret {self.arn}: the deployment does not declare {self.user.arn}, which the secret's tag "
                f"{USER_TAG} names. Correct the tag (`pulumi up --refresh`)."
            )

    def _report(self) -> Mapping[str, object]:
        return {ROLES: [self.user.name], WARNINGS: []}


def driver_of(arn: str, tag: str | None) -> SmtpDriver:
    """Return the driver for a secret.

    Args:
        arn: the secret's ARN.
        tag: the value of USER_TAG.

    Raises:
        OperatorError: the tag is missing, or not the ARN of an IAM user.
    """
    user = smtp_aws.parse_user(tag)
    if user is None:
        raise OperatorError(
            f"Secret {arn}: tag {USER_TAG} is {tag!r}. Write the ARN of an IAM user (`pulumi up --refresh`)."
        )
    return SmtpDriver(arn, user)


def _names(values: Sequence[Fields | None]) -> set[object]:
    return {value.get(SMTP_USERNAME) for value in values if value}


def _text(fields: Fields, key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""
