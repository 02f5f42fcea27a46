"""ElastiCache's users, user groups and tokens decide who can log in to a real server, with AWS's states."""

# ruff: noqa: ANN401  boto3 makes its clients' types at run time

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.caches import RejectedError, hold, own, register, release, settle
from tests.support.emulator_functions import client
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.redis_client import Session, login
from tools.localcloud.servers import redis
from tools.localcloud.servers.redis import RedisServer

OLD, NEW, NEWEST, OTHER = (f"{word}-password-of-a-user" for word in ("old", "new", "newest", "other"))
ONE, TWO, THREE = (f"Token-{number}-of-a-cache" for number in (1, 2, 3))
ALL = "on ~* &* +@all"
NOBODY = "-WRONGPASS invalid username-password pair or user is disabled."
CLOSED = "-NOAUTH Authentication required."

_numbers = itertools.count()


@pytest.fixture
def elasticache(emulator: Emulator) -> Iterator[Any]:
    release(emulator)
    yield client(emulator, "elasticache")
    release(emulator)


def name_of(kind: str) -> str:
    """Return a new name."""
    return f"{kind}-{next(_numbers)}"


def create(elasticache: Any, *passwords: str, access: str = ALL, **more: Any) -> str:
    """Return the ID, and name, of a new user."""
    name = name_of("user")
    given = {"Passwords": list(passwords)} if passwords else {}
    settings = {"UserId": name, "UserName": name, "Engine": "redis", "AccessString": access, **given, **more}
    elasticache.create_user(**settings)
    return str(settings["UserId"])


def grouped(emulator: Emulator, elasticache: Any, *users: str) -> str:
    """Return a new group of users and the open default user."""
    name = name_of("group")
    elasticache.create_user_group(UserGroupId=name, Engine="redis", UserIds=["default", *users])
    settle(emulator)
    return name


def described(elasticache: Any, user: str) -> Any:
    [found] = elasticache.describe_users(UserId=user)["Users"]
    return found


def cache_of(elasticache: Any, name: str) -> Any:
    [found] = elasticache.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"]
    return found


def refused(code: str, call: Callable[..., Any], /, **asked: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**asked)
    assert refusal.value.response["Error"]["Code"] == code
    return str(refusal.value.response["Error"]["Message"])


# --- Passwords of users


@pytest.mark.parametrize("engine", ["redis", "valkey"])
def test_new_passwords_replace_the_old_once_the_user_is_active(
    emulator: Emulator, elasticache: Any, engine: str, request: pytest.FixtureRequest
) -> None:
    redis_server = request.getfixturevalue(f"{engine}_server")
    user = create(elasticache, OLD)
    register(emulator, redis_server, name_of("cache"), Group=grouped(emulator, elasticache, user))
    hold(emulator)
    answer = elasticache.modify_user(UserId=user, Passwords=[NEW, OLD])
    assert (answer["Status"], answer["Authentication"]["PasswordCount"]) == ("modifying", 2)
    assert (login(redis_server, user, OLD), login(redis_server, user, NEW)) == (user, NOBODY)
    release(emulator)
    assert described(elasticache, user)["Status"] == "active"
    assert (login(redis_server, user, OLD), login(redis_server, user, NEW)) == (user, user)
    elasticache.modify_user(UserId=user, AuthenticationMode={"Type": "password", "Passwords": [NEWEST, NEW]})
    settle(emulator)
    assert login(redis_server, user, OLD) == NOBODY
    assert (login(redis_server, user, NEW), login(redis_server, user, NEWEST)) == (user, user)


