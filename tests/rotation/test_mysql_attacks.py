"""Nothing that an application can write decides what an administrator's session does on MySQL and MariaDB."""

import json
from functools import partial

import pymysql
import pytest

from components.lambdas.rotation import mysql_authority
from components.lambdas.rotation.handler import handle
from components.lambdas.rotation.login_secret import Login
from components.lambdas.rotation.mysql_authority import mark_for
from components.lambdas.rotation.mysql_session import works
from components.lambdas.rotation.protocol import SERVERS_VARIABLE, fingerprint
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
    run,
    run_as,
    text,
)
from tests.support.rotation_world import (
    provision,
    put_secret,
    read,
    rejection,
    rotate,
    run_steps,
    start_rotation,
    unique,
    write,
)

FOREIGN = "foreignForeignForeign0"
DENIED = {1044, 1142, 1143, 1227, 1370, 1698, 1064, 1961}


def denied(world: MysqlWorld, arn: str, statement: str) -> bool:
    try:
        run_as(world, read(world, arn), statement)
    except pymysql.err.Error as error:
        assert error.args[0] in DENIED, error
        return True
    return False


def abandon(world: MysqlWorld, arn: str, token: str) -> None:
    world.secrets.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token
    )


def assert_rejected(world: MysqlWorld, arn: str, words: str) -> None:
    """Check that neither a rotation nor provisioning nor the end of sessions is carried out."""
    token = start_rotation(world, arn)
    for call in (
        lambda: run_steps(arn, token),
        lambda: provision(arn, Grants="owner"),
        lambda: handle({"Action": "end-sessions", "SecretId": arn}),
    ):
        message = rejection(call)
        assert words in message, message
        assert "\n" not in message
    abandon(world, arn, token)


def test_editing_the_username_gives_no_access_to_that_user(mysql_world: MysqlWorld) -> None:
    victim, unmarked = a_login(mysql_world), unique("other")
    create_user(mysql_world, unmarked, FOREIGN)
    before = read(mysql_world, victim)
    arn = a_login(mysql_world)
    for name in (before["username"], unmarked):
        write(mysql_world, arn, username=name)
        assert_rejected(mysql_world, arn, "does not have the secret's mark")
    assert can_log_in(mysql_world, before)
    assert can_log_in(mysql_world, {**before, "username": unmarked, "password": FOREIGN, "dbname": None})


def test_no_administrator_or_system_user_becomes_a_login(mysql_world: MysqlWorld) -> None:
    """On MariaDB the administrator has the role that is the mark, because it has created it."""
    arn = a_login(mysql_world)
    write(mysql_world, arn, username=mysql_world.server.admin_user)
    token = start_rotation(mysql_world, arn)
    words = "cannot be an application's login|does not have the secret's mark"
    for call in (lambda: run_steps(arn, token), lambda: provision(arn, Grants="owner")):
        assert any(word in rejection(call) for word in words.split("|"))
    abandon(mysql_world, arn, token)
    for name in ("root", "mysql.sys", "rdsadmin", "rds_superuser_role", "ROOT"):
        write(mysql_world, arn, username=name)
        assert "cannot be an application's login" in rejection(lambda: provision(arn, Grants="owner"))
    as_administrator(mysql_world, "SELECT 1")  # with the same password as before


def test_an_administrators_password_does_not_make_it_a_login(mysql_world: MysqlWorld) -> None:
    database, server = new_database(mysql_world), mysql_world.server
    create_user(mysql_world, "rds_application", FOREIGN)
    for name, password in ((server.admin_user, server.admin_password), ("rds_application", FOREIGN)):
        arn = put_login(mysql_world, database, name, password=password)
        assert "cannot be an application's login" in rejection(lambda arn=arn: provision(arn, Grants=[]))  # type: ignore[misc] # a default keeps the loop's value
    as_superuser(mysql_world, "DROP USER rds_application")


