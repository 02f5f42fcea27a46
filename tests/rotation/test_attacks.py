"""Nothing that an application can write decides what an administrator's session does."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pg8000.native
import pytest

from components.lambdas.rotation.protocol import SERVERS_VARIABLE, fingerprint
from components.lambdas.rotation.sql import literal, scram_verifier
from tests.support.rotation_world import (
    World,
    a_login,
    a_login_in,
    a_password,
    administrator,
    both_users,
    can_log_in,
    log_in,
    new_database,
    provision,
    put_login,
    put_secret,
    read,
    rejection,
    rotate,
    run_as,
    run_steps,
    start_rotation,
    superuser,
    unique,
    version_with,
    write,
)

DENIED = "42501"
MEMBERSHIPS = """
SELECT m.rolname::text, g.rolname::text FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member
JOIN pg_roles g ON g.oid = a.roleid WHERE m.rolname NOT LIKE 'pg\\_%' ORDER BY 1, 2
"""


def memberships(world: World, *members: str) -> set[tuple[str, str]]:
    with superuser(world.server) as other:
        return {(member, group) for member, group in other.run(MEMBERSHIPS) if member in members}


def denied(world: World, fields: dict[str, Any], statement: str) -> bool:
    try:
        with log_in(world, fields) as connection:
            connection.run(statement)
    except pg8000.native.DatabaseError as error:
        return str(error.args[0]["C"]) == DENIED
    return False


def set_role(world: World, fields: dict[str, Any], role: str) -> None:
    """Set the login's own role setting, as any login may."""
    run_as(world, fields, "SET ROLE NONE", f"ALTER ROLE \"{fields['username']}\" SET role = '{role}'")


def check_a_login_cannot_choose_its_owner(world: World) -> None:
    arn = a_login(world)
    victim = a_login(world)
    first = read(world, arn)
    users = (first["username"], f"{first['username']}_clone", f"{first['username']}_owner")
    before = memberships(world, *users)
    database = f"IN DATABASE {first['dbname']} "
    for role in (world.server.superuser, world.server.admin_user, f"{read(world, victim)['username']}_owner"):
        for place in ("", database):
            run_as(
                world, read(world, arn), "SET ROLE NONE",
                f'ALTER ROLE "{read(world, arn)["username"]}" {place}SET role = \'{role}\'',
            )  # fmt: skip
            rotate(world, arn)
            assert memberships(world, *users) == before
            assert denied(world, read(world, arn), f'SET ROLE "{role}"')
            provision(arn, Grants="owner")
            assert memberships(world, *users) == before
    with log_in(world, read(world, arn)) as connection:
        assert connection.run("SELECT current_user::text") == [[users[2]]]


def test_a_role_that_a_login_sets_itself_never_becomes_its_owner(world: World) -> None:
    check_a_login_cannot_choose_its_owner(world)


def test_no_login_chooses_its_owner_on_any_version(any_world: World) -> None:
    check_a_login_cannot_choose_its_owner(any_world)


def test_a_marked_administrator_role_is_reported(world: World) -> None:
    arn = a_login(world)
    fields = read(world, arn)
    boss = unique("boss")
    with superuser(world.server) as other:
        other.run(f"CREATE ROLE {boss} CREATEROLE")
        other.run(f"COMMENT ON ROLE {boss} IS 'aws-secrets:{arn}'")
        other.run(f"GRANT {boss} TO {fields['username']}, {fields['username']}_clone")
    token = start_rotation(world, arn)
    message = rejection(lambda: run_steps(arn, token))
    assert boss in message
    assert "REVOKE" in message
    assert can_log_in(world, read(world, arn))


def test_a_readers_default_privileges_do_not_spread_to_other_logins(world: World) -> None:
    database = new_database(world)
    reader = a_login_in(world, database, alternating=False, request={"Grants": "read-only"})
    accomplice = a_login_in(world, database, alternating=False, request={"Grants": "read-only"})
    names = [read(world, arn)["username"] for arn in (reader, accomplice)]
    for mine, other in (names, names[::-1]):
        arn = reader if mine == names[0] else accomplice
        run_as(
            world,
            read(world, arn),
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO {other}",
        )
    owner = a_login_in(world, database, request={"Grants": "owner"})
    run_as(world, read(world, owner), "CREATE TABLE accounts (id int)")
    for arn in (reader, accomplice):
        assert denied(world, read(world, arn), "INSERT INTO accounts VALUES (1)")
        run_as(world, read(world, arn), "SELECT * FROM accounts")


