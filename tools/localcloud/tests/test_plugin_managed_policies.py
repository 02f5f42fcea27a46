"""Managed policies of IAM and their attachments in the stand-in aws plugin."""

import json
import uuid

import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import provider_pb2

from tools.localcloud.plugins.values import Properties, to_struct
from tools.localcloud.tests.plugin_calls import Context, Plugin, RefusedError, difference, urn

pytestmark = pytest.mark.usefixtures("surroundings")

ROLE = "aws:iam/role:Role"
POLICY = "aws:iam/policy:Policy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def reading(name: str) -> str:
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": f"arn:aws:{name}"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def name(plugin: Plugin) -> str:
    """A role, by its name."""
    name = f"r-{uuid.uuid4().hex[:12]}"
    plugin.create(ROLE, {"name": name, "assumeRolePolicy": json.dumps(TRUST)})
    return name


def delete(plugin: Plugin, token: str, identity: str, made: Properties) -> None:
    request = provider_pb2.DeleteRequest(urn=urn(token), id=identity, properties=to_struct(made))
    plugin.servicer.Delete(request, Context())


def attached(plugin: Plugin, role: str) -> list[str]:
    found = plugin.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return [policy["PolicyArn"] for policy in found]


def test_a_policy_is_attached_replaced_and_detached(plugin: Plugin, name: str) -> None:
    arns = [plugin.create(POLICY, {"name": f"{name}-{n}", "policy": reading("a")})[0] for n in (1, 2)]
    given = {"role": name, "policyArn": arns[0]}
    identity, made = plugin.create(ATTACHMENT, given)
    assert identity == f"{name}/{arns[0]}"
    assert attached(plugin, name) == [arns[0]]
    assert not difference(plugin, ATTACHMENT, made, given).diffs
    found = json_format.MessageToDict(plugin.read(ATTACHMENT, identity).properties)
    assert found == {**given, "id": identity}
    for change in ({"policyArn": arns[1]}, {"role": "another"}):
        assert list(difference(plugin, ATTACHMENT, made, {**given, **change}).replaces) == [*change]
    with pytest.raises(RefusedError, match="DeleteConflict"):
        delete(plugin, POLICY, arns[0], {})
    delete(plugin, ATTACHMENT, identity, made)
    assert attached(plugin, name) == []
    assert not plugin.read(ATTACHMENT, identity).id
    delete(plugin, ATTACHMENT, identity, made)  # somebody detached it before
    delete(plugin, POLICY, arns[0], {})
    assert not plugin.read(POLICY, arns[0]).id


def test_a_policy_that_is_updated_often_keeps_five_versions(plugin: Plugin, name: str) -> None:
    given = {"name": name, "policy": reading("0")}
    arn, made = plugin.create(POLICY, given)
    for number in range(1, 8):
        given = {**given, "policy": reading(str(number))}
        made = plugin.update(POLICY, arn, made, given)
    versions = plugin.client("iam").list_policy_versions(PolicyArn=arn)["Versions"]
    assert len(versions) == 5
    assert [version["VersionId"] for version in versions if version["IsDefaultVersion"]] == ["v8"]
    assert json.loads(made["policy"]) == json.loads(reading("7"))
    assert not difference(plugin, POLICY, made, given).diffs
    delete(plugin, POLICY, arn, made)
    assert not plugin.read(POLICY, arn).id


def test_an_attachment_of_a_role_that_is_gone_reads_as_gone(plugin: Plugin, name: str) -> None:
    arn, _ = plugin.create(POLICY, {"name": name, "policy": reading("a")})
    identity, made = plugin.create(ATTACHMENT, {"role": name, "policyArn": arn})
    iam = plugin.client("iam")
    iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    iam.delete_role(RoleName=name)
    assert not plugin.read(ATTACHMENT, identity).id
    delete(plugin, ATTACHMENT, identity, made)