def test_a_password_that_stays_valid_never_fails_while_others_change(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    user = create(elasticache, OLD)
    register(emulator, redis_server, name_of("cache"), Group=grouped(emulator, elasticache, user))
    stop, failed = threading.Event(), list[str]()

    def keep_logging_in() -> None:
        while not stop.is_set():
            answer = login(redis_server, user, OLD)
            if answer != user:
                failed.append(answer)

    with ThreadPoolExecutor() as clients:
        clients.submit(keep_logging_in)
        try:
            for other in (NEW, NEWEST, OTHER) * 5:
                elasticache.modify_user(UserId=user, Passwords=[other, OLD])
                settle(emulator)
        finally:
            stop.set()
    assert failed == []


def test_an_open_connection_survives_a_change_of_password(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    user = create(elasticache, OLD)
    register(emulator, redis_server, name_of("cache"), Group=grouped(emulator, elasticache, user))
    with Session(redis_server) as session:
        assert session.ask("AUTH", user, OLD) == "+OK"
        elasticache.modify_user(UserId=user, Passwords=[NEW])
        settle(emulator)
        assert session.ask("ACL", "WHOAMI") == user


def test_a_user_that_is_modified_rejects_a_second_change_and_tags(
    emulator: Emulator, elasticache: Any
) -> None:
    user = create(elasticache, OLD, Tags=[{"Key": "team", "Value": "a"}])
    arn = described(elasticache, user)["ARN"]
    assert elasticache.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "team", "Value": "a"}]
    hold(emulator)
    elasticache.modify_user(UserId=user, Passwords=[NEW])
    message = refused("InvalidUserState", elasticache.modify_user, UserId=user, Passwords=[NEWEST])
    assert message == f"User {user} has status modifying. Only active users can be modified."
    refused("InvalidUserState", elasticache.delete_user, UserId=user)
    assert "not available for tagging" in refused(
        "UserNotFound", elasticache.list_tags_for_resource, ResourceName=arn
    )
    release(emulator)
    elasticache.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "stage", "Value": "b"}])
    elasticache.remove_tags_from_resource(ResourceName=arn, TagKeys=["team"])
    assert elasticache.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "stage", "Value": "b"}]


@pytest.mark.parametrize(
    ("passwords", "reason"),
    [
        (["x" * 15], "between 16-128"),
        (["x" * 129], "between 16-128"),
        (["x" * 16 + "/"], "printable"),
        (["x" * 16 + "@"], "printable"),
        (["x" * 16 + '"'], "printable"),
        (["x" * 16 + ","], "printable"),
        (["x" * 16 + "ü"], "printable"),
        (["x" * 16 + "\n"], "printable"),
        (["x" * 16, "x" * 16], "different"),
        (["x" * 16, "y" * 16, "z" * 16], "at most 2"),
    ],
)
def test_passwords_that_aws_rejects_are_rejected_and_not_repeated(
    elasticache: Any, passwords: list[str], reason: str
) -> None:
    user = create(elasticache, OLD)
    message = refused("InvalidParameterValue", elasticache.modify_user, UserId=user, Passwords=passwords)
    assert reason in message
    assert not any(password in message for password in passwords)
    assert described(elasticache, user)["Status"] == "active"


@pytest.mark.parametrize("password", ["x" * 16, "x" * 128, "!#$%&'()*+-.:;<=>?[]^_`{|}~\\"])
def test_the_shortest_longest_and_oddest_passwords_log_in(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer, password: str
) -> None:
    user = create(elasticache, password)
    register(emulator, redis_server, name_of("cache"), Group=grouped(emulator, elasticache, user))
    assert login(redis_server, user, password) == user


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("InvalidParameterCombination", {"AuthenticationMode": {"Type": "password"}}),
        ("InvalidParameterCombination", {"AuthenticationMode": {"Type": "iam", "Passwords": [NEW]}}),
        ("InvalidParameterCombination", {"Passwords": [NEW], "NoPasswordRequired": True}),
        (
            "InvalidParameterCombination",
            {"Passwords": [NEW], "AuthenticationMode": {"Type": "password", "Passwords": [NEWEST]}},
        ),
        ("InvalidParameterValue", {"AuthenticationMode": {"Type": "none"}}),
        ("InvalidParameterValue", {"AccessString": "on nopass ~* +@all"}),
        ("InvalidParameterValue", {"AccessString": f"on >{NEW} ~* +@all"}),
        ("InvalidParameterValue", {"AccessString": "on ~* +@read +config"}),
        ("InvalidParameterValue", {"AccessString": "on ~* +@read +acl|setuser"}),
    ],
)
def test_contradictory_or_forbidden_settings_are_rejected_without_a_password(
    elasticache: Any, code: str, asked: dict[str, Any]
) -> None:
    user = create(elasticache, OLD)
    message = refused(code, elasticache.modify_user, UserId=user, **asked)
    assert NEW not in message
    assert NEWEST not in message


