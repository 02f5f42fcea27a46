"""Logins without a password, and RDS Proxy, in a stack file and in the program."""

import json
from typing import Any

import pytest

from components import ArgumentError, PostgresLoginArgs, Schedule, SecretArgs, Server
from stack_file import SettingsError, StackFile
from stack_file.stack_secrets import by_name
from tests.support.recorded_run import Recording, run
from tests.unit.test_engines import checked, of_database
from tests.unit.test_program import SECRET, VERSION
from tests.unit.test_rotation_program import INVOCATION, ROLE_POLICY, ROTATION

D = "aws-secrets:databases.shop"
L = f"{D}.logins.shop-login"
W = "aws-secrets:workloads.web"
PROXY = "shop.proxy-abcdefghijkl.us-east-1.rds.amazonaws.com"
IAM: dict[str, Any] = {"authentication": "iam"}


def with_workload(workload: dict[str, Any], **more: object) -> StackFile | dict[str, str]:
    login = {"username": "shop", "database": "shop", **IAM}
    database = {"rdsInstance": "shop", "logins": {"shop-login": login}}
    reading = {"environmentFrom": ["shop-login"], **workload}
    return checked({"databases": {"shop": database}, "workloads": {"web": reading}, **more})


def deployed(workload: dict[str, Any] | None = None, **login: object) -> Recording:
    declared = {"username": "shop", "database": "shop", **IAM, **login}
    values: dict[str, Any] = {
        "aws:region": "us-east-1",
        "aws-secrets:databases": {"shop": {"rdsInstance": "example-db", "logins": {"shop-login": declared}}},
    }
    if workload:
        reading = {"environmentFrom": ["shop-login"], **workload}
        values["aws-secrets:workloads"] = {"web": reading}
    return run(values)


def connecting(recording: Recording) -> Any:  # noqa: ANN401  a request
    [policy] = [
        one for one in recording.resources if one.type == ROLE_POLICY and one.name == "web-database-logins"
    ]
    return policy


@pytest.mark.parametrize(
    ("engine", "login", "database", "path", "words"),
    [
        ("postgres", {"users": "alternating"}, {}, L, "users: alternating"),
        ("postgres", {"password": {"config": "p"}}, {}, L, "password. The login has no password"),
        ("postgres", {"passwordLength": 20}, {}, L, "passwordLength"),
        ("postgres", {"rotation": {"automaticallyAfterDays": 7}}, {}, L, "rotation"),
        ("postgres", {"ownerRole": "o"}, {}, L, "ownerRole"),
        ("postgres", {"username": "*"}, {}, L, "part of an ARN"),
        ("mysql", {}, {}, f"{L}.authentication", "AWSAuthenticationPlugin"),
        ("mariadb", {}, {}, f"{L}.authentication", "AWSAuthenticationPlugin"),
        (
            "postgres",
            {},
            {"rdsInstance": None, "host": "db.example.com", "outsideVpc": True},
            D,
            "Only RDS and Aurora offer it",
        ),
    ],
)
def test_what_a_login_without_a_password_cannot_have(
    engine: str, login: dict[str, Any], database: dict[str, Any], path: str, words: str
) -> None:
    mistakes = of_database(engine, {**IAM, **login}, **database)
    assert isinstance(mistakes, dict)
    assert words in mistakes[path]


def test_the_secret_has_no_password() -> None:
    found = of_database("postgres", {**IAM, "users": "single", "rotation": {"enabled": False}})
    assert isinstance(found, StackFile)
    keys = by_name(found)["shop-login"].keys
    assert keys == ("engine", "host", "port", "dbname", "username", "DATABASE_URL", "masterarn")
    recording = deployed()
    value = json.loads(recording.only(VERSION, "shop-login-login-initial-version").inputs["secretString"])
    assert set(value) == set(keys)
    assert value["DATABASE_URL"] == f"postgres://shop@{value['host']}:5432/shop?sslmode=verify-full"
    assert recording.only(SECRET).inputs["tags"] == {"aws-secrets:rotation": "postgres-iam"}
    assert ROTATION not in recording.types()
    assert "random:index/randomPassword:RandomPassword" not in recording.types()
    event = json.loads(recording.only(INVOCATION).inputs["input"])
    assert (event["Authentication"], event["Grants"]) == ("iam", "read-write")


@pytest.mark.parametrize(
    ("workload", "role"),
    [
        ({"lambda": {"role": "web-function"}}, "web-function"),
        ({"ecs": {}, "databaseRole": "path/web-task"}, "web-task"),
        (
            {
                "kubernetes": {
                    "namespace": "web",
                    "serviceAccount": "web",
                    "operator": "secrets-store-csi",
                    "podIdentity": {"cluster": "c"},
                }
            },
            None,
        ),
    ],
)
def test_the_applications_role_may_log_in_as_exactly_the_user(
    workload: dict[str, Any], role: str | None
) -> None:
    recording = deployed(workload)
    policy = connecting(recording)
    assert json.loads(policy.inputs["policy"])["Statement"] == [
        {
            "Sid": "LogInToDatabases",
            "Effect": "Allow",
            "Action": "rds-db:connect",
            "Resource": ["arn:aws:rds-db:us-east-1:123456789012:dbuser:db-SHOP/shop"],
        }
    ]
    assert role is None or policy.inputs["role"] == role
    others = [
        one for one in recording.resources if one.type == ROLE_POLICY and one.name != "web-database-logins"
    ]
    assert not any("rds-db" in str(one.inputs["policy"]) for one in others)


