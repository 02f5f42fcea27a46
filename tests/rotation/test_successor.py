"""A login gets another name by a successor with its own users, without a failed login (docs/move.md)."""

from tests.support.rotation_world import (
    World,
    a_login_in,
    administrator,
    can_log_in,
    drop_roles,
    new_database,
    read,
    rotate,
    run_as,
    unique,
)


def test_a_successor_takes_over_what_an_owner_created(world: World) -> None:
    database, first, second = new_database(world), unique("app"), unique("app")
    old = a_login_in(world, database, first)
    run_as(world, read(world, old), "CREATE TABLE mine (id int)", "INSERT INTO mine VALUES (1)")
    new = a_login_in(world, database, second)
    with administrator(world.server, database) as admin:
        admin.run(f"GRANT {first}_owner TO {second}_owner")
    for _ in range(3):  # each rotates its own users
        rotate(world, old)
        rotate(world, new)
        for arn in (old, new):
            run_as(world, read(world, arn), "INSERT INTO mine VALUES (2)", "SELECT * FROM mine")
    # the readers have moved
    with administrator(world.server, database) as admin:
        admin.run(f"REASSIGN OWNED BY {first}_owner TO {second}_owner")
    drop_roles(world, database, first, f"{first}_clone", f"{first}_owner")
    for _ in range(2):
        rotate(world, new)
        run_as(world, read(world, new), "ALTER TABLE mine ADD COLUMN IF NOT EXISTS note text", "TABLE mine")
    assert can_log_in(world, read(world, new))
    assert not can_log_in(world, read(world, old))
