"""Provisioning takes over the secrets of other functions, which keep the administrator elsewhere."""

from tests.support.rotation_world import (
    World,
    administrator,
    can_log_in,
    new_database,
    provision,
    put_login,
    read,
    rejection,
    rotate,
    set_password,
    unique,
    version_with,
)

CONNECTION = ("host", "port", "dbname")


def declared(world: World, arn: str, **changes: object) -> dict[str, object]:
    fields = read(world, arn)
    known = {key: fields[key] for key in CONNECTION if key in fields}
    return {"Connection": {**known, "masterarn": world.admin_arn, **changes}, "Username": fields["username"]}


def existing_role(world: World, arn: str) -> None:
    fields = read(world, arn)
    with administrator(world.server) as admin:
        admin.run(f"CREATE ROLE {fields['username']} LOGIN")
    set_password(world, fields["username"], fields["password"])


def test_a_secret_without_an_administrator_gets_the_declared_one(world: World) -> None:
    arn = put_login(world, new_database(world), unique("bot"), masterarn=None)
    existing_role(world, arn)
    before, version = read(world, arn), version_with(world, arn, "AWSCURRENT")
    provision(arn, **declared(world, arn))
    assert read(world, arn) == {**before, "masterarn": world.admin_arn}
    assert version_with(world, arn, "AWSPREVIOUS") == version
    added = version_with(world, arn, "AWSCURRENT")
    provision(arn, **declared(world, arn))
    assert version_with(world, arn, "AWSCURRENT") == added
    rotate(world, arn)
    assert read(world, arn)["username"] == f"{before['username']}_clone"
    assert can_log_in(world, read(world, arn))
    assert can_log_in(world, before)


def test_a_provisioning_that_fails_adds_no_administrator(world: World) -> None:
    arn = put_login(world, new_database(world), unique("bot"), masterarn=None)
    before, version = read(world, arn), version_with(world, arn, "AWSCURRENT")
    with administrator(world.server) as admin:
        admin.run(f"CREATE ROLE {before['username']} LOGIN")
    assert "in use elsewhere" in rejection(lambda: provision(arn, **declared(world, arn)))
    assert (read(world, arn), version_with(world, arn, "AWSCURRENT")) == (before, version)


def test_an_administrator_in_the_secret_is_never_replaced(world: World) -> None:
    other = f"{world.admin_arn[:-6]}QwErTy"
    arn = put_login(world, new_database(world), unique("bot"), masterarn=other)
    existing_role(world, arn)
    assert "'masterarn'" in rejection(lambda: provision(arn, **declared(world, arn)))
    assert read(world, arn)["masterarn"] == other


def test_a_single_user_gets_the_declared_administrator_too(world: World) -> None:
    arn = put_login(world, new_database(world), unique("one"), alternating=False, masterarn=None)
    existing_role(world, arn)
    before = read(world, arn)
    provision(arn, **declared(world, arn))
    rotate(world, arn)
    after = read(world, arn)
    assert (after["username"], after["masterarn"]) == (before["username"], world.admin_arn)
    assert can_log_in(world, after)


def test_a_secret_without_a_database_is_in_the_default_one(world: World) -> None:
    arn = put_login(world, "postgres", unique("bot"), dbname=None, masterarn=None)
    existing_role(world, arn)
    provision(arn, **declared(world, arn, dbname="postgres"))
    assert "dbname" not in read(world, arn)
    assert "'dbname'" in rejection(lambda: provision(arn, **declared(world, arn, dbname="other")))
