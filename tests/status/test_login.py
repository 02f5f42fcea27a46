"""The status of a login and its administrator on a real PostgreSQL, before and after a failed rotation."""

import json
import os
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from operations.status import Status, status
from tests.support.emulator_functions import until
from tests.support.emulator_process import running_emulator
from tests.support.local_engine import stack_environment
from tests.support.shops import SECRET, Shop, new_shop
from tests.support.stacks import CONFIGURED, new_stack
from tools.localcloud.postgres import PostgresServer


@pytest.fixture
def shop(server: PostgresServer, tmp_path: Path) -> Iterator[Shop]:
    """A deployed login and the administrator that creates it."""
    with running_emulator(None) as emulator:
        environment = stack_environment(tmp_path, emulator.endpoint)
        shop = new_shop(new_stack(tmp_path / "project", environment, emulator.endpoint), server)
        admin = f"{shop.username}_admin"
        with shop.administrator() as connection:
            connection.run(f"CREATE ROLE {admin} LOGIN CREATEROLE PASSWORD '{CONFIGURED}'")
            connection.run(f"GRANT ALL ON DATABASE {shop.database} TO {admin} WITH GRANT OPTION")
            connection.run(f"GRANT ALL ON SCHEMA public TO {admin} WITH GRANT OPTION")
        shop.configure(
            {"grants": "read-write", "description": "The shop's login"},
            server={
                "admin": {
                    "secret": "shop-admin",
                    "username": admin,
                    "password": {"config": "stripeKey"},
                    "rotation": {"scheduleExpression": "rate(20 days)", "duration": "3h"},
                    "database": shop.database,
                }
            },
        )
        shop.stack.up()
        shop.wait_for_rotations()
        yield shop


def status_of(shop: Shop, now: datetime | None = None) -> Status:
    with patch.dict(os.environ, shop.stack.environment, clear=True), chdir(shop.stack.folder):
        return status("test", now=now)


def test_failing_function_leaves_an_unfinished_rotation_of_a_login(shop: Shop) -> None:
    now = datetime.now(UTC)
    found = {secret.name: secret for secret in status_of(shop, now).secrets}
    assert set(found) == {SECRET, "shop-admin"}
    for secret in found.values():
        assert secret.drift == ()
        assert secret.problems == ()
        assert secret.rotation is not None
        assert secret.rotation.state == "on-schedule"
    outputs = json.loads(shop.stack.pulumi("stack", "output", "--json").stdout)
    with patch.dict(os.environ, shop.stack.environment, clear=True), chdir(shop.stack.folder):
        assert status("test", now=now, outputs=outputs) == status_of(shop, now)  # the same function name
    admin = found["shop-admin"].rotation
    assert admin is not None
    assert admin.schedule == "rate(20 days), within 3h"

    break_function(shop)
    client = shop.stack.client()
    client.rotate_secret(SecretId=SECRET)
    until(lambda: ["AWSPENDING"] in shop.described()["VersionIdsToStages"].values())
    states = [login_state(shop, moment) for moment in (now, now + timedelta(hours=2))]
    assert states == ["running", "unfinished"]
    [problem] = next(
        one for one in status_of(shop, now + timedelta(hours=2)).secrets if one.name == SECRET
    ).problems
    assert "has no value" in problem.text
    assert "docs/rotation.md" in problem.remedy


def login_state(shop: Shop, now: datetime) -> str | None:
    rotation = next(one for one in status_of(shop, now).secrets if one.name == SECRET).rotation
    return rotation.state if rotation else None


def break_function(shop: Shop) -> None:
    """Remove the function's permissions, as a mistake in IAM would."""
    iam = shop.stack.client("iam")
    [role] = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
