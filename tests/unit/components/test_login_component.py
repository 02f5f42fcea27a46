import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import (
    ArgumentError,
    Network,
    PostgresLogin,
    PostgresLoginArgs,
    Retirement,
    RotationFunction,
    RotationFunctionArgs,
    Schedule,
    SecretArgs,
    Server,
)
from components.lambdas import build
from components.lambdas.rotation.protocol import fingerprint, retirement_entry
from tests.support.recorded_run import Recording, existing_arn, record

ADMIN = existing_arn("admin")
FUNCTION = "aws:lambda/function:Function"
INVOCATION = "aws:lambda/invocation:Invocation"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"


def arguments(**changes: Any) -> PostgresLoginArgs:  # noqa: ANN401  any argument
    return PostgresLoginArgs(
        **{
            "secret": SecretArgs(secret_name="shop"),
            "server": Server(host="db.example"),
            "database": "shop",
            "username": "shop",
            "admin_secret_arn": ADMIN,
            **changes,
        }
    )


@pytest.fixture(autouse=True)
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A build of the default archive that downloads nothing."""

    def built(output: Path, _cache: Path) -> build.Archive:
        output.write_bytes(b"zip")
        return build.Archive(output, "AAAA", 3)

    monkeypatch.setattr(build, "build", built)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def login(**changes: Any) -> Recording:  # noqa: ANN401  any argument
    return record(lambda: PostgresLogin("shop", arguments(**changes)))


def first_value(recorded: Recording) -> dict[str, str]:
    found: dict[str, str] = json.loads(recorded.only(VERSION).inputs["secretString"])
    return found


def function(**changes: Any) -> RotationFunction:  # noqa: ANN401  any argument
    complete = {"archive": "a.zip", "secret_names": ["shop"], **changes}
    return RotationFunction("rotation", RotationFunctionArgs(**complete))


def test_a_login_has_a_function_of_its_own_unless_one_is_passed() -> None:
    recorded = login(network=Network(subnet_ids=["subnet-1"], security_group_ids=["sg-1"]))
    made = recorded.only(FUNCTION)
    assert made.name == "shop-rotation-function"
    assert made.inputs["vpcConfig"]["subnetIds"] == ["subnet-1"]
    assert made.inputs["environment"]["variables"] == {
        "ADMINISTRATOR_SERVERS": fingerprint(ADMIN, "db.example", 5432)
    }
    shared = record(lambda: PostgresLogin("shop", arguments(function=function())))
    assert shared.only(FUNCTION).name == "rotation-function"


def test_the_function_of_a_login_knows_its_retirement() -> None:
    recorded = login(retirement=Retirement(mode="defer", deferrals=2))
    variables = recorded.only(FUNCTION).inputs["environment"]["variables"]
    assert variables["OLD_PASSWORDS"] == retirement_entry("shop", "defer", 2)


def test_a_retirement_of_a_strange_secret_is_rejected() -> None:
    with pytest.raises(ArgumentError, match="other is in retirements and not in secret_names"):
        record(lambda: function(retirements={"other": Retirement(mode="wait")}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Retirement(mode="never"), "unknown mode 'never'"),  # type: ignore[arg-type] # what it tests
        (lambda: Retirement(mode="defer", deferrals=0), "deferrals is 0: use a whole number, 1 to 99"),
    ],
)
def test_a_retirement_that_cannot_work_is_rejected(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_outputs_of_other_resources_are_resolved() -> None:
    def declare() -> None:
        server = Server(host=pulumi.Output.from_input("db.example"))
        admin = pulumi.Output.from_input(ADMIN)
        reader = pulumi.Output.from_input("ro.example")
        PostgresLogin("shop", arguments(server=server, admin_secret_arn=admin, reader_host=reader))

    recorded, plain = record(declare), login(reader_host="ro.example")
    assert first_value(recorded) == first_value(plain)
    assert first_value(plain)["DATABASE_READER_URL"].endswith("@ro.example:5432/shop?sslmode=verify-full")
    for type_ in (INVOCATION, FUNCTION):
        assert recorded.only(type_).inputs == plain.only(type_).inputs


def test_the_password_travels_as_a_secret_only() -> None:
    for resource in login().resources:
        assert "RRRR" not in str(resource.visible_inputs)


def test_a_schedule_attaches_a_rotation_after_the_role_exists() -> None:
    recorded = login(schedule=Schedule(automatically_after_days=30))
    assert recorded.only(INVOCATION).urn in recorded.only(ROTATION).dependencies
    assert ROTATION not in login().types()


def test_a_function_elsewhere_is_named_by_its_arn() -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:rotation"
    recorded = login(function=arn, schedule=Schedule(automatically_after_days=30))
    assert FUNCTION not in recorded.types()
    assert recorded.only(INVOCATION).inputs["functionName"] == arn
    assert recorded.only(ROTATION).inputs["rotationLambdaArn"] == arn


def test_a_role_is_granted_read_access_to_the_secret() -> None:
    recorded = record(lambda: PostgresLogin("shop", arguments()).grant_read("tasks"))
    assert "shop-login-read-by-tasks" in {resource.name for resource in recorded.resources}


def test_a_key_by_its_alias_reaches_the_functions_policy_as_an_arn() -> None:
    recorded = login(secret=SecretArgs(secret_name="shop", kms_key_id="alias/shop"))
    policy = json.loads(recorded.only("aws:iam/rolePolicy:RolePolicy").inputs["policy"])
    assert policy["Statement"][-1]["Condition"]["ForAnyValue:StringEquals"] == {
        "kms:ResourceAliases": "alias/shop"
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grants": "readonly"}, 'unknown grants \'readonly\': use "read-only", "read-write" or "owner"'),
        ({"grants": [""]}, "an item of grants is empty"),
        ({"database": ""}, "database is empty"),
        ({"username": pulumi.Output}, "username is of type"),
        ({"schemas": "public"}, "schemas is one string"),
        ({"password_length": 8}, "password_length is 8: use a whole number, 16 to 256"),
        ({"admin_secret_arn": None}, "alternating users need admin_secret_arn"),
        ({"admin_secret_arn": None, "alternating": False}, "write admin_secret_arn, or the password"),
        ({"alternating": False, "owner_role": "owner"}, "owner_role is for alternating users: remove it"),
        ({"alternating": False, "retirement": Retirement(mode="defer")}, "for alternating users"),
        ({"function": "arn", "retirement": Retirement(mode="defer")}, "for a function of its own"),
        ({"function": ""}, "function is empty"),
        (
            {"function": "arn", "network": Network(subnet_ids=["s"], security_group_ids=["g"])},
            "are for a function of its own",
        ),
    ],
)
def test_an_argument_that_cannot_work_is_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        arguments(**changes)


def test_a_function_that_may_not_write_the_secret_is_rejected() -> None:
    def declare() -> None:
        with pytest.raises(ArgumentError, match="add the name to secret_names"):
            arguments(function=function(secret_names=["other"]))

    record(declare)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Server(host=""), "host is empty"),
        (lambda: Server(host="h", port=70_000), "port is 70000"),
        (lambda: arguments(server=Server(host="h", engine="mysql")), "unknown engine 'mysql'"),
        (Schedule, "not neither"),
        (lambda: Schedule(automatically_after_days=1, schedule_expression="rate(1 day)"), "not both"),
        (lambda: Schedule(automatically_after_days=1001), "is 1001: use a whole number, 1 to 1000"),
        (lambda: Schedule(schedule_expression="monthly"), "'monthly' is not a valid schedule_expression"),
        (lambda: Network(subnet_ids="subnet-1", security_group_ids=[]), "subnet_ids is one string"),
    ],
)
def test_a_part_that_cannot_work_is_rejected(make: Any, message: str) -> None:  # noqa: ANN401  a constructor
    with pytest.raises(ArgumentError, match=message):
        make()
