"""The roles of a pipeline: their policies and the checks of their settings, without an engine."""

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

from stack_file import SettingsError, StackFile
from stack_file.cross_checks import mistakes_between
from stack_file.pipeline import AUTONAMING
from stack_file.schema import stack_file_schema
from tests.support.recorded_run import PROJECT, STACK, Recording, run

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
def test_only_tokens_with_the_exact_subject_assume_a_role(role: str, subject: str) -> None:
    [trust] = statements(made(repository="acme@1/shop@2"), role, "assumeRolePolicy")
    assert trust["Principal"] == {"Federated": PROVIDER}
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    issuer = "token.actions.githubusercontent.com"
    assert trust["Condition"] == {
        "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject}
    }


def test_the_preview_role_is_read_only() -> None:
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


def test_the_preview_role_reads_all_its_stacks_state() -> None:
    """A pull request's token names no stack, so a role for each stack would restrict nobody."""
    recording = made(stacks=["dev", "staging"])
    assert recording.types().count("aws-secrets:index:PreviewAccess") == 1
    [reading] = [
        found for found in statements(recording, "preview-policy") if found.get("Sid") == "ReadState"
    ]
    for stack in ("dev", "staging"):
        assert f"arn:aws:s3:::state/.pulumi/stacks/{PROJECT}/{stack}.json" in reading["Resource"]
    assert not [arn for arn in reading["Resource"] if "/prod." in arn or arn.endswith("/*")]


def test_without_previews_pull_requests_get_no_role() -> None:
    config = {"aws:region": "us-east-1", P: {**DECLARED, "previews": False}}
    recording = run(config)
    assert "aws-secrets:index:PreviewAccess" not in recording.types()
    [trust] = statements(recording, "update-role", "assumeRolePolicy")
    assert "environment:production" in json.dumps(trust)
    assert recording.outputs["pipeline"].keys() == {"updateRoleArn", "permissionsBoundaryArn"}


def test_roles_get_no_access_to_unlisted_resources() -> None:
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


def test_wildcard_resources_are_used_only_where_aws_requires_them() -> None:
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


def test_the_update_role_grants_nothing_without_the_boundary() -> None:
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


def test_the_update_role_attaches_only_its_stacks_policies() -> None:
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


def test_a_stacks_role_is_limited_by_its_boundary() -> None:
    """Otherwise a resource policy that names its session would be effective despite the boundary."""
    for changed in ({}, {"ecsServices": None, "databases": None}):
        found = statements(made(**changed), "update-boundary")
        [denied] = [statement for statement in found if "NotAction" in statement]
        assert (denied["Effect"], denied["Resource"], "Condition" in denied) == ("Deny", "*", False)
        assert set(denied["NotAction"]) == actions(found)


