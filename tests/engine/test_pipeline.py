"""A pipeline's roles, with the real engine and policies enforced: what they can do, and what they cannot."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

from localcloud.postgres import PostgresServer
from tests.engine.shops import SECRET, Shop, new_shop
from tests.engine.stacks import Stack, new_stack
from tests.local_engine import stack_environment
from tests.localcloud.emulator_process import running_emulator

ACCOUNT = "123456789012"
ISSUER = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
CLUSTER_PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
REPOSITORY = "repo:acme@1/shop@2"
PULL_REQUEST, PRODUCTION = f"{REPOSITORY}:pull_request", f"{REPOSITORY}:environment:production"
NAMES = "aws-secrets-test_"  # what the names of the stack's roles and functions begin with
EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "sts:AssumeRole",
        },
    }
)
SECRETS: dict[str, Any] = {
    "shop-app": {
        "description": "first",
        "values": {"KEY_BASE": {"random": {}}, "STRIPE": {"config": "stripeKey"}},
    },
    "shop-vendor": {
        "values": {"TOKEN": {"filledByHand": "the vendor"}},
        "policy": {
            "Statement": {
                "Effect": "Deny",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "secretsmanager:DeleteSecret",
                "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        },
    },
}
READS = {"TOKEN": {"secret": "shop-vendor", "required": True}}
WORKLOADS: dict[str, Any] = {
    "web": {
        "kubernetes": {"operator": "external-secrets", "oidcProviderArn": CLUSTER_PROVIDER},
        "environment": {**READS, "DATABASE_URL": {"secret": SECRET}},
    },
    "pod": {
        "kubernetes": {"operator": "secrets-store-csi", "podIdentity": {"cluster": "shop"}},
        "environment": READS,
    },
}


def token(subject: str, issuer: str = ISSUER, audience: str = "sts.amazonaws.com") -> str:
    """As GitHub gives it to a job; the emulator verifies no signature."""
    claims = {"iss": f"https://{issuer}", "aud": audience, "sub": subject, "exp": int(time.time()) + 3600}
    parts = [{"alg": "RS256"}, claims, {}]
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


def variables(credentials: Mapping[str, str]) -> dict[str, str]:
    """What a job sets in the environment of its commands."""
    return {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }


@dataclass(frozen=True)
class Pipeline:
    """A stack of roles, and the stack `test`, which the role for updates has made."""

    shop: Shop
    roles: Mapping[str, str]

    @property
    def stack(self) -> Stack:
        return self.shop.stack

    def session(self, role: str, web_identity: str) -> dict[str, str]:
        """The environment of commands in a job; an error if the role does not let it in."""
        given = self.stack.client("sts").assume_role_with_web_identity(
            RoleArn=self.roles[role], RoleSessionName="job", WebIdentityToken=web_identity
        )["Credentials"]
        return variables(given)

    @property
    def previewing(self) -> dict[str, str]:
        return self.session("previewRoleArn", token(PULL_REQUEST))

    @property
    def updating(self) -> dict[str, str]:
        return self.session("updateRoleArn", token(PRODUCTION))

    def client(self, session: Mapping[str, str], service: str = "secretsmanager") -> Any:  # noqa: ANN401  boto3
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.stack.endpoint,
            **{name.lower(): value for name, value in session.items()},
        )

    def acting(self, session: Mapping[str, str]) -> Stack:
        """The stack, whose commands run with the credentials of a session."""
        return replace(self.stack, environment={**self.stack.environment, **session})

    def configure(
        self,
        secrets: Mapping[str, Any] | None = None,
        workloads: Mapping[str, Any] | None = None,
        *,
        days: int = 30,
        **stack_wide: object,
    ) -> None:
        login = {
            "username": self.shop.username,
            "database": self.shop.database,
            "grants": "owner",
            "rotation": {"automaticallyAfterDays": days},
        }
        database = {
            "rdsInstance": "shop",
            "certificateAuthorities": str(self.shop.server.ca_file),
            "logins": {SECRET: login},
        }
        self.stack.configure(
            {**SECRETS, **(secrets or {})},
            databases={"shop": database},
            workloads={**WORKLOADS, **(workloads or {})},
            **{
                "tags": {"team": "shop"},
                "updateRole": self.roles["updateRoleArn"],
                "permissionsBoundary": self.roles["permissionsBoundaryArn"],
                **stack_wide,
            },
        )


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[Pipeline]:
    """Its roles are made by an administrator, and all else by the role for updates."""
    folder = tmp_path_factory.mktemp("pipeline")
    with running_emulator(None) as emulator:
        environment = stack_environment(folder, emulator.endpoint)
        stack = new_stack(folder / "project", environment, emulator.endpoint)
        shop = new_shop(stack, server)
        stack.client("iam").create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
        )
        stack.client("eks").create_cluster(
            name="shop",
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
            resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
        )
        stack.client().create_secret(Name="other", SecretString='{"a": "b"}')
        [instance] = stack.client("rds").describe_db_instances()["DBInstances"]
        made = Pipeline(shop, roles_of(stack, instance["MasterUserSecret"]["SecretArn"]))
        made.configure()
        made.acting(made.updating).up()
        yield made


def roles_of(stack: Stack, admin_secret_arn: str) -> dict[str, str]:
    """Makes the pipeline's own stack, beside the other."""
    stack.pulumi("stack", "init", "pipeline", "--no-select")
    file = stack.folder / "Pulumi.pipeline.yaml"
    declared = {
        "repository": REPOSITORY.removeprefix("repo:"),
        "oidcProviderArn": PROVIDER,
        "environment": "production",
        "stacks": ["test"],
        "secretPrefixes": ["shop-"],
        "databases": {"rdsInstances": ["shop"], "adminSecretArns": [admin_secret_arn]},
        "eksClusters": ["shop"],
    }
    written = yaml.safe_load(file.read_text()) if file.exists() else {}
    config = {"aws:region": "us-east-1", "aws-secrets:pipeline": declared}
    file.write_text(yaml.safe_dump({**written, "config": config}))
    stack.pulumi("up", "--yes", "--skip-preview", "--stack", "pipeline")
    said = stack.pulumi("stack", "output", "--json", "--stack", "pipeline").stdout
    found: dict[str, str] = json.loads(said)["pipeline"]
    return found


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied"):
        call()


