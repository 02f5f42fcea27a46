"""Any name and any password that PostgreSQL takes."""

import json
import uuid

import pg8000.native
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.rotation.postgres_secret import database_url, other_of, pair_of, read_login
from functions.rotation.sql import identifier, literal
from tests.rotation.world import (
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
    refusal,
    rotate,
    run_step,
    start_rotation,
    superuser,
    unique,
)

AWKWARD = "'\"\\%@:/?#[]{}$&+ ;,=\t\n.-_äß€漢🐘é"
# what is not text in PostgreSQL: NUL, and halves of a surrogate pair
TEXT = st.text(
    st.one_of(st.sampled_from(AWKWARD), st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
)
NAMES = TEXT.map(lambda text: "n" + text.encode()[:56].decode(errors="ignore")).filter(
    lambda name: not name.endswith("_clone")
)
# characters on which all clients agree: not control characters, not newer than Unicode 3.2
PASSWORDS = st.text(
    st.sampled_from(AWKWARD.replace("🐘", "").replace("\t", "").replace("\n", "") + "aB9"), min_size=1
)

on_the_database = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@on_the_database
@given(name=NAMES, password=PASSWORDS)
def test_any_user_and_password_can_be_provisioned_and_rotated(world: World, name: str, password: str) -> None:
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
def test_any_database_name_will_do(world: World, name: str) -> None:
    database = f"{unique('d')}{name}"
    with administrator(world.server) as admin:
        admin.run(f"CREATE DATABASE {pg8000.native.identifier(database)}")
    arn = a_login_in(world, database, alternating=False)
    rotate(world, arn)
    assert can_log_in(world, read(world, arn))
    assert_consistent(read(world, arn))


@given(text=TEXT)
def test_quoting_is_undone_by_postgresql_and_by_nothing_before(text: str) -> None:
    name = text.encode()[:63].decode(errors="ignore") or "x"
    assert identifier(name) == '"' + name.replace('"', '""') + '"'
    quoted = literal(text)
    inner = quoted.strip()[1:].strip("E")[:-1] if "\\" in text else quoted[1:-1]
    inner = inner.removeprefix("'")
    assert inner.replace("''", "'").replace("\\\\", "\\") == text


@on_the_database
@given(text=TEXT)
def test_a_quoted_text_arrives_as_it_is(world: World, text: str) -> None:
    with superuser(world.server) as connection:
        assert connection.run(f"SELECT {literal(text)}") == [[text]]
        connection.run("SET standard_conforming_strings = off")
        assert connection.run(f"SELECT {literal(text)}") == [[text]]


@given(user=TEXT, password=TEXT, database=TEXT)
def test_the_url_says_what_the_keys_say_whatever_they_are(user: str, password: str, database: str) -> None:
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


def test_names_at_the_limit_of_63_bytes_work_and_longer_ones_are_refused(world: World) -> None:
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
    assert "63" in refusal(lambda: provision(too_long, Grants="owner"))
    token = start_rotation(world, too_long)
    assert "63" in refusal(lambda: run_step(too_long, token, "createSecret"))
    much_too_long = put_login(world, database, longest + "x", alternating=False)
    assert "'username'" in refusal(lambda: provision(much_too_long, Grants="owner"))


@given(name=st.text(max_size=20))
def test_the_other_user_of_the_other_user_is_the_first(name: str) -> None:
    assert other_of(other_of(name)) == name or name.endswith("_clone_clone")
    assert pair_of(other_of(name)) == pair_of(name) or name.endswith("_clone_clone")
