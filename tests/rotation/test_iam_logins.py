"""Create logins with IAM database authentication. PostgreSQL outside RDS has no tokens: a role stands in."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pg8000.native
import pytest

from tests.support.rotation_world import (
    STEPS,
    World,
    a_login_in,
    can_log_in,
    new_database,
    provision,
    put_login,
    read,
    rejection,
    run_step,
    start_rotation,
    superuser,
    unique,
    write,
)

TAG = "aws-secrets:rotation"


@pytest.fixture
def rds(world: World) -> World:
    """The same server with the role that RDS has; the administrator may grant it."""
    with superuser(world.server) as connection:
        if not connection.run("SELECT 1 FROM pg_roles WHERE rolname = 'rds_iam'"):
            connection.run("CREATE ROLE rds_iam NOLOGIN")
        admin = pg8000.native.identifier(world.server.admin_user)
        connection.run(f"GRANT rds_iam TO {admin} WITH ADMIN OPTION")
    return world


def a_secret(world: World, database: str, username: str, **fields: object) -> str:
    arn = put_login(world, database, username, alternating=False, password=None, **fields)
    world.secrets.tag_resource(SecretId=arn, Tags=[{"Key": TAG, "Value": "postgres-iam"}])
    return arn


def create(arn: str, **more: object) -> Mapping[str, Any]:
    return provision(arn, **{"Authentication": "iam", "Grants": "read-write", **more})


def row(world: World, username: str) -> tuple[bool, bool, bool]:
    """Return whether a role can log in, has a password, and is a member of rds_iam."""
    with superuser(world.server) as connection:
        [[can, password, member]] = connection.run(
            "SELECT rolcanlogin, rolpassword IS NOT NULL, EXISTS (SELECT FROM pg_auth_members WHERE "
            "member = a.oid AND roleid = 'rds_iam'::regrole) FROM pg_authid a WHERE rolname = :name",
            name=username,
        )
    return can, password, member


def test_the_role_has_grants_and_no_password(rds: World) -> None:
    database, name = new_database(rds), unique("app")
    arn = a_secret(rds, database, name)
    assert create(arn) == {"Roles": [name], "Warnings": []}
    assert row(rds, name) == (True, False, True)
    with superuser(rds.server, database) as connection:
        assert connection.run("SELECT has_schema_privilege(:name, 'public', 'USAGE')", name=name) == [[True]]
    assert create(arn) == {"Roles": [name], "Warnings": []}
    assert "password" not in read(rds, arn)


def test_a_server_without_rds_iam_is_explained(world: World) -> None:
    database, name = new_database(world), unique("app")
    arn = a_secret(world, database, name)
    with superuser(world.server) as connection:
        if connection.run("SELECT 1 FROM pg_roles WHERE rolname = 'rds_iam'"):
            connection.run("DROP OWNED BY rds_iam")
            connection.run("DROP ROLE rds_iam")
    message = rejection(lambda: create(arn))
    assert "has no role 'rds_iam'" in message
    assert "declare a password login" in message
    with superuser(world.server) as connection:
        assert not connection.run("SELECT 1 FROM pg_roles WHERE rolname = :name", name=name)


def test_nothing_can_be_rotated(rds: World) -> None:
    arn = a_secret(rds, new_database(rds), unique("app"))
    create(arn)
    token = start_rotation(rds, arn)
    for step in (STEPS[0], STEPS[2]):
        assert "no password to rotate" in rejection(partial(run_step, arn, token, step))


def test_a_tag_alone_does_not_lock_a_password_login_out(rds: World) -> None:
    database, name = new_database(rds), unique("app")
    arn = a_login_in(rds, database, name, alternating=False)
    value = read(rds, arn)
    rds.secrets.tag_resource(SecretId=arn, Tags=[{"Key": TAG, "Value": "postgres-iam"}])
    assert "which would stop working" in rejection(lambda: create(arn))
    write(rds, arn, password="")
    assert "the deployment does not" in rejection(lambda: provision(arn, Grants="read-write"))
    assert row(rds, name) == (True, True, False)
    assert can_log_in(rds, value)


def test_a_role_of_another_secret_is_not_taken_over(rds: World) -> None:
    database, name = new_database(rds), unique("app")
    theirs = a_login_in(rds, database, name, alternating=False)
    arn = a_secret(rds, database, name)
    assert "does not name the secret" in rejection(lambda: create(arn))
    assert row(rds, name) == (True, True, False)
    assert can_log_in(rds, read(rds, theirs))


def test_the_deployment_declares_the_user(rds: World) -> None:
    arn = a_secret(rds, new_database(rds), unique("app"))
    assert "which the deployment declares" in rejection(lambda: create(arn, Username="other"))
    assert "unknown keys: OwnerRole" in rejection(lambda: create(arn, OwnerRole="x"))