def test_a_pull_request_is_previewed_without_a_secret_value(pipeline: Pipeline) -> None:
    pipeline.configure(
        {"shop-new": {"values": {"KEY": {"random": {}}}}},
        {"job": {"environment": READS, "ecs": {}}},
        days=10,
    )
    previewed = pipeline.acting(pipeline.previewing)
    steps = previewed.preview()
    assert "create shop-new-secret" in steps
    assert f"update {SECRET}-rotation-schedule" in steps
    assert "shop-vendor waits for a person to fill TOKEN" in previewed.pulumi("preview").stdout
    pipeline.configure()
    assert previewed.preview() == []


def test_the_role_for_previews_reads_and_changes_nothing_more(pipeline: Pipeline) -> None:
    session = pipeline.previewing
    secrets, iam = pipeline.client(session), pipeline.client(session, "iam")
    arn = pipeline.stack.client().describe_secret(SecretId="shop-app")["ARN"]
    for call in (
        lambda: secrets.get_secret_value(SecretId="shop-app"),
        lambda: secrets.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT"),
        lambda: secrets.batch_get_secret_value(SecretIdList=["shop-app"]),
        lambda: secrets.describe_secret(SecretId="shop-app"),
        secrets.list_secrets,
        lambda: secrets.put_secret_value(SecretId="shop-app", SecretString="{}"),
        lambda: secrets.update_secret(SecretId="shop-app", Description="x"),
        lambda: secrets.rotate_secret(SecretId=SECRET),
        lambda: secrets.delete_secret(SecretId="shop-app"),
        lambda: secrets.list_secret_version_ids(SecretId="other"),
        iam.list_roles,
        lambda: pipeline.client(session, "kms").list_keys(),
        lambda: pipeline.client(session, "lambda").list_functions(),
    ):
        refused(call)


def test_no_value_shows_to_the_role_for_previews_whatever_a_secrets_own_policy_allows(
    pipeline: Pipeline,
) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": pipeline.roles["previewRoleArn"]},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    owner = pipeline.stack.client()
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    owner.put_resource_policy(SecretId="other", ResourcePolicy=policy)
    refused(lambda: pipeline.client(pipeline.previewing).get_secret_value(SecretId="other"))
    owner.delete_resource_policy(SecretId="other")


def test_an_update_with_the_role_for_previews_fails_and_changes_nothing(pipeline: Pipeline) -> None:
    changed = {"shop-app": {**SECRETS["shop-app"], "description": "changed"}}
    pipeline.configure(changed)
    done = pipeline.acting(pipeline.previewing).pulumi("up", "--yes", "--skip-preview", check=False)
    pipeline.configure()
    assert done.returncode
    assert "not authorized to perform: secretsmanager:UpdateSecret" in done.stdout
    assert pipeline.stack.client().describe_secret(SecretId="shop-app")["Description"] == "first"


