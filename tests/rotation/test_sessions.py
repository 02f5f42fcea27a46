"""Ending the sessions of a login: all of its own, and nobody else's."""

import time
from functools import partial
from typing import Any

import pg8000.native
import pytest

from components.lambdas.rotation.handler import handle
from tests.support.rotation_world import (
    World,
    a_login,
    both_users,
    can_log_in,
    log_in,
    put_secret,
    read,
    rejection,
    rotate,
    write,
)


def end_sessions(arn: str) -> object:
    return handle({"Action": "end-sessions", "SecretId": arn})


def is_over(connection: Any) -> bool:
    """Return whether the server has ended a session, which happens soon after its answer."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            connection.run("SELECT 1")
        except (pg8000.native.DatabaseError, pg8000.native.InterfaceError, OSError):
            return True
        time.sleep(0.01)
    return False


def test_sessions_of_both_users_end_and_no_others(world: World) -> None:
    arn, other = a_login(world), a_login(world)
    sessions = [log_in(world, fields) for fields in both_users(world, arn)]
    foreign = log_in(world, read(world, other))
    assert end_sessions(arn) == {"Sessions": 2}
    assert all(map(is_over, sessions))
    assert foreign.run("SELECT 1") == [[1]]
    foreign.close()
    assert can_log_in(world, read(world, arn))
    assert end_sessions(arn) == {"Sessions": 0}


@pytest.mark.parametrize("administered", [True, False])
def test_sessions_of_a_single_user_end(world: World, administered: bool) -> None:
    arn = a_login(world, alternating=False)
    if not administered:
        write(world, arn, masterarn="")
    before = log_in(world, read(world, arn))
    rotate(world, arn)
    sessions = [before, log_in(world, read(world, arn))]
    assert end_sessions(arn) == {"Sessions": 2}
    assert all(map(is_over, sessions))


def test_a_secret_that_names_another_user_ends_no_session_of_it(world: World) -> None:
    for alternating in (True, False):
        victim, attacker = a_login(world), a_login(world, alternating=alternating)
        session = log_in(world, read(world, victim))
        write(world, attacker, username=read(world, victim)["username"])
        message = rejection(partial(end_sessions, attacker))
        assert "its comment does not name the secret" in message
        assert session.run("SELECT 1") == [[1]]
        session.close()


def test_a_secret_of_random_keys_has_no_sessions(world: World) -> None:
    arn = put_secret(
        world, {"KEY": "x"}, {"aws-secrets:rotation": "random-key", "aws-secrets:rotation-keys": "KEY"}
    )
    assert end_sessions(arn) == {"Sessions": 0}
