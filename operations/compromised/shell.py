"""Shell commands that put a value into a secret without showing it or passing it as an argument."""

import re
import shlex
from collections.abc import Iterable

from stack_file.secrets import Binary, Content, Random, Text

_ASK = "(read -rsp 'New value: ' value </dev/tty && printf %s \"$value\")"


def prompting(secret: str, key: str, content: Content) -> str:
    """Return the command that asks for a value and puts it into a secret."""
    if content == "binary":
        return f"aws secretsmanager put-secret-value --secret-id {shlex.quote(secret)} --secret-binary fileb://FILE"
    return _put(secret, key, content, _ASK)


def generating(secret: str, key: str, source: Text | Binary, content: Content) -> str:
    """Return the command that generates a value like the declared one and puts it into a secret."""
    return _put(secret, key, content, _generator(source))


def connecting(server: tuple[str, str], database: str, user: str, authorities: str) -> str:
    """Return the command that logs in to PostgreSQL and asks for the password.

    Args:
        server: host and port.
        database: name of the database.
        user: the user.
        authorities: file of the certificate authorities to trust.
    """
    settings = {
        "host": server[0],
        "port": server[1],
        "dbname": database,
        "user": user,
        "sslmode": "verify-full",
        "sslrootcert": authorities,
    }
    text = " ".join(f"{name}={_setting(value)}" for name, value in settings.items())
    return f"psql {shlex.quote(text)} --password"


def listing_sessions(users: Iterable[str]) -> str:
    """Return the command that lists the sessions of users."""
    names = ", ".join("'" + user.replace("'", "''") + "'" for user in users)
    columns = "usename, client_addr, application_name, backend_start"
    query = f"SELECT {columns} FROM pg_stat_activity WHERE usename IN ({names})"  # noqa: S608  for a person
    return f"psql --command {shlex.quote(query)}"


def _setting(value: str) -> str:
    """Return a value as libpq's connection strings take it."""
    if re.fullmatch(r"[\w./:-]+", value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _generator(source: Text | Binary) -> str:
    declared = getattr(source, "random", None)
    if isinstance(declared, Random):
        # letters and digits replace special characters; a few more of them are as hard to guess
        length = declared.length + (declared.length // 8 if declared.special else 0)
        return f"(LC_ALL=C tr -dc A-Za-z0-9 </dev/urandom | head -c {length})"
    length = source.random_bytes.length if source.random_bytes else 32
    encoding = getattr(source.random_bytes, "encoding", "")
    if encoding == "hex":
        return f"(openssl rand -hex {length} | tr -d '\\n')"
    if encoding == "base64":
        return f"(openssl rand -base64 {length} | tr -d '\\n')"
    if encoding == "base64url":
        return f"(openssl rand -base64 {length} | tr '+/' '-_' | tr -d '=\\n')"
    return f"(openssl rand {length})"


def _put(secret: str, key: str, content: Content, source: str) -> str:
    name = shlex.quote(secret)
    put = f"aws secretsmanager put-secret-value --secret-id {name}"
    if content == "binary":
        return f"{source} | {put} --secret-binary fileb:///dev/stdin"
    if content == "text":
        return f"{source} | {put} --secret-string file:///dev/stdin"
    read = f"aws secretsmanager get-secret-value --secret-id {name} --query SecretString --output text"
    return (
        f"{read} | jq --arg key {shlex.quote(key)} --rawfile value <{source} '.[$key] = $value' | "
        f"{put} --secret-string file:///dev/stdin"
    )