@pytest.mark.parametrize(
    ("role", "web_identity"),
    [
        ("previewRoleArn", token(PRODUCTION)),
        ("previewRoleArn", token(f"{REPOSITORY}:ref:refs/heads/main")),
        ("previewRoleArn", token("repo:acme@1/other@3:pull_request")),
        ("previewRoleArn", token(f"{PULL_REQUEST}:x")),
        ("updateRoleArn", token(PULL_REQUEST)),
        ("updateRoleArn", token(f"{REPOSITORY}:environment:staging")),
        ("updateRoleArn", token(f"{REPOSITORY}:ref:refs/heads/main")),
        ("updateRoleArn", token("repo:acme/shop:environment:production")),
        ("updateRoleArn", token(PRODUCTION, audience="somebody-else")),
    ],
)
def test_no_other_workflow_may_take_a_role(pipeline: Pipeline, role: str, web_identity: str) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied|InvalidIdentityToken"):
        pipeline.session(role, web_identity)


def test_the_role_for_updates_makes_no_role_that_could_do_more_than_the_boundary(pipeline: Pipeline) -> None:
    iam, boundary = pipeline.client(pipeline.updating, "iam"), pipeline.roles["permissionsBoundaryArn"]
    owner, mine = pipeline.stack.client("iam"), f"{NAMES}mine"
    owner.create_role(RoleName=f"{NAMES}free", AssumeRolePolicyDocument=TRUST)
    free = {"RoleName": f"{NAMES}free"}
    iam.create_role(RoleName=mine, AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary)
    for call in (
        lambda: iam.create_role(RoleName=f"{NAMES}x", AssumeRolePolicyDocument=TRUST),
        lambda: iam.create_role(
            RoleName=f"{NAMES}x",
            AssumeRolePolicyDocument=TRUST,
            PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        lambda: iam.create_role(RoleName="x", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary),
        lambda: iam.create_role(
            RoleName="aws-secrets-test-eu_x", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary
        ),
        lambda: iam.put_role_policy(**free, PolicyName="x", PolicyDocument=EVERYTHING),
        lambda: iam.delete_role_permissions_boundary(RoleName=mine),
        lambda: iam.put_role_permissions_boundary(
            RoleName=mine, PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess"
        ),
        lambda: iam.attach_role_policy(
            RoleName=mine, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
        ),
        lambda: iam.create_user(UserName=mine),
    ):
        refused(call)
    iam.put_role_policy(RoleName=mine, PolicyName="everything", PolicyDocument=EVERYTHING)
    bounded = variables(
        pipeline.stack.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{mine}", RoleSessionName="mine"
        )["Credentials"]
    )
    assert pipeline.client(bounded).get_secret_value(SecretId="shop-app")["SecretString"]
    for call in (
        lambda: pipeline.client(bounded).get_secret_value(SecretId="other"),
        lambda: pipeline.client(bounded).delete_secret(SecretId="shop-app"),
        lambda: pipeline.client(bounded, "iam").create_user(UserName="x"),
        lambda: pipeline.client(bounded, "kms").list_keys(),
    ):
        refused(call)


def test_the_role_for_updates_changes_neither_the_pipelines_roles_nor_their_boundary(
    pipeline: Pipeline,
) -> None:
    iam, boundary = pipeline.client(pipeline.updating, "iam"), pipeline.roles["permissionsBoundaryArn"]
    for arn in (pipeline.roles["updateRoleArn"], pipeline.roles["previewRoleArn"]):
        role = {"RoleName": arn.rpartition("/")[2]}
        refused(partial(iam.put_role_policy, **role, PolicyName="x", PolicyDocument=EVERYTHING))
        refused(partial(iam.update_assume_role_policy, **role, PolicyDocument=TRUST))
        refused(partial(iam.delete_role, **role))
        refused(partial(iam.get_role, **role))
    for call in (
        lambda: iam.create_policy_version(PolicyArn=boundary, PolicyDocument=EVERYTHING, SetAsDefault=True),
        lambda: iam.delete_policy(PolicyArn=boundary),
        lambda: iam.create_policy(PolicyName=f"{NAMES}x", PolicyDocument=EVERYTHING),
    ):
        refused(call)


