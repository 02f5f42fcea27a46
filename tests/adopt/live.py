"""Secrets as Terraform's modules leave them in AWS, with their states; all values are made up."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations.adopt.terraform_instance import POLICY, SECRET, VERSION
from tests.adopt.recorded import WORKSPACES, attributes_of, filled, text_of
from tests.support.emulator_functions import deploy, until, zipped
from tests.support.emulator_process import Emulator
from tests.support.stacks import Stack

# Rotates one key as a vendor's function would.
ROTATION = """
import boto3, json, os

def handle(event, _):
    client = boto3.client("secretsmanager")
    secret, token = event["SecretId"], event["ClientRequestToken"]
    current = client.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")
    if event["Step"] == "createSecret":
        try:
            client.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
        except client.exceptions.ResourceNotFoundException:
            value = {**json.loads(current["SecretString"]), "token": "rotated-" + token}
            client.put_secret_value(
                SecretId=secret,
                ClientRequestToken=token,
                SecretString=json.dumps(value),
                VersionStages=["AWSPENDING"],
            )
    if event["Step"] == "finishSecret" and current["VersionId"] != token:
        client.update_secret_version_stage(
            SecretId=secret,
            VersionStage="AWSCURRENT",
            MoveToVersionId=token,
            RemoveFromVersionId=current["VersionId"],
        )
"""


@dataclass(frozen=True)
class Made:
    """A live secret with the Terraform state of its module, as a document."""

    name: str
    arn: str
    state: Mapping[str, Any]


def thoughtbot(stack: Stack, name: str) -> Made:
    """A secret of thoughtbot's random-secret module: a KMS key, a policy and two generated keys."""
    return _made(stack, "thoughtbot", name, {})


def many(stack: Stack, shape: str, prefix: str) -> Made:
    """Forty secrets of one of the shapes, whose names begin with `prefix`."""
    return _made(stack, shape, prefix, {})


def of_modules(stack: Stack, name: str) -> Made:
    """A secret of terraform-aws-modules' module, which a Lambda function rotates, and has rotated once."""
    emulator = Emulator(0, stack.endpoint, {}, Path(), 0)
    function = deploy(emulator, f"{name}-rotation", zipped(ROTATION))
    allow_invocation(stack.client("lambda"), function)
    made = _made(stack, "terraform_aws_modules", name, {"FUNCTION": function})
    stack.client().rotate_secret(
        SecretId=name,
        RotationLambdaARN=function,
        RotationRules={"ScheduleExpression": "rate(10 days)", "Duration": "3h"},
        RotateImmediately=False,
    )
    rotate(stack, name)
    return made


def allow_invocation(functions: Any, arn: str) -> None:  # noqa: ANN401  boto3 is untyped
    """Let Secrets Manager invoke a function."""
    functions.add_permission(
        FunctionName=arn,
        StatementId="AllowSecretsManager",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )


def rotate(stack: Stack, name: str) -> None:
    """Rotate a secret now, and wait until its value is another one."""
    before = stack.client().get_secret_value(SecretId=name)["VersionId"]
    until(lambda: "AWSPENDING" not in _labels(stack, name))
    stack.client().rotate_secret(SecretId=name)
    until(lambda: stack.client().get_secret_value(SecretId=name)["VersionId"] != before)
    until(lambda: "AWSPENDING" not in _labels(stack, name))


def _labels(stack: Stack, name: str) -> set[str]:
    """Return the labels of versions that are not current."""
    stages = stack.client().describe_secret(SecretId=name)["VersionIdsToStages"].values()
    return {label for labels in stages if "AWSCURRENT" not in labels for label in labels}


def merged(*states: Mapping[str, Any]) -> dict[str, Any]:
    """One state with the resources of several, each in modules of its own."""
    resources = []
    for number, state in enumerate(states):
        text = json.dumps(state["resources"])
        for module in ("module.app", "module.vendor"):
            text = text.replace(module, f"{module}_{number}")
        resources += json.loads(text)
    return {**states[0], "resources": resources}


