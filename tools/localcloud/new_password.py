"""Prove that a secret's new value works: log in to the server with it, its certificate verified."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import pg8000.exceptions
import pg8000.native
import pymysql
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tools.localcloud.layout import Layout, SetupError
from tools.localcloud.postgres import reason

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"

_SECONDS = 10
TITLES: Mapping[str, str] = {"mariadb": "MariaDB", "mysql": "MySQL", "cache": "The cache"}


Kind = Literal["postgres", "mariadb", "mysql", "cache"]
_KINDS: Mapping[object, Kind] = {
    "postgres": "postgres",
    "aurora-postgresql": "postgres",
    "mariadb": "mariadb",
    "mysql": "mysql",
    "aurora-mysql": "mysql",
    "redis": "cache",
    "valkey": "cache",
}
_PORTS: Mapping[Kind, int] = {"postgres": 5432, "mariadb": 3306, "mysql": 3306, "cache": 6379}


def authorities(layout: Layout) -> dict[Kind, Path]:
    """Return the PEM file of the authority of each kind of server."""
    return {
        "postgres": layout.postgres / "ca.pem",
        "mariadb": layout.mariadb / "ca.pem",
        "mysql": layout.mysql / "ca.pem",
        "cache": layout.redis / "ca.pem",
    }


@dataclass(frozen=True)
class _Login:
    """Where and how to log in. Printing it shows no password."""

    kind: Kind
    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class _Version:
    """A secret's value under one staging label; `fields` is empty if it is not a JSON object."""

    version: str
    fields: Mapping[str, object] = field(repr=False)

    @property
    def login(self) -> _Login | None:
        """The login of DATABASE_URL, else of AWS's standard keys; None if it is for no server."""
        url = urlsplit(str(self.fields.get("DATABASE_URL") or ""))
        if url.scheme in {"postgres", "postgresql"} and url.hostname and url.username:
            username, password = unquote(url.username), unquote(url.password or "")
            database = unquote(url.path.removeprefix("/")) or username
            return _Login(
                "postgres", url.hostname, url.port or _PORTS["postgres"], database, username, password
            )
        kind = _KINDS.get(self.fields.get("engine"))
        if kind is None:
            return None
        host, username, password = (str(self.fields.get(key, "")) for key in ("host", "username", "password"))
        port = str(self.fields.get("port", _PORTS[kind]))
        database = str(self.fields.get("dbname", "postgres"))
        return _Login(
            kind, host, int(port) if port.isdecimal() else _PORTS[kind], database, username, password
        )


# ruff: noqa: ANN401 -- boto3 makes its clients' types at run time
def prove(secrets: Any, arn: str, token: str, files: Mapping[Kind, Path]) -> None:
    """Log in with the current value, and print the result; no value is shown.

    Args:
        secrets: boto3's client of Secrets Manager.
        arn: the secret's.
        token: the version that the rotation made.
        files: PEM file of the authorities to trust, by the kind of server; those of the system if a file
            does not exist.

    Raises:
        SetupError: the value does not work, or the one before although another user's is current.
    """
    current, previous = _read(secrets, arn, CURRENT), _read(secrets, arn, PREVIOUS)
    if current is None:
        raise SetupError("The secret no longer has a current version. Check whether it was just edited.")
    if current.version != token:
        print(f"The secret was edited meanwhile: version {current.version} is current, not {token}.")
    login = current.login
    if login is None:
        _say_what_changed(current, previous)
        return
    authority = files[login.kind]
    user = _logged_in(login, authority, f"the new password (version {current.version})")
    print(f"Logged in as {user} with the new password (version {current.version}).")
    before = previous.login if previous else None
    if previous and before and before != login:
        user = _logged_in(before, authority, f"the previous password (version {previous.version})")
        print(f"Logged in as {user} with the previous password: it still works (version {previous.version}).")
    if authority.exists() and "sslmode=verify-full" in str(current.fields.get("DATABASE_URL")):
        print(f'To log in with the secret\'s DATABASE_URL: psql "$DATABASE_URL&sslrootcert={authority}"')


def _read(secrets: Any, arn: str, label: str) -> _Version | None:
    try:
        answer = secrets.get_secret_value(SecretId=arn, VersionStage=label)
    except secrets.exceptions.ResourceNotFoundException:
        return None
    try:
        fields = json.loads(answer.get("SecretString", ""))
    except ValueError:
        fields = None
    return _Version(answer["VersionId"], fields if isinstance(fields, dict) else {})


def _say_what_changed(current: _Version, previous: _Version | None) -> None:
    before = previous.fields if previous else {}
    keys = sorted(key for key, value in current.fields.items() if before.get(key) != value)
    what = f"a new value of {', '.join(keys)}" if keys else "a new value"
    print(
        f"The secret has {what} (version {current.version}). It is not for a server, so there is no "
        "login to test."
    )


def _logged_in(login: _Login, authority: Path, what: str) -> str:
    """Log in, and return the user that the server reports."""
    # as sslrootcert in a URL: this file alone
    context = ssl.create_default_context(cafile=str(authority) if authority.exists() else None)
    ask = {"postgres": _ask_postgres, "cache": _ask_cache}.get(login.kind, _ask_mysql)
    try:
        return ask(login, context, authority)
    except (pg8000.exceptions.Error, pymysql.err.Error, redis.exceptions.RedisError, OSError) as error:
        title = TITLES.get(login.kind, "PostgreSQL")
        raise SetupError(
            f"{title} at {login.host}:{login.port} rejects {login.username or 'the token'} with {what}: "
            f"{reason(error)}."
        ) from None


def _ask_postgres(login: _Login, context: ssl.SSLContext, _authority: Path) -> str:
    with pg8000.native.Connection(
        login.username,
        login.host,
        login.database,
        login.port,
        login.password,
        ssl_context=context,
        timeout=_SECONDS,
    ) as connection:
        ((user, acting),) = connection.run("SELECT session_user::text, current_user::text")
    return str(user) if user == acting else f"{user}, acting as {acting},"


def _ask_mysql(login: _Login, context: ssl.SSLContext, _authority: Path) -> str:
    with pymysql.connect(
        host=login.host,
        port=login.port,
        user=login.username,
        password=login.password,
        database=login.database,
        ssl=context,
        connect_timeout=_SECONDS,
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT CURRENT_USER()")
        return str(cursor.fetchone()[0])


def _ask_cache(login: _Login, _context: ssl.SSLContext, authority: Path) -> str:
    with redis.Redis(
        login.host,
        login.port,
        username=login.username or None,
        password=login.password,
        ssl=True,
        ssl_ca_certs=str(authority) if authority.exists() else None,
        socket_timeout=_SECONDS,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        return str(client.execute_command("ACL", "WHOAMI").decode())
