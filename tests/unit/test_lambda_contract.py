"""The components and the Lambda functions agree on tags, labels, variables, events and archives."""

import ast
import dataclasses
import importlib
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import stack_file.secrets
from components import initial_value
from components.lambdas import build, redeploy
from components.lambdas.rotation import administrator, retirement
from components.lambdas.rotation.driver_selection import driver_for
from components.lambdas.rotation.errors import OperatorError
from components.lambdas.rotation.labels import INITIAL
from components.lambdas.rotation.postgres import PostgresDriver
from components.lambdas.rotation.postgres_secret import read_login
from components.lambdas.rotation.protocol import (
    CA_PEM_VARIABLE,
    CONNECTION,
    RETIREMENT_VARIABLE,
    SERVERS_VARIABLE,
)
from components.lambdas.rotation.random_key import RandomKeyDriver
from components.lambdas.rotation.store import Description
from components.lambdas.writer import request
from components.lambdas.writer.protocol import RandomBytesOptions, RandomOptions, event_name
from tests.support.recorded_run import MASTER_ARN, Recording, run
from tests.support.writer_requests import writing

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"
LAMBDAS = Path(build.__file__).parent
FILES: dict[str, Mapping[str, Path]] = {
    "rotation": build.ROTATION_FILES,
    "writer": build.WRITER_FILES,
    "copier": build.COPIER_FILES,
    "redeploy.py": build.REDEPLOY_FILES,
    "notices": build.NOTICES_FILES,
    "rehearsal": build.REHEARSAL_FILES,
}
# what a function may import: Lambda's own SDK, and what the rotation function's archive contains
AVAILABLE = {"boto3", "botocore", "pg8000", "pymysql", "scramp"}

INVOCATION = "aws:lambda/invocation:Invocation"
FUNCTION = "aws:lambda/function:Function"
SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"


def declare(**settings: object) -> Recording:
    return run(
        {"aws:region": "us-east-1", **{f"aws-secrets:{key}": value for key, value in settings.items()}}
    )


def database(**login: object) -> Recording:
    server = {"host": "db.example", "port": 6432, "outsideVpc": True, "admin": {"secretArn": MASTER_ARN}}
    logins = {"app": {"username": "shop", "database": "orders", **login}}
    return declare(databases={"main": {**server, "logins": logins}})


