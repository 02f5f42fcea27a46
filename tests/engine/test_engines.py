"""MariaDB, MySQL and cache logins, with the real engine, the real function, and real servers."""

import json
import ssl
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql
import pytest

from operations.status.command import main as status
from tests.engine.test_secrecy import files_below, numbers_of_shown
from tests.restore.running import restore
from tests.support.caches import own, register
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.local_engine import stack_environment
from tests.support.redis_client import login as redis_login
from tests.support.stacks import Stack, new_stack
from tools.localcloud.servers import sql
from tools.localcloud.servers.redis import RedisServer
from tools.localcloud.servers.sql import SqlServer

DATABASE = "engines"
SQL = {"mariadb": "reports", "mysql": "orders"}
CACHE = "sessions"
LOGINS = (*SQL.values(), CACHE)


@dataclass(frozen=True)
class Engines:
    """A deployed stack with a login at each server."""

    stack: Stack
    emulator: Emulator
    databases: dict[str, SqlServer]
    cache: RedisServer

    def log_in(self, name: str, value: dict[str, str] | None = None) -> str:
        """Log in as a pod does, with the URL and a verified server; return the user."""
        found = value or self.stack.value(name)
        url = urlsplit(found["REDIS_URL" if name == CACHE else "DATABASE_URL"])
        user, password = unquote(url.username or ""), unquote(url.password or "")
        if name == CACHE:
            assert url.scheme == "rediss"
            return redis_login(self.cache, user, password)
        server = self.databases[next(engine for engine, login in SQL.items() if login == name)]
        with pymysql.connect(
            host=url.hostname,
            port=url.port,
            user=user,
            password=password,
            database=unquote(url.path[1:]),
            ssl=ssl.create_default_context(cafile=str(server.ca_file)),
        ) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT CURRENT_USER()")
            return str(cursor.fetchone()[0])

    def rotate(self, name: str) -> dict[str, str]:
        """Rotate as any client may; return the new value when the rotation has finished."""
        client = self.stack.client()
        version = client.rotate_secret(SecretId=name)["VersionId"]
        deadline = time.monotonic() + 60
        while client.describe_secret(SecretId=name)["VersionIdsToStages"].get(version) != ["AWSCURRENT"]:
            assert time.monotonic() < deadline, self.stack.function_log()
            time.sleep(0.02)
        return self.stack.value(name)


def registered(emulator: Emulator, server: SqlServer) -> str:
    """Present a server as an RDS instance with a managed master secret; return its identifier."""
    sql.create_database(server, DATABASE)
    body = {
        "DBInstanceIdentifier": server.engine,
        "Engine": server.engine,
        "Host": server.host,
        "Port": server.port,
        "Username": server.admin_user,
        "Password": server.admin_password,
    }
    request = urllib.request.Request(
        f"{emulator.endpoint}/_localcloud/databases", json.dumps(body).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=60):
        return server.engine


def make_user(stack: Stack) -> None:
    """Create the cache's user and its group as an administrator does, who hands the user to the secret."""
    client = stack.client("elasticache")
    nobody = {"Engine": "redis", "Passwords": ["unknown-to-anybody-" + "x" * 20]}
    client.create_user(UserId="off", UserName="default", AccessString="off -@all", **nobody)
    tags = [{"Key": "aws-secrets:secret", "Value": CACHE}]
    client.create_user(UserId="web", UserName="web-name", AccessString="on ~* +@all", Tags=tags, **nobody)
    client.create_user_group(UserGroupId="users", Engine="redis", UserIds=["off", "web"])


@pytest.fixture(scope="module")
def engines(
    tmp_path_factory: pytest.TempPathFactory,
    mariadb_server: SqlServer,
    mysql_server: SqlServer,
    redis_server: RedisServer,
) -> Iterator[Engines]:
    folder = tmp_path_factory.mktemp("engines")
    databases: dict[str, SqlServer] = {"mariadb": mariadb_server, "mysql": mysql_server}
    with running_emulator(None) as emulator:
        environment = stack_environment(folder, emulator.endpoint)
        stack = new_stack(folder / "project", environment, emulator.endpoint)
        own(emulator, "cache-changes", {"Seconds": 0.02})
        make_user(stack)
        register(emulator, redis_server, "cache", Group="users")
        stack.configure(
            {},
            databases={
                engine: {
                    "engine": engine,
                    "rdsInstance": registered(emulator, server),
                    "certificateAuthorities": str(server.ca_file),
                    "logins": {
                        SQL[engine]: {"username": SQL[engine], "database": DATABASE, "grants": "owner"}
                    },
                }
                for (engine, server), name in zip(databases.items(), SQL.values(), strict=True)
            },
            caches={
                "sessions": {
                    "replicationGroup": "cache",
                    "certificateAuthorities": str(redis_server.ca_file),
                    "logins": {CACHE: {"user": "web"}},
                }
            },
            encryption="aws-managed",
        )
        stack.up()
        yield Engines(stack, emulator, databases, redis_server)


