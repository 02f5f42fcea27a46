"""Two of anything at once."""

from functools import partial

from functions.rotation.errors import OperatorError
from tests.rotation.world import (
    STEPS,
    World,
    a_login,
    a_login_in,
    can_log_in,
    new_database,
    provision,
    put_login,
    read,
    rotate,
    run_step,
    run_steps,
    start_rotation,
    unique,
    version_with,
)
from tests.threads import at_once


def test_the_same_step_delivered_twice_at_once_ends_well(world: World) -> None:
    for alternating in (False, True):
        arn = a_login(world, alternating=alternating)
        for _ in range(5):
            token = start_rotation(world, arn)
            for step in STEPS:
                errors = at_once(*[partial(run_step, arn, token, step)] * 2)
                assert all(isinstance(error, OperatorError) for error in errors), errors
            run_steps(arn, token)
            assert version_with(world, arn, "AWSCURRENT") == token
            assert can_log_in(world, read(world, arn))


def test_many_logins_of_one_database_are_provisioned_and_rotated_at_once(world: World) -> None:
    database = new_database(world)
    arns: list[str] = [put_login(world, database, unique("many")) for _ in range(4)]
    grants = ("owner", "read-write", "read-only", "owner")
    jobs = zip(arns, grants, strict=True)
    assert at_once(*[partial(provision, arn, Grants=usual) for arn, usual in jobs]) == []
    assert at_once(*[partial(rotate, world, arn) for arn in arns]) == []
    assert all(can_log_in(world, read(world, arn)) for arn in arns)


def test_a_rotation_while_a_deployment_provisions_ends_well(world: World) -> None:
    database = new_database(world)
    for alternating in (False, True):
        arn = a_login_in(world, database, alternating=alternating)
        for done in range(5):
            token = start_rotation(world, arn)
            run_steps(arn, token, STEPS[:done])
            provision(arn, Grants="read-write")
            run_steps(arn, token, STEPS[done:])
            assert version_with(world, arn, "AWSCURRENT") == token
            assert can_log_in(world, read(world, arn))
            errors = at_once(partial(provision, arn, Grants="owner"), partial(rotate, world, arn))
            assert errors == []
            assert can_log_in(world, read(world, arn))
