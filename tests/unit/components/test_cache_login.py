import dataclasses
import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import (
    ArgumentError,
    Cache,
    CacheLogin,
    CacheLoginArgs,
    CacheUser,
    Network,
    RotationFunction,
    RotationFunctionArgs,
    Schedule,
    SecretArgs,
)
from components.lambdas import build
from components.lambdas.rotation.cache_secret import read_cache_login, with_password
from components.lambdas.rotation.cache_token import AuthTokenDriver
from components.lambdas.rotation.cache_user import CacheUserDriver
from components.lambdas.rotation.driver_selection import driver_for
from components.lambdas.rotation.errors import OperatorError
from components.lambdas.rotation.store import Description
from components.permissions_boundary import boundary
from components.pipeline_scope import PipelineScope
from tests.support.recorded_run import Recording, record

USER_ARN = "arn:aws:elasticache:us-east-1:123456789012:user:shop"
MEMORYDB_ARN = "arn:aws:memorydb:us-east-1:123456789012:user/shop"
GROUP_ARN = "arn:aws:elasticache:us-east-1:123456789012:replicationgroup:shop"
FUNCTION = "aws:lambda/function:Function"
INVOCATION = "aws:lambda/invocation:Invocation"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
POLICY = "aws:iam/rolePolicy:RolePolicy"
SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:shop-AbCdEf"