def event_of(recording: Recording, name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(recording.only(INVOCATION, name).inputs["input"])
    return event


def initial_fields(recording: Recording, name: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(recording.only(VERSION, name).inputs["secretString"])
    return fields


def description(recording: Recording, name: str) -> Description:
    tags = recording.only(SECRET, name).inputs["tags"]
    return Description(ARN, tags, {}, rotation_enabled=True, deleted=False)


def variables_of(recording: Recording, name: str) -> dict[str, str]:
    variables: dict[str, str] = recording.only(FUNCTION, name).inputs["environment"]["variables"]
    return variables


# archives


@pytest.mark.parametrize("package", ["rotation", "writer", "copier", "notices", "rehearsal"])
@pytest.mark.parametrize("path", sorted((LAMBDAS / "common").glob("[!_]*.py")), ids=lambda path: path.name)
def test_a_package_contains_the_common_modules(package: str, path: Path) -> None:
    assert FILES[package][f"{package}/{path.name}"] == path
    common, shared = (
        {
            name: value
            for name, value in vars(
                importlib.import_module(f"components.lambdas.{folder}.{path.stem}")
            ).items()
            if not name.startswith("_")
        }
        for folder in ("common", package)
    )
    assert shared == common


@pytest.mark.parametrize("name", FILES)
def test_archives_contain_everything_that_they_import(name: str) -> None:
    files = FILES[name]
    assert files
    for place, path in files.items():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
                if node.level:
                    assert node.level == 1, place
                    package = Path(place).parent.as_posix()
                    imported = [node.module] if node.module else [alias.name for alias in node.names]
                    assert {f"{package}/{module}.py" for module in imported} <= files.keys(), place
                    continue
            roots = {module.partition(".")[0] for module in modules}
            assert roots <= AVAILABLE | sys.stdlib_module_names, place


# rotation


@pytest.mark.parametrize("users", ["single", "alternating"])
def test_the_function_reads_a_login_as_it_was_declared(users: str) -> None:
    options = {"grants": "read-write", "schemas": ["public", "own"], "createSchemas": True}
    owner = {"ownerRole": "team"} if users == "alternating" else {}
    recording = database(users=users, passwordLength=33, **options, **owner)
    event, fields = (
        event_of(recording, "app-provisioning"),
        initial_fields(recording, "app-login-initial-version"),
    )
    driver = driver_for(description(recording, "app-login-secret"), fields)
    assert isinstance(driver, PostgresDriver)
    assert (driver.alternating, driver.length) == (users == "alternating", 33)
    login = read_login(fields, ARN)
    assert (login.server, login.database, login.username) == ("db.example:6432", "orders", "shop")
    assert login.admin_arn == MASTER_ARN
    provisioning = {key: value for key, value in event.items() if key not in {"Action", "SecretId"}}
    declaration = driver._read_request(provisioning, fields, login)
    assert (declaration.username, declaration.server) == ("shop", True)
    assert declaration.owner == owner.get("ownerRole")
    grants = declaration.grants
    assert (grants.level, grants.schemas, grants.create_schemas) == ("read-write", ("public", "own"), True)
    with pytest.raises(OperatorError, match="'port'"):
        driver._read_request({**provisioning, CONNECTION: {"port": 1}}, fields, login)


def test_the_function_regenerates_the_declared_keys() -> None:
    rotation = {"keys": ["KEY"], "length": 24, "format": "hex"}
    secret = {"values": {"KEY": {"randomBytes": {"length": 24}}}, "rotation": rotation}
    recording = declare(secrets={"app": secret})
    driver = driver_for(description(recording, "app-secret"), {"KEY": "x"})
    assert driver == RandomKeyDriver(ARN, ("KEY",), 24, "hex")


def test_the_administrator_logs_in_to_declared_servers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = database()
    login = read_login(initial_fields(recording, "app-login-initial-version"), ARN)
    for name, value in variables_of(recording, "rotation-function").items():
        assert name in {SERVERS_VARIABLE, CA_PEM_VARIABLE}
        monkeypatch.setenv(name, value)
    administrator._check_server(MASTER_ARN, login)
    with pytest.raises(OperatorError, match="does not declare"):
        administrator._check_server(ARN, login)


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        ({}, None),
        ({"whileOldPasswordIsUsed": "proceed"}, retirement.Setting("proceed", 3)),
        ({"whileOldPasswordIsUsed": "wait"}, retirement.Setting("wait", 3)),
        ({"whileOldPasswordIsUsed": "defer", "maxDeferrals": 7}, retirement.Setting("defer", 7)),
    ],
)
def test_the_function_reads_what_is_declared_for_old_passwords(
    monkeypatch: pytest.MonkeyPatch, rotation: dict[str, object], expected: retirement.Setting | None
) -> None:
    recording = database(rotation=rotation)
    variables = variables_of(recording, "rotation-function")
    assert (RETIREMENT_VARIABLE in variables) is (expected is not None)
    monkeypatch.setenv(RETIREMENT_VARIABLE, variables.get(RETIREMENT_VARIABLE, ""))
    assert retirement.setting_of(ARN) == expected
    assert retirement.setting_of(ARN.replace("app", "other")) is None
    timeout = recording.only(FUNCTION, "rotation-function").inputs["timeout"]
    assert timeout == (900 if expected and expected.mode == "wait" else 60)


def test_an_initial_version_has_the_label_that_the_functions_know() -> None:
    recording = declare(secrets={"app": {"values": {"KEY": {"random": {"length": 24}}}}})
    assert recording.only(VERSION, "app-initial-version").inputs["versionStages"] == [INITIAL]


# writer


CHANGED: dict[str, object] = {
    "length": 41,
    "special": False,
    "lower": False,
    "upper": False,
    "numeric": False,
    "min_special": 2,
    "min_lower": 3,
    "min_upper": 4,
    "min_numeric": 5,
    "override_special": "/@",
}


def declared_random(options: Mapping[str, object]) -> request.Key:
    value = {"random": {event_name(name): option for name, option in options.items()}}
    recording = declare(secrets={"app": {"values": {"KEY": value}}}, initialValues="managed")
    return writing(event_of(recording, "app-values")).keys["KEY"]


