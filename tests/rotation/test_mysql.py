"""The behavior that only MySQL and MariaDB logins have, on real servers."""

import itertools
from collections.abc import Callable
from typing import Any

import pymysql
import pytest

from components.lambdas.rotation import login_secret, mysql_session
from components.lambdas.rotation.handler import handle
from components.lambdas.rotation.mysql_secret import DIALECTS
from tests.support.interruption import killed
from tests.support.mysql_world import (
    MysqlWorld,
    a_login,
    a_login_in,
    account,
    as_administrator,
    as_superuser,
    can_log_in,
    create_user,
    log_in,
    new_database,
    put_login,
    quoted,
    run,
    run_as,
    set_password,
    superuser,
    text,
)
from tests.support.rotation_world import (
    STEPS,
    assert_consistent,
    provision,
    put_secret,
    read,
    rejection,
    rotate,
    run_step,
    run_steps,
    start_rotation,
    unique,
    version_with,
    write,
)

WRONG = "wrongWrongWrongWrong0"
DENIED = {1044, 1142, 1143, 1227, 1370}


def denied(world: MysqlWorld, arn: str, statement: str) -> bool:
    try:
        run_as(world, read(world, arn), statement)
    except pymysql.err.Error as error:
        assert error.args[0] in DENIED, error
        return True
    return False


def test_a_value_works_until_the_rotation_after_next(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    values = [read(mysql_world, arn)]
    for _ in range(3):
        rotate(mysql_world, arn)
        values.append(read(mysql_world, arn))
        assert [can_log_in(mysql_world, value) for value in values[-2:]] == [True, True]
        assert not any(can_log_in(mysql_world, value) for value in values[:-2])
    for value in values[1:]:
        assert_consistent(value)
        assert value["DATABASE_URL"].startswith("mysql://")


def test_provisioning_again_changes_no_password(mysql_world: MysqlWorld) -> None:
    name = unique("app")
    arn = put_login(mysql_world, new_database(mysql_world), name)
    assert provision(arn, Grants="read-write") == {"Roles": [f"{name}@%"], "Warnings": []}
    before = read(mysql_world, arn)
    rotate(mysql_world, arn)
    assert provision(arn, Grants="read-write") == {"Roles": [f"{name}@%"], "Warnings": []}
    assert can_log_in(mysql_world, before)
    assert can_log_in(mysql_world, read(mysql_world, arn))


def test_killed_provisioning_is_completed_by_the_next(
    mysql_world: MysqlWorld, record_property: Callable[[str, object], None]
) -> None:
    database = new_database(mysql_world)
    tried = 0
    for at in itertools.count():
        name = unique("app")
        arn = put_login(mysql_world, database, name)
        was_killed = killed(at, lambda arn=arn: provision(arn, Grants="owner"))  # type: ignore[misc] # a default keeps the loop's value
        provision(arn, Grants="owner")
        assert can_log_in(mysql_world, read(mysql_world, arn))
        run_as(mysql_world, read(mysql_world, arn), "CREATE TABLE t (id int)", "DROP TABLE t")
        if not was_killed:
            break
        tried += 1
    record_property("points", tried)
    assert tried > 4


def test_a_rotation_given_up_does_not_push_out_the_current_value(mysql_world: MysqlWorld) -> None:
    """MySQL's RETAIN CURRENT PASSWORD would keep the abandoned password instead."""
    arn = a_login(mysql_world)
    rotate(mysql_world, arn)
    current = read(mysql_world, arn)
    for _ in range(3):
        give_up(mysql_world, arn)
        assert can_log_in(mysql_world, current)
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, current)
    assert can_log_in(mysql_world, read(mysql_world, arn))


def give_up(world: MysqlWorld, arn: str) -> None:
    """Start a rotation that sets its password, and abandon it."""
    token = start_rotation(world, arn)
    run_steps(arn, token, STEPS[:2])
    world.secrets.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token
    )


def test_a_kill_after_an_abandoned_rotation_loses_no_password(
    mysql_world: MysqlWorld, record_property: Callable[[str, object], None]
) -> None:
    """On MySQL, AWSCURRENT is then the secondary password, and setting the next one takes two statements."""
    arn = a_login(mysql_world)
    tried = 0
    for at in itertools.count():
        current = read(mysql_world, arn)
        give_up(mysql_world, arn)
        token = start_rotation(mysql_world, arn)
        run_steps(arn, token, STEPS[:1])
        was_killed = killed(at, lambda token=token: run_steps(arn, token, STEPS[1:2]))  # type: ignore[misc] # a default keeps the loop's value
        assert can_log_in(mysql_world, current)
        run_steps(arn, token)
        assert can_log_in(mysql_world, current)
        assert can_log_in(mysql_world, read(mysql_world, arn))
        if not was_killed:
            break
        tried += 1
    record_property("points", tried)
    assert tried > 4


