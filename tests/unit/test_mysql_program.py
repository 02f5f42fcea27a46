"""Resources for MySQL and MariaDB logins, without an engine."""

import json
from typing import Any

import pytest

from stack_file import SettingsError
from tests.support.recorded_run import MASTER_ARN, Recording
from tests.unit.test_program import SECRET
from tests.unit.test_rotation_program import SERVER, event, first_value, one_database

LOGIN = {"username": "app", "database": "shop"}


def mysql(engine: str = "mysql", login: dict[str, Any] | None = None) -> Recording:
    return one_database(login, {**SERVER, "engine": engine})


@pytest.mark.parametrize("engine", ["mysql", "mariadb"])
def test_a_login_has_one_user_and_a_url_of_its_engine(engine: str) -> None:
    recording = mysql(engine, {"urlScheme": "mysql2"})
    value = first_value(recording)
    assert (value["engine"], value["port"], value["masterarn"]) == (engine, "3306", MASTER_ARN)
    assert value["DATABASE_URL"] == f"mysql2://app:{value['password']}@db.example:3306/shop"
    assert recording.only(SECRET).inputs["tags"] == {
        "aws-secrets:rotation": engine,
        "aws-secrets:rotation-length": "40",
    }
    assert "aws-secrets:index:MysqlLogin" in recording.types()
    assert "aws-secrets:index:PostgresLogin" not in recording.types()


def test_the_function_is_asked_for_the_grants_and_the_host() -> None:
    sent = event(mysql(login={"grants": "read-only", "userHost": "10.0.%"}))
    assert (sent["Username"], sent["Grants"], sent["UserHost"]) == ("app", "read-only", "10.0.%")
    assert sent["Connection"] == {
        "host": "db.example",
        "port": "3306",
        "dbname": "shop",
        "masterarn": MASTER_ARN,
    }
    assert "Schemas" not in sent
    assert "R" * 40 not in json.dumps(sent)


def test_the_stacks_own_administrator_of_mysql_is_a_mysql_login() -> None:
    admin = {"secret": "shop-admin", "username": "admin", "password": {"config": "shopAdmin"}}
    server = {"engine": "mysql", "host": "db.example", "outsideVpc": True, "admin": admin}
    recording = one_database({}, server, {"aws-secrets:shopAdmin": "given"})
    assert first_value(recording, "shop-admin")["dbname"] == "mysql"
    assert recording.types().count("aws-secrets:index:MysqlLogin") == 2


@pytest.mark.parametrize(
    ("engine", "instance", "words"),
    [
        ("postgres", "other-engine", ("its engine is mysql, not PostgreSQL", "Set engine: mysql")),
        ("mysql", "example-db", ("its engine is postgres, not MySQL", "Set engine: postgres")),
    ],
)
def test_a_server_of_another_engine_is_a_mistake(engine: str, instance: str, words: tuple[str, str]) -> None:
    with pytest.raises(SettingsError) as raised:
        one_database({}, {"engine": engine, "rdsInstance": instance})
    [mistake] = raised.value.mistakes
    assert mistake.path == "aws-secrets:databases.shop.rdsInstance"
    assert (mistake.wrong, mistake.remedy) == words