def test_whoever_created_a_mark_is_not_marked_by_it(mysql_world: MysqlWorld) -> None:
    """MariaDB gives a new role to its creator, with ADMIN OPTION."""
    arn, name = a_login(mysql_world), unique("boss")
    create_user(mysql_world, name, FOREIGN)
    if mysql_world.kind == "mariadb":
        mark = text(mark_for(arn, mysql_world.kind))
        as_administrator(mysql_world, f"GRANT {mark} TO {account(name)} WITH ADMIN OPTION")
    write(mysql_world, arn, username=name)
    assert_rejected(mysql_world, arn, "does not have the secret's mark")


def test_an_application_cannot_write_a_mark(mysql_world: MysqlWorld) -> None:
    arn, victim = a_login(mysql_world, grants="owner"), a_login(mysql_world)
    mine, theirs = (account(read(mysql_world, one)["username"]) for one in (arn, victim))
    kind = mysql_world.kind
    mark = mark_for(arn, kind)
    statements = [
        f"CREATE ROLE {text('aws-secrets:mine')}",
        "UPDATE mysql.global_priv SET Priv = '{}'"
        if kind == "mariadb"
        else "UPDATE mysql.user SET User_attributes = '{}'",
    ]
    if kind == "mariadb":
        statements += [
            f"GRANT {text(mark)} TO {theirs}",
            f"GRANT {text(mark)} TO {theirs} WITH ADMIN OPTION",
            f"INSERT INTO mysql.roles_mapping VALUES ('%', 'x', {text(mark)}, 'N')",
            f"DROP ROLE {text(mark)}",
        ]
    else:
        attribute = text(json.dumps({"aws-secrets": mark}))
        statements += [
            f"ALTER USER {theirs} ATTRIBUTE {attribute}",
            f"ALTER USER {mine} ATTRIBUTE {attribute}",
            f"ALTER USER USER() ATTRIBUTE {attribute}",
            f"ALTER USER USER() IDENTIFIED BY 'x' ATTRIBUTE {attribute}",
        ]
    for statement in statements:
        assert denied(mysql_world, arn, statement), statement
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, read(mysql_world, arn))


def test_an_account_of_another_secret_is_not_taken_over_by_its_password(mysql_world: MysqlWorld) -> None:
    victim = a_login(mysql_world)
    fields = read(mysql_world, victim)
    arn = put_login(mysql_world, fields["dbname"], fields["username"], password=fields["password"])
    message = rejection(lambda: provision(arn, Grants="owner"))
    assert "belongs to the secret" in message
    rotate(mysql_world, victim)
    assert can_log_in(mysql_world, fields)


@pytest.mark.parametrize(
    "power", ["CREATE USER ON *.*", "UPDATE ON *.*", "FILE ON *.*", "INSERT ON mysql.*", "SELECT ON *.* +"]
)
def test_an_administrators_account_is_not_taken_over(mysql_world: MysqlWorld, power: str) -> None:
    name = unique("mighty")
    arn = put_login(mysql_world, new_database(mysql_world), name)
    create_user(mysql_world, name, read(mysql_world, arn)["password"])
    privilege, option = power.removesuffix(" +"), " WITH GRANT OPTION" if power.endswith("+") else ""
    as_superuser(mysql_world, f"GRANT {privilege} TO {account(name)}{option}")
    message = rejection(lambda: provision(arn, Grants="owner"))
    assert "privileges on its own databases only" in message
    assert ("GRANT OPTION" if option else privilege.split(" ON ", maxsplit=1)[0]) in message