def test_the_update_role_cannot_delete_keys_or_lock_them() -> None:
    found = {statement["Sid"]: statement for statement in statements(made(), "update-policy")}
    ending = found["EndNoKey"]
    assert {"kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:CreateGrant"} <= set(ending["Action"])
    assert (ending["Effect"], ending["Resource"], "Condition" in ending) == ("Deny", "*", False)
    bypassing = found["LeaveNoKeyWithoutAKeeper"]
    assert set(bypassing["Action"]) == {"kms:CreateKey", "kms:PutKeyPolicy"}
    assert bypassing["Condition"] == {"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "true"}}


def test_roles_are_passed_only_to_lambda_and_eks() -> None:
    def receivers(**changed: object) -> Any:  # noqa: ANN401  JSON
        [passing] = [
            found
            for found in statements(made(**changed), "update-policy")
            if "iam:PassRole" in found["Action"]
        ]
        return passing["Condition"]["StringEquals"]["iam:PassedToService"]

    assert receivers() == ["lambda.amazonaws.com", "pods.eks.amazonaws.com"]
    assert receivers(eksClusters=None) == ["lambda.amazonaws.com"]


def test_policies_match_only_their_own_stacks_resource_names() -> None:
    [passing] = [found for found in statements(made(), "update-policy") if "iam:PassRole" in found["Action"]]

    def is_covered(stack: str) -> bool:
        values = {"project": PROJECT, "stack": stack, "name": "web-role", "hex(7)": "1a2b3c4"}
        name = AUTONAMING
        for placeholder, value in values.items():
            name = name.replace(f"${{{placeholder}}}", value)
        return any(fnmatchcase(f"arn:aws:iam::{ACCOUNT}:role/{name}", arn) for arn in passing["Resource"])

    assert is_covered("dev")
    assert not [stack for stack in ("dev-eu", "prod", "de", "xdev", "pipeline") if is_covered(stack)]


def test_every_role_and_log_is_within_the_boundary() -> None:
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


def test_a_pipeline_stack_creates_only_its_roles() -> None:
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
        ({"repository": "acme"}, "repository", "not a valid repository name"),
        ({"repository": "acme/*"}, "repository", "not a valid repository name"),
        ({"repository": "acme/shop:pull_request"}, "repository", "not a valid repository name"),
        ({"oidcProviderArn": "token.actions.githubusercontent.com"}, "oidcProviderArn", "OIDC provider"),
        ({"environment": "prod*"}, "environment", "not a valid environment name"),
        ({"environment": "prod:x"}, "environment", "not a valid environment name"),
        ({"stacks": []}, "stacks", "empty"),
        ({"stacks": ["dev_eu"]}, "stacks[0]", "not a valid stack name"),
        ({"stacks": ["*"]}, "stacks[0]", "not a valid stack name"),
        ({"stacks": ["dev", STACK]}, "stacks[1]", "it is this stack"),
        ({"secretPrefixes": [""]}, "secretPrefixes[0]", "not a valid prefix"),
        ({"secretPrefixes": ["*"]}, "secretPrefixes[0]", "not a valid prefix"),
        ({"secretPrefixes": ["rds!"]}, "secretPrefixes[0]", "not a valid prefix"),
        ({"databases": {"rdsInstances": ["*"]}}, "databases.rdsInstances[0]", "not a valid RDS identifier"),
        ({"databases": {"adminSecretArns": [MASTER[:-7]]}}, "databases.adminSecretArns[0]", "full ARN"),
        ({"databases": {"adminSecretArns": [f"{MASTER}*"]}}, "databases.adminSecretArns[0]", "full ARN"),
        ({"databases": {"instances": []}}, "databases.instances", 'unknown key "instances"'),
        ({"caches": {"users": ["*"]}}, "caches.users[0]", "not the ID of a user"),
        ({"caches": {"replicationGroups": ["a*"]}}, "caches.replicationGroups[0]", "identifier of a cache"),
        ({"eksClusters": ["*"]}, "eksClusters[0]", "not a valid EKS cluster name"),
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
def test_roles_for_other_principals_are_rejected(changed: dict[str, Any], path: str, words: str) -> None:
    assert words in mistakes(**changed)[f"{P}.{path}"]


def test_pipeline_roles_have_no_stack_prefix() -> None:
    stack_file = StackFile.model_validate_json(json.dumps({"pipeline": {**DECLARED, "stacks": ["dev"]}}))
    assert mistakes_between(PROJECT, stack_file, "us-east-1", "dev-pipeline") == []
    [found] = mistakes_between(PROJECT, stack_file, "us-east-1", "dev_pipeline")
    assert found.path == f"{P}.stacks[0]"


@pytest.mark.parametrize("key", ["secrets", "databases", "workloads"])
def test_a_stack_cannot_create_its_own_update_roles(key: str) -> None:
    declared: dict[str, object] = {
        "secrets": {"a": {"values": {"K": {"random": {}}}}},
        "databases": {"a": {"rdsInstance": "a", "logins": {"db": {"username": "u", "database": "d"}}}},
        "workloads": {"a": {"ecs": {}, "environmentFrom": ["a"]}},
    }
    found = mistakes({f"aws-secrets:{key}": declared[key]})
    assert "could change its own roles" in found[f"aws-secrets:{key}"]


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def test_caches_are_looked_up_and_changed_by_name_only() -> None:
    recording = made(
        caches={
            "replicationGroups": ["sessions"],
            "users": ["web"],
            "memorydbClusters": ["orders"],
            "memorydbUsers": ["app"],
        }
    )
    user = f"arn:aws:elasticache:us-east-1:{ACCOUNT}:user:web"
    preview = {found["Sid"]: found for found in statements(recording, "preview-policy")}
    assert preview["LookUpCaches"]["Resource"] == [
        f"arn:aws:elasticache:us-east-1:{ACCOUNT}:replicationgroup:sessions",
        f"arn:aws:elasticache:us-east-1:{ACCOUNT}:cluster:sessions-*",
        user,
    ]
    assert f"arn:aws:memorydb:us-east-1:{ACCOUNT}:user/app" in preview["LookUpMemoryDB"]["Resource"]
    assert not any("Modify" in action or "Create" in action for action in actions([*preview.values()]))
    changing = [
        found
        for found in statements(recording, "update-boundary")
        if any(action.startswith("elasticache:ModifyUser") for action in found.get("Action", ()))
    ]
    assert changing
    assert {arn for found in changing for arn in _as_list(found["Resource"])} == {user}
    assert "elasticache:ModifyUser" not in str(statements(made(), "update-boundary"))


def test_policies_over_the_limit_are_rejected_first() -> None:
    found = mistakes(stacks=[f"stack-{number}" for number in range(40)])
    assert "the limit is 10240" in found[P]
    found = mistakes(secretPrefixes=[f"prefix-{number:03}/" for number in range(8)], stacks=["a"] * 30)
    assert "characters" in found[P]


def of_a_stack(**settings: object) -> dict[str, str]:
    """Return the mistakes of a stack that a pipeline updates."""
    secrets: dict[str, Any] = {"a": {"values": {"K": {"random": {}}}}}
    with pytest.raises(SettingsError) as raised:
        run({"aws:region": "us-east-1", "aws-secrets:secrets": secrets, **settings})
    return {found.path: found.wrong for found in raised.value.mistakes}


def test_boundary_and_role_are_set_by_arn() -> None:
    found = of_a_stack(**{"aws-secrets:permissionsBoundary": "a-name", "aws-secrets:updateRole": "a-name"})
    assert "ARN of a policy" in found["aws-secrets:permissionsBoundary"]
    assert "ARN of a role" in found["aws-secrets:updateRole"]


@pytest.mark.parametrize("naming", [None, {"mode": "disabled"}, {"pattern": "${name}-${hex(7)}"}])
def test_a_stack_with_an_update_role_needs_autonaming_and_boundary(naming: dict[str, str] | None) -> None:
    named = {"pulumi:autonaming": naming} if naming else {}
    found = of_a_stack(**{"aws-secrets:updateRole": f"arn:aws:iam::{ACCOUNT}:role/update", **named})
    assert found.keys() == {"pulumi:autonaming", "aws-secrets:permissionsBoundary"}


def test_documented_stack_files_are_valid() -> None:
    text = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text()
    files = [yaml.safe_load(dedent(block)) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert len(files) == 2
    for file in files:
        jsonschema.Draft202012Validator(stack_file_schema()).validate(file)
        assert run(file["config"]).resources


@pytest.mark.parametrize("page", ["pipeline.md", "threat-model.md"])
def test_documented_tests_exist(page: str) -> None:
    root = Path(__file__).parents[2]
    named = set(re.findall(r"`(test_\w+)`", (root / "docs" / page).read_text()))
    known = {
        found
        for file in (root / "tests").rglob("test_*.py")
        for found in (file.stem, *re.findall(r"^ *(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE))
    }
    assert len(named) >= 10
    assert sorted(named - known) == []


def test_documented_claims_about_roles_have_tests() -> None:
    text = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text()
    section = text.partition("## What the roles can and cannot do")[2].partition("What follows, and")[0]
    rows = [
        row
        for row in section.splitlines()
        if row.startswith("|") and not row.startswith(("|--", "| statement"))
    ]
    assert len(rows) >= 18
    assert [row for row in rows if "`test_" not in row.split("|")[-2]] == []
