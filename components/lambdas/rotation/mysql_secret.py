"""The JSON of the secrets of MySQL and MariaDB logins."""

from collections.abc import Mapping

from .login_secret import Dialect
from .mysql_sql import check_database, username_check
from .protocol import MARIADB, MYSQL

_ENGINES = {MYSQL: ("mysql", "aurora-mysql"), MARIADB: ("mariadb",)}
_PRODUCTS = {MYSQL: "MySQL", MARIADB: "MariaDB"}

DIALECTS: Mapping[str, Dialect] = {
    kind: Dialect(
        product=_PRODUCTS[kind],
        engines=engines,
        port=3306,
        database=None,
        scheme="mysql",
        # clients have no common name for the parameter that verifies TLS, and some reject an unknown one
        query="",
        check_username=username_check(_PRODUCTS[kind]),
        check_database=check_database,
    )
    for kind, engines in _ENGINES.items()
}
"""How the secrets differ, by the value of ROTATION_TAG."""

KIND_OF_ENGINE = {engine: kind for kind, engines in _ENGINES.items() for engine in engines}
"""Value of ROTATION_TAG by the secret's key engine."""
