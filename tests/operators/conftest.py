"""One cluster, one emulator and one operator for all tests."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from tests.operators import programs
from tests.operators.cluster import ISSUER, Cluster, running_cluster, running_operator
from tests.operators.programs import Programs, built_programs
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.operator_cases import NAMESPACE

ACCOUNT = "123456789012"


def trust(principal: dict[str, str], action: str, condition: dict[str, Any] | None = None) -> str:
    """Return a trust policy."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": action}
    conditional = {**statement, "Condition": condition} if condition else statement
    return json.dumps({"Version": "2012-10-17", "Statement": [conditional]})


@dataclass(frozen=True)
class World:
    """A cluster whose operator reads the secrets of an emulator.

    Attributes:
        cluster, emulator: both.
        operator_role: ARN of the role that the operator itself has.
        provider: ARN of the cluster's OIDC provider in IAM.
    """

    cluster: Cluster
    emulator: Emulator
    operator_role: str
    provider: str

    def client(self, service: str = "secretsmanager") -> Any:  # noqa: ANN401  boto3 is untyped
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.emulator.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def give_role(self, account: str, role_arn: str) -> None:
        """Create a service account that has a role, as docs/workloads.md says."""
        self.cluster.apply_objects(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {
                    "name": account,
                    "namespace": NAMESPACE,
                    "annotations": {"eks.amazonaws.com/role-arn": role_arn},
                },
            }
        )


@pytest.fixture(scope="session")
def parts() -> Programs:
    if not programs.FETCH:
        pytest.skip("builds an API server and an operator: make test-operators")
    return built_programs()


@pytest.fixture(scope="session")
def cluster(parts: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(parts, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def world(parts: Programs, cluster: Cluster) -> Iterator[World]:
    with running_emulator(None) as emulator:
        role = f"arn:aws:iam::{ACCOUNT}:role/external-secrets"
        provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER.removeprefix('https://')}"
        world = World(cluster, emulator, role, provider)
        iam = world.client("iam")
        iam.create_open_id_connect_provider(
            Url=ISSUER, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
        )
        iam.create_role(
            RoleName="external-secrets",
            AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "sts:AssumeRole"),
        )
        with running_operator(parts, cluster, _session(world), emulator.endpoint):
            yield world


def _session(world: World) -> dict[str, str]:
    """Return the operator's own credentials: a session of its role."""
    answer = world.client("sts").assume_role(RoleArn=world.operator_role, RoleSessionName="operator")
    found = answer["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        "AWS_SESSION_TOKEN": found["SessionToken"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }
