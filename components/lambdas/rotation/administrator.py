"""Log in as a database's administrator, only on servers that the deployment declares for it."""

import os
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

from .driver import Fields
from .errors import LoginRefusedError, OperatorError
from .login_secret import Login, read_admin
from .protocol import HOST, MASTER_ARN, PORT, SERVERS_VARIABLE, fingerprint

_TRIES = 4  # the administrator's own rotation may be halfway

Opened = TypeVar("Opened")


def enter_as_administrator(  # noqa: PLR0913 - all are needed
    stack: ExitStack,
    arn: str,
    login: Login,
    read_secret: Callable[[str], Fields],
    log_in: Callable[[Login], AbstractContextManager[Opened]],
    *,
    product: str,
    need: str,
    declared: bool,
) -> Opened:
    """Log in as the administrator that a login's secret names, on a server declared for that administrator.

    Args:
        stack: closes the session.
        arn: ARN of the login's secret.
        login: the login.
        read_secret: reads the AWSCURRENT value of another secret.
        log_in: opens a session.
        product: the database product's name in messages.
        need: why an administrator is needed, for the message if there is none.
        declared: whether the deployment has just declared host, port and masterarn, equal to the login's.

    Raises:
        OperatorError: there is no administrator, or the server is not one of its declared servers.
    """
    admin_arn = login.admin_arn
    if admin_arn is None:
        raise OperatorError(
            f"Secret {arn}: {need}, but key {MASTER_ARN!r} is missing. Set it to the ARN of the "
            "administrator's secret."
        )
    for remaining in reversed(range(_TRIES)):
        fields = read_secret(admin_arn)
        admin = read_admin(fields, admin_arn, login, product)
        if not declared and not {HOST, PORT} <= fields.keys():
            _check_server(admin_arn, login)
        try:
            return stack.enter_context(log_in(admin))
        except LoginRefusedError as refused:
            if not remaining:
                raise OperatorError(f"Administrator secret {admin_arn}: {refused}") from None
        time.sleep(1)
    raise AssertionError  # the last try returns or raises


def _check_server(admin_arn: str, login: Login) -> None:
    """Raise OperatorError for an undeclared server: a login's secret must not direct the password there."""
    known = os.environ.get(SERVERS_VARIABLE, "").split()
    if fingerprint(admin_arn, login.host, login.port) not in known:
        raise OperatorError(
            f"Administrator secret {admin_arn} has no host and port, and the deployment does not declare "
            f"{login.server} for it, so its password is not used there. If host or port in the login's "
            "secret is wrong, correct it; if the server has moved, run `pulumi up`."
        )


def secret_name(arn: str) -> str:
    """Return the ARN without its six random characters, which change when a secret is recreated."""
    return re.sub(r"-[A-Za-z0-9]{6}$", "", arn)
