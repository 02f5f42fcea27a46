"""Resources for caches and their logins, without an engine."""

import json
from typing import Any

import pytest

from stack_file import SettingsError
from tests.support.recorded_run import Recording, run
from tests.unit.test_program import SECRET, VERSION
from tests.unit.test_rotation_program import FUNCTION, INVOCATION, ROLE_POLICY, ROTATION

USER = "arn:aws:elasticache:us-east-1:123456789012:user:web"
MEMORYDB_USER = "arn:aws:memorydb:us-east-1:123456789012:user/web"
GROUP = "arn:aws:elasticache:us-east-1:123456789012:replicationgroup:sessions"


def one_cache(login: dict[str, Any], cache: dict[str, Any] | None = None, **more: object) -> Recording:
    declared = {**(cache or {"replicationGroup": "sessions"}), "logins": {"sessions-login": login}}
    return run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:caches": {"sessions": declared},
            **{f"aws-secrets:{key}": value for key, value in more.items()},
        }
    )


def first_value(recording: Recording) -> dict[str, str]:
    text = recording.only(VERSION, "sessions-login-login-initial-version").inputs["secretString"]
    value: dict[str, str] = json.loads(text)
    return value


def test_a_users_login_has_every_key_but_no_password() -> None:
    recording = one_cache({"user": "web", "readerUrl": True})
    assert first_value(recording) == {
        "engine": "valkey",
        "host": "sessions.cache.example",
        "port": "6379",
        "username": "web-name",
        "password": "",
        "REDIS_URL": "rediss://web-name@sessions.cache.example:6379",
        "REDIS_READER_URL": "rediss://web-name@sessions-ro.cache.example:6379",
    }
    assert "random:index/randomPassword:RandomPassword" not in recording.types()


@pytest.mark.parametrize(
    ("cache", "login", "arn"),
    [
        ({"replicationGroup": "sessions"}, {"user": "web"}, USER),
        ({"serverlessCache": "sessions"}, {"user": "web"}, USER),
        (
            {"memorydbCluster": "sessions"},
            {"user": "web"},
            "arn:aws:memorydb:us-east-1:123456789012:user/web",
        ),
        ({"replicationGroup": "sessions"}, {"authToken": True}, GROUP),
    ],
)
def test_the_function_may_change_exactly_what_is_declared(
    cache: dict[str, str], login: dict[str, Any], arn: str
) -> None:
    recording = one_cache(login, cache)
    [function] = [found for found in recording.resources if found.type == FUNCTION]
    assert function.inputs["vpcConfig"] == {
        "subnetIds": ["subnet-c", "subnet-d"],
        "securityGroupIds": ["sg-2"],
    }
    [policy] = [found for found in recording.resources if found.type == ROLE_POLICY]
    statements = json.loads(policy.inputs["policy"])["Statement"]
    caches = [
        statement
        for statement in statements
        if any(action.startswith(("elasticache:", "memorydb:")) for action in statement["Action"])
    ]
    assert caches
    for statement in caches:
        assert statement["Resource"] in (arn, [arn]), statement
    assert recording.only(SECRET).inputs["tags"]["aws-secrets:rotation-cache"] == arn
    sent = json.loads(recording.only(INVOCATION).inputs["input"])
    assert arn in sent["Cache"].values()


def test_a_user_that_the_function_creates_is_not_looked_up() -> None:
    access = "on ~app:* +@all -@dangerous"
    recording = one_cache({"user": "new", "accessString": access, "userGroup": "web"})
    assert first_value(recording)["username"] == "new"
    sent = json.loads(recording.only(INVOCATION).inputs["input"])
    assert (sent["AccessString"], sent["UserGroup"]) == (access, USER.replace(":user:web", ":usergroup:web"))
    [policy] = [found for found in recording.resources if found.type == ROLE_POLICY]
    assert ":usergroup:web" in policy.inputs["policy"]


def test_a_serverless_caches_reader_has_a_port_of_its_own() -> None:
    value = first_value(one_cache({"user": "web", "readerUrl": True}, {"serverlessCache": "sessions"}))
    assert value["REDIS_READER_URL"] == "rediss://web-name@serverless.cache.example:6380"


def test_a_reader_that_aws_does_not_know_is_a_mistake() -> None:
    with pytest.raises(SettingsError) as raised:
        one_cache({"user": "web", "readerUrl": True}, {"memorydbCluster": "sessions"})
    [mistake] = raised.value.mistakes
    assert mistake.path == "aws-secrets:caches.sessions.memorydbCluster"
    assert "no reader endpoint" in mistake.wrong


def test_a_cache_and_a_database_of_one_network_share_a_function() -> None:
    database = {"rdsInstance": "example-db", "vpc": {"subnetIds": ["subnet-c"], "securityGroupIds": ["sg-1"]}}
    login = {"username": "app", "database": "shop"}
    cache = {"replicationGroup": "sessions", "vpc": {"subnetIds": ["subnet-c"], "securityGroupIds": ["sg-2"]}}
    recording = one_cache({"user": "web"}, cache, databases={"shop": {**database, "logins": {"db": login}}})
    function = recording.only(FUNCTION)
    assert function.inputs["vpcConfig"]["securityGroupIds"] == ["sg-1", "sg-2"]
    assert {found.name for found in recording.resources if found.type == ROTATION} == {
        "db-rotation-schedule",
        "sessions-login-rotation-schedule",
    }


def test_a_workload_reads_a_caches_url_by_its_name() -> None:
    workload = {
        "kubernetes": {"operator": "external-secrets", "role": "web-role"},
        "environment": {"REDIS_URL": {"secret": "sessions-login", "key": "REDIS_URL"}},
    }
    recording = one_cache({"user": "web"}, workloads={"web": workload})
    assert recording.outputs["workloads"]["web"]
    assert recording.outputs["caches"]["sessions"]["logins"]["sessions-login"]["name"] == "sessions-login"