def test_workloads_with_passwords_get_no_such_policy() -> None:
    recording = deployed({"ecs": {}}, authentication="password")
    assert not any("rds-db" in str(one.inputs) for one in recording.resources)


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        ({"ecs": {}}, "the task execution role reads it"),
        (
            {
                "kubernetes": {
                    "namespace": "web",
                    "serviceAccount": "web",
                    "operator": "external-secrets",
                    "operatorRole": "arn:aws:iam::123456789012:role/eso",
                }
            },
            "the operator's role reads it",
        ),
        ({"lambda": {"role": "arn:aws:iam::210987654321:role/web"}}, "in another account"),
    ],
)
def test_a_role_that_is_not_the_applications_is_rejected(workload: dict[str, Any], words: str) -> None:
    mistakes = with_workload(workload)
    assert isinstance(mistakes, dict)
    assert words in mistakes[W]
    assert isinstance(with_workload({**workload, "databaseRole": "web"}), StackFile)


def test_a_pipelines_boundary_denies_such_logins() -> None:
    role = "arn:aws:iam::123456789012:role/pipeline"
    mistakes = with_workload({"lambda": {"role": "web"}}, updateRole=role)
    assert isinstance(mistakes, dict)
    assert "rds-db:connect" in mistakes[W]


def test_a_database_role_without_such_a_login_is_rejected() -> None:
    mistakes = checked(
        {
            "secrets": {"app": {"values": {"A": {"value": "a"}}}},
            "workloads": {"web": {"ecs": {}, "environmentFrom": ["app"], "databaseRole": "web"}},
        }
    )
    assert isinstance(mistakes, dict)
    assert "It would be ignored" in mistakes[f"{W}.databaseRole"]


def test_a_cluster_without_iam_authentication_is_reported() -> None:
    login = {"username": "shop", "database": "shop", **IAM}
    with pytest.raises(SettingsError, match="--enable-iam-database-authentication"):
        run(
            {
                "aws:region": "us-east-1",
                "aws-secrets:databases": {
                    "shop": {"auroraCluster": "in-a-vpc", "logins": {"shop-login": login}}
                },
            }
        )


# --- RDS Proxy


@pytest.mark.parametrize("engine", ["postgres", "mysql", "mariadb"])
@pytest.mark.parametrize(
    "host",
    [PROXY, PROXY.upper(), "mine.endpoint.proxy-abcdefghijkl.eu-west-1.rds.amazonaws.com"],
)
def test_nothing_rotates_through_a_proxy(engine: str, host: str) -> None:
    admin = {"secretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:admin-AbCdEf"}
    place = {"rdsInstance": None, "host": host, "outsideVpc": True, "admin": admin}
    mistakes = of_database(engine, {}, **place)
    assert isinstance(mistakes, dict)
    assert "RDS Proxy" in mistakes[D]
    assert "Set rdsInstance or auroraCluster" in mistakes[D]


def test_a_fixed_password_works_through_a_proxy() -> None:
    place = {"rdsInstance": None, "host": PROXY, "outsideVpc": True}
    login = {"users": "single", "rotation": {"enabled": False}, "password": {"config": "p"}}
    found = of_database("postgres", login, **place)
    assert D not in (found if isinstance(found, dict) else {})


def test_hosts_that_only_look_like_a_proxy_are_accepted() -> None:
    admin = {"secretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:admin-AbCdEf"}
    for host in ("shop.abcdefghijkl.us-east-1.rds.amazonaws.com", "proxy-1.example.com"):
        found = of_database("postgres", {}, rdsInstance=None, host=host, outsideVpc=True, admin=admin)
        assert isinstance(found, StackFile)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "alternating, or write alternating=False"),
        ({"alternating": False, "password": "secret-text"}, "remove password$"),
        ({"alternating": False, "schedule": Schedule(automatically_after_days=30)}, "remove schedule$"),
        ({"alternating": False, "admin_secret_arn": None, "function": "arn:f"}, "needs admin_secret_arn"),
    ],
)
def test_arguments_that_need_a_password_are_rejected(changes: dict[str, Any], words: str) -> None:
    given = {
        "secret": SecretArgs(secret_name="shop"),
        "server": Server(host="db.example"),
        "database": "shop",
        "username": "shop",
        "authentication": "iam",
        "admin_secret_arn": "arn:admin",
        **changes,
    }
    with pytest.raises(ArgumentError, match=words) as rejected:
        PostgresLoginArgs(**given)
    assert "secret-text" not in str(rejected.value)
