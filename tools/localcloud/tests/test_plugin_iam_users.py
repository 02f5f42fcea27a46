"""IAM users and their policies in the stand-in aws plugin."""

import json
import uuid

import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import provider_pb2

from tools.localcloud.plugins.values import Properties, to_struct
from tools.localcloud.tests.plugin_calls import Context, Plugin, RefusedError, difference, urn

pytestmark = pytest.mark.usefixtures("surroundings")

USER = "aws:iam/user:User"
POLICY = "aws:iam/userPolicy:UserPolicy"


def sending(domain: str) -> str:
    statement = {"Effect": "Allow", "Action": "ses:SendRawEmail", "Resource": f"arn:aws:ses:{domain}"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def delete(plugin: Plugin, token: str, identity: str, made: Properties) -> None:
    request = provider_pb2.DeleteRequest(urn=urn(token), id=identity, properties=to_struct(made))
    plugin.servicer.Delete(request, Context())


def test_a_user_is_made_changed_and_deleted_with_keys_that_others_made(plugin: Plugin) -> None:
    name, iam = f"u-{uuid.uuid4().hex[:12]}", plugin.client("iam")
    given: Properties = {"name": name, "forceDestroy": True, "tags": {"a": "1"}}
    identity, made = plugin.create(USER, given)
    assert identity == name
    assert made["arn"].endswith(f":user/{name}")
    assert not difference(plugin, USER, made, given).diffs
    changed = {**given, "tags": {"b": "2"}}
    made = plugin.update(USER, identity, made, changed)
    assert iam.list_user_tags(UserName=name)["Tags"] == [{"Key": "b", "Value": "2"}]
    iam.create_access_key(UserName=name)
    with pytest.raises(RefusedError, match="DeleteConflict"):
        delete(plugin, USER, identity, {**made, "forceDestroy": False})
    delete(plugin, USER, identity, made)
    assert not plugin.read(USER, identity).id
    delete(plugin, USER, identity, made)  # somebody deleted it before


def test_a_users_policy_is_put_changed_and_deleted(plugin: Plugin) -> None:
    name = f"u-{uuid.uuid4().hex[:12]}"
    plugin.create(USER, {"name": name})
    given: Properties = {"user": name, "name": "send", "policy": sending("a")}
    identity, made = plugin.create(POLICY, given)
    assert identity == f"{name}:send"
    assert not difference(plugin, POLICY, made, given).diffs
    assert list(difference(plugin, POLICY, made, {**given, "user": "another"}).replaces) == ["user"]
    made = plugin.update(POLICY, identity, made, {**given, "policy": sending("b")})
    found = json_format.MessageToDict(plugin.read(POLICY, identity).properties)
    assert json.loads(found["policy"]) == json.loads(sending("b"))
    delete(plugin, POLICY, identity, made)
    assert not plugin.read(POLICY, identity).id
