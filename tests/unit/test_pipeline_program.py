"""The roles of a pipeline: their policies and the checks of what they are about, without an engine."""

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from textwrap import dedent
from typing import Any

import jsonschema
import pytest
import yaml

from settings import SettingsError, StackFile
from settings.cross_checks import mistakes_between
from settings.pipeline import AUTONAMING
from settings.schema import stack_file_schema
from tests.unit.recorded_run import PROJECT, STACK, Recording, run

ACCOUNT = "123456789012"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
MASTER = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:rds!db-1234-AbCdEf"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/a-boundary"
ROLE, ROLE_POLICY, POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy"
DECLARED: dict[str, Any] = {
    "repository": "acme/shop",
    "oidcProviderArn": PROVIDER,
    "environment": "production",
    "stacks": ["dev"],
    "secretPrefixes": ["example-", "team/"],
    "databases": {"rdsInstances": ["a"], "auroraClusters": ["b"], "adminSecretArns": [MASTER]},
    "eksClusters": ["shop"],
    "ecsServices": ["shop/web"],
    "state": {
        "bucketArn": "arn:aws:s3:::state",
        "keyArns": [f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd"],
    },
}
P = "aws-secrets:pipeline"
REDEPLOYED = {"redeploy": {"cluster": "shop", "service": "web"}}


def made(**changed: object) -> Recording:
    pipeline = {**DECLARED, **changed}
    return run({"aws:region": "us-east-1", P: {key: found for key, found in pipeline.items() if found}})


def mistakes(beside: Mapping[str, object] | None = None, **changed: object) -> dict[str, str]:
    config = {"aws:region": "us-east-1", P: {**DECLARED, **changed}, **(beside or {})}
    recording = Recording()
    with pytest.raises(SettingsError) as raised:
        run(config, recording=recording)
    assert recording.resources == []
    return {
        found.path: f"{found.wrong}. {found.consequence}. {found.remedy}" for found in raised.value.mistakes
    }


def statements(recording: Recording, name: str, key: str = "policy") -> list[dict[str, Any]]:
    [text] = [
        found.inputs[key] for found in recording.resources if found.name == name and key in found.inputs
    ]
    found = json.loads(text)["Statement"]
    return found if isinstance(found, list) else [found]


def actions(found: list[dict[str, Any]]) -> set[str]:
    return {action for statement in found if statement["Effect"] == "Allow" for action in statement["Action"]}


@pytest.mark.parametrize(
    ("role", "subject"),
    [
        ("preview-role", "repo:acme@1/shop@2:pull_request"),
        ("update-role", "repo:acme@1/shop@2:environment:production"),
    ],
)
def test_only_tokens_of_exactly_this_subject_for_aws_take_a_role(role: str, subject: str) -> None:
    [trust] = statements(made(repository="acme@1/shop@2"), role, "assumeRolePolicy")
    assert trust["Principal"] == {"Federated": PROVIDER}
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    issuer = "token.actions.githubusercontent.com"
    assert trust["Condition"] == {
        "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject}
    }


def test_the_role_for_previews_may_only_look() -> None:
    found = statements(made(), "preview-policy")
    assert actions(found) == {
        "kms:Decrypt",
        "kms:DescribeKey",
        "rds:DescribeDBClusters",
        "rds:DescribeDBInstances",
        "rds:DescribeDBSubnetGroups",
        "s3:GetObject",
        "s3:ListBucket",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetResourcePolicy",
        "secretsmanager:ListSecretVersionIds",
    }
    by_sid = {statement["Sid"]: statement for statement in found}
    metadata = by_sid["SeeWhatWasEditedInAws"]
    prefixes = [
        f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{name}*" for name in ("example-", "team/")
    ]
    assert metadata["Resource"] == prefixes
    [condition] = by_sid["SeeWhetherKeysWork"]["Condition"].items()
    assert condition == ("ForAnyValue:StringEquals", {"kms:ResourceAliases": [f"alias/{PROJECT}/dev"]})
    [denied] = [statement for statement in found if statement["Effect"] == "Deny"]
    assert set(denied["Action"]) == {"secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"}
    assert denied["Resource"] == "*"


def test_existing_secrets_that_workloads_read_are_looked_up_and_bounded() -> None:
    named, foreign = "platform/sentry", MASTER.replace(ACCOUNT, "210987654321")
    recording = made(existingSecrets=[named, foreign])
    arns = [f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{named}-??????", foreign]
    for name in ("preview-policy", "update-policy"):
        found = {statement.get("Sid"): statement for statement in statements(recording, name)}
        assert found["FindExistingSecrets"]["Resource"] == ["*"]
        assert found["FindExistingSecrets"]["Action"] == ["secretsmanager:ListSecrets"]
        assert found["LookUpExistingSecrets"]["Resource"] == arns
        assert "secretsmanager:GetSecretValue" not in found["LookUpExistingSecrets"]["Action"]
    found = {statement["Sid"]: statement for statement in statements(recording, "update-boundary")}
    assert found["ReadExistingSecrets"]["Resource"] == arns
    keys = found["UseKeysForThem"]
    assert keys["Resource"] == [f"arn:aws:kms:*:{account}:key/*" for account in (ACCOUNT, "210987654321")]
    assert (
        foreign.replace("us-east-1", "*")
        in keys["Condition"]["StringLike"]["kms:EncryptionContext:SecretARN"]
    )


def test_one_role_for_previews_reads_the_state_of_all_its_stacks() -> None:
    """A token of a pull request names no stack: a role for each would keep nobody out."""
    recording = made(stacks=["dev", "staging"])
    assert recording.types().count("aws-secrets:index:PreviewAccess") == 1
    [reading] = [
        found for found in statements(recording, "preview-policy") if found.get("Sid") == "ReadState"
    ]
    for stack in ("dev", "staging"):
        assert f"arn:aws:s3:::state/.pulumi/stacks/{PROJECT}/{stack}.json" in reading["Resource"]
    assert not [arn for arn in reading["Resource"] if "/prod." in arn or arn.endswith("/*")]


def test_without_previews_nothing_lets_pull_requests_in() -> None:
    config = {"aws:region": "us-east-1", P: {**DECLARED, "previews": False}}
    recording = run(config)
    assert "aws-secrets:index:PreviewAccess" not in recording.types()
    [trust] = statements(recording, "update-role", "assumeRolePolicy")
    assert "environment:production" in json.dumps(trust)
    assert recording.outputs["pipeline"].keys() == {"updateRoleArn", "permissionsBoundaryArn"}


def test_roles_get_nothing_for_what_the_pipeline_does_not_name() -> None:
    recording = made(databases=None, eksClusters=None, ecsServices=None, state=None)
    assert actions(statements(recording, "preview-policy")) == {
        "kms:DescribeKey",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetResourcePolicy",
        "secretsmanager:ListSecretVersionIds",
    }
    services = {action.partition(":")[0] for action in actions(statements(recording, "update-policy"))}
    assert not services & {"rds", "eks", "events", "s3"}
    assert MASTER not in json.dumps(statements(recording, "update-boundary"))


def test_everything_is_allowed_of_nothing_but_what_aws_does_not_tell_apart() -> None:
    recording = made()
    everywhere = {
        action
        for name in ("preview-policy", "update-policy", "update-boundary")
        for statement in statements(recording, name)
        if statement["Effect"] == "Allow" and "*" in statement["Resource"]
        for action in statement["Action"]
    }
    assert everywhere == {
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "ec2:UnassignPrivateIpAddresses",
        "kms:CreateKey",
        "kms:ListAliases",
        "kms:TagResource",
    }
    assert not [action for action in actions(statements(recording, "update-policy")) if "*" in action]


def test_the_role_for_updates_needs_the_boundary_for_every_permission_that_it_gives() -> None:
    recording = made()
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/update-boundary"
    both = [*statements(recording, "update-policy"), *statements(recording, "update-policy-2")]
    giving = {"iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary", "iam:AttachRolePolicy"}
    for statement in both:
        if statement["Effect"] == "Allow" and giving & set(statement["Action"]):
            assert statement["Condition"]["StringEquals"] == {"iam:PermissionsBoundary": boundary}
    forbidden = {"iam:DeleteRolePermissionsBoundary", "iam:SetDefaultPolicyVersion"}
    assert giving <= actions(both)
    assert not forbidden & actions(both)
    [denied] = [found for found in statements(recording, "update-policy") if found["Action"] == "iam:*"]
    assert denied["Effect"] == "Deny"
    roles = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("preview-role", "update-role")]
    assert sorted(denied["Resource"]) == sorted([boundary, *roles])


def test_the_role_for_updates_attaches_policies_with_the_names_of_its_stacks_alone() -> None:
    recording = made()
    keeping, attaching = statements(recording, "update-policy-2")
    names = [f"arn:aws:iam::{ACCOUNT}:policy/{PROJECT}-dev_*"]
    assert keeping["Resource"] == names
    assert attaching["Condition"]["ArnLike"] == {"iam:PolicyARN": names}
    assert attaching["Resource"] == [f"arn:aws:iam::{ACCOUNT}:role/{PROJECT}-dev_*"]
    policies = {"CreatePolicy", "CreatePolicyVersion", "AttachRolePolicy", "DetachRolePolicy"}
    assert not {f"iam:{name}" for name in policies} & actions(statements(recording, "update-policy"))
    attachment = recording.only("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert attachment.inputs == {
        "role": "update-role",
        "policyArn": f"arn:aws:iam::{ACCOUNT}:policy/update-policy-2",
    }


def test_a_role_that_a_stack_makes_is_denied_what_its_boundary_does_not_allow() -> None:
    """A policy of another resource that names its session would count beside the boundary otherwise."""
    for changed in ({}, {"ecsServices": None, "databases": None}):
        found = statements(made(**changed), "update-boundary")
        [denied] = [statement for statement in found if "NotAction" in statement]
        assert (denied["Effect"], denied["Resource"], "Condition" in denied) == ("Deny", "*", False)
        assert set(denied["NotAction"]) == actions(found)


def test_the_role_for_updates_is_denied_the_end_of_any_key_and_of_its_keepers() -> None:
    found = {statement["Sid"]: statement for statement in statements(made(), "update-policy")}
    ending = found["EndNoKey"]
    assert {"kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:CreateGrant"} <= set(ending["Action"])
    assert (ending["Effect"], ending["Resource"], "Condition" in ending) == ("Deny", "*", False)
    bypassing = found["LeaveNoKeyWithoutAKeeper"]
    assert set(bypassing["Action"]) == {"kms:CreateKey", "kms:PutKeyPolicy"}
    assert bypassing["Condition"] == {"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "true"}}


def test_roles_are_given_to_lambda_and_where_pods_get_them_to_eks_alone() -> None:
    def receivers(**changed: object) -> Any:  # noqa: ANN401  JSON
        [passing] = [
            found
            for found in statements(made(**changed), "update-policy")
            if "iam:PassRole" in found["Action"]
        ]
        return passing["Condition"]["StringEquals"]["iam:PassedToService"]

    assert receivers() == ["lambda.amazonaws.com", "pods.eks.amazonaws.com"]
    assert receivers(eksClusters=None) == ["lambda.amazonaws.com"]


def test_names_that_the_engine_gives_are_those_of_the_policies_and_of_no_other_stack() -> None:
    [passing] = [found for found in statements(made(), "update-policy") if "iam:PassRole" in found["Action"]]

    def is_covered(stack: str) -> bool:
        values = {"project": PROJECT, "stack": stack, "name": "web-role", "hex(7)": "1a2b3c4"}
        name = AUTONAMING
        for placeholder, value in values.items():
            name = name.replace(f"${{{placeholder}}}", value)
        return any(fnmatchcase(f"arn:aws:iam::{ACCOUNT}:role/{name}", arn) for arn in passing["Resource"])

    assert is_covered("dev")
    assert not [stack for stack in ("dev-eu", "prod", "de", "xdev", "pipeline") if is_covered(stack)]


def test_every_role_of_a_stack_and_its_log_are_in_the_boundary_that_the_stack_names() -> None:
    pods = {"operator": "external-secrets", "oidcProviderArn": f"{PROVIDER}/id/ABC"}
    recording = run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:databases": {
                "a": {"rdsInstance": "example-db", "logins": {"db": {"username": "u", "database": "d"}}}
            },
            "aws-secrets:workloads": {
                "web": {"kubernetes": pods, "environmentFrom": ["db"]},
                "task": {"ecs": REDEPLOYED, "environment": {"URL": {"secret": "db", "key": "DATABASE_URL"}}},
            },
            "aws-secrets:initialValues": "account",
            "aws-secrets:permissionsBoundary": BOUNDARY,
            "aws-secrets:updateRole": f"arn:aws:iam::{ACCOUNT}:role/update",
            "pulumi:autonaming": {"pattern": AUTONAMING},
        }
    )
    roles = [found for found in recording.resources if found.type == ROLE]
    assert {role.name.removesuffix("-role") for role in roles} == {
        *("rotation", "web", "task", "task-redeploy", "writer")
    }
    assert {role.inputs["permissionsBoundary"] for role in roles} == {BOUNDARY}
    logs = [found for found in recording.resources if found.type == "aws:cloudwatch/logGroup:LogGroup"]
    prefix = f"/aws/lambda/{PROJECT}-{STACK}_"
    assert {log.inputs["namePrefix"] for log in logs} == {
        f"{prefix}{function}-" for function in ("rotation", "task-redeploy", "writer")
    }
    policy = json.loads(recording.only("aws:kms/key:Key").inputs["policy"])["Statement"]
    [keeping] = [
        found for found in policy if found["Principal"] == {"AWS": [f"arn:aws:iam::{ACCOUNT}:role/update"]}
    ]
    assert {"kms:PutKeyPolicy", "kms:CreateAlias"} <= set(keeping["Action"])
    assert not {"kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:Decrypt"} & set(keeping["Action"])


