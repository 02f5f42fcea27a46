"""Prove that a secret's new value works: log in to PostgreSQL with it, the server's certificate verified."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pg8000.exceptions
import pg8000.native

from localcloud.layout import SetupError
from localcloud.postgres import reason

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"

_SECONDS = 10
_DEFAULT_PORT = 5432


@dataclass(frozen=True)
class _Login:
    """The parts of a DATABASE_URL. Printing it shows no password."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class _Version:
    """A secret's value under one staging label; `fields` is empty if it is no JSON object."""

    version: str
    fields: Mapping[str, object] = field(repr=False)

    @property
    def login(self) -> _Login | None:
        """Of its DATABASE_URL, else of AWS's standard keys; None if it leads to no PostgreSQL."""
        url = urlsplit(str(self.fields.get("DATABASE_URL") or ""))
        if url.scheme in {"postgres", "postgresql"} and url.hostname and url.username:
            username, password = unquote(url.username), unquote(url.password or "")
            database = unquote(url.path.removeprefix("/")) or username
            return _Login(url.hostname, url.port or _DEFAULT_PORT, database, username, password)
        if self.fields.get("engine") not in {"postgres", "aurora-postgresql"}:
            return None
        host, username, password = (str(self.fields.get(key, "")) for key in ("host", "username", "password"))
        port = str(self.fields.get("port", _DEFAULT_PORT))
        database = str(self.fields.get("dbname", "postgres"))
        return _Login(host, int(port) if port.isdecimal() else _DEFAULT_PORT, database, username, password)


# ruff: noqa: ANN401 -- boto3 makes its clients' types at run time
def prove(secrets: Any, arn: str, token: str, authority: Path) -> None:
    """Use the value that is current now, and say what came of it; no value is shown.

    Args:
        secrets: boto3's client of Secrets Manager.
        arn: the secret's.
        token: the version that the rotation made.
        authority: PEM file of the authorities to trust; those of the system if it does not exist.

    Raises:
        SetupError: the value does not work, or the one before although another user's is current.
    """
    current, previous = _read(secrets, arn, CURRENT), _read(secrets, arn, PREVIOUS)
    if current is None:
        raise SetupError("The secret has no current version any more: was it edited just now?")
    if current.version != token:
        print(f"The secret was edited meanwhile: not version {token} is current, but {current.version}.")
    login = current.login
    if login is None:
        _say_what_changed(current, previous)
        return
    user = _logged_in(login, authority, f"the new password (version {current.version})")
    print(f"Logged in as {user} with the new password (version {current.version}).")
    before = previous.login if previous else None
    if previous and before and before.username != login.username:
        user = _logged_in(before, authority, f"the password before (version {previous.version})")
        print(f"Logged in as {user} with the password before: it still works (version {previous.version}).")
    if authority.exists() and "sslmode=verify-full" in str(current.fields.get("DATABASE_URL")):
        print(f'With the secret\'s DATABASE_URL you log in by: psql "$DATABASE_URL&sslrootcert={authority}"')


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
    print(f"The secret has {what} (version {current.version}); it is for no database, so nobody logs in.")


def _logged_in(login: _Login, authority: Path, what: str) -> str:
    """Who the server says we are."""
    # as sslrootcert in a URL: this file alone
    context = ssl.create_default_context(cafile=str(authority) if authority.exists() else None)
    where = f"{login.host}:{login.port}"
    try:
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
    except (pg8000.exceptions.Error, OSError) as error:
        raise SetupError(
            f"PostgreSQL at {where} does not let {login.username} in with {what}: {reason(error)}."
        ) from None
    return str(user) if user == acting else f"{user}, acting as {acting},"
