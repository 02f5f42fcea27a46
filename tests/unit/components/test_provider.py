"""The component provider without an engine: Pulumi's analyzer, the schema, and what inputs become."""

import dataclasses
import json
from collections.abc import Callable, Generator
from typing import Any, cast

import pulumi
import pytest
from pulumi.errors import InputPropertyError

from components import (
    ArgumentError,
    Binary,
    FilledByHand,
    Given,
    MysqlLoginArgs,
    PostgresLoginArgs,
    Random,
    RandomBytes,
    Retirement,
    RotationArgs,
    RotationFunctionArgs,
    Secret,
    SecretArgs,
    Structure,
    Text,
)
from components.provider import arguments, hosting, inputs
from components.provider.hosted import COMPONENTS
from components.provider.hosting import provider
from tests.support.recorded_run import Recording, record


class Later:
    """Something to await, as an Output is; a real one would need an event loop."""

    def __await__(self) -> Generator[None, None, str]:
        yield
        return ""


SCHEMA: dict[str, Any] = json.loads(provider().schema or "")


def secret(**inputs: object) -> Any:  # noqa: ANN401  arguments
    return arguments.secret_args(cast("Any", {"secret_name": "app", **inputs}))


def construct(token: str, inputs: dict[str, object]) -> Recording:
    """Return what a component asks for, with inputs as the engine sends them."""
    return record(lambda: provider().construct("app", token, inputs))


