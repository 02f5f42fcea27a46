"""The meaning of a stack file, without an engine and without AWS."""

from typing import Any, get_args

import pytest

from components.lambdas.rotation import mysql_grants, postgres_grants
from components.login_parts import LoginArgs
from program.arns import Account, is_cross_account, kms_key_arn, secret_arn_pattern, secret_name
from program.desired import Desired, resolve
from stack_file import StackFile
from stack_file.databases import Grants

ACCOUNT = Account("123456789012", "aws", "us-east-1")
ELSEWHERE = "arn:aws:iam::210987654321:role/team/reader"
ADMIN_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:admin-AbCdEf"
SECRETS: dict[str, Any] = {
    "app": {"values": {"A": {"random": {}}, "B": {"filledByHand": "the vendor"}}},
    "token": {"text": {"filledByHand": "the bank"}, "encryption": "aws-managed", "tags": {"own": "x"}},
}
LOGIN = {"username": "shop", "database": "shop"}
OUTSIDE = {"host": "db.example", "outsideVpc": True}


def desired(**settings: Any) -> Desired:  # noqa: ANN401  whatever a stack file holds
    return resolve(StackFile.model_validate({"secrets": SECRETS, **settings}, strict=False), "shop", "prod")


def reading(reads: dict[str, Any], role: str | None = None, **more: object) -> dict[str, Any]:
    return {"ecs": {"role": role} if role else {}, "environment": reads, **more}


def test_a_secrets_own_settings_win_over_the_stacks() -> None:
    secrets = desired(
        tags={"team": "web"}, recoveryWindowDays=7, protect=True, initialValues="managed"
    ).secrets
    app, token = secrets["app"], secrets["token"]
    assert (app.encryption, token.encryption) == ("stack-key", "aws-managed")
    assert (app.tags, token.tags) == ({"team": "web"}, {"team": "web", "own": "x"})
    assert (app.recovery_window_days, app.protect, app.mode) == (7, True, "managed")
    assert app.path == "shop:secrets.app"


def test_placeholders_have_their_hints_and_a_whole_value_an_empty_key() -> None:
    secrets = desired().secrets
    assert secrets["app"].placeholders == {"B": "the vendor"}
    assert secrets["token"].placeholders == {"": "the bank"}
    assert secrets["token"].keys == ()


def test_readers_are_listed_with_their_keys_in_the_secrets_order() -> None:
    workloads = {
        "web": reading({"B": {"secret": "app"}, "X": {"secret": "app", "key": "A"}}),
        "worker": {**reading({"TOKEN": {"secret": "token"}}), "environmentFrom": ["app"]},
        "tool": reading({"APP": {"secret": "app", "whole": True}}),
    }
    secrets = desired(workloads=workloads).secrets
    assert secrets["app"].readers == {"web": ("A", "B"), "worker": ("A", "B"), "tool": ("A", "B")}
    assert secrets["token"].readers == {"worker": ()}
    one_key = desired(workloads={"web": reading({"B": {"secret": "app"}})})
    assert one_key.secrets["app"].readers == {"web": ("B",)}


def test_only_roles_of_other_accounts_are_cross_account_readers() -> None:
    workloads = {
        "web": reading({"A": {"secret": "app"}}, ELSEWHERE),
        "worker": reading({"A": {"secret": "app"}}, "arn:aws:iam::123456789012:role/tasks"),
        "tool": reading({"A": {"secret": "app"}}),
    }
    found = desired(workloads=workloads)
    assert found.cross_account_readers(ACCOUNT) == {"app": [ELSEWHERE]}
    arns = {name: workload.role_arn(ACCOUNT) for name, workload in found.workloads.items()}
    assert arns == {"web": ELSEWHERE, "worker": "arn:aws:iam::123456789012:role/tasks", "tool": None}