@pytest.fixture(autouse=True)
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A build of the default archive that downloads nothing."""

    def built(output: Path, _cache: Path) -> build.Archive:
        output.write_bytes(b"zip")
        return build.Archive(output, "AAAA", 3)

    monkeypatch.setattr(build, "build", built)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def arguments(**changes: Any) -> CacheLoginArgs:  # noqa: ANN401  any argument
    return CacheLoginArgs(
        **{
            "secret": SecretArgs(secret_name="shop"),
            "cache": Cache(host="cache.example", reader_host="ro.example"),
            "user": CacheUser(arn=USER_ARN, name="shop app"),
            **changes,
        }
    )


def for_token(**changes: Any) -> CacheLoginArgs:  # noqa: ANN401  any argument
    cache = Cache(host="cache.example", replication_group_arn=GROUP_ARN)
    return arguments(**{"user": None, "cache": cache, **changes})


def login(args: CacheLoginArgs | None = None) -> Recording:
    return record(lambda: CacheLogin("shop", args or arguments()))


def first_value(recorded: Recording) -> dict[str, str]:
    found: dict[str, str] = json.loads(recorded.only(VERSION).inputs["secretString"])
    return found


def event(recorded: Recording) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recorded.only(INVOCATION).inputs["input"])
    return found


def statements(recorded: Recording) -> dict[str, dict[str, Any]]:
    policy = json.loads(recorded.only(POLICY).inputs["policy"])
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def described(recorded: Recording) -> Description:
    tags = recorded.only("aws:secretsmanager/secret:Secret").inputs["tags"]
    return Description(SECRET_ARN, tags, {}, rotation_enabled=True, deleted=False)


def test_no_password_is_in_the_programs_hands() -> None:
    recorded = login()
    assert first_value(recorded) == {
        "engine": "valkey",
        "host": "cache.example",
        "port": "6379",
        "username": "shop app",
        "password": "",
        "REDIS_URL": "rediss://shop%20app@cache.example:6379",
        "REDIS_READER_URL": "rediss://shop%20app@ro.example:6379",
    }
    assert not [resource for resource in recorded.resources if "random" in resource.type]


def test_the_function_reads_a_user_as_it_was_declared() -> None:
    recorded = login(arguments(password_length=64))
    driver = driver_for(described(recorded), first_value(recorded))
    assert isinstance(driver, CacheUserDriver)
    assert (driver.length, driver.target.arn, driver.target.name) == (64, USER_ARN, "shop")
    request = {key: value for key, value in event(recorded).items() if key not in {"Action", "SecretId"}}
    driver.check_request(request, {"Cache", "Connection"}, first_value(recorded))
    with pytest.raises(OperatorError, match="'port'"):
        driver.check_request(request, {"Cache", "Connection"}, {**first_value(recorded), "port": "1"})
    completed = with_password(first_value(recorded), SECRET_ARN, "pass", token=False)
    assert completed["REDIS_URL"] == "rediss://shop%20app:pass@cache.example:6379"
    assert read_cache_login(completed, SECRET_ARN, token=False).username == "shop app"


def test_the_function_reads_a_token_as_it_was_declared() -> None:
    recorded = login(for_token())
    driver = driver_for(described(recorded), first_value(recorded))
    assert isinstance(driver, AuthTokenDriver)
    assert driver.target.arn == GROUP_ARN
    request = {key: value for key, value in event(recorded).items() if key not in {"Action", "SecretId"}}
    driver.check_request(request, {"Cache", "Connection"}, first_value(recorded))
    assert "username" not in first_value(recorded)
    completed = with_password(first_value(recorded), SECRET_ARN, "token", token=True)
    assert completed["REDIS_URL"] == "rediss://:token@cache.example:6379"


def test_outputs_of_other_resources_are_resolved() -> None:
    def declare() -> None:
        cache = Cache(
            host=pulumi.Output.from_input("cache.example"), reader_host=pulumi.Output.from_input("ro.example")
        )
        user = CacheUser(arn=pulumi.Output.from_input(USER_ARN), name="shop app")
        CacheLogin("shop", arguments(cache=cache, user=user))

    recorded, plain = record(declare), login()
    assert first_value(recorded) == first_value(plain)
    assert described(recorded).tags == described(plain).tags
    for type_ in (INVOCATION, FUNCTION, POLICY):
        assert recorded.only(type_).inputs == plain.only(type_).inputs


@pytest.mark.parametrize(
    ("args", "arn", "actions"),
    [
        (arguments(), USER_ARN, ["elasticache:CreateUser", "elasticache:ModifyUser"]),
        (
            arguments(
                cache=Cache(service="memorydb", host="cache.example"),
                user=CacheUser(arn=MEMORYDB_ARN, name="shop"),
            ),
            MEMORYDB_ARN,
            ["memorydb:CreateUser", "memorydb:UpdateUser"],
        ),
    ],
    ids=["elasticache", "memorydb"],
)
def test_the_function_may_set_passwords_of_exactly_the_declared_user(
    args: CacheLoginArgs, arn: str, actions: list[str]
) -> None:
    found = of_caches(login(args))
    assert all(statement["Resource"] == [arn] for statement in found)
    (change,) = [statement for statement in found if statement["Action"] == actions]
    service = actions[0].partition(":")[0]
    assert change["Condition"] == {"StringEquals": {f"{service}:UserAuthenticationMode": "password"}}


def of_caches(recorded: Recording) -> list[dict[str, Any]]:
    found = [value for sid, value in statements(recorded).items() if "These" in sid and "Secrets" not in sid]
    assert len(found) > 1
    return found


def test_the_function_may_change_exactly_the_declared_group() -> None:
    found = of_caches(login(for_token()))
    assert all(statement["Resource"] == [GROUP_ARN] for statement in found)
    assert {action for statement in found for action in statement["Action"]} == {
        "elasticache:AddTagsToResource",
        "elasticache:DescribeReplicationGroups",
        "elasticache:ListTagsForResource",
        "elasticache:ModifyReplicationGroup",
    }


def test_a_user_that_is_created_joins_its_group() -> None:
    group = "arn:aws:elasticache:us-east-1:123456789012:usergroup:shop"
    user = CacheUser(arn=USER_ARN, name="shop app", access_string="on ~* +@all", group_arn=group)
    recorded = login(arguments(user=user))
    assert (event(recorded)["AccessString"], event(recorded)["UserGroup"]) == ("on ~* +@all", group)
    assert statements(recorded)["ChangeTheseUserGroups"]["Resource"] == [group]
    assert {"AccessString", "UserGroup"}.isdisjoint(event(login()))


def test_only_a_function_for_caches_has_a_long_timeout() -> None:
    def other() -> None:
        RotationFunction("rotation", RotationFunctionArgs(archive="a.zip", secret_names=["shop"]))

    assert login().only(FUNCTION).inputs["timeout"] == 900
    plain = record(other)
    assert plain.only(FUNCTION).inputs["timeout"] == 60
    assert not [sid for sid in statements(plain) if "Users" in sid or "Groups" in sid]


def test_policies_are_divided_with_many_caches() -> None:
    arns = [f"arn:aws:elasticache:us-east-1:123456789012:user:{'u' * 36}{number:03}" for number in range(150)]

    def declare() -> None:
        args = RotationFunctionArgs(archive="a.zip", secret_names=["shop"], cache_arns=arns)
        RotationFunction("rotation", args)

    recorded = record(declare)
    texts = [recorded.only(POLICY).inputs["policy"]]
    texts += [found.inputs["policy"] for found in recorded.resources if found.type == "aws:iam/policy:Policy"]
    assert len(texts) > 1
    allowed = {
        arn
        for text in texts
        for statement in json.loads(text)["Statement"]
        if "elasticache:ModifyUser" in statement["Action"]
        for arn in statement["Resource"]
    }
    assert allowed == set(arns)


def test_a_schedule_attaches_a_rotation_after_the_password_is_set() -> None:
    recorded = login(arguments(schedule=Schedule(automatically_after_days=30)))
    assert recorded.only(INVOCATION).urn in recorded.only(ROTATION).dependencies
    assert ROTATION not in login().types()


def test_a_serverless_reader_has_a_port_of_its_own() -> None:
    recorded = login(
        arguments(cache=Cache(host="cache.example", reader_host="cache.example", reader_port=6380))
    )
    assert first_value(recorded)["REDIS_READER_URL"] == "rediss://shop%20app@cache.example:6380"


def test_a_role_is_granted_read_access_to_the_secret() -> None:
    recorded = record(lambda: CacheLogin("shop", arguments()).grant_read("tasks"))
    assert "shop-login-read-by-tasks" in {resource.name for resource in recorded.resources}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"password_length": 129}, "password_length is 129: use a whole number, 16 to 128"),
        ({"user": None}, "write user=CacheUser"),
        (
            {"user": None, "cache": Cache(service="memorydb", host="h", replication_group_arn="a")},
            "no AUTH tok",
        ),
        ({"secret": SecretArgs(secret_name="x" * 257)}, "longer than 256 characters"),
        ({"function": ""}, "function is empty"),
        (
            {"function": "arn", "network": Network(subnet_ids=["s"], security_group_ids=["g"])},
            "are for a function of its own",
        ),
    ],
)
def test_an_argument_that_cannot_work_is_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        arguments(**changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cache(host=""), "host is empty"),
        (lambda: Cache(host="h", engine="memcached"), "unknown engine 'memcached'"),  # type: ignore[arg-type]
        (lambda: Cache(host="h", service="redis"), "unknown service 'redis'"),  # type: ignore[arg-type]
        (lambda: Cache(host="h", reader_port=0), "reader_port is 0"),
        (lambda: CacheUser(arn="", name="shop"), "arn is empty"),
    ],
)
def test_a_part_that_cannot_work_is_rejected(make: Any, message: str) -> None:  # noqa: ANN401  a constructor
    with pytest.raises(ArgumentError, match=message):
        make()


def test_a_boundary_allows_what_the_function_needs_and_nothing_without_caches() -> None:
    plain = PipelineScope(
        account_id="123456789012",
        partition="aws",
        region="us-east-1",
        repository="owner/name",
        oidc_provider_arn="arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com",
        project="shop",
        stacks=["prod"],
        secret_prefixes=["shop"],
    )
    assert "elasticache" not in boundary(plain)
    allowed = json.loads(boundary(dataclasses.replace(plain, cache_arns=[USER_ARN])))["Statement"]
    by_sid = {statement["Sid"]: statement for statement in allowed}
    for sid, statement in statements(login()).items():
        if "These" in sid and "Secrets" not in sid:
            assert by_sid[sid] == statement
            assert set(statement["Action"]) <= set(by_sid["NothingElseWhoeverAllowsIt"]["NotAction"])