def test_access_strings_are_shown_and_applied_as_aws_completes_them(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    user = create(elasticache, OLD, access="~app:* +get")
    assert described(elasticache, user)["AccessString"] == "off ~app:* +get"
    register(emulator, redis_server, name_of("cache"), Group=grouped(emulator, elasticache, user))
    assert login(redis_server, user, OLD) == NOBODY
    elasticache.modify_user(UserId=user, AccessString="~app:*")
    settle(emulator)
    assert described(elasticache, user)["AccessString"] == "off ~app:* -@all"
    elasticache.modify_user(UserId=user, AccessString="on ~app:* -@all +get")
    settle(emulator)
    with Session(redis_server) as session:
        assert session.ask("AUTH", user, OLD) == "+OK"
        assert session.ask("GET", "app:x") == "$-1"
        assert session.ask("GET", "other").startswith("-NOPERM")
        assert session.ask("SET", "app:x", "1").startswith("-NOPERM")


def test_no_client_may_change_access_or_the_server(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    user = create(elasticache, OLD)
    register(emulator, redis_server, name_of("cache"), Group=grouped(emulator, elasticache, user))
    with Session(redis_server) as session:
        assert session.ask("AUTH", user, OLD) == "+OK"
        for command in (
            ("ACL", "SETUSER", user, f">{NEW}"),
            ("ACL", "GETUSER", user),
            ("ACL", "LIST"),
            ("CONFIG", "GET", "requirepass"),
            ("BGSAVE",),
            ("SHUTDOWN", "NOSAVE"),
        ):
            assert session.ask(*command).startswith("-NOPERM"), command
        assert session.ask("SET", "key", "value") == "+OK"


def test_a_user_without_password_or_with_iam_has_none_to_log_in_with(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    user = create(elasticache, AuthenticationMode={"Type": "iam"})
    anybody = create(elasticache, NoPasswordRequired=True)
    assert described(elasticache, user)["Authentication"] == {"Type": "iam"}
    assert described(elasticache, anybody)["Authentication"] == {"Type": "no-password"}
    register(emulator, redis_server, name_of("cache"), Group=grouped(emulator, elasticache, user, anybody))
    assert login(redis_server, user, OLD) == NOBODY
    assert login(redis_server, anybody, "whatever") == anybody
    wrong = {"UserId": name_of("user"), "UserName": "other", "Engine": "redis", "AccessString": ALL}
    refused(
        "InvalidParameterCombination", elasticache.create_user, **wrong, AuthenticationMode={"Type": "iam"}
    )


def test_the_default_user_is_aws_own_and_unknown_users_are_not_found(elasticache: Any) -> None:
    refused("InvalidParameterValue", elasticache.modify_user, UserId="default", Passwords=[NEW])
    refused("InvalidParameterValue", elasticache.delete_user, UserId="default")
    with pytest.raises(elasticache.exceptions.UserNotFoundFault) as missing:
        elasticache.describe_users(UserId="nobody")
    assert missing.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    user = create(elasticache, OLD)
    refused(
        "UserAlreadyExists",
        elasticache.create_user,
        UserId=user.upper(),
        UserName="x",
        Engine="redis",
        AccessString=ALL,
        Passwords=[NEW],
    )


# --- User groups


def test_a_user_that_leaves_a_group_loses_its_connections(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    leaving, coming = create(elasticache, OLD), create(elasticache, OTHER)
    group = grouped(emulator, elasticache, leaving)
    register(emulator, redis_server, name_of("cache"), Group=group)
    with Session(redis_server) as session:
        assert session.ask("AUTH", leaving, OLD) == "+OK"
        hold(emulator)
        answer = elasticache.modify_user_group(
            UserGroupId=group, UserIdsToAdd=[coming], UserIdsToRemove=[leaving]
        )
        assert answer["PendingChanges"] == {"UserIdsToAdd": [coming], "UserIdsToRemove": [leaving]}
        assert described(elasticache, coming)["Status"] == "modifying"
        refused("InvalidUserState", elasticache.modify_user, UserId=coming, Passwords=[NEW])
        message = refused(
            "InvalidUserGroupState",
            elasticache.modify_user_group,
            UserGroupId=group,
            UserIdsToAdd=[create(elasticache, NEW)],
        )
        assert message == f"User group {group} has status modifying. Only active user groups can be modified."
        assert session.ask("ACL", "WHOAMI") == leaving
        release(emulator)
        assert session.ask("ACL", "WHOAMI") == ""
    assert (login(redis_server, leaving, OLD), login(redis_server, coming, OTHER)) == (NOBODY, coming)
    [found] = elasticache.describe_user_groups(UserGroupId=group)["UserGroups"]
    assert (found["Status"], found["UserIds"]) == ("active", ["default", coming])
    assert described(elasticache, coming)["Status"] == "active"


def test_a_group_is_modified_along_with_its_user(emulator: Emulator, elasticache: Any) -> None:
    user = create(elasticache, OLD)
    group = grouped(emulator, elasticache, user)
    hold(emulator)
    elasticache.modify_user(UserId=user, Passwords=[NEW])
    [found] = elasticache.describe_user_groups(UserGroupId=group)["UserGroups"]
    assert found["Status"] == "modifying"


def test_a_deleted_user_is_gone_from_groups_and_server(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    user = create(elasticache, OLD)
    group = grouped(emulator, elasticache, user)
    register(emulator, redis_server, name_of("cache"), Group=group)
    hold(emulator)
    assert elasticache.delete_user(UserId=user)["Status"] == "deleting"
    assert login(redis_server, user, OLD) == user
    release(emulator)
    assert login(redis_server, user, OLD) == NOBODY
    assert elasticache.describe_user_groups(UserGroupId=group)["UserGroups"][0]["UserIds"] == ["default"]
    refused("UserNotFound", elasticache.describe_users, UserId=user)


def test_groups_need_a_default_user_for_redis_and_passwords_for_valkey(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    user, open_user = create(elasticache, OLD), create(elasticache, NoPasswordRequired=True)
    make = elasticache.create_user_group
    refused("DefaultUserRequired", make, UserGroupId=name_of("group"), Engine="redis", UserIds=[user])
    refused("InvalidParameterValue", make, UserGroupId=name_of("group"), Engine="valkey", UserIds=[open_user])
    group = name_of("group")
    make(UserGroupId=group, Engine="valkey", UserIds=[user])
    settle(emulator)
    refused("InvalidParameterValue", elasticache.modify_user, UserId=user, NoPasswordRequired=True)
    register(emulator, redis_server, name_of("cache"), Engine="valkey", Group=group)
    assert (login(redis_server), login(redis_server, user, OLD)) == (CLOSED, user)
    twin = create(elasticache, NEW, UserId=name_of("user"), UserName=user)
    refused("DuplicateUserName", elasticache.modify_user_group, UserGroupId=group, UserIdsToAdd=[twin])
    refused("InvalidUserGroupState", elasticache.delete_user_group, UserGroupId=group)


# --- AUTH tokens


def test_the_first_token_set_is_required_at_once(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    cache = name_of("cache")
    register(emulator, redis_server, cache)
    assert (login(redis_server), cache_of(elasticache, cache)["AuthTokenEnabled"]) == ("default", False)
    hold(emulator)
    rotate(elasticache, cache, ONE, "SET")
    found = cache_of(elasticache, cache)
    assert (found["Status"], found["PendingModifiedValues"]) == ("modifying", {"AuthTokenStatus": "SETTING"})
    refused(
        "InvalidReplicationGroupState",
        elasticache.modify_replication_group,
        ReplicationGroupId=cache,
        AuthToken=TWO,
        ApplyImmediately=True,
    )
    assert login(redis_server) == "default"
    release(emulator)
    found = cache_of(elasticache, cache)
    assert (found["Status"], found["AuthTokenEnabled"]) == ("available", True)
    assert (login(redis_server), login(redis_server, ONE)) == (CLOSED, "default")


def rotate(elasticache: Any, cache: str, token: str, strategy: str = "ROTATE") -> None:
    elasticache.modify_replication_group(
        ReplicationGroupId=cache, AuthToken=token, AuthTokenUpdateStrategy=strategy, ApplyImmediately=True
    )


@pytest.mark.parametrize("engine", ["redis", "valkey"])
def test_rotate_keeps_the_last_token_and_no_older_one(
    emulator: Emulator, elasticache: Any, engine: str, request: pytest.FixtureRequest
) -> None:
    redis_server = request.getfixturevalue(f"{engine}_server")
    cache = name_of("cache")
    register(emulator, redis_server, cache, AuthToken=ONE)
    hold(emulator)
    rotate(elasticache, cache, TWO)
    assert cache_of(elasticache, cache)["PendingModifiedValues"] == {"AuthTokenStatus": "ROTATING"}
    assert (login(redis_server, ONE), login(redis_server, TWO)) == ("default", NOBODY)
    release(emulator)
    assert (login(redis_server, ONE), login(redis_server, TWO)) == ("default", "default")
    rotate(elasticache, cache, THREE)
    settle(emulator)
    assert [login(redis_server, token) for token in (ONE, TWO, THREE)] == [NOBODY, "default", "default"]
    refused_set = refused(
        "InvalidParameterValue", rotate, elasticache=elasticache, cache=cache, token=ONE, strategy="SET"
    )
    assert ONE not in refused_set
    rotate(elasticache, cache, THREE, "SET")
    settle(emulator)
    assert [login(redis_server, token) for token in (ONE, TWO, THREE)] == [NOBODY, NOBODY, "default"]
    refused(
        "InvalidParameterValue", rotate, elasticache=elasticache, cache=cache, token=THREE, strategy="SET"
    )


def test_rotate_onto_no_token_leaves_access_open_until_set(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    cache = name_of("cache")
    register(emulator, redis_server, cache)
    rotate(elasticache, cache, ONE)
    settle(emulator)
    assert cache_of(elasticache, cache)["AuthTokenEnabled"] is True
    assert (login(redis_server), login(redis_server, "default", ONE)) == ("default", "default")
    rotate(elasticache, cache, ONE, "SET")
    settle(emulator)
    assert (login(redis_server), login(redis_server, ONE)) == (CLOSED, "default")


def test_a_rotate_that_is_repeated_pushes_the_other_token_out(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    cache = name_of("cache")
    register(emulator, redis_server, cache, AuthToken=ONE)
    for _ in range(2):
        rotate(elasticache, cache, TWO)
        settle(emulator)
    assert (login(redis_server, ONE), login(redis_server, TWO)) == (NOBODY, "default")


def test_a_token_not_applied_immediately_waits(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    cache = name_of("cache")
    register(emulator, redis_server, cache, AuthToken=ONE)
    elasticache.modify_replication_group(ReplicationGroupId=cache, AuthToken=TWO)
    settle(emulator)
    found = cache_of(elasticache, cache)
    assert (found["Status"], found["PendingModifiedValues"]) == ("available", {"AuthTokenStatus": "ROTATING"})
    assert login(redis_server, TWO) == NOBODY
    elasticache.modify_replication_group(ReplicationGroupId=cache, ApplyImmediately=True)
    settle(emulator)
    assert (login(redis_server, ONE), login(redis_server, TWO)) == ("default", "default")
    assert cache_of(elasticache, cache)["PendingModifiedValues"] == {}


@pytest.mark.parametrize("token", ["x" * 15, "x" * 129, *(f"{'x' * 16}{sign}" for sign in '/"@% ,ü')])
def test_tokens_that_aws_rejects_are_rejected(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer, token: str
) -> None:
    cache = name_of("cache")
    register(emulator, redis_server, cache)
    message = refused("InvalidParameterValue", rotate, elasticache=elasticache, cache=cache, token=token)
    assert message == "Invalid AuthToken provided."


def test_users_and_tokens_take_each_others_place_without_opening_the_cache(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    cache, user = name_of("cache"), create(elasticache, OLD)
    default = create(elasticache, NEW, access="off ~* +@all", UserName="default", UserId=name_of("default"))
    group = name_of("group")
    elasticache.create_user_group(UserGroupId=group, Engine="redis", UserIds=[default, user])
    settle(emulator)
    register(emulator, redis_server, cache, AuthToken=ONE)
    change = {"ReplicationGroupId": cache, "ApplyImmediately": True}
    modify = elasticache.modify_replication_group
    assert "Pass AuthStrategy delete" in refused(
        "InvalidParameterCombination", modify, **change, UserGroupIdsToAdd=[group]
    )
    refused("InvalidParameterValue", modify, **change, AuthTokenUpdateStrategy="DELETE")
    modify(**change, UserGroupIdsToAdd=[group], AuthTokenUpdateStrategy="DELETE")
    settle(emulator)
    found = cache_of(elasticache, cache)
    assert (found["AuthTokenEnabled"], found["UserGroupIds"]) == (False, [group])
    assert (login(redis_server), login(redis_server, ONE)) == (CLOSED, NOBODY)
    assert login(redis_server, user, OLD) == user
    assert "Pass RemoveUserGroups" in refused(
        "InvalidParameterCombination", modify, **change, AuthToken=TWO, AuthTokenUpdateStrategy="SET"
    )
    modify(**change, RemoveUserGroups=True, AuthToken=TWO, AuthTokenUpdateStrategy="SET")
    settle(emulator)
    assert (login(redis_server), login(redis_server, TWO)) == (CLOSED, "default")
    assert login(redis_server, user, OLD) == NOBODY


def test_without_encryption_in_transit_there_is_no_authentication(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    cache = name_of("cache")
    register(emulator, redis_server, cache, TransitEncryption=False)
    assert cache_of(elasticache, cache)["TransitEncryptionEnabled"] is False
    assert "TransitEncryptionMode" not in cache_of(elasticache, cache)
    group = grouped(emulator, elasticache)
    modify = elasticache.modify_replication_group
    refused(
        "InvalidParameterCombination", modify, ReplicationGroupId=cache, AuthToken=ONE, ApplyImmediately=True
    )
    refused("InvalidParameterCombination", modify, ReplicationGroupId=cache, UserGroupIdsToAdd=[group])


def test_what_cannot_be_changed_here_is_reported_and_others_caches_are_motos(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    cache = name_of("cache")
    register(emulator, redis_server, cache)
    modify = elasticache.modify_replication_group
    refused("NotImplemented", modify, ReplicationGroupId=cache, CacheNodeType="cache.m7g.large")
    filters = [{"Name": "user-id", "Values": ["a"]}]
    refused("NotImplemented", elasticache.describe_users, Filters=filters)
    refused("ReplicationGroupNotFoundFault", elasticache.describe_replication_groups, ReplicationGroupId="no")
    elasticache.create_replication_group(
        ReplicationGroupId="of-moto", ReplicationGroupDescription="x", Engine="redis"
    )
    listed = elasticache.describe_replication_groups()["ReplicationGroups"]
    assert {cache, "of-moto"} <= {found["ReplicationGroupId"] for found in listed}


# --- Caches


def test_endpoints_are_where_the_server_runs(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    cache, address = name_of("cache"), {"Address": "localhost", "Port": redis_server.port}
    arn = register(emulator, redis_server, cache, Tags={"team": "a"}, TransitEncryptionMode="preferred")
    found = cache_of(elasticache, cache.upper())
    [group] = found["NodeGroups"]
    assert (group["PrimaryEndpoint"], group["ReaderEndpoint"]) == (address, address)
    assert (found["ARN"], found["Engine"], found["TransitEncryptionMode"]) == (arn, "redis", "preferred")
    assert "ConfigurationEndpoint" not in found
    tags = elasticache.list_tags_for_resource(ResourceName=arn)["TagList"]
    assert tags == [{"Key": "team", "Value": "a"}]
    register(emulator, redis_server, cache, ClusterMode=True)
    found = cache_of(elasticache, cache)
    assert (found["ConfigurationEndpoint"], found["ClusterEnabled"]) == (address, True)
    assert "PrimaryEndpoint" not in found["NodeGroups"][0]


def test_a_serverless_cache_has_its_user_group_and_two_endpoints(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    user, cache = create(elasticache, OLD), name_of("serverless")
    group = grouped(emulator, elasticache, user)
    arn = register(emulator, redis_server, cache, Kind="serverless", Group=group, EngineVersion="7.1")
    [found] = elasticache.describe_serverless_caches(ServerlessCacheName=cache)["ServerlessCaches"]
    assert (found["ARN"], found["Status"], found["UserGroupId"]) == (arn, "available", group)
    assert (found["MajorEngineVersion"], found["FullEngineVersion"]) == ("7", "7.1")
    address = {"Address": "localhost", "Port": redis_server.port}
    assert (found["Endpoint"], found["ReaderEndpoint"]) == (address, address)
    elasticache.modify_user(UserId=user, Passwords=[NEW])
    settle(emulator)
    assert login(redis_server, user, NEW) == user
    [groups] = elasticache.describe_user_groups(UserGroupId=group)["UserGroups"]
    assert (groups["ServerlessCaches"], groups["ReplicationGroups"]) == ([cache], [])
    missing = elasticache.describe_serverless_caches
    refused("ServerlessCacheNotFoundFault", missing, ServerlessCacheName="nowhere")


def test_a_cache_is_in_one_account_and_region(
    emulator: Emulator, elasticache: Any, redis_server: RedisServer
) -> None:
    cache = name_of("cache")
    arn = register(emulator, redis_server, cache, Region="eu-west-1")
    assert arn == f"arn:aws:elasticache:eu-west-1:123456789012:replicationgroup:{cache}"
    refused(
        "ReplicationGroupNotFoundFault", elasticache.describe_replication_groups, ReplicationGroupId=cache
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Kind", "memcached"),
        ("Kind", None),
        ("Identifier", ""),
        ("Host", 1),
        ("Port", "6379"),
        ("Port", True),
        ("Port", 65_536),
        ("ReaderPort", 0),
        ("Engine", "memcached"),
        ("Region", "nowhere-1"),
        ("CaFile", "/nowhere/ca.pem"),
        ("CaFile", None),
        ("AdminPassword", None),
        ("Group", "unknown-group"),
        ("ClusterMode", "yes"),
        ("TransitEncryptionMode", "off"),
        ("Tags", ["a"]),
        ("Tokens", "a"),
    ],
)
def test_an_invalid_registration_is_rejected_with_its_key(
    emulator: Emulator, redis_server: RedisServer, key: str, value: object
) -> None:
    cache = name_of("cache")
    with pytest.raises(RejectedError, match=key):
        register(emulator, redis_server, cache, **{key: value})
    assert cache not in json.dumps(own(emulator, "caches"))


@contextmanager
def private_server(folder: Path) -> Iterator[RedisServer]:
    """Run a server with files in a folder, on one port whenever it runs."""
    try:
        yield redis.start(folder)
    finally:
        redis.stop(folder)


def test_a_server_that_cannot_be_trusted_is_not_registered(
    emulator: Emulator, redis_server: RedisServer, tmp_path: Path
) -> None:
    cache = name_of("cache")
    with private_server(tmp_path) as foreign:
        with pytest.raises(RejectedError, match="certificate is not valid"):
            register(emulator, foreign, cache, CaFile=str(redis_server.ca_file))
        with pytest.raises(RejectedError, match="certificate is not valid"):
            register(emulator, foreign, cache, Host="127.0.0.1")
        with pytest.raises(RejectedError, match="administrator's password"):
            register(emulator, foreign, cache, AdminPassword="another-password")
        assert login(foreign) == CLOSED
    with pytest.raises(RejectedError, match="does not answer"):
        register(emulator, foreign, cache)
    assert cache not in json.dumps(own(emulator, "caches"))
    register(emulator, redis_server, cache)
    with pytest.raises(RejectedError, match="does not answer"):
        register(emulator, foreign, cache)
    [group] = cache_of(client(emulator, "elasticache"), cache)["NodeGroups"]
    assert group["PrimaryEndpoint"]["Port"] == redis_server.port


@pytest.mark.parametrize(
    "body",
    [{"Seconds": -1}, {"Seconds": 4000}, {"Seconds": True}, {"Seconds": "1"}, {"Held": 1}, {"held": True}],
)
def test_an_invalid_pace_is_rejected(emulator: Emulator, body: dict[str, object]) -> None:
    with pytest.raises(RejectedError, match=r"Seconds|Held"):
        own(emulator, "cache-changes", body)


# --- Interruptions and secrets


def test_a_change_under_way_is_finished_after_a_restart_of_the_emulator(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALCLOUD_CACHE_SECONDS", "0")
    with running_emulator(tmp_path / "data") as emulator:
        elasticache = client(emulator, "elasticache")
        user = create(elasticache, OLD)
        register(emulator, redis_server, "cache", Group=grouped(emulator, elasticache, user))
        hold(emulator)
        elasticache.modify_user(UserId=user, Passwords=[NEW, OLD])
    assert login(redis_server, user, NEW) == NOBODY
    with running_emulator(tmp_path / "data") as emulator:
        elasticache = client(emulator, "elasticache")
        settle(emulator)
        assert described(elasticache, user)["Status"] == "active"
        assert (login(redis_server, user, NEW), login(redis_server, user, OLD)) == (user, user)


def test_an_invalid_pace_in_the_environment_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("soon", "-1", "4000", "nan"):
        monkeypatch.setenv("LOCALCLOUD_CACHE_SECONDS", wrong)
        with pytest.raises(AssertionError, match="LOCALCLOUD_CACHE_SECONDS must"), running_emulator(None):
            pass


def test_a_server_that_was_away_gets_its_users_when_it_is_back(
    emulator: Emulator, elasticache: Any, tmp_path: Path
) -> None:
    user, cache = create(elasticache, OLD), name_of("cache")
    with private_server(tmp_path) as server:
        register(emulator, server, cache, Group=grouped(emulator, elasticache, user))
    elasticache.modify_user(UserId=user, Passwords=[NEW])
    reason = re.compile(rf"elasticache user '{user}' stays as it is: the server does not answer \(\w+\)")
    while not reason.search(emulator.log.read_text()):
        assert described(elasticache, user)["Status"] == "modifying"
    with private_server(tmp_path) as server:
        settle(emulator)
        assert (login(server, user, NEW), login(server, user, OLD)) == (user, NOBODY)


def test_a_server_that_lost_its_users_gets_them_with_its_new_address(
    emulator: Emulator, elasticache: Any, tmp_path: Path
) -> None:
    user, cache = create(elasticache, OLD), name_of("cache")
    with private_server(tmp_path / "one") as server:
        register(emulator, server, cache, Group=grouped(emulator, elasticache, user))
        elasticache.modify_user(UserId=user, Passwords=[NEW])
        settle(emulator)
    with private_server(tmp_path / "two") as server:
        register(emulator, server, cache)
        assert (login(server, user, NEW), login(server, user, OLD)) == (user, NOBODY)
        assert cache_of(elasticache, cache)["NodeGroups"][0]["PrimaryEndpoint"]["Port"] == server.port


def test_passwords_and_tokens_are_in_no_log_and_only_as_hashes_in_the_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with private_server(tmp_path / "redis") as server, running_emulator(data) as emulator:
        elasticache, memorydb = client(emulator, "elasticache"), client(emulator, "memorydb")
        release(emulator)
        user = create(elasticache, OLD)
        register(emulator, server, "users", Group=grouped(emulator, elasticache, user))
        elasticache.modify_user(UserId=user, Passwords=[NEW, OLD])
        settle(emulator)
        assert login(server, user, NEW) == user
        memorydb.create_user(
            UserName="it",
            AuthenticationMode={"Type": "password", "Passwords": [NEWEST]},
            AccessString=ALL,
        )
        refused("InvalidParameterValue", elasticache.modify_user, UserId=user, Passwords=[OTHER + ","])
        register(emulator, server, "tokens", AuthToken=ONE)
        rotate(elasticache, "tokens", TWO)
        settle(emulator)
        assert login(server, TWO) == "default"
        refused("InvalidParameterValue", rotate, elasticache=elasticache, cache="tokens", token=THREE + "@")
        seen = [
            emulator.log.read_bytes(),
            server.log_file.read_bytes(),
            json.dumps(own(emulator, "caches")).encode(),
        ]
    seen.append(data.read_bytes())
    for password in (OLD, NEW, NEWEST, OTHER, ONE, TWO, THREE):
        assert not any(password.encode() in text for text in seen), password
    # what is looked through is where they would be
    assert user.encode() in seen[-1]
