"""AWS's own rotation functions for MySQL and MariaDB, as documented, for tests of takeovers.

Single user: the user sets its own password, so it has one. Alternating users: the administrator sets the
password of NAME or NAME_clone, whichever is not current; the second is created with the grants of the first.
Both send the password in the statement, so the passwords here have no part that the tests search logs for.
"""

import itertools

from tests.support.mysql_world import MysqlWorld, account, administrator, as_superuser, run, run_as, text
from tests.support.rotation_world import read, write

_CLONE = "_clone"
_numbers = itertools.count(1)


def new_password() -> str:
    return f"Aws-{next(_numbers)}-password!"


def rotate_single(world: MysqlWorld, arn: str) -> None:
    fields, password = read(world, arn), new_password()
    run_as(world, fields, _set(world, f"{text(password)}"))
    write(world, arn, password=password)


def rotate_alternating(world: MysqlWorld, arn: str) -> None:
    fields, password = read(world, arn), new_password()
    name = str(fields["username"])
    other = name.removesuffix(_CLONE) if name.endswith(_CLONE) else f"{name}{_CLONE}"
    exists = as_superuser(world, f"SELECT 1 FROM mysql.user WHERE User = {text(other)}")
    with administrator(world) as admin:
        if not exists:
            run(admin, f"CREATE USER {account(other)} IDENTIFIED BY {text(password)}")
        for (grant,) in run(admin, f"SHOW GRANTS FOR {account(name)}"):
            if "USAGE" not in grant:
                run(admin, grant.replace(f"`{name}`", f"`{other}`"))
        run(admin, _set(world, text(password), other))
    write(world, arn, username=other, password=password)


def _set(world: MysqlWorld, password: str, user: str | None = None) -> str:
    whom = f" FOR {account(user)}" if user else ""
    return f"SET PASSWORD{whom} = {f'PASSWORD({password})' if world.kind == 'mariadb' else password}"
