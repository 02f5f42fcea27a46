"""Logins that other functions rotated become logins of a stack, while clients log in without a failure."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.adopt.live import snapshot
from tests.adopt.logins import ALT, CLONE, Load, a_login, log_in, rotated
from tests.adopt.running import adopt
from tests.adopt.test_adoption import all_text
from tests.engine.test_rotation import FUNCTION_RESOURCES
from tests.support.peer_functions import aws_function, thoughtbot_function, thoughtbot_settings
from tests.support.shops import Shop
from tests.support.stacks import Stack

ROTATIONS = 3


def master_arn(shop: Shop) -> str:
    found = shop.stack.client("rds").describe_db_instances(DBInstanceIdentifier="shop")["DBInstances"]
    arn: str = found[0]["MasterUserSecret"]["SecretArn"]
    return arn


@contextmanager
def under_load(loads: Mapping[str, Load]) -> Iterator[None]:
    clients = [client for load in loads.values() for client in load.clients]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.stop()


def users_of(value: Mapping[str, Any]) -> str:
    return str(value["username"])


@pytest.mark.deep
def test_no_login_fails_while_logins_of_others_are_taken_over(shop: Shop) -> None:
    stack, server, name = shop.stack, shop.server, shop.username
    master = master_arn(shop)
    hosted, single, bot = f"{name}_a", f"{name}_b", f"{name}_d"
    a_login(
        shop, "live/hosted", hosted, aws_function(stack, server, "hosted", "alternating"), masterarn=master
    )
    a_login(shop, "live/single", single, aws_function(stack, server, "single", "single"))
    settings = thoughtbot_settings(bot, master, "GRANT SELECT ON reports TO %s")
    function = thoughtbot_function(stack, server, "bot", settings)
    with shop.administrator() as admin:
        admin.run("CREATE TABLE reports (id int)")
        admin.run("GRANT CREATE ON SCHEMA public TO PUBLIC")
    a_login(shop, "live/bot", bot, function, "GRANT SELECT ON reports TO " + bot)
    for secret, user, table in (("live/hosted", hosted, "orders"), ("live/single", single, "carts")):
        with closing(log_in(shop, stack.value(secret))) as connection:
            connection.run(f"CREATE TABLE {table} (id int)")
        assert users_of(stack.value(secret)) == user
    # rotated by their own functions: to the second user of one, and back to the first user of the other
    held = {}
    for secret, times in (("live/hosted", 3), ("live/single", 2), ("live/bot", 2)):
        for _ in range(times):
            held[secret] = stack.value(secret)
            rotated(shop, secret)
    assert users_of(stack.value("live/hosted")) == hosted + CLONE
    assert (users_of(held["live/bot"]), users_of(stack.value("live/bot"))) == (bot + ALT, bot)
    # a single user's former password fails by nature
    held["live/single"] = stack.value("live/single")
    stack.configure({}, encryption="aws-managed")
    before = snapshot(stack, *held)
    loads = {
        secret: Load(shop, secret, table, held[secret])
        for secret, table in (("live/hosted", "orders"), ("live/single", "carts"), ("live/bot", "reports"))
    }
    with under_load(loads):
        printed = adopt(
            stack,
            *("aws", "--prefix", "live/", "--read-keys", "--yes", "--alternating"),
            *("--administrator", master, "--certificate-authorities", str(server.ca_file)),
        )
        assert "3 secrets adopted" in printed
        assert printed.count("this stack's function rotates it in place of") == len(held)
        assert snapshot(stack, *held) == before
        changed = set(stack.up())
        for secret in held:
            loads[secret].read_again()
        for _ in range(ROTATIONS):
            for secret, load in loads.items():
                rotated(shop, secret)
                load.another()
                load.read_again()
    assert changed == FUNCTION_RESOURCES | {
        f"{operation} {secret}-{resource}"
        for secret in held
        for operation, resource in (
            ("update", "login-secret"),
            ("create", "provisioning"),
            ("update", "rotation-schedule"),
        )
    }
    assert min(client.logins for load in loads.values() for client in load.clients) > ROTATIONS
    assert {secret: load.failures for secret, load in loads.items()} == {secret: [] for secret in held}
    assert stack.preview() == []
    for secret, user in (("live/hosted", hosted), ("live/single", single), ("live/bot", bot)):
        value = stack.value(secret)
        assert value["masterarn"] == master
        assert users_of(value) in {user, user + CLONE}
        assert "hosted" not in stack.client().describe_secret(SecretId=secret)["RotationLambdaARN"]


def state_of(shop: Shop, secret: str, function: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """The Terraform state of thoughtbot's module, which has the initial value and the function's settings."""
    client = shop.stack.client()
    described = client.describe_secret(SecretId=secret)
    [first] = [
        version for version, labels in described["VersionIdsToStages"].items() if "AWSCURRENT" in labels
    ]
    arn = described["ARN"]
    of_secret = {"secret_id": arn, "id": arn}

    def resource(kind: str, module: str, **attributes: object) -> dict[str, Any]:
        return {
            "module": f"module.bot.{module}",
            "mode": "managed",
            "type": kind,
            "name": "this",
            "instances": [{"attributes": attributes}],
        }

    return {
        "version": 4,
        "terraform_version": "1.9.8",
        "resources": [
            resource(
                "aws_secretsmanager_secret",
                "module.secret",
                arn=arn,
                id=arn,
                name=secret,
                recovery_window_in_days=30,
            ),
            resource(
                "aws_secretsmanager_secret_version",
                "module.secret",
                **of_secret,
                version_id=first,
                version_stages=["AWSCURRENT"],
                secret_string=client.get_secret_value(SecretId=secret)["SecretString"],
            ),
            resource(
                "aws_secretsmanager_secret_rotation",
                "module.rotation",
                **of_secret,
                rotation_lambda_arn=function,
            ),
            resource(
                "aws_lambda_function",
                "module.rotation",
                arn=function,
                handler="lambda_function.lambda_handler",
                environment=[{"variables": dict(settings)}],
            ),
        ],
    }


def test_logins_of_a_terraform_state_move_without_showing_a_password(shop: Shop, tmp_path: Path) -> None:
    stack, server, user = shop.stack, shop.server, f"{shop.username}_t"
    settings = thoughtbot_settings(user, master_arn(shop))
    function = thoughtbot_function(stack, server, "bot", settings)
    arn = a_login(shop, "bot", user, function)
    file = tmp_path / "terraform.tfstate"
    file.write_text(json.dumps(state_of(shop, "bot", function, settings)))
    one = f"{shop.username}_o"
    a_login(shop, "one", one, aws_function(stack, server, "single", "single"))
    rotated(shop, "bot")
    rotated(shop, "one")
    authorities = ("--certificate-authorities", str(server.ca_file))
    stack.configure({}, encryption="aws-managed")
    shown = [adopt(stack, "terraform", str(file), "--yes", "--read-keys", *authorities, code=1)]
    assert f"its current user is {user}{ALT}" in shown[0]
    rotated(shop, "bot")
    before = snapshot(stack, "bot", "one")
    shown.append(adopt(stack, "terraform", str(file), "--dry-run", "--read-keys", *authorities))
    shown.append(adopt(stack, "terraform", str(file), "--yes", "--read-keys", *authorities))
    assert "removed {" in shown[-2]
    assert f'DROP ROLE "{user}{ALT}"' in shown[-1]
    # an entry that a person has written, of the same server
    written = yaml.safe_load(stack.file.read_text())
    [server_name] = declared(stack)
    by_hand = {"username": one, "database": shop.database, "users": "single", "grants": "unchanged"}
    schedule = {"scheduleExpression": "rate(10 days)", "duration": "3h"}
    logins = written["config"]["aws-secrets:databases"][server_name]["logins"]
    logins["one"] = {**by_hand, "rotation": schedule}
    stack.file.write_text(yaml.safe_dump(written))
    shown.append(adopt(stack, "aws", "--prefix", "one", "--read-keys", "--yes", "--json"))
    shown.append(adopt(stack, "aws", "--prefix", "one", "--read-keys", "--yes"))
    assert "0 secrets adopted, 1 adopted before" in shown[-1]
    assert snapshot(stack, "bot", "one") == before
    [database] = declared(stack).values()
    assert database["rdsInstance"] == "shop"
    assert "admin" not in database
    assert {name: login.get("users") for name, login in database["logins"].items()} == {
        "bot": None,
        "one": "single",
    }
    stack.up()
    for secret, name in (("bot", user + CLONE), ("one", one)):
        former = stack.value(secret)
        shop.wait_for_rotations()
        value = rotated(shop, secret)
        log_in(shop, value).close()
        assert value["username"] == name
        assert value["password"] != former["password"]
    stack.collect_versions()
    assert stack.up("--refresh") == []
    assert arn in stack.client().describe_secret(SecretId="bot")["ARN"]
    text = "\n".join([*shown, all_text(stack), stack.function_log()])
    assert [value for value in passwords(shop, "bot", "one") if value in text] == []


def declared(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(stack.file.read_text())["config"]["aws-secrets:databases"]
    return found


def passwords(shop: Shop, *secrets: str) -> set[str]:
    """Every password that the logins have had."""
    client, found = shop.stack.client(), set()
    for secret in secrets:
        for version in client.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True)["Versions"]:
            text = client.get_secret_value(SecretId=secret, VersionId=version["VersionId"])["SecretString"]
            found.add(json.loads(text)["password"])
    assert len(found) > ROTATIONS
    return found
