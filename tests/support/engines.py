"""The engines in the tests that are the same for all, because they promise the same.

A test takes the fixture `engine`. What differs between engines is in their own worlds (`rotation_world`,
`mysql_world`), and in tests of their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.support import mysql_world, rotation_world
from tests.support.mysql_world import MysqlWorld
from tests.support.rotation_world import AnyWorld, World

NAMES = ("postgres-single", "postgres-alternating", "mariadb", "mysql")
OVERLAPPING = tuple(name for name in NAMES if name != "postgres-single")
"""The engines on which a value that was read works until the rotation after next."""


@dataclass(frozen=True)
class Engine:
    """A kind of login on a real server.

    Attributes:
        name: one of NAMES.
        world: its Secrets Manager and server.
        a_login: creates a working login in its own database; returns its secret's ARN.
        put_login: creates a secret in a database as a deployment does, still without provisioning.
        new_database: creates a database; returns its name.
        log_in: connects with a secret's value as a workload does, without the code under test.
        can_log_in: returns whether that succeeds; other errors than a rejected password are raised.
        set_password: replaces every password of a user in the database.
    """

    name: str
    world: AnyWorld
    a_login: Callable[[], str]
    put_login: Callable[[str, str], str]
    new_database: Callable[[], str]
    log_in: Callable[[Mapping[str, Any]], Any]
    can_log_in: Callable[[Mapping[str, Any]], bool]
    set_password: Callable[[str, str], None]

    @property
    def overlaps(self) -> bool:
        """True if a value that was read works until the rotation after next."""
        return self.name in OVERLAPPING


def of_postgres(name: str, world: World) -> Engine:
    alternating = name == "postgres-alternating"
    return Engine(
        name=name,
        world=world,
        a_login=partial(rotation_world.a_login, world, alternating=alternating),
        put_login=partial(rotation_world.put_login, world, alternating=alternating),
        new_database=partial(rotation_world.new_database, world),
        log_in=partial(rotation_world.log_in, world),
        can_log_in=partial(rotation_world.can_log_in, world),
        set_password=partial(rotation_world.set_password, world),
    )


def of_mysql(world: MysqlWorld) -> Engine:
    return Engine(
        name=world.kind,
        world=world,
        a_login=partial(mysql_world.a_login, world),
        put_login=partial(mysql_world.put_login, world),
        new_database=partial(mysql_world.new_database, world),
        log_in=partial(mysql_world.log_in, world),
        can_log_in=partial(mysql_world.can_log_in, world),
        set_password=partial(mysql_world.set_password, world),
    )
