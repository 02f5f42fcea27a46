"""The four steps: in order, repeated, alone, and with edits in between."""

import json
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from components.lambdas.rotation import store
from components.lambdas.rotation.handler import handle
from tests.support.rotation_world import (
    STEPS,
    World,
    a_login,
    assert_consistent,
    can_log_in,
    put_secret,
    read,
    rejection,
    rotate,
    run_step,
    run_steps,
    start_rotation,
    version_with,
    write,
)

both_strategies = pytest.mark.parametrize("alternating", [False, True], ids=["single", "alternating"])


@both_strategies
def test_a_login_works_as_soon_as_it_is_provisioned(world: World, alternating: bool) -> None:
    assert can_log_in(world, read(world, a_login(world, alternating=alternating)))


@both_strategies
def test_rotation_sets_a_new_password(world: World, alternating: bool) -> None:
    arn = a_login(world, alternating=alternating)
    before = read(world, arn)
    rotate(world, arn)
    after = read(world, arn)
    assert after["password"] != before["password"]
    assert can_log_in(world, after)
    assert can_log_in(world, before) is alternating
    assert_consistent(after)


def test_alternating_users_alternate(world: World) -> None:
    arn = a_login(world)
    names = []
    for _ in range(4):
        names.append(read(world, arn)["username"])
        rotate(world, arn)
    first = names[0]
    assert names == [first, f"{first}_clone", first, f"{first}_clone"]


@both_strategies
def test_every_step_may_run_twice(world: World, alternating: bool) -> None:
    arn = a_login(world, alternating=alternating)
    token = start_rotation(world, arn)
    for step in STEPS:
        run_step(arn, token, step)
        before = world.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
        run_step(arn, token, step)
        assert world.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"] == before
    assert can_log_in(world, read(world, arn))


@both_strategies
@pytest.mark.parametrize("done", range(1, 5))
def test_the_whole_rotation_may_run_again_after_any_step(world: World, alternating: bool, done: int) -> None:
    arn = a_login(world, alternating=alternating)
    token = start_rotation(world, arn)
    run_steps(arn, token, STEPS[:done])
    run_steps(arn, token)
    assert version_with(world, arn, "AWSCURRENT") == token
    assert can_log_in(world, read(world, arn))


def test_a_single_user_rotates_without_an_administrator(world: World) -> None:
    arn = a_login(world, alternating=False)
    write(world, arn, masterarn="")
    for done in range(5):
        token = start_rotation(world, arn)
        run_steps(arn, token, STEPS[:done])
        run_steps(arn, token)
        assert version_with(world, arn, "AWSCURRENT") == token
        assert can_log_in(world, read(world, arn))


def test_a_step_is_rejected_for_a_version_that_is_not_pending(world: World) -> None:
    arn = a_login(world)
    first = version_with(world, arn, "AWSCURRENT")
    rotate(world, arn)
    assert "AWSPENDING" in rejection(lambda: run_step(arn, str(first), "setSecret"))
    unknown = "00000000-0000-0000-0000-000000000000"
    assert "AWSPENDING" in rejection(lambda: run_step(arn, unknown, "setSecret"))
    assert "Step" in rejection(lambda: run_step(arn, unknown, "deleteSecret"))
    assert "SecretId" in rejection(lambda: handle({"Step": "setSecret"}))


def test_a_step_is_rejected_after_rotation_is_cancelled(world: World) -> None:
    arn = a_login(world)
    token = start_rotation(world, arn)
    world.secrets.cancel_rotate_secret(SecretId=arn)
    assert "rotation is disabled" in rejection(lambda: run_step(arn, token, "createSecret"))


@both_strategies
def test_test_secret_alone_changes_nothing(world: World, alternating: bool) -> None:
    arn = a_login(world, alternating=alternating)
    before = read(world, arn)
    run_step(arn, start_rotation(world, arn), "testSecret")
    assert read(world, arn) == before
    assert can_log_in(world, before)


@both_strategies
def test_rotation_updates_the_readers_url(world: World, alternating: bool) -> None:
    arn = a_login(world, alternating=alternating)
    first = read(world, arn)
    credentials = f"{quote(first['username'], safe='')}:{first['password']}"
    write(
        world,
        arn,
        DATABASE_READER_URL=f"postgres://{credentials}@reader.internal:5432/app?sslmode=verify-full",
    )
    for _ in range(2):
        rotate(world, arn)
        after = read(world, arn)
        url = urlsplit(after["DATABASE_READER_URL"])
        assert (unquote(url.username or ""), url.password) == (after["username"], after["password"])
        assert (url.hostname, url.path, url.query) == ("reader.internal", "/app", "sslmode=verify-full")


@pytest.mark.parametrize(
    "url", ["postgres://reports:theirs@reader.internal/app", "reader.internal", "", None, 7]
)
def test_a_readers_url_of_a_different_user_is_unchanged(world: World, url: object) -> None:
    arn = a_login(world)
    write(world, arn, DATABASE_READER_URL=url)
    rotate(world, arn)
    assert read(world, arn)["DATABASE_READER_URL"] == url


@both_strategies
def test_added_keys_are_kept_and_a_missing_url_is_added(world: World, alternating: bool) -> None:
    arn = a_login(world, alternating=alternating)
    write(world, arn, POOL=5, NOTES={"owner": "data team", "since": [2020, None]})
    assert "DATABASE_URL" not in read(world, arn)
    rotate(world, arn)
    keys = list(read(world, arn))
    rotate(world, arn)
    after = read(world, arn)
    assert after["POOL"] == 5
    assert after["NOTES"] == {"owner": "data team", "since": [2020, None]}
    assert list(after) == keys
    assert after["port"] == world.server.port
    assert_consistent(after)
    assert parse_qs(urlsplit(after["DATABASE_URL"]).query) == {"sslmode": ["verify-full"]}