@pytest.mark.parametrize(
    ("database", "administrator"),
    [
        ({"rdsInstance": "db"}, "rds"),
        ({"auroraCluster": "db"}, "rds"),
        ({"rdsInstance": "db", "admin": {"secretArn": ADMIN_ARN}}, "existing-secret"),
        (
            {**OUTSIDE, "admin": {"secret": "admin", "username": "root", "password": {"config": "p"}}},
            "stack-secret",
        ),
        (OUTSIDE, "none"),
    ],
)
def test_an_administrator_is_where_the_stack_file_or_rds_has_it(
    database: dict[str, Any], administrator: str
) -> None:
    login = {**LOGIN, "users": "single", "password": {"config": "p"}}
    found = desired(databases={"main": {**database, "logins": {"shop-db": login}}})
    assert found.databases["main"].administrator == administrator
    # a login has the administrator's ARN among its keys exactly if there is one
    assert ("masterarn" in found.secrets["shop-db"].keys) == (administrator != "none")
    assert ("admin" in found.secrets) == (administrator == "stack-secret")


def test_each_way_to_rotate_has_its_schedule() -> None:
    own = "arn:aws:lambda:us-east-1:123456789012:function:theirs"
    secrets = {
        "keys": {**SECRETS["app"], "rotation": {"keys": ["A"], "automaticallyAfterDays": 7}},
        "own": {**SECRETS["app"], "rotation": {"functionArn": own, "scheduleExpression": "rate(9 days)"}},
        "partner": {**SECRETS["app"], "partner": {"type": "SalesforceClientSecret"}},
        "never": SECRETS["app"],
    }
    logins = {"on": LOGIN, "off": {**LOGIN, "username": "other", "rotation": {"enabled": False}}}
    found = desired(secrets=secrets, databases={"main": {"rdsInstance": "db", "logins": logins}}).secrets
    days = {
        name: (one.schedule.automatically_after_days if one.schedule else None, one.rotated_by)
        for name, one in found.items()
    }
    assert days == {
        "keys": (7, "stack"),
        "own": (None, "own-function"),
        "partner": (30, "aws"),
        "never": (None, "stack"),
        "on": (30, "stack"),
        "off": (None, "stack"),
    }
    assert found["own"].schedule is not None
    assert (found["own"].schedule.schedule_expression, found["own"].function_arn) == ("rate(9 days)", own)
    assert found["on"].login_tags.keys() == {"aws-secrets:rotation", "aws-secrets:rotation-length"}
    assert found["never"].login_tags == {}


def test_names_have_a_prefix_only_for_a_pipeline() -> None:
    plain = desired()
    updated = desired(updateRole="arn:aws:iam::123456789012:role/update")
    assert (plain.role_name("web"), plain.log_group_prefix) == ("web-role", "/aws/lambda/")
    assert updated.function_name("writer") == "shop-prod_writer-function"
    assert updated.log_group_prefix == "/aws/lambda/shop-prod_"
    assert resolve(StackFile.model_validate({}), "a b", "c.d").key_alias == "a-b/c-d"


def test_arns_are_built_and_read_for_the_stacks_account() -> None:
    assert ACCOUNT.arn("iam", "role/web", region="") == "arn:aws:iam::123456789012:role/web"
    assert secret_name(ADMIN_ARN) == secret_name("admin") == "admin"
    assert secret_arn_pattern("admin", ACCOUNT) == ADMIN_ARN.replace("AbCdEf", "??????")
    assert secret_arn_pattern(ADMIN_ARN, ACCOUNT) == ADMIN_ARN
    assert not is_cross_account("admin", ACCOUNT)
    assert is_cross_account(ADMIN_ARN, Account("210987654321", "aws", "us-east-1"))
    keys = {"": None, "alias/aws/secretsmanager": None, "k": "key/k", "alias/a": "alias/a"}
    for key, resource in keys.items():
        arn = resource and f"arn:aws:kms:us-east-1:123456789012:{resource}"
        assert kms_key_arn(key, ACCOUNT) == arn


def test_stack_file_component_and_function_know_the_same_grants() -> None:
    known = {postgres_grants.READ_ONLY, postgres_grants.READ_WRITE, postgres_grants.OWNER}
    choices = get_args(LoginArgs.__annotations__["grants"])
    [of_component] = [get_args(choice) for choice in choices if "owner" in get_args(choice)]
    assert set(get_args(Grants)) == set(of_component) == known == mysql_grants._LEVELS.keys()
