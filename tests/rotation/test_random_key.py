"""Rotation of random keys, without a database."""

import base64
import string

import pytest

from tests.support.rotation_world import (
    World,
    put_secret,
    read,
    rejection,
    rotate,
    run_step,
    run_steps,
    start_rotation,
    write,
)


def tags(keys: str, **others: str) -> dict[str, str]:
    more = {f"aws-secrets:rotation-{name}": value for name, value in others.items()}
    return {"aws-secrets:rotation": "random-key", "aws-secrets:rotation-keys": keys, **more}


def test_only_the_named_keys_are_regenerated(world: World) -> None:
    arn = put_secret(world, {"SESSION": "a", "SIGNING": "b", "URL": "c"}, tags("SESSION SIGNING"))
    rotate(world, arn)
    first = read(world, arn)
    rotate(world, arn)
    second = read(world, arn)
    assert first["URL"] == second["URL"] == "c"
    keys = {value[name] for value in (first, second) for name in ("SESSION", "SIGNING")}
    assert len(keys) == 4
    assert all(len(key) == 64 and set(key) <= set(string.ascii_letters + string.digits) for key in keys)
    assert read(world, arn, "AWSPREVIOUS") == first


@pytest.mark.parametrize("kind", ["hex", "base64", "base64url"])
def test_a_key_keeps_its_length_and_encoding(world: World, kind: str) -> None:
    arn = put_secret(world, {"KEY": "old"}, tags("KEY", format=kind, length="32"))
    rotate(world, arn)
    key = read(world, arn)["KEY"]
    decode = {"hex": bytes.fromhex, "base64": base64.b64decode, "base64url": base64.urlsafe_b64decode}[kind]
    assert len(decode(key)) == 32


def test_a_missing_key_or_invalid_tag_is_an_error(world: World) -> None:
    for wrong, word in (
        (tags("SESION"), "'SESION'"),
        (tags(""), "rotation-keys"),
        (tags("A", format="rot13"), "'rot13'"),
    ):
        arn = put_secret(world, {"A": "x"}, wrong)
        token = start_rotation(world, arn)
        assert word in rejection(lambda arn=arn, token=token: run_step(arn, token, "createSecret"))  # type: ignore[misc] # a default keeps the loop's value


def test_an_edit_during_the_rotation_is_kept(world: World) -> None:
    arn = put_secret(world, {"KEY": "old"}, tags("KEY"))
    token = start_rotation(world, arn)
    run_steps(arn, token, ["createSecret", "setSecret"])
    write(world, arn, OTHER="manual")
    run_steps(arn, token, ["testSecret", "finishSecret"])
    value = read(world, arn)
    assert value["OTHER"] == "manual"
    assert value["KEY"] != "old"


def test_a_changed_tag_ends_the_rotation(world: World) -> None:
    arn = put_secret(world, {"A": "a"}, tags("A"))
    token = start_rotation(world, arn)
    run_step(arn, token, "createSecret")
    write(world, arn, B="b")
    world.secrets.tag_resource(SecretId=arn, Tags=[{"Key": "aws-secrets:rotation-keys", "Value": "A B"}])
    assert "abandoned" in rejection(lambda: run_step(arn, token, "setSecret"))
    rotate(world, arn)
    assert read(world, arn)["B"] != "b"
