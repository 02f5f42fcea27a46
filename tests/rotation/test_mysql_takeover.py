"""Logins that AWS's own functions have rotated, and servers of other versions."""

from collections.abc import Callable

import pytest

from tests.support.aws_mysql_rotation import new_password, rotate_alternating, rotate_single
from tests.support.mysql_world import (
    MysqlWorld,
    a_login,
    account,
    as_superuser,
    can_log_in,
    new_database,
    put_login,
    quoted,
    text,
)
from tests.support.rotation_world import provision, read, rejection, rotate, unique
from tools.localcloud.servers.sql import SqlServer


def aws_login(world: MysqlWorld) -> str:
    """Create a user with a password of AWS's kind, and its secret."""
    database, name, password = new_database(world), unique("aws"), new_password()
    as_superuser(
        world,
        f"CREATE USER {account(name)} IDENTIFIED BY {text(password)}",
        f"GRANT SELECT, INSERT ON {quoted(database)}.* TO {account(name)}",
    )
    return put_login(world, database, name, password=password)


def test_a_user_of_awss_function_is_taken_over_and_given_back(mysql_world: MysqlWorld) -> None:
    arn = aws_login(mysql_world)
    rotate_single(mysql_world, arn)
    before = read(mysql_world, arn)
    assert provision(arn, Grants="read-write")["Warnings"] != []  # on the grant on a pattern
    assert can_log_in(mysql_world, before)
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, before)
    rotate(mysql_world, arn)
    assert not can_log_in(mysql_world, before)
    rotate_single(mysql_world, arn)
    given_back = read(mysql_world, arn)
    assert can_log_in(mysql_world, given_back)
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, given_back)
    assert can_log_in(mysql_world, read(mysql_world, arn))


@pytest.mark.parametrize("rotations", [1, 2])
def test_either_user_of_awss_alternating_ones_is_taken_over(mysql_world: MysqlWorld, rotations: int) -> None:
    """The other user keeps its password, which workloads may have read, until somebody drops it."""
    arn = aws_login(mysql_world)
    values = [read(mysql_world, arn)]
    for _ in range(rotations):
        rotate_alternating(mysql_world, arn)
        values.append(read(mysql_world, arn))
    provision(arn, Grants="owner", Username=values[-1]["username"])
    for _ in range(2):
        rotate(mysql_world, arn)
        assert can_log_in(mysql_world, read(mysql_world, arn))
        assert can_log_in(mysql_world, values[-2])
    assert not can_log_in(mysql_world, values[-1])


def test_mariadb_11_keeps_two_passwords_valid(
    mariadb_11_server: SqlServer, other_mysql_world: Callable[[SqlServer], MysqlWorld]
) -> None:
    world = other_mysql_world(mariadb_11_server)
    arn = a_login(world)
    for _ in range(3):
        before = read(world, arn)
        rotate(world, arn)
        assert can_log_in(world, before)
        assert can_log_in(world, read(world, arn))
    assert provision(arn, Grants="read-only")["Warnings"] == []


def test_mariadb_10_5_is_rejected(
    mariadb_10_5_server: SqlServer, other_mysql_world: Callable[[SqlServer], MysqlWorld]
) -> None:
    world = other_mysql_world(mariadb_10_5_server)
    arn = put_login(world, new_database(world), unique("app"))
    message = rejection(lambda: provision(arn, Grants="owner"))
    assert "10.5" in message
    assert "Upgrade it to 10.6.0 or later" in message
