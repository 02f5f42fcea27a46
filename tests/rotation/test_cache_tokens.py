"""Rotate AUTH tokens of replication groups, on a real Redis."""

from urllib.parse import unquote, urlsplit

import pytest

from components.lambdas.rotation import cache_aws, deadline
from tests.support.cache_world import (
    Caches,
    Group,
    a_group,
    a_token,
    can_log_in,
    connected,
    current,
    held,
    name_of,
    provision_token,
    put_token_secret,
)
from tests.support.rotation_world import (
    a_password,
    read,
    rejection,
    rotate,
    run_step,
    run_steps,
    start_rotation,
    write,
)


def test_what_was_read_works_until_the_rotation_after_next(caches: Caches) -> None:
    group, arn = a_token(caches)
    values = [current(caches, arn)]
    for _ in range(3):
        rotate(caches, arn)
        values.append(current(caches, arn))
        assert [can_log_in(caches, value) for value in values[-2:]] == [True, True]
        assert not [value for value in values[:-2] if can_log_in(caches, value)]
        assert not can_log_in(caches, None)
        assert group.tokens == 2


def test_valkey_rotates_like_redis(valkey_caches: Caches) -> None:
    _, arn = a_token(valkey_caches)
    before = current(valkey_caches, arn)
    rotate(valkey_caches, arn)
    assert can_log_in(valkey_caches, before)
    assert can_log_in(valkey_caches, current(valkey_caches, arn))


def test_provisioning_closes_an_open_replication_group(caches: Caches) -> None:
    group = a_group(caches)
    assert can_log_in(caches, None)
    arn = put_token_secret(group)
    assert provision_token(group, arn) == {"Roles": [group.identifier], "Warnings": []}
    assert not can_log_in(caches, None)
    assert group.describe()["AuthTokenEnabled"]
    value = current(caches, arn)
    assert can_log_in(caches, value)
    assert provision_token(group, arn)
    assert current(caches, arn) == value


def test_provisioning_closes_a_group_whose_token_is_optional(caches: Caches) -> None:
    """The state that ROTATE leaves, as thoughtbot's function and Terraform's default do it."""
    group, in_use = a_group(caches), a_password()
    group.change(in_use, "ROTATE")
    assert can_log_in(caches, None)
    arn = put_token_secret(group)
    assert "Write it into the secret" in rejection(lambda: provision_token(group, arn))
    write(caches, arn, password=in_use)
    provision_token(group, arn)
    assert not can_log_in(caches, None)
    assert can_log_in(caches, {"password": in_use})


def test_a_token_that_was_not_set_last_closes_the_group_as_well(caches: Caches) -> None:
    """SET takes the token of the last ROTATE only."""
    group = a_group(caches)
    group.change(a_password(), "ROTATE")
    arn = put_token_secret(group, password=a_password())
    provision_token(group, arn)
    assert not can_log_in(caches, None)
    assert can_log_in(caches, current(caches, arn))


def test_a_rotation_closes_a_group_that_was_opened(caches: Caches) -> None:
    group = a_group(caches)
    arn = put_token_secret(group, password=a_password())
    provision_token(group, arn)
    before = current(caches, arn)
    opened = Group(caches, caches.register("replication-group", "opened-again"), "opened-again")
    del group
    write_tag(caches, arn, opened)
    rotate(caches, arn)
    assert not can_log_in(caches, None)
    assert can_log_in(caches, before)
    assert can_log_in(caches, current(caches, arn))


def write_tag(caches: Caches, arn: str, group: Group) -> None:
    """Move a secret to another replication group, as a deployment does."""
    tags = [{"Key": "aws-secrets:rotation-cache", "Value": group.arn}]
    caches.secrets.tag_resource(SecretId=arn, Tags=tags)
    own = [{"Key": "aws-secrets:secret", "Value": name_of(caches, arn)}]
    caches.client("elasticache").add_tags_to_resource(ResourceName=group.arn, Tags=own)


def test_a_token_in_use_goes_on_working(caches: Caches) -> None:
    """A replication group accepts another token next to the one in use, so that needs not be known."""
    in_use = a_password()
    group = a_group(caches, AuthToken=in_use)
    arn = put_token_secret(group)
    provision_token(group, arn)
    assert can_log_in(caches, {"password": in_use})
    assert can_log_in(caches, current(caches, arn))


def test_a_known_token_is_taken_over_without_a_change(caches: Caches) -> None:
    in_use = a_password()
    group = a_group(caches, AuthToken=in_use)
    arn = put_token_secret(group, password=in_use)
    provision_token(group, arn)
    assert group.tokens == 1
    assert current(caches, arn)["password"] == in_use
    rotate(caches, arn)
    assert can_log_in(caches, {"password": in_use})
    assert can_log_in(caches, current(caches, arn))