def test_the_role_for_updates_touches_no_secret_key_or_function_of_others(pipeline: Pipeline) -> None:
    session = pipeline.updating
    secrets, kms, functions = (pipeline.client(session, name) for name in ("secretsmanager", "kms", "lambda"))
    key = pipeline.stack.client("kms").create_key()["KeyMetadata"]["KeyId"]
    own = pipeline.stack.client("kms").describe_key(KeyId="alias/aws-secrets/test")["KeyMetadata"]["KeyId"]
    version = pipeline.stack.client().describe_secret(SecretId="other")["VersionIdsToStages"]
    [mine] = pipeline.stack.client("lambda").list_functions()["Functions"]
    for call in (
        lambda: secrets.create_secret(Name="x", SecretString="{}"),
        lambda: secrets.put_secret_value(SecretId="other", SecretString="{}"),
        lambda: secrets.get_secret_value(SecretId="other", VersionId=next(iter(version))),
        lambda: secrets.delete_secret(SecretId="other"),
        lambda: secrets.get_secret_value(SecretId="shop-app"),
        lambda: secrets.batch_get_secret_value(SecretIdList=["shop-app"]),
        lambda: secrets.put_resource_policy(SecretId="shop-app", ResourcePolicy=EVERYTHING),
        lambda: kms.put_key_policy(KeyId=key, PolicyName="default", Policy=EVERYTHING),
        lambda: kms.create_alias(AliasName="alias/aws-secrets/test-2", TargetKeyId=key),
        lambda: kms.update_alias(AliasName="alias/aws-secrets/test", TargetKeyId=key),
        lambda: kms.tag_resource(KeyId=key, Tags=[{"TagKey": "team", "TagValue": "shop"}]),
        lambda: kms.schedule_key_deletion(KeyId=own),
        lambda: kms.disable_key(KeyId=own),
        lambda: kms.decrypt(KeyId=own, CiphertextBlob=b"x"),
        lambda: functions.update_function_code(FunctionName="aws-secrets-prod_rotation", ZipFile=b"x"),
        lambda: functions.add_permission(
            FunctionName=mine["FunctionName"],
            StatementId="x",
            Action="lambda:InvokeFunction",
            Principal="210987654321",
        ),
        lambda: functions.update_function_configuration(
            FunctionName=mine["FunctionName"], Role=pipeline.roles["updateRoleArn"]
        ),
    ):
        refused(call)


def test_a_stack_that_names_another_boundary_gets_no_role(pipeline: Pipeline) -> None:
    powerful = "arn:aws:iam::aws:policy/AdministratorAccess"
    pipeline.configure(workloads={"job": {"environment": READS, "ecs": {}}}, permissionsBoundary=powerful)
    done = pipeline.acting(pipeline.updating).pulumi("up", "--yes", "--skip-preview", check=False)
    pipeline.configure()
    assert done.returncode
    assert re.search("not authorized to perform: iam:(CreateRole|PutRolePermissionsBoundary)", done.stdout)
    iam = pipeline.stack.client("iam")
    made = [role["RoleName"] for role in iam.list_roles()["Roles"] if role["RoleName"].startswith(NAMES)]
    bounded = [iam.get_role(RoleName=name)["Role"].get("PermissionsBoundary", {}) for name in made]
    allowed = {pipeline.roles["permissionsBoundaryArn"]}
    # one role was made without any by the administrator of another test
    assert {boundary.get("PermissionsBoundaryArn") for boundary in bounded if boundary} == allowed


def test_a_secret_with_another_prefix_is_not_made(pipeline: Pipeline) -> None:
    pipeline.configure({"billing": {"values": {"KEY": {"random": {}}}}})
    done = pipeline.acting(pipeline.updating).pulumi("up", "--yes", "--skip-preview", check=False)
    pipeline.configure()
    assert done.returncode
    assert "not authorized to perform: secretsmanager:CreateSecret on resource: billing" in done.stdout


# the last one of the module, because nothing is left after it
def test_the_role_for_updates_changes_and_destroys_what_it_made(pipeline: Pipeline) -> None:
    update = pipeline.acting(pipeline.updating)
    value = pipeline.shop.rotate()
    assert pipeline.shop.log_in(value).startswith(pipeline.shop.username)
    assert update.refresh() == []
    changed = {
        "shop-app": {**SECRETS["shop-app"], "description": "changed"},
        "shop-vendor": {"values": SECRETS["shop-vendor"]["values"]},
        "shop-new": {"values": {"KEY": {"random": {}}}},
    }
    pipeline.configure(
        changed,
        {"job": {"environment": READS, "ecs": {}}, "web": {**WORKLOADS["web"], "environment": READS}},
        days=10,
        tags={"team": "another"},
        rotation={"logRetentionDays": 30, "architecture": "x86_64"},
    )
    steps = update.up()
    assert {
        "update shop-app-secret",
        "delete shop-vendor-policy",
        "create job-role",
        "update stack-key",
        f"update {SECRET}-rotation-schedule",
    } <= set(steps)
    assert update.preview() == []
    assert pipeline.stack.value(SECRET) == value
    update.pulumi("destroy", "--yes", "--skip-preview")
    assert pipeline.stack.client().list_secrets()["SecretList"] != []
    assert pipeline.stack.client("lambda").list_functions()["Functions"] == []