@pytest.mark.parametrize("option", CHANGED)
def test_the_writer_knows_every_option_of_a_random_text(option: str) -> None:
    options = RandomOptions(**{"length": 32, option: CHANGED[option]})  # type: ignore[arg-type]  # by name
    expected = request._random(
        {event_name(name): value for name, value in dataclasses.asdict(options).items()}, "KEY"
    )
    assert declared_random({"length": 32, option: CHANGED[option]}).source == expected
    assert declared_random({"length": 32}).source != expected


@pytest.mark.parametrize(
    ("options", "component", "settings"),
    [
        (RandomOptions, initial_value.Random, stack_file.secrets.Random),
        (RandomBytesOptions, initial_value.RandomBytes, stack_file.secrets.RandomBytes),
    ],
)
def test_random_options_have_the_same_defaults_everywhere(
    options: type[RandomOptions | RandomBytesOptions],
    component: type[initial_value.Random | initial_value.RandomBytes],
    settings: type[BaseModel],
) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(options)}
    own = {"keepers", "generation"}
    fields = [field for field in dataclasses.fields(component) if field.name not in own]
    # the order is that of the event's bytes
    assert [(field.name, field.default) for field in fields] == list(defaults.items())
    declared = {
        name: field.default for name, field in settings.model_fields.items() if name not in {*own, "length"}
    }
    assert PydanticUndefined not in declared.values()
    assert declared == {name: default for name, default in defaults.items() if name != "length"}


def test_the_writer_reads_every_kind_of_value_as_it_was_declared() -> None:
    values = {
        "BYTES": {"randomBytes": {"length": 32, "encoding": "base64url"}},
        "PLAIN": {"value": "production"},
        "TREE": {"json": {"port": 5432}},
        "VENDOR": {"filledByHand": "ask them"},
        "OLD": {"random": {"length": 24}, "generation": 3},
    }
    recording = declare(secrets={"app": {"values": values, "removedKeys": ["GONE"]}}, initialValues="account")
    event = writing(event_of(recording, "app-values"))
    assert event.removed == {"GONE"}
    assert {name: type(key.source).__name__ for name, key in event.keys.items()} == {
        "BYTES": "RandomBytes",
        "PLAIN": "Given",
        "TREE": "Structure",
        "VENDOR": "FilledByHand",
        "OLD": "Random",
    }
    assert event.keys["BYTES"].source == request.RandomBytes(32, "base64url")
    assert (event.keys["OLD"].generation, event.keys["PLAIN"].generation) == (3, 1)


def test_the_writer_joins_a_url_of_the_declared_login() -> None:
    recording = database(initialValues="account")
    source = writing(event_of(recording, "app-login-values")).keys["DATABASE_URL"].source
    end = "@db.example:6432/orders?sslmode=verify-full"
    assert source == request.Joined(("postgres://shop:", request.Reference("password", quoted=True), end))


@pytest.mark.parametrize("content", ["text", "binary"])
def test_the_writer_reads_a_whole_value_as_it_was_declared(content: str) -> None:
    recording = declare(
        secrets={"app": {content: {"randomBytes": {"length": 32}}, "initialValues": "account"}}
    )
    event = writing(event_of(recording, "app-values"))
    assert event.form is request.Form[content.upper()]
    assert isinstance(event.keys[request.WHOLE].source, request.RandomBytes)


# redeployment


def test_the_function_redeploys_the_declared_service(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = {
        "ecs": {"redeploy": {"cluster": "shop", "service": "web"}},
        "environment": {"KEY": {"secret": "app"}},
    }
    recording = declare(
        secrets={"app": {"values": {"KEY": {"random": {"length": 24}}}}}, workloads={"web": workload}
    )
    for name, value in variables_of(recording, "web-redeploy-function").items():
        monkeypatch.setenv(name, value)
    service = {"status": "ACTIVE", "deployments": [{"createdAt": datetime(2026, 1, 1, tzinfo=UTC)}]}
    ecs = MagicMock()
    ecs.describe_services.return_value = {"services": [service]}
    monkeypatch.setattr("boto3.client", lambda *_, **__: ecs)
    redeploy.handle({"time": "2026-01-02T03:04:05Z", "detail": {"name": "app"}}, None)
    ecs.update_service.assert_called_once_with(cluster="shop", service="web", forceNewDeployment=True)