def test_an_existing_account_is_taken_over_by_its_password_only(mysql_world: MysqlWorld) -> None:
    name, other = unique("app"), unique("app")
    database = new_database(mysql_world)
    arn, unproven = (put_login(mysql_world, database, user) for user in (name, other))
    create_user(mysql_world, name, read(mysql_world, arn)["password"])
    create_user(mysql_world, other, FOREIGN)
    before = read(mysql_world, arn)
    provision(arn, Grants="owner")
    assert can_log_in(mysql_world, before)
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, before)
    message = rejection(lambda: provision(unproven, Grants="owner"))
    for statement in message[message.index("run: ") + 5 :].split("; "):
        as_administrator(mysql_world, statement)
    provision(unproven, Grants="owner")
    assert can_log_in(mysql_world, read(mysql_world, unproven))
    assert can_log_in(mysql_world, {**read(mysql_world, unproven), "password": FOREIGN})


def test_a_mark_ends_with_its_account(mysql_world: MysqlWorld) -> None:
    """An account that somebody creates later under the same name is not the secret's."""
    arn = a_login(mysql_world)
    name = read(mysql_world, arn)["username"]
    as_superuser(mysql_world, f"DROP USER {account(name)}")
    create_user(mysql_world, name, FOREIGN)
    assert_rejected(mysql_world, arn, "does not have the secret's mark")