@pytest.mark.parametrize("rotations_before", [0, 1])
def test_a_newer_token_set_by_hand_does_not_end_the_one_in_the_secret(
    caches: Caches, rotations_before: int
) -> None:
    """ROTATE keeps the newest token only, which is not the one that workloads have."""
    group, arn = a_token(caches)
    for _ in range(rotations_before):
        rotate(caches, arn)
    group.change(a_password(), "ROTATE")
    before = current(caches, arn)
    rotate(caches, arn)
    assert can_log_in(caches, before)
    assert can_log_in(caches, current(caches, arn))
    assert group.tokens == 2


def test_a_rollback_does_not_end_the_token_in_the_secret(caches: Caches) -> None:
    """AWSCURRENT is moved back to the older of the two tokens."""
    _, arn = a_token(caches)
    old = current(caches, arn)
    rotate(caches, arn)
    stages = caches.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    by_label = {label: version for version, labels in stages.items() for label in labels}
    caches.secrets.update_secret_version_stage(
        SecretId=arn,
        VersionStage="AWSCURRENT",
        MoveToVersionId=by_label["AWSPREVIOUS"],
        RemoveFromVersionId=by_label["AWSCURRENT"],
    )
    assert current(caches, arn) == old
    rotate(caches, arn)
    assert can_log_in(caches, old)
    assert can_log_in(caches, current(caches, arn))


def test_a_token_written_into_the_secret_by_hand_is_repaired(caches: Caches) -> None:
    _, arn = a_token(caches)
    in_use = current(caches, arn)
    write(caches, arn, password=a_password())
    rotate(caches, arn)
    assert can_log_in(caches, in_use)
    assert can_log_in(caches, current(caches, arn))


def test_a_token_changed_in_aws_is_repaired(caches: Caches) -> None:
    group, arn = a_token(caches)
    rotate(caches, arn)
    by_hand = a_password()
    group.change(by_hand, "ROTATE")
    group.change(by_hand, "SET")
    assert not can_log_in(caches, current(caches, arn))
    rotate(caches, arn)
    assert can_log_in(caches, current(caches, arn))
    assert can_log_in(caches, {"password": by_hand})


def test_clients_log_in_by_the_url_alone(caches: Caches) -> None:
    group = a_group(caches)
    arn = put_token_secret(group, REDIS_URL=f"rediss://{caches.server.host}:{caches.server.port}/0")
    provision_token(group, arn)
    rotate(caches, arn)
    value = current(caches, arn)
    parts = urlsplit(value["REDIS_URL"])
    assert (parts.username, unquote(parts.password or ""), parts.path) == ("", value["password"], "/0")
    with connected(caches, None, value["REDIS_URL"]) as client:
        assert client.ping()


def test_a_change_that_takes_too_long_goes_on_at_the_next_attempt(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, arn = a_token(caches)
    rotate(caches, arn)
    before = current(caches, arn)
    token = start_rotation(caches, arn)
    with held(caches), monkeypatch.context() as patch:
        patch.setattr(deadline, "_WITHOUT_CONTEXT_SECONDS", deadline._RESERVE_SECONDS + 0.3)
        for _ in range(2):
            assert "still being changed by AWS" in rejection(lambda: run_steps(arn, token))
            assert can_log_in(caches, before)
            assert not can_log_in(caches, None)
    run_steps(arn, token)
    assert can_log_in(caches, before)
    assert can_log_in(caches, current(caches, arn))
    assert group.tokens == 2


def test_an_answer_that_is_lost_does_not_end_the_token_in_use(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ROTATE sent twice would push the other token out."""
    _, arn = a_token(caches)
    rotate(caches, arn)
    before = current(caches, arn)
    token = start_rotation(caches, arn)
    run_step(arn, token, "createSecret")
    change = cache_aws.set_token

    def lost(target: cache_aws.Target, text: str, strategy: cache_aws.Strategy) -> None:
        change(target, text, strategy)
        if strategy == "ROTATE":
            raise cache_aws.CacheApiError("ElastiCache did not answer.", "")

    with monkeypatch.context() as patch:
        patch.setattr(cache_aws, "set_token", lost)
        assert "did not answer" in rejection(lambda: run_step(arn, token, "setSecret"))
    run_steps(arn, token)
    assert can_log_in(caches, before)
    assert can_log_in(caches, read(caches, arn))


def test_a_group_with_users_has_no_token(caches: Caches) -> None:
    group = a_group(caches)
    arn = put_token_secret(group)
    client = caches.client("elasticache")
    name = f"users-{group.identifier}"
    client.create_user(
        UserId=name, UserName=name, Engine="valkey", Passwords=[a_password()], AccessString="on"
    )
    client.create_user_group(UserGroupId=name, Engine="valkey", UserIds=[name])
    while client.describe_user_groups(UserGroupId=name)["UserGroups"][0]["Status"] != "active":
        pass
    client.modify_replication_group(
        ReplicationGroupId=group.identifier, UserGroupIdsToAdd=[name], ApplyImmediately=True
    )
    assert "has user groups, and so no AUTH token" in rejection(lambda: provision_token(group, arn))