def test_every_login_works_after_up_and_after_two_rotations(engines: Engines) -> None:
    stack = engines.stack
    assert stack.preview() == []
    for name in LOGINS:
        user = engines.log_in(name)
        for _ in range(2):
            before = stack.value(name)
            after = engines.rotate(name)
            assert after.keys() == before.keys()
            assert after["password"] != before["password"]
            # a client that has read the value before can use it for a whole period
            assert engines.log_in(name, before) == engines.log_in(name, after) == user


def test_live_passwords_survive_a_refresh_and_an_update(engines: Engines) -> None:
    live = {name: engines.rotate(name) for name in LOGINS}
    engines.stack.collect_versions()
    engines.stack.refresh()
    assert engines.stack.up() == []
    assert {name: engines.stack.value(name) for name in LOGINS} == live
    for name in LOGINS:
        engines.log_in(name)


def test_no_password_is_in_a_file_or_a_log(engines: Engines) -> None:
    passwords = [engines.stack.value(name)["password"] for name in LOGINS]
    passwords += [engines.rotate(name)["password"] for name in LOGINS]
    logs = [engines.stack.function_log().encode(), engines.cache.log_file.read_bytes()]
    for server in engines.databases.values():
        logs += [server.statements_file.read_bytes(), server.log_file.read_bytes()]
    for content in (*files_below(engines.stack.folder.parent), *logs):
        assert numbers_of_shown(passwords, content) == []


def test_pulumi_never_has_a_caches_password_not_even_encrypted(engines: Engines) -> None:
    exported = engines.stack.pulumi("stack", "export", "--show-secrets").stdout
    assert "REDIS_URL" in exported
    versions = engines.stack.client().list_secret_version_ids(SecretId=CACHE, IncludeDeprecated=True)[
        "Versions"
    ]
    values = [_version(engines.stack, version["VersionId"]) for version in versions]
    passwords = [value["password"] for value in values if value["password"]]
    assert passwords
    assert numbers_of_shown(passwords, exported.encode()) == []


def _version(stack: Stack, version: str) -> dict[str, Any]:
    answer = stack.client().get_secret_value(SecretId=CACHE, VersionId=version)
    found: dict[str, Any] = json.loads(answer["SecretString"])
    return found


def test_logins_that_the_state_lost_are_restored_and_rotate(engines: Engines) -> None:
    stack = engines.stack
    lost = ("reports", CACHE)
    live = {name: stack.value(name) for name in lost}
    for name in lost:
        stack.client().delete_secret(SecretId=name, RecoveryWindowInDays=7)
    stack.refresh()
    for name in lost:
        restore(stack, name, "--yes")
    assert {name: stack.value(name) for name in lost} == live
    changed = stack.up("--refresh")
    assert not [step for step in changed if step.endswith(("-secret", "-initial-version"))], changed
    assert stack.preview() == []
    for name in lost:
        assert engines.log_in(name, live[name]) == engines.log_in(name, engines.rotate(name))


def test_the_status_finds_every_login_healthy(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in engines.stack.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(engines.stack.folder)
    assert status(["--stack", "test", "--json"]) == 0, capsys.readouterr().out
    found = json.loads(capsys.readouterr().out)
    states = {
        secret["name"]: secret["rotation"]["state"] for secret in found["secrets"] if secret["rotation"]
    }
    assert {name: states[name] for name in LOGINS} == dict.fromkeys(LOGINS, "on-schedule")


def test_a_server_that_is_of_another_engine_changes_nothing(engines: Engines) -> None:
    written = engines.stack.file.read_text()
    engines.stack.file.write_text(written.replace("engine: mysql", "engine: mariadb"))
    try:
        shown = engines.stack.pulumi("preview", check=False).stdout
    finally:
        engines.stack.file.write_text(written)
    assert "its engine is mysql, not MariaDB" in shown
    assert "Set engine: mysql" in shown