@pytest.mark.parametrize("done", range(1, len(STEPS)))
def test_an_interrupted_rotation_continues(mysql_world: MysqlWorld, done: int) -> None:
    arn = a_login(mysql_world)
    current = read(mysql_world, arn)
    token = start_rotation(mysql_world, arn)
    run_steps(arn, token, STEPS[:done])
    run_steps(arn, token)
    assert version_with(mysql_world, arn, "AWSCURRENT") == token
    assert can_log_in(mysql_world, current)
    assert can_log_in(mysql_world, read(mysql_world, arn))


def test_an_edit_during_a_rotation_is_merged(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    token = start_rotation(mysql_world, arn)
    run_steps(arn, token, STEPS[:3])
    write(mysql_world, arn, OWN="kept")
    run_steps(arn, token, STEPS[3:])
    assert read(mysql_world, arn)["OWN"] == "kept"
    assert can_log_in(mysql_world, read(mysql_world, arn))
    token = start_rotation(mysql_world, arn)
    run_steps(arn, token, STEPS[:2])
    write(mysql_world, arn, dbname="another")
    assert "abandoned" in rejection(lambda: run_steps(arn, token, STEPS[3:]))


@pytest.mark.parametrize("abandoned", [False, True])
def test_a_wrong_password_in_the_secret_is_repaired_without_an_outage(
    mysql_world: MysqlWorld, abandoned: bool
) -> None:
    """The value that workloads read before the edit goes on working: AWSPREVIOUS has it."""
    arn = a_login(mysql_world)
    good = read(mysql_world, arn)
    if abandoned:
        give_up(mysql_world, arn)
    write(mysql_world, arn, password=WRONG)
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, read(mysql_world, arn))
    assert can_log_in(mysql_world, good)


def test_a_password_changed_in_the_database_is_repaired(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    fields = read(mysql_world, arn)
    set_password(mysql_world, fields["username"], WRONG)
    assert not can_log_in(mysql_world, fields)
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, read(mysql_world, arn))
    assert can_log_in(mysql_world, {**fields, "password": WRONG})  # whoever changed it has a period, too
    set_password(mysql_world, fields["username"], WRONG)
    provision(arn, Grants="owner")
    assert can_log_in(mysql_world, read(mysql_world, arn))


