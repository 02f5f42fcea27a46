"""Every name and password that PostgreSQL accepts works."""

import json
import uuid

import pg8000.native
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.lambdas.rotation.postgres_secret import database_url, other_of, pair_of, read_login
from components.lambdas.rotation.sql import identifier, literal
from tests.support.rotation_world import (
    World,
    a_login_in,
    administrator,
    assert_consistent,
    both_users,
    can_log_in,
    new_database,
    provision,
    put_login,
    read,
    rejection,
    rotate,
    run_step,
    start_rotation,
    superuser,
    unique,
)

AWKWARD = "'\"\\%@:/?#[]{}$&+ ;,=\t\n.-_äß€漢🐘é"
# not valid text in PostgreSQL: NUL and unpaired surrogates
TEXT = st.text(
    st.one_of(st.sampled_from(AWKWARD), st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
)
NAMES = TEXT.map(lambda text: "n" + text.encode()[:56].decode(errors="ignore")).filter(
    lambda name: not name.endswith("_clone")
)
# characters that all clients encode alike: no control characters, none newer than Unicode 3.2
PASSWORDS = st.text(
    st.sampled_from(AWKWARD.replace("🐘", "").replace("\t", "").replace("\n", "") + "aB9"), min_size=1
)

on_the_database = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@on_the_database
@given(name=NAMES, password=PASSWORDS)
def test_any_user_name_and_password_work(world: World, name: str, password: str) -> None:
    database = new_database(world) if not _DATABASES else _DATABASES[0]
    _DATABASES[:] = [database]
    username = f"{unique('n')}{name}"
    username = username.encode()[:57].decode(errors="ignore").removesuffix("_clone")
    arn = put_login(world, database, username, password=uuid.uuid4().hex + password)
    provision(arn, Grants="read-only", Username=username)
    assert can_log_in(world, read(world, arn))
    first, second = both_users(world, arn)
    assert (first["username"], second["username"]) == pair_of(username)
    assert can_log_in(world, first)
    assert can_log_in(world, second)
    assert_consistent(second)


_DATABASES: list[str] = []


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=TEXT.map(lambda text: "d" + text.encode()[:50].decode(errors="ignore")))
def test_any_database_name_works(world: World, name: str) -> None:
    database = f"{unique('d')}{name}"
    with administrator(world.server) as admin:
        admin.run(f"CREATE DATABASE {pg8000.native.identifier(database)}")
    arn = a_login_in(world, database, alternating=False)
    rotate(world, arn)
    assert can_log_in(world, read(world, arn))
    assert_consistent(read(world, arn))


@given(text=TEXT)
def test_quoting_can_be_undone(text: str) -> None:
    name = text.encode()[:63].decode(errors="ignore") or "x"
    assert identifier(name) == '"' + name.replace('"', '""') + '"'
    quoted = literal(text)
    inner = quoted.strip()[1:].strip("E")[:-1] if "\\" in text else quoted[1:-1]
    inner = inner.removeprefix("'")
    assert inner.replace("''", "'").replace("\\\\", "\\") == text


@on_the_database
@given(text=TEXT)
def test_postgresql_reads_quoted_text_unchanged(world: World, text: str) -> None:
    with superuser(world.server) as connection:
        assert connection.run(f"SELECT {literal(text)}") == [[text]]
        connection.run("SET standard_conforming_strings = off")
        assert connection.run(f"SELECT {literal(text)}") == [[text]]


@given(user=TEXT, password=TEXT, database=TEXT)
def test_the_url_agrees_with_the_keys(user: str, password: str, database: str) -> None:
    fields = {
        "engine": "postgres",
        "host": "db.example",
        "port": 5432,
        "username": "u" + user.encode()[:60].decode(errors="ignore"),
        "password": "p" + password,
        "dbname": "d" + database.encode()[:60].decode(errors="ignore"),
    }
    url = database_url(read_login(fields, "arn"))
    assert_consistent({**fields, "DATABASE_URL": url})
    assert json.loads(json.dumps(url)) == url
    assert url.isascii()


def test_names_of_63_bytes_work_and_longer_ones_are_rejected(world: World) -> None:
    database = new_database(world)
    start = unique("ü")
    longest = start + "x" * (63 - len(start.encode()))
    single = a_login_in(world, database, longest, alternating=False)
    rotate(world, single)
    assert can_log_in(world, read(world, single))
    pair = start + "y" * (57 - len(start.encode()))
    for user in both_users(world, a_login_in(world, database, pair)):
        assert can_log_in(world, user)
    too_long = put_login(world, database, pair + "y")
    assert "63" in rejection(lambda: provision(too_long, Grants="owner"))
    token = start_rotation(world, too_long)
    assert "63" in rejection(lambda: run_step(too_long, token, "createSecret"))
    much_too_long = put_login(world, database, longest + "x", alternating=False)
    assert "'username'" in rejection(lambda: provision(much_too_long, Grants="owner"))


@given(name=st.text(max_size=20))
def test_the_two_alternating_users_name_each_other(name: str) -> None:
    assert other_of(other_of(name)) == name or name.endswith("_clone_clone")
    assert pair_of(other_of(name)) == pair_of(name) or name.endswith("_clone_clone")
