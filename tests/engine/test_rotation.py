"""Database logins and rotation, with the real engine, the real function, and a real PostgreSQL."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.engine.test_secrecy import command_lines, files_below, numbers_of_shown
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.local_engine import stack_environment
from tests.support.shops import SECRET, Shop, copy_of_server_log, new_shop
from tests.support.stacks import Stack, new_stack
from tools.localcloud.postgres import PostgresServer

LOGIN_RESOURCES = {
    "create shop-database-random:password",
    "create shop-database-login-secret",
    "create shop-database-login-initial-version",
    "create shop-database-provisioning",
    "create shop-database-rotation-schedule",
}
FUNCTION_RESOURCES = {
    f"create rotation-{role}" for role in ("log-group", "role", "policy", "function", "permission", "alarm")
}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[Shop]:
    """A shop whose login every test leaves working, rotating every 30 days."""
    folder = tmp_path_factory.mktemp("rotation")
    with running_emulator(None) as emulator:
        environment = stack_environment(folder, emulator.endpoint)
        shop = new_shop(new_stack(folder / "project", environment, emulator.endpoint), server)
        shop.configure({"description": "first"})
        shop.stack.up()
        yield shop


def description(shop: Shop) -> dict[str, str]:
    """Return the current declaration, so that a test changes only one thing."""
    return {"description": shop.described()["Description"]}


def test_a_login_works_after_up_without_a_rotation(shop: Shop) -> None:
    assert set(shop.stack.up()) == LOGIN_RESOURCES | FUNCTION_RESOURCES
    assert shop.log_in() == shop.username
    with shop.connection() as connection:
        connection.run("CREATE TABLE made_by_the_application (id int)")
    shop.wait_for_rotations()
    described = shop.described()
    assert described["RotationEnabled"]
    assert described["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert "LastRotatedDate" not in described
    assert shop.stack.preview() == []


def test_live_credentials_survive_rotations_refresh_and_update(deployed: Shop) -> None:
    shop = deployed
    first = shop.stack.value(SECRET)
    both = [first["username"], *{shop.username, f"{shop.username}_clone"} - {first["username"]}]
    users = []
    for _ in range(3):
        before = shop.stack.value(SECRET)
        after = shop.rotate()
        users.append(shop.log_in(after))
        assert (
            shop.log_in(before) == before["username"]
        )  # a client that has read it can use it for a whole period
        assert after.keys() == first.keys()
        assert after["password"] != before["password"]
    assert users == [both[1], both[0], both[1]]
    live = shop.stack.value(SECRET)
    shop.stack.collect_versions()
    shop.stack.refresh()
    assert shop.stack.up() == []
    shop.configure({"description": "changed"})
    assert shop.stack.up() == ["update shop-database-login-secret"]
    assert shop.stack.value(SECRET) == live
    assert shop.log_in() == users[-1]


def test_both_users_share_their_tables(deployed: Shop) -> None:
    with deployed.connection() as connection:
        connection.run("CREATE TABLE orders (id int)")
    deployed.rotate()
    with deployed.connection() as connection:
        connection.run("ALTER TABLE orders ADD COLUMN paid boolean")
        connection.run("DROP TABLE orders")


def test_a_schedule_changes_in_place_without_a_rotation(
    deployed: Shop,
) -> None:
    shop = deployed
    live = shop.stack.value(SECRET)
    for rotation, rules in (
        ({"scheduleExpression": "cron(0 8 1 * ? *)", "duration": "3h"}, "cron(0 8 1 * ? *)"),
        ({"automaticallyAfterDays": 30}, None),
    ):
        shop.wait_for_rotations()
        shop.configure({"rotation": rotation, **description(shop)})
        assert shop.stack.up() == ["update shop-database-rotation-schedule"]
        found = shop.described()["RotationRules"]
        assert found.get("ScheduleExpression") == rules
        assert shop.stack.preview("--refresh") == []
    assert found == {"AutomaticallyAfterDays": 30}
    shop.wait_for_rotations()
    assert shop.stack.value(SECRET) == live


def test_removing_rotation_cancels_it_and_keeps_the_credentials(deployed: Shop) -> None:
    shop = deployed
    live = shop.rotate()
    shop.configure({"rotation": {"enabled": False}, **description(shop)})
    assert shop.stack.up() == ["delete shop-database-rotation-schedule"]
    assert not shop.described()["RotationEnabled"]
    assert shop.stack.value(SECRET) == live
    assert shop.log_in() == live["username"]
    shop.configure(description(shop))
    assert shop.stack.up() == ["create shop-database-rotation-schedule"]
    shop.wait_for_rotations()
    assert shop.log_in(shop.rotate()) != live["username"]


def test_a_rotation_cancelled_in_aws_is_attached_after_a_refresh(deployed: Shop) -> None:
    shop = deployed
    live = shop.rotate()
    shop.stack.client().cancel_rotate_secret(SecretId=SECRET)
    shop.stack.refresh()
    assert shop.stack.up() == ["update shop-database-rotation-schedule"]
    assert shop.described()["RotationEnabled"]
    assert shop.stack.value(SECRET) == live


def test_the_function_runs_in_the_declared_network(shop: Shop) -> None:
    ec2 = shop.stack.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="db", Description="db", VpcId=vpc)["GroupId"]
    shop.configure(server={"vpc": {"subnetIds": [subnet], "securityGroupIds": [group]}})
    shop.stack.up()
    [function] = shop.stack.client("lambda").list_functions()["Functions"]
    assert function["VpcConfig"]["SubnetIds"] == [subnet]
    assert function["VpcConfig"]["SecurityGroupIds"] == [group]
    assert shop.log_in(shop.rotate()) == f"{shop.username}_clone"
    assert shop.stack.preview() == []


def test_rotate_immediately_rotates_when_rotation_is_attached(shop: Shop) -> None:
    shop.configure({"rotation": {"rotateImmediately": True}})
    shop.stack.up()
    shop.wait_for_rotations()
    assert shop.log_in() == f"{shop.username}_clone"
    assert shop.stack.preview() == []


@pytest.mark.deep
def test_rotations_and_updates_do_not_disturb_each_other(deployed: Shop) -> None:
    shop = deployed
    done = threading.Event()
    rotated, failed = [], []

    def rotate_and_log_in() -> None:
        while not done.is_set():
            try:
                shop.log_in(shop.rotate())
                rotated.append(1)
            except Exception as error:  # noqa: BLE001  any error is reported below
                failed.append(type(error).__name__)

    thread = threading.Thread(target=rotate_and_log_in)
    thread.start()
    try:
        for number in range(2):
            shop.configure({"description": f"number {number}", "values": {"MORE": {"value": str(number)}}})
            shop.stack.up("--refresh")
    finally:
        done.set()
        thread.join()
    assert rotated
    assert failed == []
    shop.log_in()
    assert shop.stack.up() == []


def test_a_single_user_rotates_and_its_password_changes(shop: Shop) -> None:
    shop.configure({"users": "single"})
    shop.stack.up()
    before = shop.stack.value(SECRET)
    after = shop.rotate()
    assert (shop.log_in(after), after["password"] == before["password"]) == (shop.username, False)


def test_changed_grants_reach_the_database(shop: Shop) -> None:
    shop.stack.up()
    with shop.administrator() as admin:
        admin.run("CREATE TABLE prices (amount int)")
    shop.configure({"grants": "read-only"})
    assert shop.stack.up() == [
        "create-replacement shop-database-provisioning",
        "replace shop-database-provisioning",
        "delete-replaced shop-database-provisioning",
    ]
    with shop.connection() as connection:
        connection.run("SELECT * FROM prices")
        with pytest.raises(Exception, match="permission denied"):
            connection.run("INSERT INTO prices VALUES (1)")


def test_special_characters_survive_end_to_end(shop: Shop) -> None:
    name = 'an "app" 100%/ü@\''
    with shop.administrator() as admin:
        admin.run("ROLLBACK")
        admin.run(f'CREATE DATABASE "{shop.database} 100%/ü"')
    shop.configure({"username": f"{shop.username} {name}", "database": f"{shop.database} 100%/ü"})
    shop.stack.up()
    assert shop.log_in() == f"{shop.username} {name}"
    assert shop.log_in(shop.rotate()) == f"{shop.username} {name}_clone"


def test_an_update_rejects_a_role_that_is_in_use(shop: Shop) -> None:
    with shop.administrator() as admin:
        admin.run(f"CREATE ROLE {shop.username} LOGIN")
    failed = shop.stack.pulumi("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    assert "the role may be in use elsewhere" in failed.stdout
    assert "Traceback" not in failed.stdout
    assert not shop.described().get("RotationEnabled")
    with shop.administrator() as admin:
        admin.run(f"DROP ROLE {shop.username}")
    steps = shop.stack.up()
    assert {"create shop-database-provisioning", "create shop-database-rotation-schedule"} == set(steps)
    assert shop.log_in() == shop.username


def test_an_unknown_instance_is_reported_with_its_path(shop: Shop) -> None:
    shop.configure(server={"rdsInstance": "nowhere"})
    failed = shop.stack.pulumi("preview", check=False)
    assert failed.returncode != 0
    assert "aws-secrets:databases.shop.rdsInstance" in failed.stdout
    assert "nowhere" in failed.stdout
    assert "Traceback" not in failed.stdout
    assert shop.stack.client().list_secrets()["SecretList"][0]["Name"].startswith("rds!")


def test_a_random_key_rotates_and_other_keys_stay(stack: Stack, shop: Shop) -> None:
    values = {"SESSION_KEY": {"random": {"length": 64, "special": False}}, "NAME": {"value": "shop"}}
    stack.configure(
        {
            "sessions": {
                "values": values,
                "rotation": {"keys": ["SESSION_KEY"], "length": 32, "format": "hex"},
            }
        },
        encryption="aws-managed",
    )
    stack.up()
    before = stack.value("sessions")
    after = shop.rotate("sessions")
    assert after["NAME"] == "shop"
    assert after["SESSION_KEY"] != before["SESSION_KEY"]
    assert len(bytes.fromhex(after["SESSION_KEY"])) == 32
    stack.refresh()
    assert stack.up() == []
    assert stack.value("sessions") == after


def test_the_stacks_own_admin_secret_rotates_and_still_creates_logins(shop: Shop) -> None:
    admin = f"{shop.username}_admin"
    with shop.administrator() as connection:
        connection.run(f"CREATE ROLE {admin} LOGIN CREATEROLE PASSWORD 'configured-value-7a31'")
        connection.run(f"GRANT ALL ON DATABASE {shop.database} TO {admin} WITH GRANT OPTION")
        connection.run(f"GRANT ALL ON SCHEMA public TO {admin} WITH GRANT OPTION")
    shop.configure(
        {"grants": "read-write"},
        server={
            "admin": {
                "secret": "shop-admin",
                "username": admin,
                "password": {"config": "stripeKey"},
                "rotation": {},
                "database": shop.database,
            }
        },
    )
    shop.stack.up()
    shop.wait_for_rotations()
    shop.rotate("shop-admin")
    assert shop.log_in(shop.rotate()) == f"{shop.username}_clone"
    assert shop.stack.up() == []


def test_destroy_removes_everything_from_aws_and_keeps_database_roles(shop: Shop) -> None:
    shop.configure(recoveryWindowDays=0)
    shop.stack.up()
    value = shop.stack.value(SECRET)
    shop.stack.pulumi("destroy", "--yes", "--skip-preview")
    assert shop.log_in(value) == shop.username
    with pytest.raises(ClientError):
        shop.described()
    assert shop.stack.client("lambda").list_functions()["Functions"] == []
    assert shop.stack.client("iam").list_roles()["Roles"] == []
    assert shop.stack.client("logs").describe_log_groups()["logGroups"] == []


def values_of(shop: Shop) -> set[str]:
    """Return every password that the login has had."""
    listed = shop.stack.client().list_secret_version_ids(SecretId=SECRET, IncludeDeprecated=True)["Versions"]
    found = set()
    for version in listed:
        value: dict[str, Any] = json.loads(
            shop.stack.client().get_secret_value(SecretId=SECRET, VersionId=version["VersionId"])[
                "SecretString"
            ]
        )
        found.add(value["password"])
    return found


def test_no_password_shows_outside_aws(shop: Shop, emulator: Emulator, tmp_path: Path) -> None:
    shown: list[str] = []
    log = tmp_path / "events.json"

    def run(*arguments: str) -> None:
        shown.append(shop.stack.pulumi(*arguments, check=False).stdout)
        if log.exists():
            shown.append(log.read_text())

    with command_lines() as lines:
        run("preview", "--diff", "--event-log", str(log))
        run("up", "--yes", "--skip-preview", "--diff", "--debug", "--event-log", str(log))
        shop.rotate()
        shop.rotate()
        shop.stack.edit(SECRET, password="by-hand-and-wrong-for-now")
        failing = shop.stack.client().rotate_secret(SecretId=SECRET)["VersionId"]
        shop.wait_for_rotations()
        run("refresh", "--yes", "--skip-preview", "--diff", "--event-log", str(log))
        shop.configure({"description": "another", "grants": "read-write"})
        run("up", "--yes", "--diff", "--event-log", str(log))
        run("stack", "output", "--json", "--show-secrets")
        run("stack", "export")
        kept = files_below(tmp_path)
    assert failing
    passwords = [*values_of(shop), shop.server.admin_password]
    assert len(passwords) >= 5
    function_log, server_log = shop.stack.function_log(), copy_of_server_log(shop.server)
    assert "setSecret" in function_log
    assert "ALTER ROLE" in server_log
    texts = [*shown, function_log, server_log]
    haystack = "\n".join(texts).encode() + b"\n".join([*kept, *lines, emulator.log.read_bytes()])
    shown_values = numbers_of_shown(passwords, haystack)  # separate: a failing assertion prints its arguments
    assert shown_values == []
