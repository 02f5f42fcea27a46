"""A login's reader URL, without an engine."""

import json
from typing import Any

import pytest

from components.lambdas.writer import plan
from components.lambdas.writer.document import parse
from program import authorities
from stack_file import SettingsError
from tests.support.recorded_run import MASTER_ARN, Recording, run
from tests.support.writer_requests import writing
from tests.unit.test_rotation_program import INVOCATION, first_value

SERVER = {"host": "db.example", "outsideVpc": True, "admin": {"secretArn": MASTER_ARN}}
LOGIN = {"username": "the app", "database": "a shop", "readerUrl": True}


def deployed(server: dict[str, Any], login: dict[str, Any] | None = None, **stack_wide: object) -> Recording:
    return run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:databases": {"shop": {**server, "logins": {"app-database": login or LOGIN}}},
            **{f"aws-secrets:{key}": value for key, value in stack_wide.items()},
        }
    )


@pytest.mark.parametrize(
    ("server", "reader"),
    [
        ({**SERVER, "readerHost": "replica.example"}, "replica.example:5432"),
        ({**SERVER, "port": 6432, "readerHost": "::2"}, "[::2]:6432"),
        ({"rdsInstance": "example-db", "readerHost": "replica.example"}, "replica.example:5432"),
        ({"auroraCluster": "in-a-vpc"}, "in-a-vpc-ro.rds.example:5433"),
        ({"auroraCluster": "in-a-vpc", "readerHost": "custom.example"}, "custom.example:5433"),
    ],
)
def test_the_initial_value_has_a_reader_url(server: dict[str, Any], reader: str) -> None:
    recording = deployed(server)
    value = first_value(recording)
    end = f"@{reader}/a%20shop?sslmode=verify-full"
    assert value["DATABASE_READER_URL"] == f"postgres://the%20app:{value['password']}{end}"
    assert value["DATABASE_URL"].partition("@")[0] == value["DATABASE_READER_URL"].partition("@")[0]
    assert f"{recording.outputs['databases']['shop']['readerHost']}" in reader
    assert "DATABASE_READER_URL" in recording.outputs["secrets"]["app-database"]["keys"]


def test_by_default_a_login_has_no_reader_url() -> None:
    login = {key: value for key, value in LOGIN.items() if key != "readerUrl"}
    recording = deployed({"auroraCluster": "in-a-vpc"}, login)
    assert "reader" not in json.dumps([first_value(recording), recording.outputs]).lower()


@pytest.mark.parametrize("mode", ["managed", "account"])
def test_the_writer_adds_the_reader_url_with_the_current_user(mode: str) -> None:
    recording = deployed({**SERVER, "readerHost": "replica.example"}, initialValues=mode)
    asked = json.loads(recording.only(INVOCATION, "app-database-login-values").inputs["input"])
    live = {key: "x" for key in asked["Keys"] if key != "DATABASE_READER_URL"}
    live |= {"username": "the app_clone", "password": "p/w"}
    request, document = writing(asked), parse(json.dumps(live), "the secret")
    planned = plan.plan(request, document, None, plan.GeneratedValues())
    assert planned.kinds == {"DATABASE_READER_URL": "Added"}
    assert planned.document.text_of("DATABASE_READER_URL") == (
        "postgres://the%20app_clone:p%2Fw@replica.example:5432/a%20shop?sslmode=verify-full"
    )


def test_workloads_get_the_readers_regions_authorities() -> None:
    host = "shop.cabc123.eu-west-1.rds.amazonaws.com"
    workload = {
        "ecs": {},
        "environment": {"DATABASE_READER_URL": {"secret": "app-database"}},
        "databaseAuthorities": {},
    }
    recording = deployed({**SERVER, "readerHost": host}, workloads={"web": workload})
    brought = recording.outputs["workloads"]["web"]["databaseAuthorities"]
    assert brought["container"]["environment"][0]["value"] == authorities.of_regions(
        ["eu-west-1", "us-east-1"]
    )


@pytest.mark.parametrize(
    ("server", "login", "path", "words"),
    [
        (SERVER, LOGIN, "shop", "Set readerHost to"),
        ({"rdsInstance": "example-db"}, LOGIN, "shop", "Set readerHost to"),
        (
            {**SERVER, "readerHost": "r.example"},
            {"username": "app", "database": "shop"},
            "shop",
            "but no login has readerUrl",
        ),
        (
            {**SERVER, "readerHost": "r.example"},
            {**LOGIN, "values": {"DATABASE_READER_URL": {"value": "x"}}},
            "shop.logins.app-database",
            "which the login sets itself",
        ),
    ],
)
def test_a_mistake_has_its_path_and_remedy(
    server: dict[str, Any], login: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        deployed(server, login)
    found = {mistake.path: str(mistake) for mistake in raised.value.mistakes}
    assert any(path in place and words in text for place, text in found.items()), found