def test_an_expired_password_is_reported_and_replaced(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    as_superuser(mysql_world, f"ALTER USER {account(read(mysql_world, arn)['username'])} PASSWORD EXPIRE")
    token = start_rotation(mysql_world, arn)
    message = rejection(lambda: run_step(arn, token, "testSecret"))
    assert "password has expired. If somebody changed" in message
    run_steps(arn, token)
    assert can_log_in(mysql_world, read(mysql_world, arn))


def test_a_locked_account_is_not_unlocked(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    name = read(mysql_world, arn)["username"]
    as_superuser(mysql_world, f"ALTER USER {account(name)} ACCOUNT LOCK")
    token = start_rotation(mysql_world, arn)
    assert "ACCOUNT UNLOCK" in rejection(lambda: run_steps(arn, token))
    as_superuser(mysql_world, f"ALTER USER {account(name)} ACCOUNT UNLOCK")
    run_steps(arn, token)
    assert can_log_in(mysql_world, read(mysql_world, arn))


def test_provisioning_recreates_a_dropped_user(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    as_superuser(mysql_world, f"DROP USER {account(read(mysql_world, arn)['username'])}")
    token = start_rotation(mysql_world, arn)
    assert "Run the provisioning again" in rejection(lambda: run_steps(arn, token))
    provision(arn, Grants="owner")
    run_steps(arn, token)
    assert can_log_in(mysql_world, read(mysql_world, arn))


def test_an_account_that_does_not_exist_is_refused_whatever_its_name(mysql_world: MysqlWorld) -> None:
    # MySQL names a method that depends on the name, perhaps one that is not used here
    fields, kind = read(mysql_world, a_login(mysql_world)), mysql_world.kind
    for number in range(40):
        nobody = {**fields, "username": f"nobody{number}"}
        assert not mysql_session.works(login_secret.read_login(nobody, "the secret", DIALECTS[kind]), kind)


def test_a_recreated_secret_takes_over_its_account(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    fields = read(mysql_world, arn)
    name = mysql_world.secrets.describe_secret(SecretId=arn)["Name"]
    mysql_world.secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    other = put_login(mysql_world, fields["dbname"], fields["username"])
    assert "does not have the secret's mark" in rejection(lambda: provision(other, Grants="owner"))
    value = mysql_world.secrets.get_secret_value(SecretId=other)["SecretString"]
    tags = [{"Key": "aws-secrets:rotation", "Value": mysql_world.kind}]
    again = mysql_world.secrets.create_secret(Name=name, SecretString=value, Tags=tags)["ARN"]
    assert again != arn
    provision(again, Grants="owner")
    rotate(mysql_world, again)
    assert can_log_in(mysql_world, read(mysql_world, again))


def test_an_administrator_rotates_itself_without_an_outage(mysql_world: MysqlWorld) -> None:
    name = unique("boss")
    arn = put_login(mysql_world, new_database(mysql_world), name, masterarn=None)
    fields = read(mysql_world, arn)
    create_user(mysql_world, name, fields["password"])
    as_superuser(mysql_world, f"GRANT ALL ON *.* TO {account(name)} WITH GRANT OPTION")
    assert provision(arn) == {"Roles": [f"{name}@%"], "Warnings": []}
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, fields)
    write(mysql_world, arn, password=WRONG)
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, read(mysql_world, arn))


def test_a_user_without_an_administrator_is_told(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    write(mysql_world, arn, masterarn="")
    before = read(mysql_world, arn)
    token = start_rotation(mysql_world, arn)
    message = rejection(lambda: run_steps(arn, token))
    assert "Set the key 'masterarn'" in message
    assert before["password"] not in message
    assert can_log_in(mysql_world, before)
    set_password(mysql_world, before["username"], WRONG)
    assert "AWSCURRENT and AWSPREVIOUS do not work" in rejection(lambda: run_steps(arn, token))


def test_a_session_that_locks_the_accounts_is_reported(
    mysql_world: MysqlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = a_login(mysql_world)
    before = read(mysql_world, arn)
    token = start_rotation(mysql_world, arn)
    monkeypatch.setitem(mysql_session._SETTINGS, "lock_wait_timeout", "1")
    monkeypatch.setitem(mysql_session._SETTINGS_OF["mariadb"], "max_statement_time", "1")
    with superuser(mysql_world) as backup:
        run(backup, "FLUSH TABLES WITH READ LOCK")
        assert "FLUSH TABLES WITH READ LOCK" in rejection(lambda: run_steps(arn, token))
        assert can_log_in(mysql_world, before)
        run(backup, "UNLOCK TABLES")
    run_steps(arn, token)
    assert can_log_in(mysql_world, read(mysql_world, arn))


def test_a_reader_is_reported(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    token = start_rotation(mysql_world, arn)
    as_superuser(mysql_world, "SET GLOBAL read_only = ON")
    try:
        assert "correct the key 'host' to the writer" in rejection(lambda: run_steps(arn, token))
    finally:
        as_superuser(mysql_world, "SET GLOBAL read_only = OFF")
    run_steps(arn, token)


def test_the_engine_in_the_secret_must_be_the_servers(mysql_world: MysqlWorld) -> None:
    other = "mysql" if mysql_world.kind == "mariadb" else "mariadb"
    arn = a_login(mysql_world)
    write(mysql_world, arn, engine=other)
    token = start_rotation(mysql_world, arn)
    assert "key 'engine' must be one of" in rejection(lambda: run_steps(arn, token))
    tags = [{"Key": "aws-secrets:rotation", "Value": other}]
    mysql_world.secrets.tag_resource(SecretId=arn, Tags=tags)
    run_steps(arn, token, STEPS[:1])
    message = rejection(lambda: run_steps(arn, token))
    assert "Correct the key 'engine'" in message


def test_a_server_without_two_passwords_is_rejected(
    mysql_world: MysqlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = a_login(mysql_world)
    monkeypatch.setitem(mysql_session.OLDEST, mysql_world.kind, (99, 0))
    token = start_rotation(mysql_world, arn)
    assert "Upgrade it to 99.0 or later" in rejection(lambda: run_steps(arn, token))


LEVELS = {
    "read-only": {"SELECT"},
    "read-write": {"SELECT", "INSERT"},
    "owner": {"SELECT", "INSERT", "CREATE"},
}
STATEMENTS = {
    "SELECT": "SELECT * FROM t",
    "INSERT": "INSERT INTO t VALUES (1)",
    "CREATE": "CREATE TABLE IF NOT EXISTS made (id int)",
}


def test_each_level_grants_its_privileges_and_revokes_higher_ones(mysql_world: MysqlWorld) -> None:
    database = new_database(mysql_world)
    as_administrator(mysql_world, f"CREATE TABLE {quoted(database)}.t (id int)")
    arn = a_login_in(mysql_world, database)
    as_administrator(
        mysql_world,
        f"GRANT SELECT ON {quoted(database.replace('_', chr(92) + '_'))}.* "
        f"TO {account(read(mysql_world, arn)['username'])} WITH GRANT OPTION",
    )
    for level in ("owner", "read-only", "read-write", "owner", "read-write"):
        assert provision(arn, Grants=level)["Warnings"] == []
        allowed = {name for name, sql in STATEMENTS.items() if not denied(mysql_world, arn, sql)}
        assert allowed == LEVELS[level]
    assert denied(mysql_world, arn, f"GRANT SELECT ON {quoted(database)}.* TO {account('admin')}")


def test_a_grant_does_not_reach_databases_that_the_name_matches_as_a_pattern(
    mysql_world: MysqlWorld,
) -> None:
    base = unique("p")
    mine, other = f"{base}_shop", f"{base}Xshop"
    for name in (mine, other):
        as_administrator(mysql_world, f"CREATE DATABASE {quoted(name)}")
        as_administrator(mysql_world, f"CREATE TABLE {quoted(name)}.t (id int)")
    for grants in ("owner", ["GRANT SELECT ON {database}.* TO {login}"]):
        arn = a_login_in(mysql_world, mine, grants=grants)
        assert not denied(mysql_world, arn, "SELECT * FROM t")
        assert denied(mysql_world, arn, f"SELECT * FROM {quoted(other)}.t")


def test_names_are_not_escaped_where_the_server_takes_them_literally(mysql_world: MysqlWorld) -> None:
    """With partial_revokes, an escaped name would match no database."""
    if mysql_world.kind == "mariadb":
        return
    database = new_database(mysql_world)
    as_administrator(mysql_world, f"CREATE TABLE {quoted(database)}.t (id int)")
    as_superuser(mysql_world, "SET GLOBAL partial_revokes = ON")
    try:
        for grants in ("read-only", ["GRANT SELECT ON {database}.* TO {login}"]):
            arn = a_login_in(mysql_world, database, grants=grants)
            assert not denied(mysql_world, arn, "SELECT * FROM t")
            assert denied(mysql_world, arn, "INSERT INTO t VALUES (1)")
            assert provision(arn, Grants=grants)["Warnings"] == []
    finally:
        as_superuser(mysql_world, "SET GLOBAL partial_revokes = OFF")


def test_own_statements_name_the_account_and_the_database(mysql_world: MysqlWorld) -> None:
    database = new_database(mysql_world)
    as_administrator(mysql_world, f"CREATE TABLE {quoted(database)}.t (id int, note text)")
    arn = a_login_in(mysql_world, database, grants=["GRANT SELECT (id) ON {database}.t TO {login}"])
    assert not denied(mysql_world, arn, "SELECT id FROM t")
    assert denied(mysql_world, arn, "SELECT note FROM t")
    for statement, words in (
        ("GRANT SELECT ON {schema}.t TO {login}", "{schema}"),
        ("GRANT SELECT ON t TO {login}", "{database}.name"),
        ("GRANT NONSENSE", "grantStatements[0] (GRANT NONSENSE) failed"),
    ):
        assert words in rejection(lambda statement=statement: provision(arn, Grants=[statement]))  # type: ignore[misc] # a default keeps the loop's value


def test_privileges_that_somebody_else_granted_are_reported(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world, grants="read-only")
    fields = read(mysql_world, arn)
    user = account(fields["username"])
    as_superuser(
        mysql_world,
        f"GRANT INSERT ON *.* TO {user}",
        f"GRANT INSERT ON {quoted(fields['dbname'])}.* TO {user}",
    )
    everywhere, pattern = provision(arn, Grants="read-only")["Warnings"]
    assert "INSERT on *.*" in everywhere
    assert f"match '{fields['dbname']}'" in pattern
    as_superuser(mysql_world, pattern[pattern.index("REVOKE") :], f"REVOKE INSERT ON *.* FROM {user}")
    assert provision(arn, Grants="read-only")["Warnings"] == []
    assert not denied(mysql_world, arn, "SELECT 1")


def test_a_missing_database_is_reported_before_anything_is_granted(mysql_world: MysqlWorld) -> None:
    arn = put_login(mysql_world, "nothing_here", unique("app"))
    assert "has no database 'nothing_here'" in rejection(lambda: provision(arn, Grants="owner"))


def test_a_declaration_that_differs_from_the_secret_is_rejected(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    before = read(mysql_world, arn)
    differing: list[tuple[str, dict[str, object]]] = [
        ("'host'", {"Connection": {"host": "new.example"}}),
        ("'username'", {"Username": "somebody"}),
        ("OwnerRole", {"OwnerRole": "x"}),
        ("Grants", {"Grants": "everything"}),
        ("UserHost", {"UserHost": "a'b"}),
        ("UserHost", {"UserHost": 5}),
    ]
    for word, request in differing:
        message = rejection(lambda request=request: provision(arn, **{"Grants": "owner", **request}))  # type: ignore[misc] # a default keeps the loop's value
        assert word in message
        assert before["password"] not in message
    same = {key: before[key] for key in ("host", "port", "dbname", "masterarn")}
    provision(arn, Grants="owner", Username=before["username"], Connection=same)
    assert read(mysql_world, arn) == before


def test_an_account_with_a_host_part_is_created_and_rotated(mysql_world: MysqlWorld) -> None:
    name = unique("app")
    arn = put_login(mysql_world, new_database(mysql_world), name)
    assert provision(arn, Grants="owner", UserHost="LOCALHOST")["Roles"] == [f"{name}@localhost"]
    before = read(mysql_world, arn)
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, before)
    assert can_log_in(mysql_world, read(mysql_world, arn))
    hosts = as_superuser(mysql_world, f"SELECT Host FROM mysql.user WHERE User = {text(name)}")
    assert hosts == (("localhost",),)


def test_another_host_part_needs_a_renamed_account(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    before = read(mysql_world, arn)
    message = rejection(lambda: provision(arn, Grants="owner", UserHost="localhost"))
    as_administrator(mysql_world, message[message.index("RENAME") : message.index(", then")])
    provision(arn, Grants="owner", UserHost="localhost")
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, before)
    assert can_log_in(mysql_world, read(mysql_world, arn))


def is_over(connection: Any) -> bool:
    try:
        connection.ping(reconnect=False)
    except pymysql.err.Error:
        return True
    return False


def test_sessions_of_the_user_end_and_no_others(mysql_world: MysqlWorld) -> None:
    arn, other = a_login(mysql_world), a_login(mysql_world)
    before = log_in(mysql_world, read(mysql_world, arn))
    rotate(mysql_world, arn)
    sessions = [before, log_in(mysql_world, read(mysql_world, arn))]
    foreign = log_in(mysql_world, read(mysql_world, other))
    assert handle({"Action": "end-sessions", "SecretId": arn}) == {"Sessions": 2}
    assert all(map(is_over, sessions))
    assert not is_over(foreign)
    foreign.close()
    assert can_log_in(mysql_world, read(mysql_world, arn))
    assert handle({"Action": "end-sessions", "SecretId": arn}) == {"Sessions": 0}


def test_sessions_end_without_an_administrator(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    write(mysql_world, arn, masterarn="")
    session = log_in(mysql_world, read(mysql_world, arn))
    assert handle({"Action": "end-sessions", "SecretId": arn}) == {"Sessions": 1}
    assert is_over(session)


def test_sessions_of_accounts_with_the_same_name_are_left_alone(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    name = read(mysql_world, arn)["username"]
    create_user(mysql_world, name, WRONG, "10.%")
    message = rejection(lambda: handle({"Action": "end-sessions", "SecretId": arn}))
    assert f"{name}@10.%" in message


def test_the_administrators_own_server_must_be_the_logins(mysql_world: MysqlWorld) -> None:
    value = {"username": "admin", "password": "x", "host": "other.example", "port": 3306}
    other = put_secret(mysql_world, value, {})
    arn = put_login(mysql_world, new_database(mysql_world), unique("app"), masterarn=other)
    assert "a server other than" in rejection(lambda: provision(arn, Grants="owner"))