def snapshot(stack: Stack, *names: str) -> dict[str, Any]:
    """All that may not change: hashes of values by version, policies, tags and schedules; no labels "
    "of ours."""
    client = stack.client()
    found = {}
    for name in names:
        described = client.describe_secret(SecretId=name)
        versions = client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
        found[name] = {
            "arn": described["ARN"],
            "versions": {
                version["VersionId"]: _hash(
                    client.get_secret_value(SecretId=name, VersionId=version["VersionId"])
                )
                for version in versions
            },
            "labels": {
                version: sorted(label for label in labels if not label.startswith("aws-secrets"))
                for version, labels in described["VersionIdsToStages"].items()
            },
            "policy": client.get_resource_policy(SecretId=name).get("ResourcePolicy"),
            "about": {
                key: described.get(key)
                for key in (
                    *("Description", "KmsKeyId", "Tags", "RotationEnabled", "RotationLambdaARN"),
                    *("RotationRules", "LastRotatedDate", "ReplicationStatus"),
                )
            },
        }
    return found


def labels_of_ours(stack: Stack, name: str) -> list[str]:
    stages = stack.client().describe_secret(SecretId=name)["VersionIdsToStages"]
    return sorted(label for labels in stages.values() for label in labels if label.startswith("aws-secrets"))


def _hash(answer: Mapping[str, Any]) -> str:
    value = answer.get("SecretString", "").encode() + answer.get("SecretBinary", b"")
    return hashlib.sha256(value).hexdigest()


def workspaces(stack: Stack, prefix: str) -> list[Made]:
    """The secrets of two workspaces, the second of which manages the policy of one of the first's."""
    ids: dict[str, str] = {}
    default, staging = (_made(stack, one, prefix, ids) for one in WORKSPACES)
    for one in attributes_of(staging.state, POLICY):
        stack.client().put_resource_policy(SecretId=one["secret_arn"], ResourcePolicy=one["policy"])
    return [default, staging]


def _made(stack: Stack, shape: str, name: str, ids: dict[str, str]) -> Made:
    """Make every secret of a recorded state, and return it with the ids that AWS gave them.

    `ids` has the text for each mark that is known, and gets the others.
    """
    ids["NAME"] = name

    def of(kind: str, label: str) -> str | None:
        return ids.get(f"{kind} {label}".rstrip())

    text = filled(text_of(f"{shape}.tfstate"), of)
    template = json.loads(text)
    for key in set(re.findall(r"@KEY( [\w/-]+)?@", text)):
        arn = stack.client("kms").create_key(Description=name)["KeyMetadata"]["Arn"]
        ids |= {f"KEY{key}": arn, f"KEYID{key}": arn.rpartition("/")[2]}
    arns = []
    for about in attributes_of(template, SECRET):
        mark = about["arn"]
        [version] = [one for one in attributes_of(template, VERSION) if one["secret_id"] == mark]
        policies = [one for one in attributes_of(template, POLICY) if one["secret_arn"] == mark]
        arn, version_id = _create(stack, json.loads(filled(json.dumps(about), of)), version, policies)
        ids |= {mark.strip("@"): arn, version["version_id"].strip("@"): version_id}
        arns.append(arn)
    return Made(name, arns[0], json.loads(filled(text, of)))


def _create(
    stack: Stack, about: Mapping[str, Any], version: Mapping[str, Any], policies: Sequence[Mapping[str, Any]]
) -> tuple[str, str]:
    """Create a secret as a state has it; return its ARN and the id of its version."""
    client = stack.client()
    request: dict[str, Any] = {"KmsKeyId": about["kms_key_id"]} if about["kms_key_id"] else {}
    arn = client.create_secret(
        Name=about["name"],
        Description=about["description"],
        Tags=[{"Key": key, "Value": value} for key, value in (about["tags"] or {}).items()],
        **request,
    )["ARN"]
    put = client.put_secret_value(SecretId=arn, SecretString=version["secret_string"] or "made-up-write-only")
    for one in policies:
        client.put_resource_policy(SecretId=arn, ResourcePolicy=one["policy"])
    return arn, put["VersionId"]


def made_up_values(*made: Made) -> list[str]:
    """All secret values in their states."""
    versions = [version for one in made for version in attributes_of(one.state, VERSION)]
    return [value for version in versions for value in json.loads(version["secret_string"]).values()]
