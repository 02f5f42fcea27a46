"""The plan of an answer to a leak, from the stack file alone, and the commands that it gives to a person."""

import base64
import json
import os
import shlex
import string
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from components.lambdas.rotation.protocol import NOW_VERSION
from operations.compromised.command import _again
from operations.compromised.model import Leak, Plan, Report
from operations.compromised.plan import plan
from operations.compromised.shell import connecting, generating
from operations.renewal.model import Deployment
from operations.renewal.rotations import incident
from program.desired import resolve
from stack_file.secrets import Binary, Text
from stack_file.top_level import StackFile
from tests.compromised.test_generations import SINCE

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotation-function-1234567"
OWN = "arn:aws:lambda:us-east-1:123456789012:function:mine"
SECRETS: dict[str, Any] = {
    "app": {
        "initialValues": "managed",
        "values": {"KEY": {"random": {}}, "VENDOR": {"filledByHand": "ask"}, "MODE": {"value": "x"}},
    },
    "own": {"values": {"KEY": {"random": {}}}, "rotation": {"functionArn": OWN}},
    "keys": {
        "initialValues": "account",
        "values": {"A": {"random": {}}, "B": {"random": {}}},
        "rotation": {"keys": ["A"]},
    },
    "pem": {"initialValues": "managed", "text": {"random": {}}},
}
DATABASE = {
    "host": "db.example.com",
    "outsideVpc": True,
    "admin": {"secret": "admin", "username": "root", "password": {"config": "admin"}},
    "logins": {
        "two": {
            "username": "shop",
            "database": "shop",
            "initialValues": "managed",
            "values": {"X": {"random": {}}},
        },
        "one": {"username": "solo", "database": "shop", "users": "single"},
        "off": {"username": "off", "database": "shop", "rotation": {"enabled": False}},
    },
}


def planned(**leak: str) -> Plan:
    stack_file = StackFile.model_validate_json(
        json.dumps({"secrets": SECRETS, "databases": {"shop": DATABASE}})
    )
    deployment = Deployment(
        functions={None: FUNCTION, ("databases", "shop"): FUNCTION},
        servers={("databases", "shop"): ("db.example.com", "5432")},
    )
    return plan(resolve(stack_file, "aws-secrets", "dev"), Leak(**leak), deployment)


def test_each_kind_of_secret_is_renewed_until_the_old_value_is_dead() -> None:
    found = {one.name: (one.rotations, one.is_login, one.keys, one.function) for one in planned().secrets}
    assert found == {
        "app": (0, False, ("KEY",), ""),
        "own": (1, False, (), OWN),
        "keys": (1, False, ("B",), FUNCTION),
        "pem": (0, False, ("",), ""),
        "admin": (0, False, (), ""),
        "two": (2, True, ("X",), FUNCTION),
        "one": (1, True, (), FUNCTION),
        "off": (0, False, (), ""),
    }
    tasks = {one.name: [task.where for task in one.tasks] for one in planned().secrets}
    assert tasks["app"] == ["app, key VENDOR"]
    assert tasks["off"] == ["off"]
    assert tasks["admin"] == ["admin"]
    assert tasks["two"] == tasks["pem"] == []


@pytest.mark.parametrize(
    ("secret", "key", "rotations", "keys"),
    [("two", "password", 2, ()), ("two", "X", 0, ("X",)), ("keys", "A", 1, ()), ("keys", "B", 0, ("B",))],
)
def test_one_key_renews_only_what_holds_it(
    secret: str, key: str, rotations: int, keys: tuple[str, ...]
) -> None:
    [one] = planned(secret=secret, key=key).secrets
    assert (one.rotations, one.keys, one.is_login) == (rotations, keys, rotations == 2)


def test_the_ids_of_an_incidents_versions_differ_and_stay() -> None:
    known = incident(SINCE, at_once=True)
    ids = {known.version(arn, number, attempt) for arn in "ab" for number in (1, 2) for attempt in (0, 1)}
    assert len(ids) == 8
    assert all(one.startswith(NOW_VERSION) and 32 <= len(one) <= 64 for one in ids)
    assert known.version("a", 1, 0) == incident(SINCE, at_once=True).version("a", 1, 0)


def test_the_check_of_a_login_is_safe_to_paste() -> None:
    command = shlex.split(connecting(("h", "5432"), "o'clock; rm", "a b", "tls/our ca.pem"))
    assert command == [
        "psql",
        r"host=h port=5432 dbname='o\'clock; rm' user='a b' sslmode=verify-full sslrootcert='tls/our ca.pem'",
        "--password",
    ]


AWS = """#!/bin/bash
echo "$*" >> "$PWD/arguments"
case $2 in
  get-secret-value) cat current ;;
  put-secret-value) cat > put ;;
esac
"""


