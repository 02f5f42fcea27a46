"""A rehearsal finds what would break the next rotation, and changes nothing that is in use."""

import hashlib
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from components.lambdas.rotation import administrator as administrators
from components.lambdas.rotation import mysql, postgres, random_key
from components.lambdas.rotation.handler import handle
from components.lambdas.rotation.protocol import SERVERS_VARIABLE, fingerprint
from components.lambdas.rotation.sql import literal, scram_verifier
from tests.support.cache_world import Caches, a_cache_login, a_token
from tests.support.deep import deep_except
from tests.support.engines import Engine
from tests.support.interruption import cut_off, killed
from tests.support.mysql_world import MysqlWorld, account, as_superuser
from tests.support.mysql_world import a_login as a_mysql_login
from tests.support.rotation_world import (
    AnyWorld,
    World,
    a_login,
    provision,
    put_login,
    put_secret,
    read,
    rejection,
    rotate,
    run_step,
    run_steps,
    start_rotation,
    superuser,
    unique,
    version_with,
    write,
)
from tests.support.secret_parts import remember
from tests.support.threads import at_once

LABEL = "aws-secrets-rehearsal"
ROLES = (
    *("pg_authid", "pg_auth_members", "pg_db_role_setting", "pg_shdescription", "pg_shdepend", "pg_database"),
    *("pg_namespace", "pg_default_acl", "pg_class"),
)
ACCOUNTS = {
    "mariadb": ("global_priv", "roles_mapping", "db"),
    "mysql": ("user", "db", "role_edges", "default_roles", "global_grants"),
}


def rehearse(arn: str, **more: object) -> dict[str, Any]:
    return dict(handle({"Action": "rehearse", "SecretId": arn, **more}) or {})


def findings(arn: str, **more: object) -> dict[str, str]:
    """Rehearse; return the problem of each step that would fail."""
    return {one["Step"]: one["Problem"] for one in rehearse(arn, **more)["Findings"]}


def found(arn: str, step: str, *words: str, **more: object) -> None:
    """Check that a rehearsal names this step alone, with these words."""
    known = findings(arn, **more)
    assert set(known) == {step}, known
    assert all(word in known[step] for word in words), known


@pytest.fixture(autouse=True)
def generated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every password that the function generates; none may be in a log, an answer or a version's value."""
    values: list[str] = []

    def generate(length: int) -> str:
        values.append(original(length))
        remember(values[-1])
        return values[-1]

    original = random_key.alphanumeric
    for module in (postgres, mysql):
        monkeypatch.setattr(module, "alphanumeric", generate)
    return values


def labels(world: AnyWorld, arn: str) -> dict[str, list[str]]:
    stages = world.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    return {version: sorted(labels) for version, labels in stages.items() if labels}