@pytest.mark.parametrize("kind", ["a login", "marked for another", "owner of tables", "reserved"])
def test_an_owner_role_in_use_elsewhere_is_rejected(world: World, kind: str) -> None:
    database, name = new_database(world), unique("app")
    owner = f"{name}_owner"
    with superuser(world.server, database) as other:
        if kind == "reserved":
            owner = "pg_monitor"
        else:
            other.run(f"CREATE ROLE {owner} {'LOGIN' if kind == 'a login' else 'NOLOGIN'}")
        if kind == "marked for another":
            other.run(f"COMMENT ON ROLE {owner} IS 'aws-secrets:{world.admin_arn}'")
        if kind == "owner of tables":
            other.run(f"CREATE TABLE theirs (id int); ALTER TABLE theirs OWNER TO {owner}")
    arn = put_login(world, database, name)
    message = rejection(lambda: provision(arn, Grants="owner", OwnerRole=owner))
    assert owner in message
    with superuser(world.server) as other:
        assert other.run("SELECT count(*) FROM pg_roles WHERE rolname = :n", n=name) == [[0]]
    if kind != "reserved":
        assert memberships(world, name) == set()


def test_an_owner_role_that_an_administrator_marked_is_accepted(world: World) -> None:
    arn = put_login(world, new_database(world), unique("app"))
    owner = unique("team")
    with administrator(world.server) as admin:
        admin.run(f"CREATE ROLE {owner}")
        admin.run(f"COMMENT ON ROLE {owner} IS 'aws-secrets:{arn}'")
    assert owner in provision(arn, Grants="owner", OwnerRole=owner)["Roles"]
    rotate(world, arn)
    assert can_log_in(world, read(world, arn))


@pytest.mark.parametrize("power", ["SUPERUSER", "CREATEROLE", "REPLICATION"])
def test_an_administrators_login_is_not_taken_over(world: World, power: str) -> None:
    name = unique("mighty")
    arn = put_login(world, new_database(world), name)
    verifier = literal(scram_verifier(read(world, arn)["password"]))
    with superuser(world.server) as other:
        other.run(f"CREATE ROLE {name} LOGIN {power} PASSWORD {verifier}")
        other.run(f"GRANT {name} TO {world.server.admin_user} WITH ADMIN OPTION")
    assert power in rejection(lambda: provision(arn, Grants="owner"))


def check_taking_over_loses_nothing(world: World) -> None:
    database, name = new_database(world), unique("old")
    arn = put_login(world, database, name)
    verifier = literal(scram_verifier(read(world, arn)["password"]))
    with superuser(world.server) as other:
        other.run(f"CREATE ROLE {name} LOGIN CREATEDB BYPASSRLS CONNECTION LIMIT 7 PASSWORD {verifier}")
        other.run(f"GRANT {name} TO {world.server.admin_user} WITH ADMIN OPTION")
    with administrator(world.server, database) as admin:
        admin.run("CREATE TABLE columns (a int, b int); GRANT SELECT (a) ON columns TO " + name)
        admin.run("CREATE TABLE policed (who text); ALTER TABLE policed ENABLE ROW LEVEL SECURITY")
        admin.run(f"GRANT SELECT ON policed TO {name}; INSERT INTO policed VALUES ('x')")
        admin.run(f"CREATE POLICY seen ON policed TO {name} USING (true)")
        admin.run("CREATE TYPE mood AS ENUM ('sad'); REVOKE USAGE ON TYPE mood FROM PUBLIC")
        admin.run(
            f"GRANT USAGE ON TYPE mood TO {name}; CREATE SCHEMA deep; GRANT USAGE ON SCHEMA deep TO {name}"
        )
    with superuser(world.server, database) as other:
        other.run("CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw")
        other.run(f"GRANT USAGE ON FOREIGN SERVER far TO {name}")
        other.run(f"CREATE TABLE deep.locked (id int); GRANT SELECT ON deep.locked TO {name}")
    warnings = "\n".join(provision(arn, Grants=[])["Warnings"])
    # what only a superuser may grant is reported with the statement
    for statement in ("CREATEDB", "BYPASSRLS", "FOREIGN SERVER far", "deep.locked"):
        assert f"{statement}" in warnings
    for user in both_users(world, arn):
        run_as(world, user, "SELECT a FROM columns", "CREATE TEMP TABLE moods (m public.mood)")
        assert run_as(world, user, "SELECT * FROM policed") == [["x"]]
    with superuser(world.server) as other:
        limits = other.run(
            "SELECT rolconnlimit FROM pg_roles WHERE rolname LIKE :n AND rolcanlogin", n=f"{name}%"
        )
    assert limits == [[7], [7]]


