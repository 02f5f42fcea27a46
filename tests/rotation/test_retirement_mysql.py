"""MySQL and MariaDB: clients that connected before the current password keep their login under deferral."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pymysql
import pytest

from components.lambdas.rotation import mysql_clients
from components.lambdas.rotation.labels import BOOKMARK, DEFERRAL
from components.lambdas.rotation.protocol import DEFER, PROCEED, SERVERS_VARIABLE, fingerprint
from tests.support.interruption import killed
from tests.support.mysql_world import (
    MysqlWorld,
    a_login,
    as_administrator,
    as_superuser,
    can_log_in,
    create_user,
    log_in,
    run,
)
from tests.support.retirements import Declare, deferrals, labels_of
from tests.support.rotation_world import (
    STEPS,
    a_password,
    put_secret,
    read,
    rejection,
    rotate,
    run_step,
    run_steps,
    start_rotation,
    unique,
    version_with,
    write,
)

ROTATIONS = int(os.environ.get("ROTATIONS", "4"))
Held = tuple[str, dict[str, Any], Any]


@pytest.fixture
def held(mysql_world: MysqlWorld, declare: Declare) -> Iterator[Held]:
    """A login that was rotated under `defer`, and a client that connected before and goes on."""
    arn = a_login(mysql_world)
    declare(arn, DEFER, 99)
    old = read(mysql_world, arn)
    connection = log_in(mysql_world, old)
    rotate(mysql_world, arn)
    yield arn, old, connection
    with contextlib.suppress(pymysql.err.Error):  # the test has closed it
        connection.close()


def test_a_connected_client_loses_no_login_as_long_as_deferral_is_declared(
    mysql_world: MysqlWorld,
    held: Held,
    log: Callable[[], str],
) -> None:
    arn, old, connection = held
    current = read(mysql_world, arn)
    for _ in range(ROTATIONS):
        rotate(mysql_world, arn)
        assert run(connection, "SELECT 1") == ((1,),)
        assert can_log_in(mysql_world, old)
        assert can_log_in(mysql_world, read(mysql_world, arn))
    assert read(mysql_world, arn) == current
    assert deferrals(mysql_world, arn) == ROTATIONS
    assert f"user '{old['username']}' from " in log()


def test_a_client_that_read_again_does_not_defer_the_rotation(mysql_world: MysqlWorld, held: Held) -> None:
    arn, old, connection = held
    connection.close()
    now = read(mysql_world, arn)
    with log_in(mysql_world, now) as later:
        rotate(mysql_world, arn)
        assert read(mysql_world, arn)["password"] != now["password"]
        assert not can_log_in(mysql_world, old)
        assert can_log_in(mysql_world, now)
        assert run(later, "SELECT 1") == ((1,),)


def test_without_deferral_the_client_loses_its_login(
    mysql_world: MysqlWorld,
    held: Held,
    declare: Declare,
    log: Callable[[], str],
) -> None:
    arn, old, _ = held
    declare(arn, PROCEED)
    rotate(mysql_world, arn)
    assert not can_log_in(mysql_world, old)
    assert "goes on, although" in log()


def test_a_copy_can_be_rolled_back_to(mysql_world: MysqlWorld, held: Held) -> None:
    """A rollback runs the steps after createSecret with the earlier version."""
    arn, _, _ = held
    rotate(mysql_world, arn)
    copy, value = version_with(mysql_world, arn, "AWSCURRENT"), read(mysql_world, arn)
    write(mysql_world, arn, password=a_password())  # an operator's mistake
    assert any(label.startswith(DEFERRAL) for label in labels_of(mysql_world, arn))
    mysql_world.secrets.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSPENDING", MoveToVersionId=copy
    )
    assert copy
    run_steps(arn, copy, STEPS[1:])
    assert version_with(mysql_world, arn, "AWSCURRENT") == copy
    assert read(mysql_world, arn) == value
    assert can_log_in(mysql_world, value)


def test_the_bound_ends_the_deferrals(
    mysql_world: MysqlWorld,
    held: Held,
    declare: Declare,
) -> None:
    arn, old, _ = held
    declare(arn, DEFER, 1)
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, old)
    rotate(mysql_world, arn)
    assert not can_log_in(mysql_world, old)


def test_where_sessions_cannot_be_told_apart_all_count_once(
    mysql_world: MysqlWorld,
    declare: Declare,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a bookmark, when the setting is new, and with one of a server that has restarted since."""
    arn = a_login(mysql_world)
    rotate(mysql_world, arn)
    declare(arn, DEFER, 99)
    with log_in(mysql_world, read(mysql_world, arn)):
        before = read(mysql_world, arn)
        rotate(mysql_world, arn)
        assert deferrals(mysql_world, arn) == 1
    with log_in(mysql_world, before):
        rotate(mysql_world, arn)
        assert read(mysql_world, arn) != before
    now = read(mysql_world, arn)
    with log_in(mysql_world, now):
        started = mysql_clients._started
        monkeypatch.setattr(mysql_clients, "_started", lambda session: started(session) + 3600)
        rotate(mysql_world, arn)
        assert read(mysql_world, arn) == now
    rotate(mysql_world, arn)
    assert read(mysql_world, arn) != now


def test_the_first_rotation_is_never_deferred(
    mysql_world: MysqlWorld,
    declare: Declare,
) -> None:
    arn = a_login(mysql_world)
    declare(arn, DEFER)
    old = read(mysql_world, arn)
    with log_in(mysql_world, old):
        rotate(mysql_world, arn)
    assert read(mysql_world, arn) != old
    assert can_log_in(mysql_world, old)


def test_a_killed_end_of_a_rotation_leaves_one_bookmark(mysql_world: MysqlWorld, held: Held) -> None:
    arn, _, connection = held
    connection.close()
    points = 0
    while True:
        token = start_rotation(mysql_world, arn)
        run_steps(arn, token, STEPS[:-1])
        was_killed = killed(points, partial(run_step, arn, token, "finishSecret"))
        run_step(arn, token, "finishSecret")
        [bookmark] = [label for label in labels_of(mysql_world, arn) if label.startswith(BOOKMARK)]
        run_step(arn, token, "finishSecret")
        assert bookmark in labels_of(mysql_world, arn)
        number = int(bookmark.removeprefix(BOOKMARK).partition(":")[0])
        latest = as_administrator(mysql_world, "SELECT CONNECTION_ID()")[0][0]
        assert latest - 20 < number < latest
        if not was_killed:
            break
        points += 1
    assert points > 2


def test_an_administrator_that_sees_nobody_fails_the_rotation_early(
    mysql_world: MysqlWorld,
    held: Held,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arn, old, _ = held
    name, password = unique("blind"), a_password()
    create_user(mysql_world, name, password)
    as_superuser(mysql_world, f"GRANT SELECT ON mysql.* TO '{name}'@'%'")
    blind = put_secret(mysql_world, {"username": name, "password": password}, {})
    server = mysql_world.server
    monkeypatch.setenv(SERVERS_VARIABLE, fingerprint(blind, server.host, server.port))
    value = {**read(mysql_world, arn), "masterarn": blind}
    mysql_world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(value))
    message = rejection(lambda: rotate(mysql_world, arn))
    assert f"GRANT PROCESS ON *.* TO '{name}'" in message
    assert can_log_in(mysql_world, old)
