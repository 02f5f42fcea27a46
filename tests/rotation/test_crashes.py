"""The function is interrupted at every point of every step; then the rotation runs again."""

import itertools
import uuid
from collections.abc import Callable

import pg8000.native
import pytest

from components.lambdas.rotation import postgres_session
from components.lambdas.rotation.errors import OperatorError
from tests.support.deep import deep_except
from tests.support.engines import Engine
from tests.support.interruption import cut_off, killed
from tests.support.rotation_world import (
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
    rejection,
    run_step,
    run_steps,
    start_rotation,
    superuser,
    unique,
    version_with,
    write,
)

# provisioning is one transaction: more grants would add points, but no new states
A_GRANT = ["GRANT CONNECT ON DATABASE {database} TO {owner}"]

MANY = 8  # with fewer points, the test would not see them


# All points take a quarter of a minute for each test and engine.
at_points = pytest.mark.parametrize("every", deep_except([4, 1], [4]), ids=["every-fourth", "all"])


def points_tried(run: Callable[[int], bool], every: int, record: Callable[[str, object], None]) -> int:
    """Call `run` with points until one is past the end; return that one.

    Args:
        run: interrupts at a point; returns whether there was one.
        every: number of points from one to the next.
        record: records the returned number.
    """
    tried = next(at for at in itertools.count(step=every) if not run(at))
    record("points", tried)
    return tried


def assert_usable(engine: Engine, arn: str) -> None:
    """Check that a login works. A single user of PostgreSQL has a gap, because it has only one password."""
    current = read(engine.world, arn)
    if engine.overlaps:
        assert engine.can_log_in(current)
        return
    pending = version_with(engine.world, arn, "AWSPENDING")
    if not engine.can_log_in(current):
        assert pending
        assert engine.can_log_in(read(engine.world, arn, "AWSPENDING"))


def assert_finished(engine: Engine, arn: str, token: str) -> None:
    assert version_with(engine.world, arn, "AWSCURRENT") == token
    assert engine.can_log_in(read(engine.world, arn))


@at_points
def test_the_next_attempt_completes_a_killed_rotation(
    engine: Engine, every: int, record_property: Callable[[str, object], None]
) -> None:
    arn = engine.a_login()

    def run(at: int) -> bool:
        cached = read(engine.world, arn)
        token = start_rotation(engine.world, arn)
        was_killed = killed(at, lambda: run_steps(arn, token))
        assert_usable(engine, arn)
        assert engine.can_log_in(cached) or not engine.overlaps
        run_steps(arn, token)
        assert_finished(engine, arn, token)
        assert engine.can_log_in(cached) is engine.overlaps
        return was_killed

    assert points_tried(run, every, record_property) > MANY


@at_points
def test_the_next_attempt_completes_a_rotation_after_a_network_failure(
    engine: Engine, every: int, record_property: Callable[[str, object], None]
) -> None:
    arn = engine.a_login()

    def run(at: int) -> bool:
        token = start_rotation(engine.world, arn)
        reached, error = cut_off(at, lambda: run_steps(arn, token))
        assert error is None or isinstance(error, OperatorError), error
        assert_usable(engine, arn)
        run_steps(arn, token)
        assert_finished(engine, arn, token)
        return reached

    assert points_tried(run, every, record_property) > MANY


@at_points
def test_killed_provisioning_leaves_nothing_half_done(
    world: World, every: int, record_property: Callable[[str, object], None]
) -> None:
    """After a kill that leaves nothing, the run killed at the next point is the retry; the last completes."""
    database = new_database(world)
    logins: list[tuple[str, str]] = []
    completed = 0

    def run(at: int) -> bool:
        nonlocal completed
        if not logins:
            name = unique("app")
            logins.append((name, put_login(world, database, name)))
        name, arn = logins[0]
        was_killed = killed(at, lambda: provision(arn, Grants=A_GRANT))
        with administrator(world.server) as connection:
            roles = connection.run(
                "SELECT count(*) FROM pg_roles WHERE rolname IN (:a, :b, :c)",
                a=name,
                b=f"{name}_clone",
                c=f"{name}_owner",
            )
        assert roles in ([[0]], [[3]])
        assert can_log_in(world, read(world, arn)) is (roles == [[3]])
        if roles == [[3]]:
            provision(arn, Grants=A_GRANT)
            assert can_log_in(world, read(world, arn))
            drop_roles(world, database, f"{name}_owner", name, f"{name}_clone")
            logins.clear()
            completed += 1
        return was_killed

    assert points_tried(run, every, record_property) > MANY
    assert completed


@at_points
def test_a_kill_after_a_manual_edit_loses_neither_edit_nor_login(
    engine: Engine, every: int, record_property: Callable[[str, object], None]
) -> None:
    """finishSecret then writes a merged version, which adds points."""
    arn = engine.a_login()

    def run(at: int) -> bool:
        mark = uuid.uuid4().hex
        token = start_rotation(engine.world, arn)
        run_steps(arn, token, STEPS[:3])
        write(engine.world, arn, MARK=mark)
        was_killed = killed(at, lambda: run_step(arn, token, "finishSecret"))
        assert_usable(engine, arn)
        try:
            run_steps(arn, token)
        except OperatorError as error:
            assert "ended or was abandoned" in str(error)
        assert read(engine.world, arn)["MARK"] == mark
        assert engine.can_log_in(read(engine.world, arn))
        return was_killed

    assert points_tried(run, every, record_property) > 2


def test_a_locked_role_fails_only_one_attempt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = a_login(world)
    pending = f"{read(world, arn)['username']}_clone"
    token = start_rotation(world, arn)
    with superuser(world.server) as other:
        other.run("BEGIN")
        other.run(f"ALTER ROLE {pg8000.native.identifier(pending)} CONNECTION LIMIT 9")
        monkeypatch.setitem(postgres_session._SETTINGS, "lock_timeout", "1s")
        message = rejection(lambda: run_steps(arn, token))
        assert "keeps it locked" in message
        assert "pg_terminate_backend" in message
        assert can_log_in(world, read(world, arn))
        other.run("COMMIT")
    run_steps(arn, token)
    assert version_with(world, arn, "AWSCURRENT") == token
    assert can_log_in(world, read(world, arn))