def test_taking_over_a_login_keeps_or_reports_its_privileges(world: World) -> None:
    check_taking_over_loses_nothing(world)


def test_grant_statements_run_no_code_of_an_application(world: World) -> None:
    database = new_database(world)
    arn = a_login_in(world, database, alternating=False, request={"Grants": "owner"})
    name = read(world, arn)["username"]
    run_as(
        world,
        read(world, arn),
        "CREATE SCHEMA mine",
        f"CREATE FUNCTION mine.count_of(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN "
        f"EXECUTE 'ALTER ROLE {name} CREATEDB'; RETURN 'x'; END $$",
        "GRANT ALL ON SCHEMA mine TO PUBLIC",
    )
    message = rejection(lambda: provision(arn, Grants=["SELECT count_of('a')"], Schemas=["mine"]))
    assert "{schema}.name" in message
    with superuser(world.server) as other:
        assert other.run("SELECT rolcreatedb FROM pg_roles WHERE rolname = :n", n=name) == [[False]]


def test_a_single_users_role_setting_revokes_nothing_from_others(world: World) -> None:
    database = new_database(world)
    with administrator(world.server, database) as admin:
        admin.run("CREATE TABLE t (id int)")
    victim = a_login_in(world, database, request={"Grants": "read-write"})
    arn = a_login_in(world, database, alternating=False, request={"Grants": "read-write"})
    set_role(world, read(world, arn), f"{read(world, victim)['username']}_owner")
    warnings = provision(arn, Grants="read-only")["Warnings"]
    run_as(world, read(world, victim), "INSERT INTO t VALUES (1)")
    assert any("RESET role" in warning for warning in warnings)


