"""A database login that the state lost comes back with its password, and rotates again."""

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.adopt.live import snapshot
from tests.restore.running import restore
from tests.restore.test_interruption import log, started
from tests.restore.test_restore import is_deleted
from tests.support.crash_proxy import Crash, crashing
from tests.support.deep import deep_except
from tests.support.shops import SECRET, Shop

OTHER: dict[str, Any] = {"other": {"values": {"KEY": {"random": {}}}}}
LOGIN_SECRET = f"{SECRET}-login-secret"


def deployed(shop: Shop, login: dict[str, Any]) -> dict[str, Any]:
    """Deploy the login and another secret, rotate once, and return the snapshot."""
    shop.configure(login)
    with_other(shop)
    shop.stack.up()
    shop.rotate()
    shop.wait_for_rotations()
    return everything(shop)


def with_other(shop: Shop) -> None:
    content = yaml.safe_load(shop.stack.file.read_text())
    content["config"]["aws-secrets:secrets"] = OTHER
    shop.stack.file.write_text(yaml.safe_dump(content))


def everything(shop: Shop) -> dict[str, Any]:
    """Return what a restore may not change: the secret, and the roles in the database."""
    found = snapshot(shop.stack, SECRET)[SECRET]
    found["about"] = {key: found["about"][key] for key in ("Description", "KmsKeyId", "Tags")}
    return {"secret": found, "roles": roles(shop)}


def roles(shop: Shop) -> list[list[str]]:
    """Return the login's roles, with all their attributes but the password."""
    with shop.administrator() as connection:
        found: list[list[str]] = connection.run(
            "SELECT r::text, shobj_description(oid, 'pg_authid') FROM pg_roles r "
            "WHERE rolname LIKE :like ORDER BY 1",
            like=f"{shop.username}%",
        )
    return found


def users(shop: Shop) -> list[str]:
    """Log in with the current password and with the other user's, and return both users."""
    versions = [
        json.loads(shop.stack.client().get_secret_value(SecretId=SECRET, VersionStage=label)["SecretString"])
        for label in ("AWSCURRENT", "AWSPREVIOUS")
    ]
    return [shop.log_in(version) for version in versions]


def dropped_by_refresh(shop: Shop) -> None:
    shop.stack.client().delete_secret(SecretId=SECRET, RecoveryWindowInDays=7)
    shop.stack.refresh()


def deleted_by_update(shop: Shop) -> None:
    text = shop.stack.file.read_text()
    shop.stack.configure(OTHER, encryption="aws-managed")
    shop.stack.up()
    shop.stack.file.write_text(text)


def in_state(shop: Shop) -> list[str]:
    try:
        resources = shop.stack.state().get("resources", [])
    except ValueError:  # it is being written
        return []
    return [one["urn"].rpartition("::")[2] for one in resources]


def assert_works(shop: Shop, before: dict[str, Any]) -> None:
    """Update, and see that the password is the same and rotates."""
    assert everything(shop) == before
    both = users(shop)
    shop.stack.up()
    assert shop.stack.preview() == []
    shop.wait_for_rotations()
    assert roles(shop) == before["roles"]
    assert shop.log_in() == both[0]
    shop.rotate()
    shop.log_in()
    assert shop.stack.up("--refresh") == []


@pytest.mark.parametrize("lose", deep_except([dropped_by_refresh, deleted_by_update], [dropped_by_refresh]))
@pytest.mark.parametrize("mode", deep_except(["once", "managed"], ["managed"]))
def test_a_lost_login_returns_and_rotates(shop: Shop, lose: Callable[[Shop], None], mode: str) -> None:
    before = deployed(shop, {"initialValues": mode, "rotation": {"rotateImmediately": False}})
    lose(shop)
    assert is_deleted(shop.stack, SECRET)
    assert LOGIN_SECRET not in in_state(shop)
    printed = restore(shop.stack, SECRET, "--yes")
    assert f"{SECRET} is restored" in printed
    assert LOGIN_SECRET in in_state(shop)
    value = shop.stack.value(SECRET)
    shown = printed + str(shop.stack.state())
    assert not [key for key in ("password", "DATABASE_URL") if value[key] in shown]
    assert_works(shop, before)
    assert "Nothing to restore" in restore(shop.stack, SECRET, "--yes")


def finish(shop: Shop, before: dict[str, Any]) -> None:
    """Run it again, and see that everything is as before the deletion."""
    shop.stack.pulumi("cancel", "--yes", check=False)
    restore(shop.stack, SECRET, "--yes")
    assert_works(shop, before)


@pytest.mark.parametrize("after", deep_except([False, True], [True]), ids=["before", "after"])
def test_a_restore_killed_at_the_call_is_completed(shop: Shop, after: bool) -> None:
    before = deployed(shop, {"rotation": {"rotateImmediately": False}})
    dropped_by_refresh(shop)
    crash = Crash("RestoreSecret", after=after)
    with crashing(shop.stack.endpoint, crash) as address:
        running = started(shop.stack, SECRET, AWS_ENDPOINT_URL=address)
        crash.victim = running.pid
        running.wait(timeout=120)
    assert crash.happened.is_set(), log(shop.stack)
    assert LOGIN_SECRET not in in_state(shop)
    assert is_deleted(shop.stack, SECRET) is not after
    finish(shop, before)


def test_a_restore_killed_after_the_state_is_complete(shop: Shop) -> None:
    before = deployed(shop, {"rotation": {"rotateImmediately": False}})
    dropped_by_refresh(shop)
    running = started(shop.stack, SECRET)
    deadline = time.monotonic() + 120
    while LOGIN_SECRET not in in_state(shop):
        assert running.poll() is None, log(shop.stack)
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait(timeout=30)
    assert everything(shop) == before
    finish(shop, before)
