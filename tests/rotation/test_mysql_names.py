"""Every name and password that MySQL and MariaDB accept works."""

import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.lambdas.rotation.login_secret import database_url, read_login
from components.lambdas.rotation.mysql_hashes import CACHING_SHA2, Verifier, caching_sha2, native
from components.lambdas.rotation.mysql_secret import DIALECTS
from components.lambdas.rotation.mysql_sql import literal
from tests.support.mysql_world import MysqlWorld, administrator, can_log_in, quoted, run
from tests.support.mysql_world import put_login as put
from tests.support.rotation_world import assert_consistent, provision, read, rotate, unique

AWKWARD = "'\"\\%@:/?#[]{}$&+ ;,=\t\n.-_`äß€漢é"
# names have no characters beyond U+FFFF, and none of them is an unpaired surrogate
NAME = st.text(
    st.one_of(
        st.sampled_from(AWKWARD),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"], max_codepoint=0xFFFF),
    )
)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))

on_the_database = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


@on_the_database
@given(user=NAME, database=NAME, password=TEXT)
def test_any_user_database_and_password_work(
    mysql_world: MysqlWorld, user: str, database: str, password: str
) -> None:
    username = f"{unique('n')}{user}"[:32].rstrip()
    name = f"{unique('d')}{database}"[:64].rstrip()
    with administrator(mysql_world) as admin:
        run(admin, f"CREATE DATABASE {quoted(name)}")
    arn = put(mysql_world, name, username, password=uuid.uuid4().hex + password)
    provision(arn, Grants="owner", Username=username)
    before = read(mysql_world, arn)
    assert can_log_in(mysql_world, before)
    rotate(mysql_world, arn)
    assert can_log_in(mysql_world, before)
    assert can_log_in(mysql_world, read(mysql_world, arn))
    assert_consistent(read(mysql_world, arn))


@on_the_database
@given(text=TEXT)
def test_the_server_reads_quoted_text_unchanged(mysql_world: MysqlWorld, text: str) -> None:
    with administrator(mysql_world) as admin:
        run(admin, "SET SESSION sql_mode = 'STRICT_ALL_TABLES'")
        assert run(admin, f"SELECT {literal(text)}") == ((text,),)


@on_the_database
@given(password=TEXT.filter(bool))
def test_the_servers_own_verifiers_are_recognized(mysql_world: MysqlWorld, password: str) -> None:
    password = password[:60]
    assert native(password).matches(password)
    assert caching_sha2(password).matches(password)
    assert not caching_sha2(password).matches(f"{password}x")
    if mysql_world.kind == "mariadb":
        with administrator(mysql_world) as admin:
            ours = run(admin, f"SELECT PASSWORD({literal(password)})")
        assert ours == ((native(password).stored,),)


def test_what_mysql_stores_for_a_password_is_computed(mysql_world: MysqlWorld) -> None:
    if mysql_world.kind == "mariadb":
        return
    name = unique("hash")
    with administrator(mysql_world) as admin:
        for password in ("x", "short-pass", "ä€-" * 30):
            run(admin, f"CREATE USER {literal(name)} IDENTIFIED BY {literal(password)}")
            query = f"SELECT authentication_string FROM mysql.user WHERE User = {literal(name)}"
            stored = Verifier(CACHING_SHA2, run(admin, query)[0][0])
            assert stored.matches(password)
            assert not stored.matches(f"{password}-")
            run(admin, f"DROP USER {literal(name)}")


@given(user=NAME, password=TEXT, database=NAME)
def test_the_url_agrees_with_the_keys(user: str, password: str, database: str) -> None:
    fields = {
        "engine": "mysql",
        "host": "db.example",
        "port": 3306,
        "username": f"u{user[:30]}".rstrip(),
        "password": f"p{password}",
        "dbname": f"d{database[:60]}".rstrip(),
    }
    dialect = DIALECTS["mysql"]
    url = database_url(read_login(fields, "arn", dialect), dialect)
    assert_consistent({**fields, "DATABASE_URL": url})
    assert url.isascii()
