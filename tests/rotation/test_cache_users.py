"""Rotate the passwords of ElastiCache and MemoryDB users, on a real Redis."""

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from components.lambdas.rotation import deadline
from tests.support.cache_world import (
    ACCESS,
    Caches,
    Service,
    User,
    a_cache_login,
    a_user,
    can_log_in,
    connected,
    current,
    held,
    name_of,
    provision_user,
    provisioned,
    put_user_secret,
)
from tests.support.rotation_world import (
    a_password,
    read,
    rejection,
    rotate,
    run_step,
    run_steps,
    start_rotation,
    unique,
    write,
)

BOTH = pytest.mark.parametrize("service", ["elasticache", "memorydb"])


@BOTH
def test_what_was_read_works_until_the_rotation_after_next(caches: Caches, service: Service) -> None:
    user, arn = a_cache_login(caches, service)
    first = current(caches, arn)
    rotate(caches, arn)
    second = current(caches, arn)
    assert len({first["password"], second["password"]}) == 2
    assert can_log_in(caches, first)
    assert can_log_in(caches, second)
    rotate(caches, arn)
    assert can_log_in(caches, second)
    assert can_log_in(caches, current(caches, arn))
    assert not can_log_in(caches, first)
    assert user.describe()["Authentication"]["PasswordCount"] == 2


def test_valkey_rotates_like_redis(valkey_caches: Caches) -> None:
    _, arn = a_cache_login(valkey_caches)
    before = current(valkey_caches, arn)
    rotate(valkey_caches, arn)
    assert can_log_in(valkey_caches, before)
    assert can_log_in(valkey_caches, current(valkey_caches, arn))


@BOTH
def test_provisioning_generates_the_password_that_a_secret_lacks(caches: Caches, service: Service) -> None:
    user = a_user(caches, service)
    arn = put_user_secret(user, NOTE="mine")
    user.tag(name_of(caches, arn))
    assert provision_user(user, arn) == {"Roles": [user.name], "Warnings": []}
    value = current(caches, arn)
    assert len(value["password"]) == 40
    assert value["NOTE"] == "mine"
    assert can_log_in(caches, value)
    assert provision_user(user, arn) == {"Roles": [user.name], "Warnings": []}
    assert current(caches, arn) == value


def test_clients_log_in_by_the_url_alone(caches: Caches) -> None:
    user = a_user(caches)
    reader = f"rediss://{user.name}@{caches.server.host}:{caches.server.port}/0?health_check_interval=30"
    arn = provisioned(user, REDIS_READER_URL=reader)
    rotate(caches, arn)
    value = current(caches, arn)
    for key in ("REDIS_URL", "REDIS_READER_URL"):
        parts = urlsplit(value[key])
        assert (unquote(parts.username or ""), unquote(parts.password or "")) == (
            user.name,
            value["password"],
        )
        with connected(caches, None, value[key]) as client:
            assert client.acl_whoami() == user.name
    assert value["REDIS_READER_URL"].endswith("/0?health_check_interval=30")


def test_the_first_password_is_the_same_after_a_failed_attempt(caches: Caches) -> None:
    """A password that AWS has, but nobody can read, would be lost."""
    user = a_user(caches)
    arn = put_user_secret(user, host="127.0.0.1")
    user.tag(name_of(caches, arn))
    assert "is not trusted" in rejection(lambda: provision_user(user, arn))
    assert "is not trusted" in rejection(lambda: provision_user(user, arn))
    stages = caches.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    assert sorted(map(sorted, stages.values())) == [["AWSCURRENT"], ["aws-secrets-provisioned"]]
    write(caches, arn, host="localhost")
    provision_user(user, arn)
    assert can_log_in(caches, current(caches, arn))


def test_an_existing_password_goes_on_working(caches: Caches) -> None:
    user = a_user(caches)
    in_use = a_password()
    user.set_passwords(in_use)
    arn = put_user_secret(user)
    message = rejection(lambda: provision_user(user, arn))
    assert "Write the password in use into the secret" in message
    assert user.owner() is None
    write(caches, arn, password=in_use)
    provision_user(user, arn)
    assert user.owner() == name_of(caches, arn)
    assert current(caches, arn)["password"] == in_use
    rotate(caches, arn)
    assert can_log_in(caches, {"username": user.name, "password": in_use})


def test_a_user_that_needs_no_password_gets_one(caches: Caches) -> None:
    """Such as an open default user, which every group for Redis OSS may have."""
    client, name = caches.client("elasticache"), unique("open-")
    arn = client.create_user(
        UserId=name, UserName="default", Engine="redis", NoPasswordRequired=True, AccessString=ACCESS
    )["ARN"]
    client.create_user_group(UserGroupId=f"group-{name}", Engine="redis", UserIds=[name])
    user = User(caches, "elasticache", arn, name, "default")
    caches.register("replication-group", f"cache-{name}", Group=f"group-{name}")
    assert can_log_in(caches, None)
    secret = put_user_secret(user)
    provision_user(user, secret)
    assert not can_log_in(caches, None)
    assert can_log_in(caches, current(caches, secret))


def test_a_password_written_into_the_secret_by_hand_is_repaired(caches: Caches) -> None:
    _, arn = a_cache_login(caches)
    in_use = current(caches, arn)
    write(caches, arn, password=a_password())
    rotate(caches, arn)
    assert can_log_in(caches, current(caches, arn))
    assert can_log_in(caches, in_use)


