"""A workload's role reads what the workload declares and nothing else, with policies enforced."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.manifests import manifests_of, pod_of
from tests.support.stacks import Stack

SECRETS = {
    "app": {"values": {"KEY_BASE": {"random": {}}, "NAME": {"value": 'it\'s "mine"\n'}}},
    "vendor": {"values": {"TOKEN": {"filledByHand": "the vendor"}}},
    "other": {"values": {"PASSWORD": {"random": {}}}},
}


def with_role(stack: Stack, role_arn: str) -> Any:  # noqa: ANN401  boto3 is untyped
    """Return a Secrets Manager client with a role's credentials."""
    credentials = stack.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="pod")["Credentials"]
    return stack.client(credentials=credentials)


def role_that_exists(stack: Stack, name: str = "hook-role") -> str:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    made = stack.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    return str(made["Role"]["Arn"])


def output(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stack.pulumi("stack", "output", "--json").stdout)["workloads"]
    return found


@pytest.mark.parametrize("encryption", ["stack-key", "aws-managed"])
def test_a_role_reads_exactly_the_declared_secrets(stack: Stack, encryption: str) -> None:
    arn = role_that_exists(stack)
    workload = {
        "lambda": {"role": "hook-role"},
        "environment": {"KEY_BASE": {"secret": "app"}, "VENDOR": {"secret": "vendor", "key": "TOKEN"}},
    }
    stack.configure(SECRETS, workloads={"hook": workload}, encryption=encryption)
    stack.up()
    reader = with_role(stack, arn)
    for name in ("app", "vendor"):
        assert json.loads(reader.get_secret_value(SecretId=name)["SecretString"]) == stack.value(name)
    for call in (
        lambda: reader.get_secret_value(SecretId="other"),
        lambda: reader.put_secret_value(SecretId="app", SecretString="{}"),
        reader.list_secrets,
        lambda: reader.delete_secret(SecretId="app"),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert output(stack)["hook"]["roleArn"] == arn


def test_a_removed_workload_loses_access_and_the_secret_stays(stack: Stack) -> None:
    arn = role_that_exists(stack)
    workload = {"lambda": {"role": "hook-role"}, "environment": {"KEY_BASE": {"secret": "app"}}}
    stack.configure(SECRETS, workloads={"hook": workload})
    stack.up()
    value = stack.value("app")
    stack.configure(SECRETS)
    assert stack.up() == ["delete hook-policy"]
    with pytest.raises(ClientError):
        with_role(stack, arn).get_secret_value(SecretId="app")
    assert stack.value("app") == value


def test_a_required_placeholder_warns_until_it_is_filled_in(stack: Stack) -> None:
    role_that_exists(stack)
    workload = {
        "lambda": {"role": "hook-role"},
        "environment": {"TOKEN": {"secret": "vendor", "required": True}},
    }
    stack.configure(SECRETS, workloads={"hook": workload})
    words = "TOKEN of vendor is not filled in yet (the vendor)"
    assert words in stack.pulumi("up", "--yes", "--skip-preview").stdout
    assert words in stack.pulumi("preview").stdout
    stack.edit("vendor", TOKEN="filled")
    assert words not in stack.pulumi("preview").stdout


def test_manifests_are_stable_and_hold_no_value(stack: Stack) -> None:
    provider = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
    workloads = {
        operator: {
            "kubernetes": {"operator": operator, "oidcProviderArn": provider},
            "environmentFrom": ["app"],
            "files": {"token": {"secret": "vendor", "key": "TOKEN"}},
        }
        for operator in ("external-secrets", "secrets-store-csi")
    }
    stack.configure(SECRETS, workloads=workloads)
    stack.up()
    first = output(stack)
    stack.edit("vendor", TOKEN="a-filled-value")
    assert stack.up() == []
    assert output(stack) == first
    text = json.dumps([first, *map(manifests_of, first.values()), *map(pod_of, first.values())])
    for value in [*stack.value("app").values(), "a-filled-value"]:
        shows = json.dumps(value)[1:-1] in text
        assert not shows