def test_only_user_and_password_of_an_edited_url_are_replaced(world: World) -> None:
    arn = a_login(world)
    write(world, arn, DATABASE_URL="postgresql://old:p%40ss@pooler.internal:6432/app?pool=9&sslmode=require")
    rotate(world, arn)
    after = read(world, arn)
    credentials = f"{after['username']}:{after['password']}"
    expected = f"postgresql://{credentials}@pooler.internal:6432/app?pool=9&sslmode=require"
    assert after["DATABASE_URL"] == expected


@both_strategies
@pytest.mark.parametrize("after", range(4))
def test_an_edit_made_during_a_rotation_is_not_lost(world: World, alternating: bool, after: int) -> None:
    arn = a_login(world, alternating=alternating)
    token = start_rotation(world, arn)
    run_steps(arn, token, STEPS[:after])
    write(world, arn, ADDED="manual")
    run_steps(arn, token, STEPS[after:])
    value = read(world, arn)
    assert value["ADDED"] == "manual"
    assert can_log_in(world, value)
    assert version_with(world, arn, "AWSPENDING") in {None, version_with(world, arn, "AWSCURRENT")}
    rotate(world, arn)
    assert read(world, arn)["ADDED"] == "manual"
    assert can_log_in(world, read(world, arn))


def test_a_changed_host_ends_the_rotation(world: World) -> None:
    arn = a_login(world)
    token = start_rotation(world, arn)
    run_steps(arn, token, STEPS[:1])
    write(world, arn, host="db.moved.example")
    message = rejection(lambda: run_steps(arn, token))
    assert "host" in message
    assert "abandoned" in message
    assert version_with(world, arn, "AWSPENDING") is None
    assert read(world, arn)["host"] == "db.moved.example"
    write(world, arn, host=world.server.host)
    rotate(world, arn)
    assert can_log_in(world, read(world, arn))


def test_the_rotation_token_is_passed_on(world: World) -> None:
    arn = a_login(world)
    token = start_rotation(world, arn)
    rotation_token = "a-token-of-secrets-manager-0123456789"
    sent: list[Any] = []
    events = store._client().meta.events
    events.register_first("provide-client-params.*.PutSecretValue", lambda params, **_: sent.append(params))
    handle(
        {
            "Step": "createSecret",
            "SecretId": arn,
            "ClientRequestToken": token,
            "RotationToken": rotation_token,
        }
    )
    assert [(call["RotationToken"], call["ClientRequestToken"]) for call in sent] == [(rotation_token, token)]


SHAPES: list[tuple[str, dict[str, object]]] = [
    ("engine", {"engine": "mysql"}),
    ("engine", {"engine": None}),
    ("host", {"host": None}),
    ("host", {"host": ["a"]}),
    ("port", {"port": "5432a"}),
    ("port", {"port": 0}),
    ("port", {"port": True}),
    ("port", {"port": 65536}),
    ("username", {"username": ""}),
    ("username", {"username": "x" * 64}),
    ("password", {"password": None}),
    ("password", {"password": 5}),
    ("password", {"password": "a\0b"}),
    ("dbname", {"dbname": ""}),
    ("masterarn", {"masterarn": 7}),
]


@pytest.mark.parametrize(("key", "invalid"), SHAPES, ids=lambda item: json.dumps(item)[:30])
def test_an_invalid_secret_is_reported_by_key_and_not_by_value(
    world: World, key: str, invalid: dict[str, object]
) -> None:
    valid = {"engine": "postgres", "host": "h", "port": 1, "username": "u", "password": "w7-hidden-9"}
    fields = {name: value for name, value in {**valid, **invalid}.items() if value is not None}
    arn = put_secret(world, fields, {"aws-secrets:rotation": "postgres"})
    token = start_rotation(world, arn)
    message = rejection(lambda: run_step(arn, token, "createSecret"))
    assert f"'{key}'" in message
    assert "w7-hidden-9" not in message


def test_a_secret_that_is_not_a_json_object_is_rejected(world: World) -> None:
    for text in ("just-a-password", '["a"]', "null", '"text"'):
        arn = put_secret(world, {}, {"aws-secrets:rotation": "postgres"})
        world.secrets.put_secret_value(SecretId=arn, SecretString=text)
        token = start_rotation(world, arn)
        message = rejection(lambda arn=arn, token=token: run_step(arn, token, "createSecret"))  # type: ignore[misc] # a default keeps the loop's value
        assert "not a JSON object" in message
        assert text not in message.replace('{"engine"', "")


def test_a_secret_without_a_valid_rotation_tag_is_rejected(world: World) -> None:
    nothing = put_secret(world, {"password": "x"}, {})
    assert "aws-secrets:rotation" in rejection(
        lambda: run_step(nothing, start_rotation(world, nothing), "createSecret")
    )
    wrong = put_secret(world, {"password": "x"}, {"aws-secrets:rotation": "oracle"})
    assert "'oracle'" in rejection(lambda: run_step(wrong, start_rotation(world, wrong), "createSecret"))
    short = put_secret(
        world, {"KEY": "x"}, {"aws-secrets:rotation": "random-key", "aws-secrets:rotation-length": "4"}
    )
    assert "rotation-length" in rejection(
        lambda: run_step(short, start_rotation(world, short), "createSecret")
    )


def test_a_secret_without_tags_follows_awss_convention(world: World) -> None:
    arn = a_login(world)
    world.secrets.untag_resource(SecretId=arn, TagKeys=["aws-secrets:rotation"])
    before = read(world, arn)
    rotate(world, arn)
    assert read(world, arn)["username"] == before["username"] + "_clone"
    assert can_log_in(world, read(world, arn))
