"""The function is stopped at every point of every step; then Secrets Manager runs the rotation again."""

import itertools
import uuid
from collections.abc import Callable

import pg8000.native
import pytest

from functions.rotation import postgres_session
from functions.rotation.errors import OperatorError
from tests.rotation.interruption import cut_off, killed
from tests.rotation.world import (
    STEPS,
    World,
    a_login,
    administrator,
    can_log_in,
    drop_roles,
    new_database,
    provision,
    put_login,
    read,
    refusal,
    run_step,
    run_steps,
    start_rotation,
    superuser,
    unique,
    version_with,
    write,
)

# all of provisioning is one transaction: more grants would add points, but no states
A_GRANT = ["GRANT CONNECT ON DATABASE {database} TO {owner}"]

MANY = 8  # fewer points would mean that they are not seen


def points_tried(run: Callable[[int], bool], record: Callable[[str, object], None]) -> int:
    """Try every point, until one is past the end."""
    tried = next(at for at in itertools.count() if not run(at))
    record("points", tried)
    return tried


def assert_usable(world: World, arn: str, *, alternating: bool) -> None:
    """What holds at every moment. PostgreSQL knows one password a role, so a single user has a gap."""
    current = read(world, arn)
    if alternating:
        assert can_log_in(world, current)
        return
    pending = version_with(world, arn, "AWSPENDING")
    if not can_log_in(world, current):
        assert pending
        assert can_log_in(world, read(world, arn, "AWSPENDING"))


def assert_finished(world: World, arn: str, token: str) -> None:
    assert version_with(world, arn, "AWSCURRENT") == token
    assert can_log_in(world, read(world, arn))


@pytest.mark.parametrize("alternating", [False, True], ids=["single", "alternating"])
def test_killed_at_any_point_a_rotation_is_completed_by_the_next_try(
    world: World, alternating: bool, record_property: Callable[[str, object], None]
) -> None:
    arn = a_login(world, alternating=alternating)

    def run(at: int) -> bool:
        cached = read(world, arn)
        token = start_rotation(world, arn)
        was_killed = killed(at, lambda: run_steps(arn, token))
        assert_usable(world, arn, alternating=alternating)
        assert can_log_in(world, cached) or not alternating
        run_steps(arn, token)
        assert_finished(world, arn, token)
        assert can_log_in(world, cached) is alternating
        return was_killed

    assert points_tried(run, record_property) > MANY


@pytest.mark.parametrize("alternating", [False, True], ids=["single", "alternating"])
def test_cut_off_at_any_point_a_rotation_fails_with_a_message_and_is_completed_by_the_next_try(
    world: World, alternating: bool, record_property: Callable[[str, object], None]
) -> None:
    arn = a_login(world, alternating=alternating)

    def run(at: int) -> bool:
        token = start_rotation(world, arn)
        reached, error = cut_off(at, lambda: run_steps(arn, token))
        assert error is None or isinstance(error, OperatorError), error
        assert_usable(world, arn, alternating=alternating)
        run_steps(arn, token)
        assert_finished(world, arn, token)
        return reached

    assert points_tried(run, record_property) > MANY


def test_killed_at_any_point_provisioning_leaves_nothing_half_made_and_is_completed_by_the_next_try(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    """Where a kill has left nothing, the one at the next point is the next try, and the last gets through."""
    database = new_database(world)
    logins: list[tuple[str, str]] = []
    completed = 0

    def run(at: int) -> bool:
        nonlocal completed
        if not logins:
            name = unique("made")
            logins.append((name, put_login(world, database, name)))
        name, arn = logins[0]
        was_killed = killed(at, lambda: provision(arn, Grants=A_GRANT))
        with administrator(world.server) as connection:
            there = connection.run(
                "SELECT count(*) FROM pg_roles WHERE rolname IN (:a, :b, :c)",
                a=name,
                b=f"{name}_clone",
                c=f"{name}_owner",
            )
        assert there in ([[0]], [[3]])
        assert can_log_in(world, read(world, arn)) is (there == [[3]])
        if there == [[3]]:
            provision(arn, Grants=A_GRANT)
            assert can_log_in(world, read(world, arn))
            drop_roles(world, database, f"{name}_owner", name, f"{name}_clone")
            logins.clear()
            completed += 1
        return was_killed

    assert points_tried(run, record_property) > MANY
    assert completed


@pytest.mark.parametrize("alternating", [False, True], ids=["single", "alternating"])
def test_killed_at_any_point_while_a_person_edits_neither_edit_nor_login_is_lost(
    world: World, alternating: bool, record_property: Callable[[str, object], None]
) -> None:
    """finishSecret then writes a version of its own, which has points that the plain way has not."""
    arn = a_login(world, alternating=alternating)

    def run(at: int) -> bool:
        mark = uuid.uuid4().hex
        token = start_rotation(world, arn)
        run_steps(arn, token, STEPS[:3])
        write(world, arn, MARK=mark)
        was_killed = killed(at, lambda: run_step(arn, token, "finishSecret"))
        assert_usable(world, arn, alternating=alternating)
        try:
            run_steps(arn, token)
        except OperatorError as error:
            assert "over or given up" in str(error)
        assert read(world, arn)["MARK"] == mark
        assert can_log_in(world, read(world, arn))
        return was_killed

    assert points_tried(run, record_property) > 2


def test_a_database_that_makes_the_function_wait_costs_one_try_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = a_login(world)
    pending = f"{read(world, arn)['username']}_clone"
    token = start_rotation(world, arn)
    with superuser(world.server) as other:
        other.run("BEGIN")
        other.run(f"ALTER ROLE {pg8000.native.identifier(pending)} CONNECTION LIMIT 9")
        monkeypatch.setitem(postgres_session._SETTINGS, "lock_timeout", "1s")
        message = refusal(lambda: run_steps(arn, token))
        assert "the application blocks this" in message
        assert "pg_terminate_backend" in message
        assert can_log_in(world, read(world, arn))
        other.run("COMMIT")
    run_steps(arn, token)
    assert_finished(world, arn, token)