@BOTH
def test_a_password_changed_in_aws_is_repaired(caches: Caches, service: Service) -> None:
    user, arn = a_cache_login(caches, service)
    user.set_passwords(a_password())
    before = current(caches, arn)
    assert not can_log_in(caches, before)
    rotate(caches, arn)
    assert can_log_in(caches, current(caches, arn))
    assert can_log_in(caches, before)


def test_a_value_that_aws_would_reject_does_not_block_rotation(caches: Caches) -> None:
    user, arn = a_cache_login(caches)
    rotate(caches, arn)
    user.set_passwords(a_password())
    write(caches, arn, password="short, with spaces")
    rotate(caches, arn)
    assert can_log_in(caches, current(caches, arn))


@pytest.mark.parametrize(
    "special", ["aB3!aB3&aB3#aB3$aB3^aB3<aB3>aB3-", "%2f:;=?[]{}|\\~`'()*+._ aaaa".replace(" ", "")]
)
def test_special_characters_in_use_survive_a_rotation(caches: Caches, special: str) -> None:
    user = a_user(caches)
    user.set_passwords(special)
    arn = put_user_secret(user, password=special)
    provision_user(user, arn)
    rotate(caches, arn)
    assert can_log_in(caches, {"username": user.name, "password": special})
    assert can_log_in(caches, current(caches, arn))


def test_provisioning_sets_the_password_of_the_secret_again(caches: Caches) -> None:
    user, arn = a_cache_login(caches)
    user.set_passwords(a_password())
    provision_user(user, arn)
    assert can_log_in(caches, current(caches, arn))


def test_provisioning_during_a_rotation_keeps_the_pending_password(caches: Caches) -> None:
    user, arn = a_cache_login(caches)
    token = start_rotation(caches, arn)
    run_steps(arn, token, ["createSecret", "setSecret"])
    pending = read(caches, arn, "AWSPENDING")
    user.set_passwords(pending["password"])
    provision_user(user, arn)
    assert can_log_in(caches, current(caches, arn))
    assert can_log_in(caches, pending)
    run_steps(arn, token)
    assert current(caches, arn)["password"] == pending["password"]


def test_a_user_that_is_being_modified_is_awaited(caches: Caches) -> None:
    user, arn = a_cache_login(caches)
    caches.own("cache-changes", {"Seconds": 0.3})
    client = caches.client("elasticache")
    client.modify_user(UserId=user.identifier, AccessString="on ~app:* +@all")
    rotate(caches, arn)
    assert can_log_in(caches, current(caches, arn))
    assert user.describe()["AccessString"] == "on ~app:* +@all"


def test_a_change_that_takes_too_long_goes_on_at_the_next_attempt(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, arn = a_cache_login(caches)
    before = current(caches, arn)
    token = start_rotation(caches, arn)
    run_step(arn, token, "createSecret")
    with held(caches), monkeypatch.context() as patch:
        patch.setattr(deadline, "_WITHOUT_CONTEXT_SECONDS", deadline._RESERVE_SECONDS + 0.3)
        for _ in range(2):
            message = rejection(lambda: run_steps(arn, token))
            assert "still being changed by AWS" in message
            assert current(caches, arn) == before
            assert can_log_in(caches, before)
    user.settle()
    run_steps(arn, token)
    assert can_log_in(caches, before)
    assert current(caches, arn)["password"] != before["password"]


def test_nothing_is_finished_while_only_one_server_has_the_password(caches: Caches) -> None:
    """A password that logs in proves nothing while the user is being modified."""
    user, arn = a_cache_login(caches)
    token = start_rotation(caches, arn)
    run_step(arn, token, "createSecret")
    pending = read(caches, arn, "AWSPENDING")
    with held(caches):
        user.caches.client("elasticache").modify_user(
            UserId=user.identifier,
            AuthenticationMode={
                "Type": "password",
                "Passwords": [pending["password"], current(caches, arn)["password"]],
            },
        )
        as_administrator(caches).acl_setuser(user.name, enabled=True, passwords=[f"+{pending['password']}"])
        assert can_log_in(caches, pending)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(deadline, "_WITHOUT_CONTEXT_SECONDS", deadline._RESERVE_SECONDS + 0.2)
            assert "still being changed" in rejection(lambda: run_step(arn, token, "setSecret"))
    user.settle()
    run_steps(arn, token)
    assert can_log_in(caches, current(caches, arn))


def as_administrator(caches: Caches) -> Any:
    server = caches.server
    return connected(caches, {"username": server.admin_user, "password": server.admin_password})


@BOTH
def test_a_declared_user_is_created_with_a_password_from_the_beginning(
    caches: Caches, service: Service
) -> None:
    user, name = a_user(caches, service), unique("made-")
    group = user.describe()["UserGroupIds" if service == "elasticache" else "ACLNames"][0]
    made = User(caches, service, user.arn.replace(user.identifier, name), name, name)
    kind = "usergroup:" if service == "elasticache" else "acl/"
    prefix = user.arn.partition(":user")[0]
    arn = put_user_secret(made)
    declared = {"AccessString": "on ~app:* +@all", "UserGroup": f"{prefix}:{kind}{group}"}
    assert "does not exist" in rejection(lambda: provision_user(made, arn))
    for _ in range(2):
        provision_user(made, arn, **declared)
        assert can_log_in(caches, current(caches, arn))
        assert made.owner() == name_of(caches, arn)
    rotate(caches, arn)
    before = current(caches, arn)
    provision_user(made, arn, **{**declared, "AccessString": "on ~shop:* +@all"})
    assert made.describe()["AccessString"] == "on ~shop:* +@all"
    assert current(caches, arn) == before
    assert can_log_in(caches, before)
    assert can_log_in(caches, read(caches, arn, "AWSPREVIOUS"))