def test_the_pipelines_stack_makes_its_roles_and_nothing_else() -> None:
    recording = made()
    assert sorted(recording.types()) == sorted(
        [
            "aws-secrets:index:PreviewAccess",
            "aws-secrets:index:UpdateAccess",
            *[POLICY] * 2,
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            *[ROLE, ROLE_POLICY] * 2,
        ]
    )
    assert recording.outputs["pipeline"].keys() == {
        "previewRoleArn",
        "updateRoleArn",
        "permissionsBoundaryArn",
    }


@pytest.mark.parametrize(
    ("changed", "path", "words"),
    [
        ({"repository": "acme"}, "repository", "names no repository"),
        ({"repository": "acme/*"}, "repository", "names no repository"),
        ({"repository": "acme/shop:pull_request"}, "repository", "names no repository"),
        ({"oidcProviderArn": "token.actions.githubusercontent.com"}, "oidcProviderArn", "OIDC provider"),
        ({"environment": "prod*"}, "environment", "no name of an environment"),
        ({"environment": "prod:x"}, "environment", "no name of an environment"),
        ({"stacks": []}, "stacks", "empty"),
        ({"stacks": ["dev_eu"]}, "stacks[0]", 'with "_" in its name'),
        ({"stacks": ["*"]}, "stacks[0]", "could not be kept to this stack"),
        ({"stacks": ["dev", STACK]}, "stacks[1]", "it is this stack"),
        ({"secretPrefixes": [""]}, "secretPrefixes[0]", "do not begin like this"),
        ({"secretPrefixes": ["*"]}, "secretPrefixes[0]", "do not begin like this"),
        ({"secretPrefixes": ["rds!"]}, "secretPrefixes[0]", "do not begin like this"),
        ({"databases": {"rdsInstances": ["*"]}}, "databases.rdsInstances[0]", "RDS takes no such name"),
        ({"databases": {"adminSecretArns": [MASTER[:-7]]}}, "databases.adminSecretArns[0]", "whole ARN"),
        ({"databases": {"adminSecretArns": [f"{MASTER}*"]}}, "databases.adminSecretArns[0]", "whole ARN"),
        ({"databases": {"instances": []}}, "databases.instances", 'unknown key "instances"'),
        ({"eksClusters": ["*"]}, "eksClusters[0]", "no name of an EKS cluster"),
        ({"ecsServices": ["web"]}, "ecsServices[0]", "CLUSTER/SERVICE"),
        ({"ecsServices": ["shop/*"]}, "ecsServices[0]", "CLUSTER/SERVICE"),
        ({"state": {"bucketArn": "s3://state"}}, "state.bucketArn", "ARN of a bucket"),
        (
            {"state": {"keyArns": [f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/a"]}},
            "state.keyArns[0]",
            "by alias",
        ),
    ],
)
def test_what_would_make_a_role_for_somebody_or_something_else_is_refused(
    changed: dict[str, Any], path: str, words: str
) -> None:
    assert words in mistakes(**changed)[f"{P}.{path}"]


def test_no_role_of_the_pipeline_has_a_name_like_those_of_its_stacks() -> None:
    stack_file = StackFile.model_validate_json(json.dumps({"pipeline": {**DECLARED, "stacks": ["dev"]}}))
    assert mistakes_between(PROJECT, stack_file, "us-east-1", "dev-pipeline") == []
    [found] = mistakes_between(PROJECT, stack_file, "us-east-1", "dev_pipeline")
    assert found.path == f"{P}.stacks[0]"


@pytest.mark.parametrize("key", ["secrets", "databases", "workloads"])
def test_a_stack_never_makes_the_roles_that_update_it(key: str) -> None:
    declared: dict[str, object] = {
        "secrets": {"a": {"values": {"K": {"random": {}}}}},
        "databases": {"a": {"rdsInstance": "a", "logins": {"db": {"username": "u", "database": "d"}}}},
        "workloads": {"a": {"ecs": {}, "environmentFrom": ["a"]}},
    }
    found = mistakes({f"aws-secrets:{key}": declared[key]})
    assert "could change its own roles" in found[f"aws-secrets:{key}"]


def test_more_than_iam_has_room_for_is_refused_before_anything_is_made() -> None:
    found = mistakes(stacks=[f"stack-{number}" for number in range(40)])
    assert "IAM has room for 10240" in found[P]
    found = mistakes(secretPrefixes=[f"prefix-{number:03}/" for number in range(8)], stacks=["a"] * 30)
    assert "characters" in found[P]


def of_a_stack(**settings: object) -> dict[str, str]:
    """Mistakes of a stack that a pipeline updates."""
    secrets: dict[str, Any] = {"a": {"values": {"K": {"random": {}}}}}
    with pytest.raises(SettingsError) as raised:
        run({"aws:region": "us-east-1", "aws-secrets:secrets": secrets, **settings})
    return {found.path: found.wrong for found in raised.value.mistakes}


def test_a_stack_names_boundary_and_role_by_their_arns() -> None:
    found = of_a_stack(**{"aws-secrets:permissionsBoundary": "a-name", "aws-secrets:updateRole": "a-name"})
    assert "ARN of a policy" in found["aws-secrets:permissionsBoundary"]
    assert "ARN of a role" in found["aws-secrets:updateRole"]


@pytest.mark.parametrize("naming", [None, {"mode": "disabled"}, {"pattern": "${name}-${hex(7)}"}])
def test_a_stack_that_a_pipeline_updates_is_in_its_reach(naming: dict[str, str] | None) -> None:
    named = {"pulumi:autonaming": naming} if naming else {}
    found = of_a_stack(**{"aws-secrets:updateRole": f"arn:aws:iam::{ACCOUNT}:role/update", **named})
    assert found.keys() == {"pulumi:autonaming", "aws-secrets:permissionsBoundary"}


def test_the_stack_files_of_the_documentation_are_taken_as_they_stand() -> None:
    text = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text()
    files = [yaml.safe_load(dedent(block)) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert len(files) == 2
    for file in files:
        jsonschema.Draft202012Validator(stack_file_schema()).validate(file)
        assert run(file["config"]).resources


@pytest.mark.parametrize("page", ["pipeline.md", "threat-model.md"])
def test_every_test_that_the_documentation_names_exists(page: str) -> None:
    root = Path(__file__).parents[2]
    named = set(re.findall(r"`(test_\w+)`", (root / "docs" / page).read_text()))
    known = {
        found
        for file in (root / "tests").rglob("test_*.py")
        for found in (file.stem, *re.findall(r"^ *(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE))
    }
    assert len(named) >= 10
    assert sorted(named - known) == []


def test_every_statement_about_the_roles_names_its_test() -> None:
    text = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text()
    section = text.partition("## What the roles can and cannot do")[2].partition("What follows, and")[0]
    rows = [
        row
        for row in section.splitlines()
        if row.startswith("|") and not row.startswith(("|--", "| statement"))
    ]
    assert len(rows) >= 18
    assert [row for row in rows if "`test_" not in row.split("|")[-2]] == []