def without_rehearsal(known: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {version: named for version, named in known.items() if named != [LABEL]}


def catalog(engine: Engine) -> str:
    """Return a digest of everything that the server stores about users."""
    world: Any = engine.world
    if isinstance(world, MysqlWorld):
        tables = [as_superuser(world, f"SELECT * FROM mysql.{one}") for one in ACCOUNTS[world.kind]]
        text = repr([sorted(map(repr, rows)) for rows in tables])
    else:
        with superuser(world.server) as connection:
            text = repr(
                [connection.run(f"SELECT t::text FROM pg_catalog.{one} t ORDER BY 1") for one in ROLES]
            )
    return hashlib.sha256(text.encode()).hexdigest()


def a_rotated_login(engine: Engine) -> str:
    arn = engine.a_login()
    rotate(engine.world, arn)
    return arn


# nothing is broken


def test_a_rehearsal_tries_every_step_and_changes_nothing(engine: Engine, generated: list[str]) -> None:
    arn = a_rotated_login(engine)
    before = catalog(engine), labels(engine.world, arn), read(engine.world, arn)
    known = len(generated)
    answer = rehearse(arn)
    assert answer["Findings"] == []
    assert {"createSecret", "setSecret", "testSecret", "finishSecret"} <= set(answer["Rehearsed"])
    assert ("recreate" in answer["Rehearsed"]) is (engine.name == "postgres-alternating")
    assert (catalog(engine), labels(engine.world, arn), read(engine.world, arn)) == before
    assert len(generated) > known
    assert not any(value in json.dumps(answer) for value in (*generated, before[2]["password"]))
    assert values_put_by_rehearsals(engine.world, arn) == [{"rehearsal"}]
    rotate(engine.world, arn)
    assert engine.can_log_in(read(engine.world, arn))


def values_put_by_rehearsals(world: AnyWorld, arn: str) -> list[set[str]]:
    """Return the JSON keys of the versions that rehearsals put; their values have one character."""
    versions = world.secrets.list_secret_version_ids(SecretId=arn, IncludeDeprecated=True)["Versions"]
    ids = [one["VersionId"] for one in versions if one["VersionId"].startswith(LABEL)]
    values = [world.secrets.get_secret_value(SecretId=arn, VersionId=one)["SecretString"] for one in ids]
    assert all(set(value) <= set('{"rehearsal": x}') for value in values)
    return [set(json.loads(value)) for value in values]


@pytest.mark.parametrize("engine", ["postgres-alternating", "mysql"], indirect=True)
def test_a_killed_rehearsal_leaves_at_most_its_label(engine: Engine) -> None:
    arn = a_rotated_login(engine)
    before = catalog(engine), labels(engine.world, arn)
    at = 0
    while killed(at, partial(rehearse, arn)):
        assert (catalog(engine), without_rehearsal(labels(engine.world, arn))) == before
        at += 1
    assert at > 4
    rehearse(arn)
    assert (catalog(engine), labels(engine.world, arn)) == before


@pytest.mark.parametrize("engine", ["postgres-single"], indirect=True)
def test_a_network_failure_in_a_rehearsal_changes_nothing(engine: Engine) -> None:
    arn = a_rotated_login(engine)
    before = catalog(engine), labels(engine.world, arn)
    for at in range(1000):
        reached, error = cut_off(at, partial(rehearse, arn))
        assert error is None
        assert without_rehearsal(labels(engine.world, arn)) == before[1]
        if not reached:
            break
    rehearse(arn)
    assert (catalog(engine), labels(engine.world, arn)) == before


def test_rehearsals_at_once_with_a_rotation_do_no_harm(engine: Engine) -> None:
    arn = a_rotated_login(engine)
    for _ in range(2):
        before = read(engine.world, arn)
        assert at_once(*[partial(rehearse, arn)] * 2, partial(rotate, engine.world, arn)) == []
        assert engine.can_log_in(read(engine.world, arn))
        assert read(engine.world, arn)["password"] != before["password"]
        assert engine.can_log_in(before) is engine.overlaps
    rehearse(arn)
    assert LABEL not in str(labels(engine.world, arn))


def test_a_rehearsal_during_a_rotation_says_so_and_the_rotation_goes_on(engine: Engine) -> None:
    arn = a_rotated_login(engine)
    token = start_rotation(engine.world, arn)
    for step in ("createSecret", "setSecret", "testSecret"):
        run_step(arn, token, step)
        assert "AWSPENDING" in findings(arn)["describe"]
    run_steps(arn, token)
    assert version_with(engine.world, arn, "AWSCURRENT") == token
    assert engine.can_log_in(read(engine.world, arn))
    assert findings(arn) == {}


@pytest.mark.parametrize("other_server", deep_except([13, 18], [18]), indirect=True)
def test_a_rehearsal_works_on_the_oldest_and_newest_postgresql(any_world: World) -> None:
    arn = a_login(any_world)
    rotate(any_world, arn)
    assert findings(arn, Schemas=["public"]) == {}


# PostgreSQL: each thing is broken by itself


class Broken:
    """A login with an administrator, a database and a port of its own to break."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.admin, self.database = world, unique("boss"), unique("db")
        self.monkeypatch, self.password = monkeypatch, "an-administrators-own-31"
        remember(self.password)
        verifier = literal(scram_verifier(self.password))
        self.run(f"CREATE ROLE {self.admin} LOGIN CREATEROLE PASSWORD {verifier}")
        self.run(f"CREATE DATABASE {self.database} OWNER {self.admin}")
        value = {"username": self.admin, "password": self.password}
        self.admin_arn = world.secrets.create_secret(Name=unique("admin"), SecretString=json.dumps(value))[
            "ARN"
        ]
        monkeypatch.setenv(
            SERVERS_VARIABLE, fingerprint(self.admin_arn, world.server.host, world.server.port)
        )
        monkeypatch.setattr(administrators, "_TRIES", 1)
        self.arn = put_login(world, self.database, unique("app"), masterarn=self.admin_arn)
        provision(self.arn, Grants="owner")
        rotate(world, self.arn)
        self.active = read(world, self.arn)["username"]
        self.inactive = (
            self.active.removesuffix("_clone") if self.active.endswith("_clone") else (f"{self.active}_clone")
        )
        self.owner = f"{self.active.removesuffix('_clone')}_owner"

    def run(self, statement: str, database: str = "postgres") -> None:
        with superuser(self.world.server, database) as connection:
            connection.run(statement)

    def sql(self, statement: str) -> None:
        """Run a statement with the names of this login, in its database."""
        names = {name: getattr(self, name) for name in ("admin", "database", "active", "inactive", "owner")}
        self.run(statement.format(**names), self.database)


@pytest.fixture
def broken(world: World, monkeypatch: pytest.MonkeyPatch) -> Broken:
    return Broken(world, monkeypatch)


@pytest.mark.parametrize(
    ("statements", "step", "words"),
    [
        (("ALTER ROLE {admin} PASSWORD 'x-not-the-one-1'",), "setSecret", "rejected the password of user"),
        (("ALTER ROLE {admin} NOCREATEROLE",), "setSecret", "permission denied"),
        (("ALTER ROLE {admin} NOLOGIN",), "setSecret", "not permitted to log in"),
        (("COMMENT ON ROLE {inactive} IS NULL",), "setSecret", "does not name the secret"),
        (("COMMENT ON ROLE {owner} IS NULL",), "setSecret", "have no owner role"),
        (("REVOKE {owner} FROM {inactive}",), "setSecret", "have no owner role"),
        (("ALTER ROLE {owner} CREATEROLE",), "setSecret", "cannot be its owner role"),
        (("ALTER ROLE {inactive} NOLOGIN",), "setSecret", "is locked"),
        (("ALTER ROLE {inactive} VALID UNTIL '2020-01-01'",), "setSecret", "is locked"),
        (
            (
                "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC, {owner}",
                "GRANT CONNECT ON DATABASE {database} TO {active}",
            ),
            "setSecret",
            "may not connect to database",
        ),
        (("ALTER ROLE {active} NOLOGIN",), "testSecret", "not permitted to log in"),
        (("ALTER ROLE {active} PASSWORD 'x-not-the-one-1'",), "testSecret", "rejected the password of user"),
        (("DROP SCHEMA app_data",), "schemas", "does not exist in database"),
        (("REVOKE USAGE ON SCHEMA app_data FROM {owner}",), "schemas", "may not use schema"),
    ],
)  # fmt: skip
def test_what_is_broken_in_the_database_is_named(
    broken: Broken, statements: tuple[str, ...], step: str, words: str
) -> None:
    broken.sql("CREATE SCHEMA app_data")
    broken.sql("GRANT USAGE ON SCHEMA app_data TO {owner}")
    schemas = ["public", "app_data"]
    assert findings(broken.arn, Schemas=schemas) == {}
    for statement in statements:
        broken.sql(statement)
    found(broken.arn, step, words, Schemas=schemas)
    token = start_rotation(broken.world, broken.arn)
    if step == "setSecret":  # what is named is what breaks the rotation
        assert rejection(partial(run_steps, broken.arn, token))


@pytest.mark.parametrize("other_server", deep_except([16, 18], [18]), indirect=True)
def test_a_user_that_could_not_be_created_again_is_named(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken(any_world, monkeypatch)
    assert findings(broken.arn) == {}
    broken.sql("GRANT {owner} TO {active}, {inactive}")
    broken.sql("REVOKE ADMIN OPTION FOR {owner} FROM {admin} CASCADE")
    found(broken.arn, "recreate", "ADMIN OPTION")
    rotate(any_world, broken.arn)


def test_a_host_name_that_does_not_resolve_is_named(broken: Broken) -> None:
    write(broken.world, broken.arn, host="database.invalid")
    known = findings(broken.arn)
    assert "does not resolve" in known["testSecret"]
    assert "does not declare" in known["setSecret"]


def test_a_server_that_is_down_is_named_once(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    write(broken.world, broken.arn, port=port)
    monkeypatch.setenv(SERVERS_VARIABLE, fingerprint(broken.admin_arn, broken.world.server.host, port))
    found(broken.arn, "testSecret", "is unreachable")


def test_a_certificate_of_another_authority_is_named(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_CA_FILE")
    found(broken.arn, "testSecret", "is not trusted")


def test_a_server_that_is_no_longer_declared_is_named(
    broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SERVERS_VARIABLE, "")
    found(broken.arn, "setSecret", "does not declare")


def test_a_single_users_wrong_password_is_found_without_an_administrator(world: World) -> None:
    arn = a_login(world, alternating=False)
    write(world, arn, masterarn="")
    rotate(world, arn)
    assert findings(arn) == {}
    with superuser(world.server) as connection:
        connection.run(f"ALTER ROLE {read(world, arn)['username']} PASSWORD 'x-not-the-one-1'")
    known = findings(arn)
    assert set(known) == {"testSecret", "setSecret"}
    assert "AWSCURRENT and AWSPREVIOUS do not work" in known["setSecret"]


# MySQL and MariaDB


@pytest.fixture
def mysql_login(mysql_world: MysqlWorld) -> str:
    arn = a_mysql_login(mysql_world)
    rotate(mysql_world, arn)
    return arn


def test_an_administrator_without_create_user_is_named(mysql_world: MysqlWorld, mysql_login: str) -> None:
    admin = account(mysql_world.server.admin_user)
    # at MariaDB, UPDATE on the table of accounts is enough to alter one
    as_superuser(mysql_world, f"REVOKE CREATE USER, UPDATE ON *.* FROM {admin}")
    try:
        found(mysql_login, "setSecret", "CREATE USER")
        token = start_rotation(mysql_world, mysql_login)
        assert "CREATE USER" in rejection(partial(run_steps, mysql_login, token))
    finally:
        as_superuser(mysql_world, f"GRANT CREATE USER, UPDATE ON *.* TO {admin}")


@pytest.mark.parametrize(
    ("statement", "steps", "words"),
    [
        ("ALTER USER {account} ACCOUNT LOCK", {"testSecret", "setSecret"}, "ACCOUNT UNLOCK"),
        ("RENAME USER {account} TO {other}", {"testSecret", "setSecret"}, "does not exist"),
        ("SET GLOBAL read_only = 1", {"setSecret"}, "read"),
    ],
)
def test_what_is_broken_at_mysql_is_named(
    mysql_world: MysqlWorld, mysql_login: str, statement: str, steps: set[str], words: str
) -> None:
    name = read(mysql_world, mysql_login)["username"]
    as_superuser(mysql_world, statement.format(account=account(name), other=account(f"{name}2")))
    try:
        known = findings(mysql_login)
    finally:
        as_superuser(mysql_world, "SET GLOBAL read_only = 0")
    assert set(known) == steps, known
    assert words in known["setSecret"], known


# caches and random keys


def test_a_rehearsal_of_a_cache_only_reads_and_says_so(caches: Caches) -> None:
    user, arn = a_cache_login(caches)
    rotate(caches, arn)
    before, known = user.describe(), labels(caches, arn)
    answer = rehearse(arn)
    assert answer["Findings"] == []
    assert "ModifyUser" in answer["NotRehearsed"][0]
    assert (user.describe(), labels(caches, arn)) == (before, known)
    user.tag("of-another")
    found(arn, "setSecret", "belongs to the secret 'of-another'")
    _, token = a_token(caches)
    rotate(caches, token)
    assert findings(token) == {}
    write(caches, token, password="not-the-one-that-works")
    assert set(findings(token)) == {"testSecret"}


def a_random_key(world: AnyWorld, value: Mapping[str, object]) -> str:
    tags = {"aws-secrets:rotation": "random-key", "aws-secrets:rotation-keys": "KEY"}
    arn = put_secret(world, value, tags)
    rotate(world, arn)
    return arn


def test_a_random_key_is_rehearsed_at_its_full_size(world: World) -> None:
    arn = a_random_key(world, {"KEY": "x", "OTHER": "é" * 20_000})
    before = labels(world, arn), read(world, arn)
    assert findings(arn) == {}
    assert (labels(world, arn), read(world, arn)) == before
    [size] = [
        len(world.secrets.get_secret_value(SecretId=arn, VersionId=one["VersionId"])["SecretString"])
        for one in world.secrets.list_secret_version_ids(SecretId=arn, IncludeDeprecated=True)["Versions"]
        if one["VersionId"].startswith(LABEL)
    ]
    assert size == len(json.dumps(read(world, arn), ensure_ascii=False).encode())
    world.secrets.put_secret_value(SecretId=arn, SecretString='{"OTHER": "y"}')
    known = findings(arn)
    assert "'KEY'" in known["createSecret"]


# AWS


@contextmanager
def denied(operation: str, code: str, text: str) -> Iterator[None]:
    """Let AWS reject one operation, as a policy of the role, the secret or its key does."""

    def call(client: Any, name: str, arguments: object) -> Any:
        if name == operation:
            raise ClientError({"Error": {"Code": code, "Message": text}}, name)
        return original(client, name, arguments)

    original: Callable[..., Any] = BaseClient._make_api_call
    with mock.patch.object(BaseClient, "_make_api_call", call):
        yield


ROLE = "User: arn:aws:sts::1:assumed-role/rotation is not authorized to perform: secretsmanager:{}"


@pytest.mark.parametrize(
    ("operation", "text", "step"),
    [
        ("DescribeSecret", ROLE, "describe"),
        ("GetSecretValue", ROLE, "read"),
        ("GetSecretValue", "Access to KMS is not allowed", "read"),
        ("PutSecretValue", ROLE + " with an explicit deny in a resource-based policy", "createSecret"),
        ("PutSecretValue", "Access to KMS is not allowed", "createSecret"),
        ("UpdateSecretVersionStage", ROLE, "finishSecret"),
    ],
)
def test_what_aws_denies_is_named(world: World, operation: str, text: str, step: str) -> None:
    arn = a_login(world)
    rotate(world, arn)
    before = labels(world, arn)
    with denied(operation, "AccessDeniedException", text.format(operation)):
        found(arn, step, operation, text.format(operation).rstrip("."))
    assert without_rehearsal(labels(world, arn)) == before
    assert findings(arn) == {}
    assert labels(world, arn) == before


def test_a_cancelled_rotation_and_a_deleted_secret_are_named(world: World) -> None:
    arn = a_login(world)
    rotate(world, arn)
    world.secrets.cancel_rotate_secret(SecretId=arn)
    found(arn, "describe", "rotation is not enabled")
    world.secrets.delete_secret(SecretId=arn)
    found(arn, "describe", "scheduled for deletion")


# who may misuse it


@pytest.mark.parametrize("alternating", [True, False])
def test_a_secret_that_names_another_user_rehearses_nothing_on_it(world: World, alternating: bool) -> None:
    victim, attacker = a_login(world), a_login(world, alternating=alternating)
    rotate(world, attacker)
    write(world, attacker, username=read(world, victim)["username"])
    assert "its comment does not name the secret" in findings(attacker)["setSecret"]


def test_a_rehearsal_does_not_log_in_to_an_undeclared_server(broken: Broken) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        write(broken.world, broken.arn, port=server.getsockname()[1])
        server.settimeout(0.01)
        with mock.patch.object(postgres.PostgresDriver, "verify"):
            found(broken.arn, "setSecret", "does not declare")
        with pytest.raises(TimeoutError):
            server.accept()


def test_an_invalid_request_is_rejected_and_names_are_no_sql(world: World) -> None:
    arn = a_login(world)
    rotate(world, arn)
    assert "unknown keys: Grants" in rejection(partial(rehearse, arn, Grants="owner"))
    assert "list of names" in rejection(partial(rehearse, arn, Schemas="public"))
    assert "SecretId is missing" in rejection(lambda: handle({"Action": "rehearse"}))
    hostile = "x'; DROP SCHEMA public; --\n"
    assert "\n" not in findings(arn, Schemas=[hostile])["schemas"]
    assert findings(arn, Schemas=["public"]) == {}
