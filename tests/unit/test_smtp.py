"""SMTP credentials in a stack file, and what the program declares for them."""

import json
from typing import Any

import pytest

from stack_file import SettingsError
from tests.support.recorded_run import Recording, run
from tests.unit.test_engines import checked
from tests.unit.test_program import SECRET, VERSION
from tests.unit.test_rotation_program import FUNCTION, INVOCATION, ROLE_POLICY, ROTATION

S = "aws-secrets:smtp.mail"


def of_smtp(**more: object) -> Any:  # noqa: ANN401  a stack file, or mistakes
    return checked({"smtp": {"mail": {"from": ["example.com"], **more}}})


def deployed(declared: dict[str, Any] | None = None, **more: object) -> Recording:
    return run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:smtp": {"mail": {"from": ["example.com"], **(declared or {})}},
            **{f"aws-secrets:{key}": value for key, value in more.items()},
        }
    )


@pytest.mark.parametrize(
    ("more", "path", "words"),
    [
        ({"from": []}, f"{S}.from", "at least"),
        ({"from": ["example"]}, f"{S}.from[0]", "not a domain or an email address"),
        ({"from": ["*.example.com"]}, f"{S}.from[0]", "not a domain or an email address"),
        ({"from": ["Billing <billing@example.com>"]}, f"{S}.from[0]", "not a domain or an email address"),
        ({"port": 80}, f"{S}.port", "587"),
        ({"region": "us-esat-1"}, f"{S}.region", "unknown AWS region"),
        ({"configurationSets": ["a b"]}, f"{S}.configurationSets[0]", "not the name of a configuration set"),
        ({"values": {"SMTP_PASSWORD": {"value": "x"}}}, S, "set themselves"),
        ({"password": {"config": "x"}}, f"{S}.password", ""),
    ],
)
def test_what_cannot_work_is_rejected(more: dict[str, Any], path: str, words: str) -> None:
    mistakes = of_smtp(**more)
    assert isinstance(mistakes, dict)
    assert words in mistakes[path]


def test_a_pipeline_cannot_create_iam_users() -> None:
    role = "arn:aws:iam::123456789012:role/pipeline"
    mistakes = checked({"smtp": {"mail": {"from": ["example.com"]}}, "updateRole": role})
    assert isinstance(mistakes, dict)
    assert "may not create IAM users" in mistakes[S]
    assert "an administrator updates" in mistakes[S]


def test_a_name_is_used_once_in_all_sections() -> None:
    mistakes = checked(
        {
            "smtp": {"mail": {"from": ["example.com"]}},
            "secrets": {"mail": {"values": {"A": {"value": "a"}}}},
        }
    )
    assert isinstance(mistakes, dict)
    assert any("mail" in text for text in mistakes.values())


def test_config_values_of_further_keys_are_checked() -> None:
    mistakes = of_smtp(values={"SMTP_DOMAIN": {"config": "missing"}})
    assert isinstance(mistakes, dict)
    assert "pulumi config set" in mistakes[f"{S}.values.SMTP_DOMAIN.config"]


def test_the_program_declares_user_secret_and_rotation() -> None:
    recording = deployed({"values": {"SMTP_DOMAIN": {"value": "example.com"}}})
    value = json.loads(recording.only(VERSION).inputs["secretString"])
    assert value["SMTP_DOMAIN"] == "example.com"
    assert value["SMTP_PASSWORD"] == ""
    [function] = [found for found in recording.resources if found.type == FUNCTION]
    assert "vpcConfig" not in function.inputs
    assert recording.only(ROTATION).inputs["rotationRules"] == {"automaticallyAfterDays": 30}
    assert recording.only(INVOCATION)
    policy = json.loads(recording.only(ROLE_POLICY).inputs["policy"])
    [keys] = [one for one in policy["Statement"] if "iam:CreateAccessKey" in one["Action"]]
    tags = recording.only(SECRET).inputs["tags"]
    assert keys["Resource"] == [tags["aws-secrets:rotation-user"]]
    assert recording.only("aws:iam/user:User").inputs["name"] == keys["Resource"][0].rpartition("/")[2]
    output = recording.outputs["smtp"]["mail"]
    assert output["name"] == "mail"
    assert output["warnings"] == []


def test_workloads_read_smtp_credentials_like_any_secret() -> None:
    workload = {"ecs": {}, "environmentFrom": ["mail"]}
    recording = deployed(workloads={"web": workload})
    names = {one["name"] for one in recording.outputs["workloads"]["web"]["containerSecrets"]}
    assert names == {"SMTP_USERNAME", "SMTP_PASSWORD", "SMTP_ADDRESS", "SMTP_PORT"}


def test_rotation_can_be_off() -> None:
    assert ROTATION not in deployed({"rotation": {"enabled": False}}).types()


def test_a_policy_that_is_too_long_is_reported_before_anything_is_declared() -> None:
    people = [f"person{number}@example.com" for number in range(20)]
    with pytest.raises(SettingsError, match="IAM accepts 2048"):
        deployed({"from": people})
