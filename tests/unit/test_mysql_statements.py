"""The statements that change passwords: each keeps what workloads have, and none contains a password.

The servers of the other tests cover MariaDB and MySQL 9. Here are accounts with mysql_native_password on
MySQL 8.0 and Aurora, which MySQL 9 no longer has.
"""

import json
from collections.abc import Sequence

import pytest

from components.lambdas.rotation import mysql_accounts
from components.lambdas.rotation.errors import OperatorError
from components.lambdas.rotation.login_secret import Login, database_url, read_login
from components.lambdas.rotation.mysql_accounts import State
from components.lambdas.rotation.mysql_hashes import CACHING_SHA2, NATIVE, Verifier, caching_sha2, native
from components.lambdas.rotation.mysql_secret import DIALECTS
from components.lambdas.rotation.mysql_session import Session, _connection_problem
from components.lambdas.rotation.mysql_sql import Account, check_host, check_username, pattern
from components.lambdas.rotation.protocol import MARIADB, MYSQL

ACCOUNT = Account("app", "%")
OLD, CURRENT, NEW = "old-password-1", "current-password-2", "new-password-3"


class Recorder(Session):
    """A session that records statements and answers queries with rows prepared for them."""

    def __init__(self, kind: str, rows: Sequence[Sequence[object]] = ()) -> None:
        super().__init__(None, "db.example:3306")
        self.kind = kind
        self.statements: list[str] = []
        self._rows = rows

    def rows(self, sql: str) -> Sequence[Sequence[object]]:
        self.statements.append(sql)
        return self._rows


def changed(kind: str, verifiers: Sequence[Verifier], keep: Sequence[str] = (CURRENT, OLD)) -> list[str]:
    recorder = Recorder(kind)
    mysql_accounts.set_password(
        recorder, State(ACCOUNT, tuple(verifiers), locked=False, owners=()), NEW, keep
    )
    for statement in recorder.statements:
        assert not any(password in statement for password in (OLD, CURRENT, NEW))
    return recorder.statements


def hexadecimal(verifier: Verifier) -> str:
    return f"0x{verifier.stored.encode().hex()}"


def alternatives(new: Verifier, kept: Verifier) -> str:
    """Return MariaDB's statement that leaves an account with two passwords."""
    return (
        f"ALTER USER 'app'@'%' IDENTIFIED VIA mysql_native_password USING '{new.stored}' "
        f"OR mysql_native_password USING '{kept.stored}'"
    )


def test_an_account_of_mysql_keeps_its_plugin() -> None:
    (statement,) = changed(MYSQL, [native(CURRENT), native(OLD)])
    assert statement == (
        f"ALTER USER 'app'@'%' IDENTIFIED WITH mysql_native_password AS {hexadecimal(native(NEW))} "
        "RETAIN CURRENT PASSWORD"
    )
    (statement,) = changed(MYSQL, [caching_sha2(CURRENT)])
    assert statement.startswith("ALTER USER 'app'@'%' IDENTIFIED WITH caching_sha2_password AS 0x2441243030")
    assert statement.endswith(" RETAIN CURRENT PASSWORD")


def test_a_current_password_that_is_secondary_becomes_primary_first() -> None:
    abandoned, current = native("abandoned-password"), native(CURRENT)
    first, second = changed(MYSQL, [abandoned, current])
    assert first == f"ALTER USER 'app'@'%' IDENTIFIED WITH mysql_native_password AS {hexadecimal(current)}"
    assert second.endswith("RETAIN CURRENT PASSWORD")


def test_a_password_that_is_set_is_not_set_again() -> None:
    """A second RETAIN would push out the current password."""
    assert changed(MYSQL, [native(NEW), native(CURRENT)]) == []


def test_an_unknown_password_in_use_is_kept() -> None:
    (statement,) = changed(MYSQL, [native("set by hand in the database")])
    assert statement.endswith("RETAIN CURRENT PASSWORD")
    unknown = native("set by hand in the database")
    assert changed(MARIADB, [unknown, native("older")]) == [alternatives(native(NEW), unknown)]


@pytest.mark.parametrize("order", [[CURRENT, OLD], [OLD, CURRENT]])
def test_mariadb_keeps_the_current_password_wherever_it_is(order: Sequence[str]) -> None:
    statements = changed(MARIADB, [native(password) for password in order])
    assert statements == [alternatives(native(NEW), native(CURRENT))]