def test_the_analyzer_accepts_every_component() -> None:
    assert set(SCHEMA["resources"]) == {f"aws-secrets:index:{component.__name__}" for component in COMPONENTS}
    assert SCHEMA["name"] == hosting.PACKAGE
    for resource in SCHEMA["resources"].values():
        assert resource["isComponent"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_has_the_token_of_what_it_is(component: type[pulumi.ComponentResource]) -> None:
    assert component.__mro__[1].__name__ == component.__name__
    assert component.__mro__[1].__module__.startswith("components.")


def test_every_input_is_described() -> None:
    bare = [
        f"{name}.{field}"
        for name, about in SCHEMA["resources"].items()
        for field, described in about["inputProperties"].items()
        if not described.get("description")
    ]
    bare += [
        f"{name}.{field}"
        for name, about in SCHEMA["types"].items()
        for field, described in about["properties"].items()
        if not described.get("description")
    ]
    assert not bare


def test_outputs_may_flow_into_values_and_structure_is_plain() -> None:
    value = SCHEMA["types"]["aws-secrets:index:Value"]["properties"]
    assert "plain" not in value["value"]
    inputs = SCHEMA["resources"]["aws-secrets:index:Secret"]["inputProperties"]
    assert inputs["secretName"]["plain"]
    login = SCHEMA["resources"]["aws-secrets:index:PostgresLogin"]
    assert "plain" not in login["inputProperties"]["host"]
    assert {"secretArn", "roles", "references"} <= login["properties"].keys()
    assert login["requiredInputs"] == ["database", "host", "secretName", "username"]


def test_every_source_has_its_input() -> None:
    later = cast("Any", Later())
    values = {
        "A": {"random": {"length": 8.0, "special": False}},
        "B": {"random_bytes": {"length": 4.0, "encoding": "base64"}},
        "C": {"value": later},
        "D": {"json": {"limit": 3.0}},
        "E": {"filled_by_hand": "ask"},
    }
    assert secret(values=values).values == {
        "A": Random(length=8, special=False),
        "B": RandomBytes(length=4, encoding="base64"),
        "C": Given(value=later),
        "D": Structure(value={"limit": 3}),
        "E": FilledByHand(hint="ask"),
    }
    assert secret(text={"value": "pem"}).whole == Text(source=Given(value="pem"))
    assert secret(binary={"random_bytes": {"length": 4.0}}).whole == Binary(
        source=RandomBytes(length=4, encoding="base64")
    )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"values": {"A": {}}}, "values.A: set exactly one of random, randomBytes, value, json"),
        ({"values": {"A": {"value": "x", "json": 1}}}, "values.A: set exactly one of"),
        ({"values": Later()}, "values as a whole is an Output"),
        ({"values": {"A": Later()}}, "is an Output: write its source"),
        ({"text": {"value": "x"}, "binary": {"value": "eA=="}}, "text and binary are both set"),
        ({"text": {"json": 1}}, "json needs keys"),
        ({"binary": {"random": {"length": 8}}}, "random makes text: use randomBytes"),
        ({"values": {"A": {"random": {"length": 8}}}, "recovery_window_days": 3.0}, "is 3: use 7 to 30"),
    ],
)
def test_an_input_that_cannot_work_is_rejected(inputs: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        secret(**inputs)


def test_a_login_is_rotated_every_thirty_days_by_default() -> None:
    known = {"secret_name": "shop", "host": "db", "database": "shop", "username": "shop"}
    login = arguments.login_args(cast("Any", {**known, "admin_secret_arn": "arn", "port": 6432.0}))
    assert login.schedule
    assert login.schedule.automatically_after_days == 30
    assert (login.server.port, login.alternating, login.grants) == (6432, True, None)
    with pytest.raises(ArgumentError, match="grants and grantStatements are both set"):
        arguments.login_args(
            cast("Any", {**known, "grants": "owner", "grant_statements": ["GRANT x TO {login}"]})
        )


def test_a_component_makes_what_it_makes_in_python() -> None:
    hosted = construct(
        "aws-secrets:index:Secret",
        {"secretName": "app", "values": {"KEY": {"random": {"length": 20.0}}}, "recoveryWindowDays": 7.0},
    )
    args = SecretArgs(secret_name="app", values={"KEY": Random(length=20)}, recovery_window_days=7)
    native = record(lambda: Secret("app", args))
    # independent resources are registered in any order
    assert {found.urn: found.inputs for found in hosted.resources} == {
        found.urn: found.inputs for found in native.resources
    }


def test_an_argument_error_names_the_input_without_a_traceback() -> None:
    def declare() -> None:
        with pytest.raises(InputPropertyError, match="it has no values"):
            provider().construct("app", "aws-secrets:index:Secret", {"secretName": "app"})

    assert record(declare).resources == []


def test_a_mysql_login_has_the_inputs_of_its_engine() -> None:
    known = {"secret_name": "shop", "host": "db", "database": "shop", "username": "shop"}
    more = {"admin_secret_arn": "arn", "user_host": "10.%", "url_scheme": "mysql2", "engine": "mariadb"}
    login = arguments.mysql_login_args(cast("Any", {**known, **more}))
    assert (login.server.engine, login.server.port) == ("mariadb", 3306)
    assert (login.user_host, login.url_scheme) == ("10.%", "mysql2")
    described = SCHEMA["resources"]["aws-secrets:index:MysqlLogin"]
    assert described["requiredInputs"] == ["database", "host", "secretName", "username"]


LOGIN = {
    "secret_name": "shop",
    "host": "db",
    "database": "shop",
    "username": "shop",
    "admin_secret_arn": "arn",
}
Made = Callable[[Any], PostgresLoginArgs | MysqlLoginArgs | RotationFunctionArgs]


def made(make: Made, given: object) -> Any:  # noqa: ANN401  arguments
    """Return arguments whose account is looked up."""
    found: list[Any] = []
    record(lambda: found.append(make(given)))
    return found[0]


@pytest.mark.parametrize("make", [arguments.login_args, arguments.mysql_login_args])
def test_a_login_has_settings_for_a_function_of_its_own(make: Made) -> None:
    plain = made(make, LOGIN)
    assert (plain.common, plain.retirement) == (None, None)
    own = {"alarm_topic_arn": "topic", "log_retention_days": 30.0, "retirement": {"mode": "defer"}}
    login = made(make, {**LOGIN, **own})
    assert (login.common.alarm_topic_arn, login.common.log_retention_days) == ("topic", 30)
    assert login.retirement == Retirement(mode="defer", deferrals=3)
    for name in ("alarm_topic_arn", "log_retention_days"):
        with pytest.raises(ArgumentError, match="set them on its RotationFunction"):
            make({**LOGIN, name: own[name], "rotation_function_arn": "function"})
    with pytest.raises(ArgumentError, match="mode"):
        make({**LOGIN, "retirement": {"mode": "never"}})


def test_a_login_without_a_password_has_a_single_user_and_no_schedule() -> None:
    login = arguments.login_args(cast("Any", {**LOGIN, "authentication": "iam"}))
    assert (login.authentication, login.alternating, login.schedule) == ("iam", False, None)
    with pytest.raises(ArgumentError, match="remove schedule"):
        arguments.login_args(cast("Any", {**LOGIN, "authentication": "iam", "schedule": {}}))


def test_a_function_has_retirements_by_secret() -> None:
    given = {"secret_names": ["a"], "retirements": {"a": {"mode": "wait", "deferrals": 2.0}}}
    args = made(arguments.function_args, given)
    assert args.retirements == {"a": Retirement(mode="wait", deferrals=2)}


# Where an argument of the library is not an input of the same name: what stands for it, or why nothing does.
ELSEWHERE = {
    "after": "dependsOn",
    "archive": "the package's own",
    "cache_arns": "no component of caches in other languages yet",
    "common": "inputs of its fields",
    "copy_of": "renames are made by the stack file's program",
    "function": "the function's ARN",
    "handler": "the package's own",
    "hooks": "hooks are functions of the program",
    "mode": "written once; see writer",
    "partner_type": "partner secrets are declared in the stack file",
    "removed_keys": "see writer",
    "secret": "inputs of its fields",
    "server": "inputs of its fields",
    "smtp_user_arns": "no component of SMTP credentials in other languages yet",
    "whole": "text or binary",
    "writer": "a ValueWriter cannot be passed to a component of another process",
}


@pytest.mark.parametrize(
    ("args", "given"),
    [
        (SecretArgs, inputs.SecretInputs),
        (PostgresLoginArgs, inputs.PostgresLoginInputs),
        (MysqlLoginArgs, inputs.MysqlLoginInputs),
        (RotationArgs, inputs.RotationInputs),
        (RotationFunctionArgs, inputs.RotationFunctionInputs),
    ],
)
def test_every_argument_of_the_library_is_an_input(args: Any, given: Any) -> None:  # noqa: ANN401  classes
    missing = {field.name for field in dataclasses.fields(args)} - given.__annotations__.keys()
    assert missing <= ELSEWHERE.keys()
