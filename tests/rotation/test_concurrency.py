"""The same steps, provisionings and rotations at the same time."""

from functools import partial

from components.lambdas.rotation.errors import OperatorError
from tests.support.engines import Engine
from tests.support.rotation_world import (
    STEPS,
    provision,
    read,
    rotate,
    run_step,
    run_steps,
    start_rotation,
    unique,
    version_with,
)
from tests.support.threads import at_once


def test_a_step_may_be_delivered_twice_at_once(engine: Engine) -> None:
    arn = engine.a_login()
    for _ in range(5):
        before = read(engine.world, arn)
        token = start_rotation(engine.world, arn)
        for step in STEPS:
            errors = at_once(*[partial(run_step, arn, token, step)] * 2)
            assert all(isinstance(error, OperatorError) for error in errors), errors
        run_steps(arn, token)
        assert version_with(engine.world, arn, "AWSCURRENT") == token
        assert engine.can_log_in(read(engine.world, arn))
        assert engine.can_log_in(before) is engine.overlaps


def test_logins_of_one_database_are_provisioned_and_rotated_at_once(engine: Engine) -> None:
    database = engine.new_database()
    arns = [engine.put_login(database, unique("many")) for _ in range(4)]
    grants = ("owner", "read-write", "read-only", "owner")
    jobs = zip(arns, grants, strict=True)
    assert at_once(*[partial(provision, arn, Grants=level) for arn, level in jobs]) == []
    assert at_once(*[partial(rotate, engine.world, arn) for arn in arns]) == []
    assert all(engine.can_log_in(read(engine.world, arn)) for arn in arns)


def test_rotation_and_provisioning_may_run_at_once(engine: Engine) -> None:
    arn = engine.a_login()
    for done in range(5):
        before = read(engine.world, arn)
        token = start_rotation(engine.world, arn)
        run_steps(arn, token, STEPS[:done])
        provision(arn, Grants="read-write")
        run_steps(arn, token, STEPS[done:])
        assert version_with(engine.world, arn, "AWSCURRENT") == token
        assert engine.can_log_in(read(engine.world, arn))
        assert engine.can_log_in(before) is engine.overlaps
        errors = at_once(partial(provision, arn, Grants="owner"), partial(rotate, engine.world, arn))
        assert errors == []
        assert engine.can_log_in(read(engine.world, arn))
