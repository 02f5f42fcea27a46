import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import ArgumentError, MysqlLogin, MysqlLoginArgs, Network, Schedule, SecretArgs, Server
from components.lambdas import build
from components.lambdas.rotation.protocol import fingerprint
from tests.support.recorded_run import Recording, existing_arn, record

ADMIN = existing_arn("admin")
FUNCTION = "aws:lambda/function:Function"
INVOCATION = "aws:lambda/invocation:Invocation"
SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"


@pytest.fixture(autouse=True)
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A build of the default archive that downloads nothing."""

    def built(output: Path, _cache: Path) -> build.Archive:
        output.write_bytes(b"zip")
        return build.Archive(output, "AAAA", 3)

    monkeypatch.setattr(build, "build", built)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def arguments(**changes: Any) -> MysqlLoginArgs:  # noqa: ANN401  any argument
    return MysqlLoginArgs(
        **{
            "secret": SecretArgs(secret_name="shop"),
            "server": Server(engine="mysql", host="db.example"),
            "database": "shop",
            "username": "shop",
            "admin_secret_arn": ADMIN,
            **changes,
        }
    )


def login(**changes: Any) -> Recording:  # noqa: ANN401  any argument
    return record(lambda: MysqlLogin("shop", arguments(**changes)))


def initial_value(recorded: Recording) -> dict[str, str]:
    found: dict[str, str] = json.loads(recorded.only(VERSION).inputs["secretString"])
    return found


@pytest.mark.parametrize("engine", ["mysql", "aurora-mysql", "mariadb"])
def test_the_secret_has_the_keys_and_tags_of_its_engine(engine: str) -> None:
    recorded = login(server=Server(engine=engine, host="db.example"), password_length=50)
    value = initial_value(recorded)
    assert value == {
        "engine": engine,
        "host": "db.example",
        "port": "3306",
        "dbname": "shop",
        "username": "shop",
        "password": value["password"],
        "masterarn": ADMIN,
        "DATABASE_URL": f"mysql://shop:{value['password']}@db.example:3306/shop",
    }
    tags = recorded.only(SECRET).inputs["tags"]
    assert tags["aws-secrets:rotation"] == ("mariadb" if engine == "mariadb" else "mysql")
    assert tags["aws-secrets:rotation-length"] == "50"


def test_the_urls_have_the_declared_scheme() -> None:
    value = initial_value(login(url_scheme="mysql2", reader_host="ro.example"))
    assert value["DATABASE_URL"].startswith("mysql2://shop:")
    assert value["DATABASE_READER_URL"].startswith("mysql2://shop:")
    assert value["DATABASE_READER_URL"].endswith("@ro.example:3306/shop")


def test_the_function_is_asked_for_the_declared_account() -> None:
    event = json.loads(login(grants="read-write").only(INVOCATION).inputs["input"])
    assert event["Username"] == "shop"
    assert event["Grants"] == "read-write"
    assert event["Connection"] == {
        "host": "db.example", "port": "3306", "dbname": "shop", "masterarn": ADMIN
    }  # fmt: skip
    assert event.keys() == {"Action", "SecretId", "Username", "Connection", "Grants"}
    event = json.loads(login(user_host="10.%", grants=["GRANT X"]).only(INVOCATION).inputs["input"])
    assert (event["UserHost"], event["Grants"]) == ("10.%", ["GRANT X"])


def test_its_own_function_may_log_in_to_the_server_only() -> None:
    made = login(network=Network(subnet_ids=["s"], security_group_ids=["g"])).only(FUNCTION)
    assert made.inputs["environment"]["variables"] == {
        "ADMINISTRATOR_SERVERS": fingerprint(ADMIN, "db.example", 3306)
    }


def test_outputs_of_other_resources_are_resolved() -> None:
    def declare() -> None:
        server = Server(engine="mysql", host=pulumi.Output.from_input("db.example"))
        MysqlLogin("shop", arguments(server=server, admin_secret_arn=pulumi.Output.from_input(ADMIN)))

    recorded, plain = record(declare), login()
    assert initial_value(recorded) == initial_value(plain)
    assert recorded.only(INVOCATION).inputs == plain.only(INVOCATION).inputs


def test_the_password_travels_as_a_secret_only() -> None:
    for resource in login().resources:
        assert "RRRR" not in str(resource.visible_inputs)


def test_a_schedule_attaches_a_rotation_after_the_account_exists() -> None:
    recorded = login(schedule=Schedule(automatically_after_days=30))
    assert recorded.only(INVOCATION).urn in recorded.only(ROTATION).dependencies


def test_a_role_is_granted_read_access_to_the_secret() -> None:
    recorded = record(lambda: MysqlLogin("shop", arguments()).grant_read("tasks"))
    assert "shop-login-read-by-tasks" in {resource.name for resource in recorded.resources}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"server": Server(host="db.example")}, "unknown engine 'postgres'"),
        ({"grants": "readonly"}, "unknown grants 'readonly'"),
        ({"user_host": ""}, "user_host is empty"),
        ({"url_scheme": ""}, "url_scheme is empty"),
        ({"password_length": 8}, "password_length is 8"),
        ({"admin_secret_arn": None}, "write admin_secret_arn, or the password"),
        (
            {"function": "arn", "network": Network(subnet_ids=["s"], security_group_ids=["g"])},
            "are for a function of its own",
        ),
    ],
)
def test_an_argument_that_cannot_work_is_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        arguments(**changes)


def test_the_port_is_the_engines_unless_it_is_declared() -> None:
    ports = [Server(engine=engine, host="h").port for engine in ("postgres", "aurora-mysql", "mariadb")]
    assert ports == [5432, 3306, 3306]
    assert Server(engine="mysql", host="h", port=3307).port == 3307
