"""Secrets and roles that people changed: repaired if that is safe, otherwise reported with the remedy."""

from components.lambdas.rotation.sql import literal, scram_verifier
from tests.support.rotation_world import (
    STEPS,
    World,
    a_login,
    a_login_in,
    administrator,
    both_users,
    can_log_in,
    drop_roles,
    new_database,
    provision,
    put_login,
    put_secret,
    read,
    rejection,
    rotate,
    run_steps,
    set_password,
    start_rotation,
    superuser,
    unique,
    version_with,
    write,
)

WRONG = "wrongWrongWrongWrong0"


def test_rotation_repairs_a_password_edited_in_the_secret(world: World) -> None:
    for alternating in (False, True):
        arn = a_login(world, alternating=alternating)
        rotate(world, arn)
        write(world, arn, password=WRONG)
        rotate(world, arn)
        assert can_log_in(world, read(world, arn))


def test_the_previous_version_repairs_a_password_without_an_administrator(world: World) -> None:
    arn = a_login(world, alternating=False)
    write(world, arn, masterarn="")
    write(world, arn, password=WRONG)
    rotate(world, arn)
    assert can_log_in(world, read(world, arn))


def test_an_administrator_repairs_a_password_changed_in_the_database(world: World) -> None:
    for alternating in (False, True):
        arn = a_login(world, alternating=alternating)
        set_password(world, read(world, arn)["username"], WRONG)
        assert not can_log_in(world, read(world, arn))
        rotate(world, arn)
        assert can_log_in(world, read(world, arn))


def test_an_unknown_password_without_an_administrator_is_reported(world: World) -> None:
    arn = a_login(world, alternating=False)
    write(world, arn, masterarn="")
    set_password(world, read(world, arn)["username"], WRONG)
    token = start_rotation(world, arn)
    message = rejection(lambda: run_steps(arn, token))
    assert "AWSCURRENT and AWSPREVIOUS do not work" in message
    assert read(world, arn)["password"] not in message
    write(world, arn, password=WRONG)
    run_steps(arn, token)
    assert can_log_in(world, read(world, arn))


def test_a_dropped_alternating_user_is_recreated(world: World) -> None:
    for which in (0, 1):
        arn = a_login(world)
        users = both_users(world, arn)
        drop_roles(world, users[0]["dbname"], users[which]["username"])
        rotate(world, arn)
        assert can_log_in(world, read(world, arn))
        rotate(world, arn)
        assert can_log_in(world, read(world, arn))


def test_provisioning_recreates_a_dropped_single_user(world: World) -> None:
    arn = a_login(world, alternating=False)
    fields = read(world, arn)
    drop_roles(world, fields["dbname"], fields["username"])
    token = start_rotation(world, arn)
    message = rejection(lambda: run_steps(arn, token))
    assert "does not exist" in message
    assert "provisioning" in message
    provision(arn, Grants="owner")
    run_steps(arn, token)
    assert can_log_in(world, read(world, arn))


def test_a_locked_user_is_not_unlocked(world: World) -> None:
    for lock in ("NOLOGIN", "VALID UNTIL '2001-01-01'"):
        arn = a_login(world, alternating=False)
        name = read(world, arn)["username"]
        with administrator(world.server) as admin:
            admin.run(f"ALTER ROLE {name} {lock}")
        token = start_rotation(world, arn)
        message = rejection(lambda arn=arn, token=token: run_steps(arn, token))  # type: ignore[misc] # defaults keep the loop's values
        assert "log in" in message or "locked" in message
        assert not can_be_used(world, name)


def can_be_used(world: World, name: str) -> bool:
    usable = "rolcanlogin AND coalesce(rolvaliduntil > now(), true)"
    with administrator(world.server) as admin:
        return bool(admin.run(f"SELECT {usable} FROM pg_roles WHERE rolname = :n", n=name)[0][0])


def test_editing_the_username_gives_no_access_to_that_user(world: World) -> None:
    """Permission to edit a secret must not grant access to other roles of the database."""
    database = new_database(world)
    victim = a_login_in(world, database, alternating=False)
    name = read(world, victim)["username"]
    with superuser(world.server) as other:
        other.run(f"CREATE ROLE {name}x LOGIN")
        other.run(f"CREATE ROLE {name}y LOGIN")
        other.run(f"CREATE ROLE {name}y_clone LOGIN")
    before = read(world, victim)
    for alternating in (False, True):
        arn = a_login_in(world, database, alternating=alternating)
        for username in (name, f"{name}x", f"{name}y"):
            write(world, arn, username=username)
            token = start_rotation(world, arn)
            assert rejection(lambda arn=arn, token=token: run_steps(arn, token))  # type: ignore[misc] # defaults keep the loop's values
            assert rejection(lambda arn=arn: provision(arn, Grants="owner"))  # type: ignore[misc] # a default keeps the loop's value
            world.secrets.update_secret_version_stage(
                SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token
            )
    assert can_log_in(world, before)


def test_a_role_in_use_elsewhere_is_not_taken_over(world: World) -> None:
    name = unique("taken")
    with administrator(world.server) as admin:
        admin.run(f"CREATE ROLE {name} LOGIN")
        admin.run(f"COMMENT ON ROLE {name} IS 'of the data team'")
    arn = put_login(world, new_database(world), name)
    message = rejection(lambda: provision(arn, Grants="owner"))
    assert f"'{name}' exists" in message
    assert "COMMENT ON ROLE" in message
    with administrator(world.server) as admin:
        admin.run(f"COMMENT ON ROLE {name} IS 'of the data team\naws-secrets:{arn}'")
    provision(arn, Grants="owner")
    assert can_log_in(world, read(world, arn))
    with administrator(world.server) as admin:
        comment = admin.run("SELECT shobj_description(to_regrole(:n), 'pg_authid')", n=name)
    assert comment == [[f"of the data team\naws-secrets:{arn}"]]


