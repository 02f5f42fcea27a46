"""Create PostgreSQL logins that use IAM database authentication: no password, and nothing to rotate.

A role with `rds_iam` logs in with a token that a workload's role signs, and no longer with a password. So an
existing role must have the secret's mark, and a secret that has a password is rejected: a tag alone must not
lock a login out of its database.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from . import postgres_roles as roles
from .driver import Fields, Rehearsal, Versions
from .errors import OperatorError
from .labels import CURRENT
from .login_secret import Login, check_declared
from .postgres_authority import Authority, administrator
from .postgres_grants import Grants, apply_grants, read_grants
from .postgres_secret import read_login
from .protocol import (
    AUTHENTICATION,
    CONNECTION,
    CREATE_SCHEMAS,
    GRANTS,
    HOST,
    IAM,
    LOGIN_USERNAME,
    MASTER_ARN,
    PASSWORD,
    PORT,
    ROLES,
    ROTATION_TAG,
    SCHEMAS,
    USERNAME,
    WARNINGS,
)
from .sql import identifier

_REQUEST_KEYS = {AUTHENTICATION, USERNAME, GRANTS, SCHEMAS, CREATE_SCHEMAS, CONNECTION}
_GROUP = "rds_iam"
_NEED = "an IAM database login needs an administrator"


@dataclass(frozen=True)
class PostgresIamDriver:
    """The driver for one secret.

    Attributes:
        arn: the secret's ARN.
        read_secret: reads the AWSCURRENT value of another secret, the administrator's.
    """

    arn: str
    read_secret: Callable[[str], Fields]

    def next_fields(self, current: Fields) -> Fields:
        """Raise OperatorError: there is no password."""
        del current
        self._refuse()

    def merge(self, current: Fields, pending: Fields) -> Fields:
        """Raise OperatorError, as `next_fields` does."""
        del current, pending
        self._refuse()

    def apply(self, versions: Versions) -> None:
        """Raise OperatorError, as `next_fields` does."""
        del versions
        self._refuse()

    def verify(self, fields: Fields) -> None:
        """Raise OperatorError, as `next_fields` does."""
        del fields
        self._refuse()

    def provision(
        self, request: Mapping[str, object], read: Callable[[str], Fields | None]
    ) -> Mapping[str, object]:
        """Create the role with its grants, and let it log in by IAM; all or nothing.

        Returns:
            {"Roles": [name], "Warnings": [sentences]}.
        """
        current = read(CURRENT)
        if current is None:
            raise OperatorError(
                f"Secret {self.arn}: no version has the label {CURRENT}. Put an initial value into it."
            )
        login = self._login(current)
        grants = self._read_request(request, current, login)
        connection = request.get(CONNECTION, {})
        declared = isinstance(connection, Mapping) and connection.keys() >= {HOST, PORT, MASTER_ARN}
        with administrator(self.arn, login, self.read_secret, _NEED, declared=declared) as admin:
            warnings = admin.transact(lambda: self._create(admin, login, grants))
        return {ROLES: [login.username], WARNINGS: warnings}

    def end_sessions(self, current: Fields) -> int:
        """End the sessions of the role."""
        login = self._login(current)
        with administrator(self.arn, login, self.read_secret, _NEED) as admin:
            admin.check_ours(login.username)  # the secret's value names it, and an application may write that
            return roles.end_sessions(admin.session, [login.username])

    def rehearse(
        self, current: Fields, previous: Callable[[], Fields | None], schemas: Sequence[str]
    ) -> Rehearsal:
        """Raise OperatorError, as `next_fields` does."""
        del current, previous, schemas
        self._refuse()

    def _create(self, admin: Authority, login: Login, grants: Grants) -> list[str]:
        name = login.username
        if admin.find(_GROUP) is None:
            raise OperatorError(
                f"Secret {self.arn}: the server at {login.server} has no role {_GROUP!r}, as RDS and Aurora "
                "have. Only they offer IAM database authentication: declare a password login."
            )
        admin.claim_users([name], None)
        roles.check_may_log_in(admin.session, name)
        roles.ensure_login(admin.session, name)
        admin.mark(name)
        if not admin.is_member(name, _GROUP):
            admin.session.execute(f"GRANT {identifier(_GROUP)} TO {identifier(name)}")
        admin.session.execute(f"ALTER ROLE {identifier(name)} PASSWORD NULL")
        return apply_grants(admin.session, grants, [name], name)

    def _login(self, fields: Fields) -> Login:
        if fields.get(PASSWORD):
            raise OperatorError(
                f"Secret {self.arn}: its tag {ROTATION_TAG} declares an IAM database login, but it has a "
                f"{PASSWORD!r}, which would stop working. Correct the tag (`pulumi up --refresh`), or remove "
                "the password from the secret and its URLs first."
            )
        return read_login({**fields, PASSWORD: "none"}, self.arn)  # it is never used

    def _read_request(self, request: Mapping[str, object], current: Fields, login: Login) -> Grants:
        unknown = sorted(request.keys() - _REQUEST_KEYS)
        if unknown:
            raise OperatorError(
                f"The provisioning event has unknown keys: {', '.join(unknown)}. Use "
                f"{', '.join(sorted(_REQUEST_KEYS))}."
            )
        if request.get(AUTHENTICATION) != IAM:
            raise OperatorError(
                f"Secret {self.arn}: its tag {ROTATION_TAG} declares an IAM database login, but the "
                "deployment does not. Correct the tag (`pulumi up --refresh`)."
            )
        if request.get(USERNAME, login.username) != login.username:
            raise OperatorError(
                f"Secret {self.arn}: key {LOGIN_USERNAME!r} is not {request[USERNAME]!r}, which the "
                "deployment declares. Correct one of them."
            )
        check_declared(self.arn, request.get(CONNECTION, {}), current, login)
        return read_grants(
            request.get(GRANTS, []),
            request.get(SCHEMAS, ["public"]),
            request.get(CREATE_SCHEMAS, False),
        )

    def _refuse(self) -> NoReturn:
        raise OperatorError(
            f"Secret {self.arn}: it is an IAM database login, which has no password to rotate. Turn rotation "
            f"off (aws secretsmanager cancel-rotate-secret --secret-id {self.arn})."
        )
