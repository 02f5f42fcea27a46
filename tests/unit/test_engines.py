"""Databases and caches in a stack file: what each engine allows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stack_file import Configuration, SettingsError, StackFile, check

D = "aws-secrets:databases.shop"
L = f"{D}.logins.shop-login"
C = "aws-secrets:caches.sessions"
T = f"{C}.logins.sessions-login"


def checked(structure: dict[str, Any]) -> StackFile | dict[str, str]:
    """Return the stack file, or the message of every mistake by its path."""
    values = {"aws:region": "us-east-1"} | {f"aws-secrets:{key}": value for key, value in structure.items()}
    try:
        return check(
            Configuration(project="aws-secrets", stack="dev", values=values, encrypted=frozenset())
        ).stack_file
    except SettingsError as error:
        return {
            mistake.path: f"{mistake.wrong}. {mistake.consequence}. {mistake.remedy}"
            for mistake in error.mistakes
        }


def of_database(engine: str, login: dict[str, Any], **database: object) -> StackFile | dict[str, str]:
    declared = {
        "engine": engine,
        "rdsInstance": "shop",
        **database,
        "logins": {"shop-login": {"username": "shop", "database": "shop", **login}},
    }
    return checked({"databases": {"shop": declared}})


def of_cache(login: dict[str, Any], **cache: object) -> StackFile | dict[str, str]:
    declared = {"replicationGroup": "sessions", "logins": {"sessions-login": login}, **cache}
    return checked({"caches": {"sessions": declared}})


@pytest.mark.parametrize(
    ("engine", "login", "path", "words"),
    [
        ("oracle", {}, f"{D}.engine", "'postgres', 'mysql' or 'mariadb'"),
        ("mysql", {"users": "alternating"}, f"{L}.users", "One user with two passwords"),
        ("mysql", {"users": "single"}, f"{L}.users", "does not apply to MySQL"),
        ("mariadb", {"ownerRole": "o"}, f"{L}.ownerRole", "does not apply to MariaDB"),
        ("mysql", {"schemas": ["a"]}, f"{L}.schemas", "A schema is a database there"),
        ("mysql", {"createSchemas": False}, f"{L}.createSchemas", "Remove it"),
        (
            "mysql",
            {"grantStatements": ["GRANT x ON {schema}.* TO {login}"]},
            f"{L}.grantStatements[0]",
            "{schema}",
        ),
        ("mysql", {"username": "x" * 33}, f"{L}.username", "33 characters"),
        ("mysql", {"username": "mysql.app"}, f"{L}.username", "reserved by MySQL"),
        ("mariadb", {"username": "root"}, f"{L}.username", "reserved by MariaDB"),
        ("mysql", {"database": "x" * 65}, f"{L}.database", "Use 1 to 64 characters"),
        ("mysql", {"userHost": "a host"}, f"{L}.userHost", "host part of an account"),
        ("mysql", {"urlScheme": "postgres"}, f"{L}.urlScheme", "mysql2"),
        ("postgres", {"userHost": "%"}, f"{L}.userHost", "does not apply to PostgreSQL"),
        ("postgres", {"urlScheme": "mysql2"}, f"{L}.urlScheme", "postgres://"),
        ("postgres", {"schemas": ["s" * 64]}, f"{L}.schemas[0]", "64 bytes"),
    ],
)
def test_a_setting_of_another_engine_is_a_mistake(
    engine: str, login: dict[str, Any], path: str, words: str
) -> None:
    found = of_database(engine, login)
    assert isinstance(found, dict)
    assert [*found] == [path]
    assert words in found[path]


@pytest.mark.parametrize(
    ("engine", "login"),
    [
        ("mysql", {"username": "x" * 32, "database": "x" * 64, "urlScheme": "mysql2"}),
        ("mariadb", {"username": "shop_clone", "userHost": "10.0.%"}),
        ("mariadb", {"username": "pg_shop", "grantStatements": ["GRANT SELECT ON {database}.* TO {login}"]}),
        ("postgres", {"users": "single", "username": "x" * 63}),
    ],
)
def test_each_engine_has_its_own_names(engine: str, login: dict[str, Any]) -> None:
    assert isinstance(of_database(engine, login), StackFile)


def test_an_administrators_names_are_the_engines() -> None:
    admin = {"secret": "shop-admin", "username": "x" * 33, "password": {"config": "p"}, "database": "y" * 65}
    found = of_database("mysql", {}, rdsInstance=None, host="db.example", outsideVpc=True, admin=admin)
    assert isinstance(found, dict)
    assert found.keys() >= {f"{D}.admin.username", f"{D}.admin.database"}


def test_mysql_servers_default_to_their_port() -> None:
    one = {"engine": "mysql", "host": "db.example", "outsideVpc": True, "admin": {"secretArn": ADMIN}}
    login = {"username": "shop", "database": "shop"}
    found = checked(
        {
            "databases": {
                "a": {**one, "logins": {"a": login}},
                "b": {**one, "port": 3306, "logins": {"b": login}},
            }
        }
    )
    assert isinstance(found, dict)
    assert "on the same server" in found["aws-secrets:databases.b.logins.b.username"]


ADMIN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:admin-AbCdEf"


@pytest.mark.parametrize(
    ("login", "cache", "path", "words"),
    [
        ({}, {}, T, "either user or authToken"),
        ({"user": "a", "authToken": True}, {}, T, "either user or authToken"),
        ({"user": "default"}, {}, f"{T}.user", "everybody shares the user default"),
        ({"user": "1a"}, {}, f"{T}.user", "beginning with a letter"),
        ({"authToken": True, "accessString": "on ~* +@all"}, {}, T, "whoever has the AUTH token"),
        ({"user": "a", "userGroup": "g"}, {}, T, "a user that exists is left as it is"),
        ({"user": "a", "accessString": "on nopass ~* +@all"}, {}, f"{T}.accessString", "no password"),
        ({"user": "a", "accessString": "off"}, {}, f"{T}.accessString", 'begins with "on"'),
        ({"user": "a", "passwordLength": 129}, {}, f"{T}.passwordLength", "128 or less"),
        ({"user": "a", "values": {"REDIS_URL": {"value": "x"}}}, {}, T, "which the login sets itself"),
        ({"user": "a"}, {"replicationGroup": None}, C, "exactly one of replicationGroup"),
        ({"user": "a"}, {"memorydbCluster": "m"}, C, "exactly one of replicationGroup"),
        (
            {"authToken": True},
            {"replicationGroup": None, "serverlessCache": "s"},
            C,
            "only a replication group",
        ),
    ],
)
def test_a_mistake_in_a_cache_has_path_and_remedy(
    login: dict[str, Any], cache: dict[str, Any], path: str, words: str
) -> None:
    found = of_cache(login, **cache)
    assert isinstance(found, dict)
    assert [*found] == [path]
    assert words in found[path]


def test_an_auth_token_excludes_users_and_users_are_distinct() -> None:
    both = of_cache({}, logins={"a": {"user": "a"}, "b": {"authToken": True}})
    assert isinstance(both, dict)
    assert "either one AUTH token or users" in both[C]
    twice = of_cache({}, logins={"a": {"user": "a"}, "b": {"user": "a"}})
    assert isinstance(twice, dict)
    assert 'have the same user, "a"' in twice[C]


RULES = st.sampled_from(["~*", "+@all", "nopass", "NoPass", "resetpass", "reset", ">p", "<p", "#a", "!a"])


@given(st.lists(RULES | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), min_size=1))
@hypothesis_settings(max_examples=200, deadline=None)
def test_no_access_string_sets_a_password_or_needs_none(rules: list[str]) -> None:
    found = of_cache({"user": "a", "accessString": " ".join(["on", *rules])})
    wrong = {"nopass", "resetpass", "reset"} & {rule.lower() for rule in rules}
    assert isinstance(found, dict) == bool(wrong or {rule[0] for rule in rules} & set("<>#!"))
