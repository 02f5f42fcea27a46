# ruff: noqa: ANN401  boto3, protobuf and property values are of any type
"""EKS Pod Identity in the stand-in aws plugin, against an emulator."""

import json
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from pulumi.runtime.proto import provider_pb2

from tests.support.emulator_functions import TRUST
from tests.support.emulator_process import Emulator
from tools.localcloud.plugins.values import Properties, from_struct, to_struct
from tools.localcloud.tests.plugin_calls import Context, Plugin, RefusedError, difference, urn

pytestmark = pytest.mark.usefixtures("surroundings", "without_patience")

ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
NETWORK = {"subnetIds": ["subnet-1", "subnet-2"]}


@pytest.fixture
def role(plugin: Plugin) -> str:
    return role_named(plugin, f"pods-{uuid.uuid4()}")


def role_named(plugin: Plugin, name: str) -> str:
    made = plugin.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    return str(made["Role"]["Arn"])


@pytest.fixture
def declared(plugin: Plugin, role: str) -> Properties:
    cluster = f"cluster-{uuid.uuid4()}"
    plugin.client("eks").create_cluster(name=cluster, roleArn=role, resourcesVpcConfig=NETWORK)
    return {
        "clusterName": cluster,
        "namespace": "shop",
        "serviceAccount": "web",
        "roleArn": role,
        "tags": {"a": "1", "b": "2"},
    }


def in_aws(plugin: Plugin, made: Properties) -> Any:
    answer = plugin.client("eks").describe_pod_identity_association(
        clusterName=made["clusterName"], associationId=made["associationId"]
    )
    return answer["association"]


def test_an_association_lives_from_its_creation_to_its_deletion(plugin: Plugin, declared: Properties) -> None:
    identity, made = plugin.create(ASSOCIATION, declared)
    assert identity == made["associationId"]
    assert made["associationArn"].endswith(f":podidentityassociation/{declared['clusterName']}/{identity}")
    assert in_aws(plugin, made)["serviceAccount"] == "web"
    other = role_named(plugin, f"other-{uuid.uuid4()}")
    changed = {**declared, "roleArn": other, "tags": {"b": "3", "c": "4"}}
    updated = plugin.update(ASSOCIATION, identity, made, changed)
    found = in_aws(plugin, made)
    assert (found["roleArn"], found["tags"]) == (other, {"b": "3", "c": "4"})
    assert updated["roleArn"] == other
    imported = plugin.read(ASSOCIATION, f"{declared['clusterName']},{identity}")
    assert imported.id == identity
    assert from_struct(imported.properties)["roleArn"] == other
    request = provider_pb2.DeleteRequest(urn=urn(ASSOCIATION), id=identity, properties=to_struct(updated))
    for _ in ("once", "again after a crash"):
        plugin.servicer.Delete(request, Context())
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        in_aws(plugin, made)


@pytest.mark.parametrize(
    ("name", "replaced"),
    [("clusterName", True), ("namespace", True), ("serviceAccount", True), ("roleArn", False)],
)
def test_changing_an_associations_service_account_replaces_it(
    plugin: Plugin, declared: Properties, name: str, replaced: bool
) -> None:
    _, made = plugin.create(ASSOCIATION, declared)
    found = difference(plugin, ASSOCIATION, made, {**declared, name: "another"})
    assert list(found.diffs) == [name]
    assert bool(list(found.replaces)) is replaced


def test_a_service_account_has_one_role_and_both_must_exist(plugin: Plugin, declared: Properties) -> None:
    plugin.create(ASSOCIATION, declared)
    with pytest.raises(RefusedError, match="Association already exists"):
        plugin.create(ASSOCIATION, declared)
    with pytest.raises(RefusedError, match="No cluster found for name: nowhere"):
        plugin.create(ASSOCIATION, {**declared, "clusterName": "nowhere"})
    with pytest.raises(RefusedError, match="Role provided in the request does not exist"):
        plugin.create(ASSOCIATION, {**declared, "namespace": "b", "roleArn": f"{declared['roleArn']}x"})


def test_associations_need_the_right_to_pass_the_role(
    plugin: Plugin, emulator: Emulator, declared: Properties
) -> None:
    iam = plugin.client("iam")
    user = f"maker-{uuid.uuid4()}"
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    eks = boto3.client(
        "eks",
        region_name="us-east-1",
        endpoint_url=emulator.endpoint,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )

    def allow(*actions: str) -> None:
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=user, PolicyName="maker", PolicyDocument=document)

    wanted = {name: declared[name] for name in ("clusterName", "namespace", "serviceAccount", "roleArn")}
    allow("eks:CreatePodIdentityAssociation")
    with pytest.raises(ClientError, match="iam:PassRole"):
        eks.create_pod_identity_association(**wanted)
    allow("eks:CreatePodIdentityAssociation", "iam:PassRole")
    eks.create_pod_identity_association(**wanted)
    with pytest.raises(ClientError, match="eks:ListPodIdentityAssociations"):
        eks.list_pod_identity_associations(clusterName=wanted["clusterName"])