def test_an_existing_login_keeps_its_password_until_it_is_rotated(world: World) -> None:
    name = unique("old")
    arn = put_login(world, new_database(world), name, alternating=False)
    with administrator(world.server) as admin:
        admin.run(f"CREATE ROLE {name} LOGIN")
    set_password(world, name, read(world, arn)["password"])
    with superuser(world.server) as other:
        before = other.run("SELECT rolpassword FROM pg_authid WHERE rolname = :n", n=name)
    provision(arn, Grants="read-only")
    with superuser(world.server) as other:
        assert other.run("SELECT rolpassword FROM pg_authid WHERE rolname = :n", n=name) == before
    rotate(world, arn)
    assert can_log_in(world, read(world, arn))


def test_a_recreated_secret_takes_over_its_roles(world: World) -> None:
    arn = a_login(world)
    fields = read(world, arn)
    name = world.secrets.describe_secret(SecretId=arn)["Name"]
    world.secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    recreated = put_login(world, fields["dbname"], fields["username"])
    assert "exists" in rejection(lambda: provision(recreated, Grants="owner"))
    tags = [{"Key": "aws-secrets:rotation", "Value": "postgres-alternating"}]
    value = world.secrets.get_secret_value(SecretId=recreated)["SecretString"]
    recreated = world.secrets.create_secret(Name=name, SecretString=value, Tags=tags)["ARN"]
    provision(recreated, Grants="owner")
    assert can_log_in(world, read(world, recreated))


def test_provisioning_again_changes_no_password(world: World) -> None:
    for alternating in (False, True):
        arn = a_login(world, alternating=alternating)
        users = [read(world, arn)]
        for _ in range(2):
            rotate(world, arn)
            users.append(read(world, arn))
        provision(arn, Grants="read-only")
        assert [can_log_in(world, user) for user in users[-2:]] == [alternating, True]


def test_a_foreign_role_needs_the_admin_option(any_world: World) -> None:
    if any_world.server.version < 16:
        return  # CREATEROLE is enough
    name = unique("foreign")
    arn = put_login(any_world, new_database(any_world), name)
    with superuser(any_world.server) as other:
        other.run(
            f"CREATE ROLE {name} LOGIN PASSWORD {literal(scram_verifier(read(any_world, arn)['password']))}"
        )
    assert "WITH ADMIN OPTION" in rejection(lambda: provision(arn, Grants="owner"))
    with superuser(any_world.server) as other:
        other.run(f"GRANT {name} TO {any_world.server.admin_user} WITH ADMIN OPTION")
    provision(arn, Grants="owner")
    for user in both_users(any_world, arn):
        assert can_log_in(any_world, user)


def test_a_declaration_that_differs_from_the_secret_is_rejected(world: World) -> None:
    arn = a_login(world)
    before = read(world, arn)
    differing: list[tuple[str, dict[str, object]]] = [
        ("'host'", {"Connection": {"host": "new.example"}}),
        ("'port', 'dbname'", {"Connection": {"port": 1, "dbname": "x", "masterarn": world.admin_arn}}),
        ("'username'", {"Username": "somebody"}),
        ("first", {"Username": before["username"] + "_clone"}),
        ("OwnerRole", {"OwnerRole": before["username"]}),
        ("Grunts", {"Grunts": "owner"}),
        ("Connection", {"Connection": {"password": "x"}}),
        ("Schemas", {"Schemas": []}),
        ("CreateSchemas", {"CreateSchemas": "yes"}),
    ]
    for word, request in differing:
        message = rejection(lambda request=request: provision(arn, **{"Grants": "owner", **request}))  # type: ignore[misc] # a default keeps the loop's value
        assert word in message
        assert before["password"] not in message
    same = {key: before[key] for key in ("host", "port", "dbname", "masterarn")}
    provision(arn, Grants="owner", Username=before["username"], Connection=same)
    assert read(world, arn) == before


def test_an_administrator_of_a_different_server_is_rejected(world: World) -> None:
    value = {"username": "postgres", "password": "x", "host": "other.example", "port": 5432}
    other = put_secret(world, value, {})
    arn = put_login(world, new_database(world), unique("app"), masterarn=other)
    assert "a server other than" in rejection(lambda: provision(arn, Grants="owner"))


def test_an_administrators_secret_rotates_while_it_is_in_use(world: World) -> None:
    name = unique("boss")
    with superuser(world.server) as other:
        other.run(f"CREATE ROLE {name} LOGIN CREATEROLE CREATEDB")
    admin = put_login(world, "postgres", name, alternating=False, masterarn=None)
    set_password(world, name, read(world, admin)["password"])
    arn = a_login(world, alternating=True)
    fields = read(world, arn)
    with superuser(world.server, fields["dbname"]) as other:
        for role in (fields["username"], fields["username"] + "_clone", fields["username"] + "_owner"):
            other.run(f"GRANT {role} TO {name}" + (" WITH ADMIN OPTION"))
    write(world, arn, masterarn=admin)
    for _ in range(2):
        rotate(world, admin)
        rotate(world, arn)
    assert can_log_in(world, read(world, admin))
    assert can_log_in(world, read(world, arn))


def test_an_interrupted_rotation_does_not_block_the_next_one(world: World) -> None:
    arn = a_login(world)
    for done in range(1, len(STEPS)):
        token = start_rotation(world, arn)
        run_steps(arn, token, STEPS[:done])
        run_steps(arn, token)
        assert version_with(world, arn, "AWSPENDING") in {None, version_with(world, arn, "AWSCURRENT")}
