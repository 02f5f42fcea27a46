"""A pipeline: its roles, workflows' sessions of them, and a stack that it updates."""

import base64
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

from operations.report.live import Snapshot, parse
from stack_file.pipeline import AUTONAMING
from tests.support.ecs_services import CLUSTER, SERVICE
from tests.support.shops import SECRET, Shop
from tests.support.stacks import ROOT, Stack

ACCOUNT = "123456789012"
ISSUER = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
CLUSTER_PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
REPOSITORY = "repo:acme@1/shop@2"
PULL_REQUEST, PRODUCTION = f"{REPOSITORY}:pull_request", f"{REPOSITORY}:environment:production"
STACK, BUCKET = "test", "acme-state"
NAMES = f"aws-secrets-{STACK}_"  # prefix of the names of the stack's roles and functions
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
    "task": {"ecs": {"redeploy": {"cluster": CLUSTER, "service": SERVICE}}, "environment": READS},
}


def token(subject: str, issuer: str = ISSUER, audience: str = "sts.amazonaws.com") -> str:
    """Return a job's token, as GitHub issues it; the emulator verifies no signature."""
    claims = {"iss": f"https://{issuer}", "aud": audience, "sub": subject, "exp": int(time.time()) + 3600}
    parts = [{"alg": "RS256"}, claims, {}]
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


def variables(credentials: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a job sets for its commands."""
    return {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }


@dataclass(frozen=True)
class Pipeline:
    """The stack of roles, and the stack `test` that the update role deployed."""

    shop: Shop
    roles: Mapping[str, str]
    state_key_arn: str

    @property
    def stack(self) -> Stack:
        return self.shop.stack

    def session(self, role: str, web_identity: str) -> dict[str, str]:
        """Return the environment of a job's commands; an error if the role's trust policy denies it."""
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

    def client(self, session: Mapping[str, str], service: str = "secretsmanager") -> Any:
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.stack.endpoint,
            **{name.lower(): value for name, value in session.items()},
        )

    def live(self, log: Path) -> Snapshot:
        """Return what the preview role sees in AWS of an event log's secrets."""
        command = [sys.executable, "-m", "operations", "report", "live", "--events", str(log)]
        environment = {**self.stack.environment, **self.previewing}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
        return parse(done.stdout)

    def acting(self, session: Mapping[str, str]) -> Stack:
        """Return the stack, with commands that use a session's credentials."""
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
        written = yaml.safe_load(self.stack.file.read_text())
        written["config"]["pulumi:autonaming"] = {"pattern": AUTONAMING}
        self.stack.file.write_text(yaml.safe_dump(written))


def roles_of(stack: Stack, admin_secret_arn: str, state_key_arn: str) -> dict[str, str]:
    """Deploy the pipeline's own stack next to the other."""
    stack.pulumi("stack", "init", "pipeline", "--no-select")
    file = stack.folder / "Pulumi.pipeline.yaml"
    declared = {
        "repository": REPOSITORY.removeprefix("repo:"),
        "oidcProviderArn": PROVIDER,
        "environment": "production",
        "stacks": [STACK],
        "secretPrefixes": ["shop-"],
        "databases": {"rdsInstances": ["shop"], "adminSecretArns": [admin_secret_arn]},
        "eksClusters": ["shop"],
        "ecsServices": [f"{CLUSTER}/{SERVICE}"],
        "state": {"bucketArn": f"arn:aws:s3:::{BUCKET}", "keyArns": [state_key_arn]},
    }
    written = yaml.safe_load(file.read_text()) if file.exists() else {}
    config = {
        "aws:region": "us-east-1",
        "pulumi:autonaming": {"pattern": AUTONAMING},
        "aws-secrets:pipeline": declared,
    }
    file.write_text(yaml.safe_dump({**written, "config": config}))
    stack.pulumi("up", "--yes", "--skip-preview", "--stack", "pipeline")
    said = stack.pulumi("stack", "output", "--json", "--stack", "pipeline").stdout
    found: dict[str, str] = json.loads(said)["pipeline"]
    return found


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied"):
        call()


def pod_identity(stack: Stack, role: str, service_account: str = "default") -> dict[str, str]:
    """Return an EKS Pod Identity session for pods of a service account in the namespace `default`."""
    cluster = f"arn:aws:eks:us-east-1:{ACCOUNT}:cluster/shop"
    tags = {
        "eks-cluster-arn": cluster,
        "kubernetes-namespace": "default",
        "kubernetes-service-account": service_account,
    }
    asked = {"RoleArn": role, "Service": "pods.eks.amazonaws.com", "SourceArn": cluster, "Tags": tags}
    request = urllib.request.Request(
        f"{stack.endpoint}/_localcloud/sessions", data=json.dumps(asked).encode()
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, str] = json.load(answer)
    return found


def state_in_bucket(stack: Stack) -> str:
    """Copy all stacks' state to a bucket; return the URL of that backend."""
    s3 = stack.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    state = Path(stack.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    for file in (state / ".pulumi").rglob("*"):
        if file.is_file() and file.suffix != ".attrs":
            s3.put_object(Bucket=BUCKET, Key=str(file.relative_to(state)), Body=file.read_bytes())
    address = stack.endpoint.removeprefix("http://")
    return f"s3://{BUCKET}?region=us-east-1&endpoint={address}&disableSSL=true&s3ForcePathStyle=true"


def objects(stack: Stack) -> set[str]:
    """Return all keys in the bucket."""
    listed = stack.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    return {found["Key"] for found in listed}
