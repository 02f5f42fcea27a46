"""The function is interrupted at every point of every step of a cache's rotation; then it runs again."""

import itertools
import uuid
from collections.abc import Callable

import pytest

from components.lambdas.rotation.errors import OperatorError
from tests.support.cache_world import (
    Caches,
    User,
    a_cache_login,
    a_group,
    a_token,
    a_user,
    can_log_in,
    current,
    provision_token,
    provision_user,
    put_token_secret,
    put_user_secret,
)
from tests.support.interruption import cut_off, killed
from tests.support.rotation_world import (
    STEPS,
    read,
    rotate,
    run_step,
    run_steps,
    start_rotation,
    unique,
    version_with,
    write,
)

MANY = 3  # with fewer points, the test would not see them
KINDS = pytest.mark.parametrize("kind", ["user", "token"])


def a_login(caches: Caches, kind: str) -> str:
    arn = a_cache_login(caches)[1] if kind == "user" else a_token(caches)[1]
    rotate(caches, arn)
    return arn


def points_tried(run: Callable[[int], bool], record: Callable[[str, object], None]) -> int:
    """Call `run` with every point until one is past the end; return the number of points."""
    tried = next(at for at in itertools.count() if not run(at))
    record("points", tried)
    return tried


def assert_finished(caches: Caches, arn: str, token: str, before: dict[str, object]) -> None:
    assert version_with(caches, arn, "AWSCURRENT") == token
    assert can_log_in(caches, current(caches, arn))
    assert can_log_in(caches, before)


@KINDS
def test_the_next_attempt_completes_a_killed_rotation(
    caches: Caches, kind: str, record_property: Callable[[str, object], None]
) -> None:
    arn = a_login(caches, kind)

    def run(at: int) -> bool:
        before = current(caches, arn)
        token = start_rotation(caches, arn)
        was_killed = killed(at, lambda: run_steps(arn, token))
        assert can_log_in(caches, before)
        assert can_log_in(caches, current(caches, arn))
        run_steps(arn, token)
        assert_finished(caches, arn, token, before)
        return was_killed

    assert points_tried(run, record_property) > MANY


@KINDS
def test_the_next_attempt_completes_a_rotation_after_a_network_failure(
    caches: Caches, kind: str, record_property: Callable[[str, object], None]
) -> None:
    arn = a_login(caches, kind)

    def run(at: int) -> bool:
        before = current(caches, arn)
        token = start_rotation(caches, arn)
        reached, error = cut_off(at, lambda: run_steps(arn, token))
        assert error is None or isinstance(error, OperatorError), error
        assert can_log_in(caches, before)
        run_steps(arn, token)
        assert_finished(caches, arn, token, before)
        return reached

    assert points_tried(run, record_property) > MANY


def test_killed_provisioning_of_a_new_user_is_completed_by_the_next(
    caches: Caches, record_property: Callable[[str, object], None]
) -> None:
    """After a kill, the run killed at the next point is the retry; the last one completes."""
    other = a_user(caches)
    prefix, group = other.arn.partition(":user:")[0], other.describe()["UserGroupIds"][0]
    declared = {"AccessString": "on ~* +@all", "UserGroup": f"{prefix}:usergroup:{group}"}

    def run(at: int) -> bool:
        name = unique("new-")
        user = User(caches, "elasticache", f"{prefix}:user:{name}", name, name)
        arn = put_user_secret(user)
        was_killed = killed(at, lambda: provision_user(user, arn, **declared))
        provision_user(user, arn, **declared)
        assert can_log_in(caches, current(caches, arn))
        return was_killed

    assert points_tried(run, record_property) >= MANY


def test_killed_provisioning_of_a_token_is_completed_by_the_next(
    caches: Caches, record_property: Callable[[str, object], None]
) -> None:
    def run(at: int) -> bool:
        group = a_group(caches)
        arn = put_token_secret(group)
        was_killed = killed(at, lambda: provision_token(group, arn))
        provision_token(group, arn)
        assert not can_log_in(caches, None)
        assert can_log_in(caches, current(caches, arn))
        return was_killed

    assert points_tried(run, record_property) >= MANY


def test_a_kill_after_a_manual_edit_loses_neither_edit_nor_login(
    caches: Caches, record_property: Callable[[str, object], None]
) -> None:
    """finishSecret then writes a merged version, which adds points."""
    arn = a_login(caches, "user")

    def run(at: int) -> bool:
        mark = uuid.uuid4().hex
        before = current(caches, arn)
        token = start_rotation(caches, arn)
        run_steps(arn, token, STEPS[:3])
        write(caches, arn, MARK=mark)
        was_killed = killed(at, lambda: run_step(arn, token, "finishSecret"))
        assert can_log_in(caches, current(caches, arn))
        try:
            run_steps(arn, token)
        except OperatorError as error:
            assert "ended or was abandoned" in str(error)
        assert read(caches, arn)["MARK"] == mark
        assert can_log_in(caches, before)
        assert can_log_in(caches, current(caches, arn))
        return was_killed

    assert points_tried(run, record_property) > 2