@pytest.mark.parametrize(
    ("source", "length"),
    [
        (Text.model_validate({"random": {"length": 24, "special": False}}), 24),
        (Text.model_validate({"randomBytes": {"length": 16, "encoding": "hex"}}), 32),
        (Text.model_validate({"randomBytes": {"length": 100, "encoding": "base64"}}), 136),
        (Text.model_validate({"randomBytes": {"length": 16, "encoding": "base64url"}}), 22),
    ],
)
def test_a_generating_command_changes_one_key_and_shows_nothing(
    tmp_path: Path, source: Text, length: int
) -> None:
    (tmp_path / "aws").write_text(AWS)
    (tmp_path / "aws").chmod(0o755)
    (tmp_path / "current").write_text(json.dumps({"it's": "old", "OTHER": "kept-value"}))
    done = subprocess.run(
        ["bash", "-c", generating("app", "it's", source, "keys")],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    put = json.loads((tmp_path / "put").read_text())
    assert (put.keys(), put["OTHER"], len(put["it's"])) == ({"it's", "OTHER"}, "kept-value", length)
    assert set(put["it's"]) <= {*string.ascii_letters, *string.digits, *"+/=-_"}
    assert done.stdout + done.stderr == ""
    arguments = (tmp_path / "arguments").read_text()
    assert put["it's"] not in arguments
    assert "kept-value" not in arguments


def test_a_generating_command_for_bytes_pipes_them(tmp_path: Path) -> None:
    (tmp_path / "aws").write_text(AWS)
    (tmp_path / "aws").chmod(0o755)
    command = generating("app", "", Binary.model_validate({"randomBytes": {"length": 48}}), "binary")
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, check=True)
    assert len(base64.b64encode((tmp_path / "put").read_bytes())) == 64


def test_logins_of_other_engines_rotate_twice_and_by_their_own_function() -> None:
    mysql = {
        "engine": "mysql",
        "host": "db.example.com",
        "outsideVpc": True,
        "admin": {"secret": "root", "username": "admin", "password": {"config": "admin"}},
        "logins": {"my": {"username": "shop", "database": "shop"}},
    }
    mail = {"post": {"from": ["example.com"]}}
    stack_file = StackFile.model_validate_json(json.dumps({"databases": {"shop": mysql}, "smtp": mail}))
    deployment = Deployment(functions={("databases", "shop"): FUNCTION, ("smtp", "post"): OWN})
    found = plan(resolve(stack_file, "aws-secrets", "dev"), Leak(), deployment)
    rotations = {one.name: (one.rotations, one.is_login, one.function) for one in found.secrets}
    assert rotations["my"] == (2, True, FUNCTION)
    assert rotations["post"] == (2, True, OWN)
    assert [check.commands for one in found.secrets for check in one.checks] == [(), ()]


def test_readers_are_restarted_in_the_declared_order() -> None:
    read = {"ecs": {}, "environment": {"KEY": {"secret": "app"}}}
    workloads = {"web": {**read, "restart": {"after": ["worker"]}}, "worker": read}
    stack_file = StackFile.model_validate_json(json.dumps({"secrets": SECRETS, "workloads": workloads}))
    found = plan(resolve(stack_file, "aws-secrets", "dev"), Leak(secret="app"), Deployment())
    assert [one.workload.name for one in found.readers] == ["worker", "web"]


@pytest.mark.parametrize("arguments", [["app"], ["app", "--stack", "prod"], ["app", "--stack=prod"]])
def test_the_command_that_goes_on_names_the_stack(arguments: list[str]) -> None:
    since = datetime(2026, 11, 29, 3, 12, tzinfo=UTC)
    report = Report(stack="prod", account="123456789012", region="us-east-1", since=since, started=since)
    again = _again(report, [*arguments, "--since", "2026-11-29"])
    assert again.replace("=", " ") == (
        "python -m operations compromised app --stack prod --since 2026-11-29T03:12:00.000000+00:00"
    )


@pytest.mark.parametrize(
    ("declared", "file"),
    [
        ({}, "components/lambdas/rotation/ca/rds.pem"),
        ({"certificateAuthorities": "tls/ca.pem"}, "tls/ca.pem"),
    ],
)
def test_the_check_of_a_login_trusts_the_authorities_of_its_server(
    declared: dict[str, str], file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    assert (root / "components/lambdas/rotation/ca/rds.pem").exists()
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.pem").write_bytes(
        (root / "tests/engine/deployed/0.1.0/whole/ca.pem").read_bytes()
    )
    monkeypatch.chdir(tmp_path)
    databases = {"shop": DATABASE | declared}
    stack_file = StackFile.model_validate_json(json.dumps({"secrets": SECRETS, "databases": databases}))
    desired = resolve(stack_file, "aws-secrets", "dev")
    deployment = Deployment(functions={("databases", "shop"): FUNCTION})
    [login] = plan(desired, Leak(secret="two"), deployment).secrets
    assert all(f"sslrootcert={file}" in command for command in login.checks[0].commands[:2])
