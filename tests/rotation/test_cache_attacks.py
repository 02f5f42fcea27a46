"""Nothing that an application can write decides whose password is changed."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError

from components.lambdas.rotation import deadline
from tests.support.cache_world import (
    Caches,
    User,
    a_cache_login,
    a_group,
    a_token,
    a_user,
    can_log_in,
    current,
    name_of,
    provision_token,
    provision_user,
    put_token_secret,
    put_user_secret,
)
from tests.support.rotation_world import a_password, rejection, rotate, run_steps, start_rotation, write

CACHE_TAG = "aws-secrets:rotation-cache"


def tag(caches: Caches, arn: str, **tags: str) -> None:
    """Tag a secret, as whoever may tag it does."""
    named = {"cache": CACHE_TAG, "kind": "aws-secrets:rotation", "length": "aws-secrets:rotation-length"}
    listed = [{"Key": named[key], "Value": value} for key, value in tags.items()]
    caches.secrets.tag_resource(SecretId=arn, Tags=listed)


def test_a_secrets_tag_cannot_name_another_secrets_user(caches: Caches) -> None:
    _, mine = a_cache_login(caches)
    victim, theirs = a_cache_login(caches)
    tag(caches, mine, cache=victim.arn)
    write(caches, mine, username=victim.name)
    message = rejection(lambda: rotate(caches, mine))
    assert f"belongs to the secret {name_of(caches, theirs)!r}" in message
    assert can_log_in(caches, current(caches, theirs))
    assert victim.describe()["Authentication"]["PasswordCount"] == 1


def test_a_secrets_tag_cannot_name_a_user_without_an_owner(caches: Caches) -> None:
    """Such as an administrator's user that no secret of ours has."""
    _, mine = a_cache_login(caches)
    victim, password = a_user(caches), a_password()
    victim.set_passwords(password)
    tag(caches, mine, cache=victim.arn)
    write(caches, mine, username=victim.name)
    message = rejection(lambda: rotate(caches, mine))
    assert "has no tag aws-secrets:secret" in message
    assert "aws elasticache add-tags-to-resource --resource-name" in message
    assert can_log_in(caches, {"username": victim.name, "password": password})


def test_an_arn_of_another_account_names_no_user_of_this_one(caches: Caches) -> None:
    user, arn = a_cache_login(caches)
    before = current(caches, arn)
    tag(caches, arn, cache=user.arn.replace("123456789012", "999999999999"))
    assert "does not exist" in rejection(lambda: rotate(caches, arn))
    assert can_log_in(caches, before)


def test_the_secret_cannot_name_another_user(caches: Caches) -> None:
    _, arn = a_cache_login(caches)
    victim, _ = a_cache_login(caches)
    token = start_rotation(caches, arn)
    write(caches, arn, username=victim.name)
    assert "is the user" in rejection(lambda: run_steps(arn, token))
    assert victim.describe()["Authentication"]["PasswordCount"] == 1


def test_a_deployment_cannot_take_over_another_secrets_user(caches: Caches) -> None:
    victim, _ = a_cache_login(caches)
    mine = put_user_secret(victim)
    assert "belongs to the secret" in rejection(lambda: provision_user(victim, mine))
    group, _ = a_token(caches)
    other = put_token_secret(group)
    assert "belongs to the secret" in rejection(lambda: provision_token(group, other))


def test_a_deployment_provisions_only_what_it_declares(caches: Caches) -> None:
    """The secret's tag is a claim: the event names the user."""
    user, other = a_user(caches), a_user(caches)
    arn = put_user_secret(user)
    tag(caches, arn, cache=other.arn)
    assert "does not declare" in rejection(lambda: provision_user(user, arn))


@pytest.mark.parametrize("kind", ["random-key", "postgres", "auth-token"])
def test_a_tag_cannot_turn_a_user_into_something_else(caches: Caches, kind: str) -> None:
    _, arn = a_cache_login(caches)
    before = current(caches, arn)
    tag(caches, arn, kind=kind)
    rejection(lambda: rotate(caches, arn))
    assert current(caches, arn) == before
    assert can_log_in(caches, before)


def test_a_tag_cannot_turn_a_token_into_random_keys(caches: Caches) -> None:
    _, arn = a_token(caches)
    before = current(caches, arn)
    tag(caches, arn, kind="random-key")
    assert "Nothing was changed" in rejection(lambda: rotate(caches, arn))
    assert current(caches, arn) == before


@pytest.mark.parametrize("length", ["8", "129"])
def test_a_tag_cannot_shorten_the_password(caches: Caches, length: str) -> None:
    _, arn = a_cache_login(caches)
    tag(caches, arn, length=length)
    assert "from 16 to 128" in rejection(lambda: rotate(caches, arn))