def test_grant_statements_run_no_code_of_an_application(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    run_as(
        mysql_world,
        read(mysql_world, arn),
        "CREATE FUNCTION count_of(t TEXT) RETURNS INT DETERMINISTIC SQL SECURITY INVOKER RETURN 1",
    )
    assert "{database}.name" in rejection(lambda: provision(arn, Grants=["SELECT count_of('a')"]))


def test_an_administrator_does_not_log_in_to_an_undeclared_server(
    mysql_world: MysqlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = a_login(mysql_world)
    fields = read(mysql_world, arn)
    monkeypatch.setenv(SERVERS_VARIABLE, fingerprint(mysql_world.admin_arn, "elsewhere", 3306))
    token = start_rotation(mysql_world, arn)
    assert "does not declare" in rejection(lambda: run_steps(arn, token))
    connection = {key: fields[key] for key in ("host", "port", "dbname", "masterarn")}
    provision(arn, Grants="owner", Connection=connection)


def test_a_login_cannot_name_a_different_administrator(mysql_world: MysqlWorld) -> None:
    stolen = put_secret(mysql_world, {"username": "rdsadmin", "password": "x"}, {})
    arn = a_login(mysql_world)
    write(mysql_world, arn, masterarn=stolen)
    token = start_rotation(mysql_world, arn)
    assert "does not declare" in rejection(lambda: run_steps(arn, token))


def test_a_lock_that_an_application_holds_is_reported(
    mysql_world: MysqlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn, attacker = a_login(mysql_world), read(mysql_world, a_login(mysql_world))
    monkeypatch.setattr(mysql_authority, "_TURN_SECONDS", 0)
    token = start_rotation(mysql_world, arn)
    with log_in(mysql_world, attacker) as session:
        name = mysql_authority.lock_name(arn)
        run(session, f"SELECT GET_LOCK({text(name)}, 0)")
        message = rejection(lambda: run_steps(arn, token))
        assert repr(attacker["username"]) in message
        assert f"KILL {session.thread_id()}" in message
        assert can_log_in(mysql_world, read(mysql_world, arn))
    run_steps(arn, token)
    assert can_log_in(mysql_world, read(mysql_world, arn))


@pytest.mark.parametrize("mode", ["ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "ANSI", ""])
def test_the_servers_sql_mode_changes_no_quoting(mysql_world: MysqlWorld, mode: str) -> None:
    before = as_superuser(mysql_world, "SELECT @@GLOBAL.sql_mode")[0][0]
    as_superuser(mysql_world, f"SET GLOBAL sql_mode = {text(mode)}")
    try:
        name = unique("a\\'b\"`")
        arn = put_login(mysql_world, new_database(mysql_world), name)
        provision(arn, Grants=["GRANT SELECT ON {database}.* TO {login}"])
        before_rotation = read(mysql_world, arn)
        rotate(mysql_world, arn)
        assert can_log_in(mysql_world, before_rotation)
        assert can_log_in(mysql_world, read(mysql_world, arn))
    finally:
        as_superuser(mysql_world, f"SET GLOBAL sql_mode = {text(before)}")


def test_a_more_specific_account_of_the_same_name_is_reported(mysql_world: MysqlWorld) -> None:
    arn = a_login(mysql_world)
    name = read(mysql_world, arn)["username"]
    create_user(mysql_world, name, FOREIGN, "127.0.0.1")
    create_user(mysql_world, name, FOREIGN, "localhost")
    warnings = provision(arn, Grants="owner")["Warnings"]
    assert f"'{name}@127.0.0.1'" in warnings[0]
    token = start_rotation(mysql_world, arn)
    assert "most specific host part" in rejection(lambda: run_steps(arn, token))
    as_superuser(mysql_world, f"DROP USER {account(name, '127.0.0.1')}, {account(name, 'localhost')}")
    run_steps(arn, token)
    assert can_log_in(mysql_world, read(mysql_world, arn))


def test_an_anonymous_account_proves_nothing(mysql_world: MysqlWorld) -> None:
    """The server chooses it for any user, because its host part is more specific."""
    server = mysql_world.server
    create_user(mysql_world, "", FOREIGN, "localhost")
    try:
        login = Login(
            host=server.host,
            port=server.port,
            database="",
            username=unique("anyone"),
            password=FOREIGN,
            admin_arn=None,
        )
        assert "Drop anonymous accounts" in rejection(lambda: works(login, mysql_world.kind))
    finally:
        as_superuser(mysql_world, "DROP USER ''@'localhost'")


@pytest.mark.parametrize(
    "name", ["line\nbreak::warning::", "per%cent", "quo'te\"", "back\\slash", "sp ", "em🐘", "x" * 90]
)
def test_hostile_names_in_a_secret_affect_no_other_account(mysql_world: MysqlWorld, name: str) -> None:
    arn = a_login(mysql_world)
    accounts = partial(as_superuser, mysql_world, "SELECT User, Host FROM mysql.user ORDER BY 1, 2")
    before = accounts()
    write(mysql_world, arn, username=name)
    token = start_rotation(mysql_world, arn)
    assert "\n" not in rejection(lambda: run_steps(arn, token))
    assert accounts() == before


@pytest.mark.parametrize("tag", ["random-key", "postgres"])
def test_a_tag_cannot_turn_a_login_into_something_else(mysql_world: MysqlWorld, tag: str) -> None:
    arn = a_login(mysql_world)
    before = read(mysql_world, arn)
    tags = {"aws-secrets:rotation": tag, "aws-secrets:rotation-keys": "password"}
    mysql_world.secrets.tag_resource(SecretId=arn, Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
    token = start_rotation(mysql_world, arn)
    rejection(lambda: run_steps(arn, token))
    assert read(mysql_world, arn) == before
    assert can_log_in(mysql_world, before)


def test_a_secrets_name_of_any_length_has_a_mark_of_its_own(mysql_world: MysqlWorld) -> None:
    start = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
    long = "n" * 400
    arns = [f"{start}{name}-AbCdEf" for name in ("a", "a/b", long, f"{long}x", f"{long}y")]
    marks = {mark_for(arn, mysql_world.kind) for arn in arns}
    assert len(marks) == len(arns)
    if mysql_world.kind == "mariadb":
        assert max(map(len, marks)) <= 128
    database = new_database(mysql_world)
    value = {**read(mysql_world, a_login_in(mysql_world, database)), "username": unique("long")}
    tags = [{"Key": "aws-secrets:rotation", "Value": mysql_world.kind}]
    arn = mysql_world.secrets.create_secret(
        Name=unique("long/" + "n" * 300), SecretString=json.dumps(value), Tags=tags
    )["ARN"]
    provision(arn, Grants="owner")
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, read(mysql_world, arn))