@pytest.mark.parametrize("keys", ["password host", "X", "DATABASE_URL"])
def test_a_tag_cannot_turn_a_login_into_random_keys(world: World, keys: str) -> None:
    arn = a_login(world, X="own value")
    before = read(world, arn)
    tags = {"aws-secrets:rotation": "random-key", "aws-secrets:rotation-keys": keys}
    world.secrets.tag_resource(SecretId=arn, Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
    token = start_rotation(world, arn)
    assert "the secret is a login" in rejection(lambda: run_steps(arn, token))
    assert read(world, arn) == before
    assert can_log_in(world, before)


def test_a_tag_cannot_turn_alternating_users_into_one(world: World) -> None:
    arn = a_login(world)
    first, second = both_users(world, arn)
    world.secrets.tag_resource(SecretId=arn, Tags=[{"Key": "aws-secrets:rotation", "Value": "postgres"}])
    token = start_rotation(world, arn)
    assert "they alternate" in rejection(lambda: run_steps(arn, token))
    assert can_log_in(world, first)
    assert can_log_in(world, second)
    assert version_with(world, arn, "AWSPENDING") is None


@contextlib.contextmanager
def listener(world: World) -> Iterator[tuple[int, list[bytes]]]:
    """A server with the trusted certificate that records what it receives over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = world.server.directory
    certificate = next(iter(folder.glob("**/server.crt")))
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    received: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with contextlib.suppress(OSError, ssl.SSLError), connection:
                    connection.settimeout(2)
                    connection.recv(8)
                    connection.sendall(b"S")
                    with context.wrap_socket(connection, server_side=True) as secured:
                        received.append(secured.recv(4096))

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1], received


def test_an_administrator_does_not_log_in_to_an_undeclared_server(world: World) -> None:
    arn = a_login(world)
    with listener(world) as (port, received):
        write(world, arn, port=port)
        token = start_rotation(world, arn)
        message = rejection(lambda: run_steps(arn, token))
        assert "PostgreSQL at" in message or "does not declare" in message
        rejection(lambda: provision(arn, Grants="owner"))
    assert not any(world.server.admin_user.encode() in sent for sent in received)


def test_only_declared_servers_are_used_if_the_secret_names_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = a_login(world)
    fields = read(world, arn)
    monkeypatch.setenv(SERVERS_VARIABLE, fingerprint(world.admin_arn, "elsewhere", 5432))
    token = start_rotation(world, arn)
    assert "does not declare" in rejection(lambda: run_steps(arn, token))
    # a provisioning deployment declares it
    connection = {key: fields[key] for key in ("host", "port", "dbname", "masterarn")}
    provision(arn, Grants="owner", Connection=connection)


SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
    "search_path": "nowhere",
    "idle_in_transaction_session_timeout": "1ms",
    "default_transaction_isolation": "serializable",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "role": "nobody-at-all",
    "row_security": "off",
}


def check_settings_do_not_block_rotation(world: World) -> None:
    for alternating in (True, False):
        arn = a_login(world, alternating=alternating)
        fields = read(world, arn)
        with superuser(world.server) as other:
            other.run(f"ALTER DATABASE {fields['dbname']} SET default_transaction_read_only = on")
            other.run(f"ALTER DATABASE {fields['dbname']} SET statement_timeout = '1ms'")
            for setting, value in SETTINGS.items():
                with contextlib.suppress(pg8000.native.DatabaseError):
                    other.run(f"ALTER ROLE {fields['username']} SET {setting} = '{value}'")
        rotate(world, arn)
        rotate(world, arn)
        assert can_log_in(world, read(world, arn))
        provision(arn, Grants="owner")


def test_settings_of_logins_and_databases_do_not_block_rotation(world: World) -> None:
    check_settings_do_not_block_rotation(world)


def test_advisory_locks_do_not_block_rotation(world: World) -> None:
    arn, other_arn = a_login(world), a_login(world)
    with log_in(world, read(world, other_arn)) as attacker:
        for key in (0x6177732D736563, 0, 1):
            attacker.run(f"SELECT pg_advisory_lock({key})")
        rotate(world, arn)
    with log_in(world, read(world, arn)) as attacker:
        attacker.run(f"SELECT pg_advisory_lock({0x6177732D736563})")
        rotate(world, arn)
    assert can_log_in(world, read(world, arn))


def test_used_up_connections_do_not_block_rotation(world: World) -> None:
    arn = a_login(world)
    both_users(world, arn)
    users = [read(world, arn, stage) for stage in ("AWSCURRENT", "AWSPREVIOUS")]
    with superuser(world.server) as other:
        for fields in users:
            other.run(f"ALTER ROLE {fields['username']} CONNECTION LIMIT 1")
    with log_in(world, users[0]), log_in(world, users[1]):
        rotate(world, arn)
    assert can_log_in(world, read(world, arn))


def test_a_locked_role_fails_the_rotation_and_names_the_session(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.lambdas.rotation import postgres_session  # noqa: PLC0415

    monkeypatch.setitem(postgres_session._SETTINGS, "lock_timeout", "500ms")
    arn = a_login(world)
    first, _ = both_users(world, arn)
    with log_in(world, first) as attacker:
        [[process]] = attacker.run("SELECT pg_backend_pid()")
        attacker.run("SET ROLE NONE")
        attacker.run("BEGIN")
        attacker.run(f"ALTER ROLE {first['username']} PASSWORD {literal(scram_verifier(a_password()))}")
        token = start_rotation(world, arn)
        message = rejection(lambda: run_steps(arn, token))
        assert "keeps it locked" in message
        assert f"PID {process}" in message
        assert can_log_in(world, read(world, arn))
        attacker.run("ROLLBACK")
    run_steps(arn, token)
    assert can_log_in(world, read(world, arn))


def test_rotation_and_table_locks_do_not_wait_for_each_other(world: World) -> None:
    arn = a_login(world)
    fields = read(world, arn)
    with log_in(world, fields) as reader:
        reader.run("SET ROLE NONE")
        reader.run("CREATE TABLE busy (id int)")
        reader.run("BEGIN")
        reader.run("LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
        rotate(world, arn)
        rotate(world, arn)
        reader.run("COMMIT")
    provision(arn, Grants="owner")
    for user in both_users(world, arn):
        run_as(world, user, "SELECT * FROM busy")


def test_a_table_locked_during_handover_is_reported_and_usable(world: World) -> None:
    database, name = new_database(world), unique("old")
    arn = put_login(world, database, name)
    verifier = literal(scram_verifier(read(world, arn)["password"]))
    with administrator(world.server, database) as admin:
        admin.run(f"CREATE ROLE {name} LOGIN PASSWORD {verifier}")
        admin.run(f"GRANT CREATE ON SCHEMA public TO {name}")
    fields = read(world, arn)
    run_as(world, fields, *(f"CREATE TABLE t{number} (id int)" for number in range(250)))
    with log_in(world, fields) as holder:
        holder.run("BEGIN")
        holder.run("LOCK TABLE t7 IN ACCESS SHARE MODE")
        warnings = provision(arn, Grants=[])["Warnings"]
        assert any("public.t7" in warning for warning in warnings)
        for user in both_users(world, arn):
            run_as(world, user, "INSERT INTO t7 VALUES (1)", "ALTER TABLE t8 ADD COLUMN IF NOT EXISTS x int")
        holder.run("COMMIT")
    assert provision(arn, Grants=[])["Warnings"] == []
    for user in both_users(world, arn):
        run_as(world, user, "ALTER TABLE t7 ADD COLUMN IF NOT EXISTS x int")


def aws_alternating_users(world: World, current: str) -> tuple[str, dict[str, Any]]:
    """Create a secret as AWS's own function for two users leaves it, with either user current."""
    database, name = new_database(world), unique("aws")
    passwords = {name: a_password(), f"{name}_clone": a_password()}
    with administrator(world.server, database) as admin:
        for user, password in passwords.items():
            admin.run(f"CREATE ROLE {user} LOGIN PASSWORD {literal(scram_verifier(password))}")
        admin.run(f"GRANT {name} TO {name}_clone")
        admin.run(f"GRANT CREATE ON SCHEMA public TO {name}")
    username = name if current == "first" else f"{name}_clone"
    arn = put_login(world, database, username, password=passwords[username])
    first = {**read(world, arn), "username": name, "password": passwords[name]}
    run_as(world, first, "CREATE TABLE existing (id int)")
    return arn, first


@pytest.mark.parametrize("current", ["first", "second"])
def test_users_of_awss_own_function_are_taken_over(world: World, current: str) -> None:
    arn, first = aws_alternating_users(world, current)
    before = read(world, arn)
    provision(arn, Grants="owner", Username=first["username"])
    assert read(world, arn) == before
    for user in (first, before):
        assert can_log_in(world, user)
        run_as(world, user, "INSERT INTO existing VALUES (1)")
    for user in both_users(world, arn):
        run_as(world, user, "ALTER TABLE existing ADD COLUMN IF NOT EXISTS more int")
    assert (f"{first['username']}_clone", first["username"]) not in memberships(
        world, f"{first['username']}_clone"
    )


def test_a_rotation_before_provisioning_leaves_no_pending_version(world: World) -> None:
    arn, first = aws_alternating_users(world, "first")
    with administrator(world.server) as admin:
        for user in (first["username"], f"{first['username']}_clone"):
            admin.run(f"COMMENT ON ROLE {user} IS 'aws-secrets:{arn}'")
    token = start_rotation(world, arn)
    assert "provisioning again" in rejection(lambda: run_steps(arn, token))
    assert version_with(world, arn, "AWSPENDING") is None
    provision(arn, Grants="owner")
    rotate(world, arn)
    assert can_log_in(world, read(world, arn))


def test_a_login_cannot_claim_a_foreign_role_by_a_grant(
    any_world: World,
) -> None:
    """Up to PostgreSQL 15 a login may grant itself to anybody."""
    world = any_world
    database, name = new_database(world), unique("app")
    arn = put_login(world, database, name)
    with administrator(world.server, database) as admin:
        admin.run(
            f"CREATE ROLE {name} LOGIN PASSWORD {literal(scram_verifier(read(world, arn)['password']))}"
        )
        admin.run(f"CREATE ROLE {name}_clone LOGIN")
    with contextlib.suppress(pg8000.native.DatabaseError):
        run_as(world, read(world, arn), f"GRANT {name} TO {name}_clone")
    assert f"{name}_clone" in rejection(lambda: provision(arn, Grants="owner"))


@pytest.mark.parametrize(
    "name", ["line\nbreak::warning::", "per%cent", "quo'te\"", "back\\slash", "x_clone_clone"]
)
def test_hostile_names_in_a_secret_affect_no_other_role(world: World, name: str) -> None:
    arn = a_login(world)
    write(world, arn, username=name)
    token = start_rotation(world, arn)
    message = rejection(lambda: run_steps(arn, token))
    assert "\n" not in message


def test_a_login_cannot_name_a_different_administrator(world: World) -> None:
    value = json.dumps({"username": "postgres", "password": "x"})
    stolen = put_secret(world, json.loads(value), {})
    arn = a_login(world)
    write(world, arn, masterarn=stolen)
    token = start_rotation(world, arn)
    assert "does not declare" in rejection(lambda: run_steps(arn, token))