@pytest.mark.parametrize(
    "target",
    [
        "",
        "id-app",
        "arn:aws:elasticache:us-east-1:123456789012:replicationgroup:shop",
        "arn:aws:iam::123456789012:user/shop",
        "arn:aws:elasticache:us-east-1:123456789012:user:a\nb",
    ],
)
def test_a_tag_that_names_no_user_is_reported_in_one_line(caches: Caches, target: str) -> None:
    _, arn = a_cache_login(caches)
    if "\n" in target:
        target = target.replace("\n", " ")  # AWS accepts no other white space in a tag
    tag(caches, arn, cache=target)
    message = rejection(lambda: rotate(caches, arn))
    assert f"tag {CACHE_TAG} is" in message
    assert "\n" not in message


def test_a_user_that_logs_in_with_iam_is_rejected(caches: Caches) -> None:
    user, arn = a_cache_login(caches)
    client, name = caches.client("elasticache"), f"iam-{user.identifier}"
    made = client.create_user(
        UserId=name, UserName=name, Engine="valkey", AuthenticationMode={"Type": "iam"}, AccessString="on"
    )
    iam = User(caches, "elasticache", made["ARN"], name, name)
    secret = put_user_secret(iam)
    assert "logs in with IAM" in rejection(lambda: provision_user(iam, secret))
    assert can_log_in(caches, current(caches, arn))


def test_an_open_group_is_never_reported_as_closed(caches: Caches) -> None:
    """The secret names the endpoint: one that stays open shows that it is not the group's."""
    elsewhere = a_group(caches)
    arn = put_token_secret(elsewhere)
    with mock.patch("components.lambdas.rotation.cache_session.is_open", return_value=True):
        message = rejection(lambda: provision_token(elsewhere, arn))
    assert "still accepts clients without a token" in message
    assert current(caches, arn)["password"] == ""


# what AWS answers


@contextmanager
def failing(operation: str, *errors: Exception) -> Iterator[list[str]]:
    """Let the first calls of an operation fail; yield the calls of it."""
    original, left, calls = BaseClient._make_api_call, list(errors), []

    def call(client: Any, name: str, arguments: Any) -> Any:
        if name == operation:
            calls.append(name)
            if left:
                raise left.pop(0)
        return original(client, name, arguments)

    with mock.patch.object(BaseClient, "_make_api_call", call):
        yield calls


def error(code: str, message: str = "reason") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "ModifyUser")


@pytest.mark.parametrize("code", ["Throttling", "ThrottlingException", "InvalidUserState"])
def test_a_change_that_aws_rejects_for_now_is_sent_again(caches: Caches, code: str) -> None:
    _, arn = a_cache_login(caches)
    with failing("ModifyUser", error(code), error(code)) as calls:
        rotate(caches, arn)
    assert len(calls) == 3
    assert can_log_in(caches, current(caches, arn))


def test_a_change_that_aws_does_not_accept_for_long_fails_the_step(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, arn = a_cache_login(caches)
    before = current(caches, arn)
    monkeypatch.setattr(deadline, "_WITHOUT_CONTEXT_SECONDS", deadline._RESERVE_SECONDS + 0.1)
    with failing("ModifyUser", *[error("Throttling")] * 99):
        assert "ElastiCache rejected ModifyUser" in rejection(lambda: rotate(caches, arn))
    assert current(caches, arn) == before


def test_a_missing_permission_is_named(caches: Caches) -> None:
    _, arn = a_cache_login(caches)
    with failing("ModifyUser", error("AccessDenied", "not authorized to perform: elasticache:ModifyUser")):
        message = rejection(lambda: rotate(caches, arn))
    assert "cache_arns" in message


def test_a_password_in_aws_answer_reaches_no_message(
    caches: Caches, function_log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, arn = a_cache_login(caches)
    original = BaseClient._make_api_call

    def repeating(client: Any, name: str, arguments: Any) -> Any:
        if name == "ModifyUser":
            said = f"Passwords {arguments['AuthenticationMode']['Passwords']} are invalid."
            raise error("InvalidParameterValue", said)
        return original(client, name, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", repeating)
        message = rejection(lambda: rotate(caches, arn))
    assert "contains a password and is not shown" in message
    assert current(caches, arn)["password"] not in message + function_log.getvalue()


def test_an_unreachable_api_is_explained(caches: Caches) -> None:
    _, arn = a_cache_login(caches)
    with failing("ModifyUser", EndpointConnectionError(endpoint_url="https://elasticache")):
        message = rejection(lambda: rotate(caches, arn))
    assert "interface endpoint for elasticache" in message


def test_tags_that_aws_does_not_show_for_now_are_awaited(caches: Caches) -> None:
    """ElastiCache calls a user unknown whose group is being changed."""
    _, arn = a_cache_login(caches)
    with failing("ListTagsForResource", error("UserNotFound", "is not available for tagging")) as calls:
        rotate(caches, arn)
    assert len(calls) == 2