@pytest.mark.parametrize("kind", [MYSQL, MARIADB])
def test_no_empty_password_is_kept(kind: str) -> None:
    (statement,) = changed(kind, [Verifier(NATIVE, "")])
    assert "RETAIN" not in statement
    assert " OR " not in statement


@pytest.mark.parametrize(
    ("kind", "plugin"),
    [
        (MYSQL, "sha256_password"),
        (MYSQL, "AWSAuthenticationPlugin"),
        (MARIADB, "ed25519"),
        (MARIADB, CACHING_SHA2),
    ],
)
def test_an_account_with_another_plugin_is_left_as_it_is(kind: str, plugin: str) -> None:
    with pytest.raises(OperatorError, match=plugin):
        changed(kind, [Verifier(plugin, "stored")])


def test_what_mysql_stores_is_read() -> None:
    attributes = {"metadata": {"aws-secrets": "arn"}, "additional_password": native(OLD).stored}
    recorder = Recorder(MYSQL, [(NATIVE, native(CURRENT).stored, "Y", json.dumps(attributes))])
    state = mysql_accounts.find(recorder, ACCOUNT)
    assert state == State(ACCOUNT, (native(CURRENT), native(OLD)), locked=True, owners=("arn",))
    assert state.knows(OLD)
    assert state.knows(CURRENT)
    assert not state.knows(NEW)
    assert native(OLD).stored not in repr(state)


def test_a_message_of_the_client_shows_neither_password_nor_statement() -> None:
    login = Login(host="db", port=3306, database="d", username="a{b}\n", password=CURRENT, admin_arn=None)
    for error in (ValueError(CURRENT), OSError(CURRENT), RuntimeError(CURRENT)):
        message = str(_connection_problem(error, "MySQL at db:3306", login))
        assert CURRENT not in message


@pytest.mark.parametrize("host", ["%", "10.0.%", "10.0.0.0/255.255.0.0", "::1", "a-b.example", "LOCALHOST"])
def test_a_host_part_is_accepted_in_the_servers_form(host: str) -> None:
    assert check_host(host, "UserHost") == host.lower()


@pytest.mark.parametrize("host", ["", "a'b", "a b", "x" * 61, 5, None, "ä"])
def test_an_invalid_host_part_is_rejected(host: object) -> None:
    with pytest.raises(OperatorError, match="UserHost"):
        check_host(host, "UserHost")


@pytest.mark.parametrize(("product", "longest"), [("MySQL", 32), ("MariaDB", 80)])
def test_a_user_name_has_the_products_length(product: str, longest: int) -> None:
    check_username("x" * longest, "key", product=product)
    for name in ("x" * (longest + 1), "", "x ", "\0", "🐘", "\ud800"):
        with pytest.raises(OperatorError):
            check_username(name, "key", product=product)


def test_a_pattern_matches_only_its_database() -> None:
    assert pattern("a_b%c\\d") == "a\\_b\\%c\\\\d"


def test_a_password_that_no_client_can_send_is_rejected_and_not_shown() -> None:
    fields = {"engine": "mysql", "host": "h", "dbname": "d", "username": "u", "password": "canary\ud800"}
    with pytest.raises(OperatorError, match="unpaired surrogate") as rejected:
        read_login(fields, "arn", DIALECTS[MYSQL])
    assert "canary" not in str(rejected.value)


@pytest.mark.parametrize(
    ("existing", "renewed"),
    [
        (None, "mysql://new%20user:p%26w@db.example:3306/d"),
        ("mysql2://a:b@pool:6033/d?pool=5", "mysql2://new%20user:p%26w@pool:6033/d?pool=5"),
        ("trilogy://a:b@h/d", "trilogy://new%20user:p%26w@h/d"),
        ("mysql+pymysql://a:b@h/d?ssl_ca=x", "mysql+pymysql://new%20user:p%26w@h/d?ssl_ca=x"),
        (
            "jdbc:mysql://h/d?user=a&password=b&sslMode=VERIFY_IDENTITY",
            "jdbc:mysql://h/d?user=new%20user&password=p%26w&sslMode=VERIFY_IDENTITY",
        ),
    ],
)
def test_a_rotation_keeps_the_form_of_a_url(existing: str | None, renewed: str) -> None:
    login = Login(
        host="db.example", port=3306, database="d", username="new user", password="p&w", admin_arn=None
    )
    assert database_url(login, DIALECTS[MYSQL], existing) == renewed
