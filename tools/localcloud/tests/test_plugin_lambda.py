# ruff: noqa: ANN401  boto3, protobuf and property values are of any type
"""Lambda and IAM in the stand-in aws plugin, against an emulator that really runs the functions."""

import base64
import hashlib
import io
import json
import os
import threading
import time
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import provider_pb2

from tests.support.emulator_functions import logged
from tests.support.emulator_process import Emulator
from tools.localcloud.plugins import archives
from tools.localcloud.plugins.values import Asset, Properties, to_struct
from tools.localcloud.tests.plugin_calls import Context, Plugin, RefusedError, difference, refusals, urn

pytestmark = pytest.mark.usefixtures("surroundings")

FUNCTION = "aws:lambda/function:Function"
PERMISSION = "aws:lambda/permission:Permission"
INVOCATION = "aws:lambda/invocation:Invocation"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
ASSET, ARCHIVE = "c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
SOURCE = """
import os

def handle(event, context):
    if event.get("fail"):
        raise ValueError(event["fail"])
    return {"event": event, "number": NUMBER, "colour": os.environ.get("COLOUR")}
"""


@pytest.fixture
def name() -> str:
    return f"f-{uuid.uuid4().hex[:12]}"


def of_path(path: Path) -> Asset:
    content = path.read_bytes() if path.is_file() else b""
    return Asset(ARCHIVE, hashlib.sha256(content).hexdigest(), {"path": str(path)})


def packed(path: Path, number: int = 1) -> Asset:
    """Return a zip file with a compression and dates of its own, so that packing it again would show."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("app.py", (2001, 2, 3, 4, 5, 6)), f"NUMBER = {number}\n{SOURCE}")
    return of_path(path)


@pytest.fixture
def given(plugin: Plugin, name: str, tmp_path: Path) -> Properties:
    """Return a function's inputs."""
    _, role = plugin.create(ROLE, {"name": name, "assumeRolePolicy": json.dumps(TRUST)})
    writing = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [writing]})
    plugin.client("iam").put_role_policy(RoleName=name, PolicyName="log", PolicyDocument=document)
    return {
        "name": name,
        "code": packed(tmp_path / "app.zip"),
        "handler": "app.handle",
        "runtime": "python3.13",
        "role": role["arn"],
    }


def invoked(plugin: Plugin, name: str) -> Any:
    answer = plugin.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    return json.loads(answer["Payload"].read())


def configuration(plugin: Plugin, name: str) -> Any:
    return plugin.client("lambda").get_function(FunctionName=name)["Configuration"]


# Code


def test_what_is_deployed_is_the_zip_file_byte_by_byte(
    plugin: Plugin, given: Properties, name: str, tmp_path: Path
) -> None:
    _, made = plugin.create(FUNCTION, given)
    expected = base64.b64encode(hashlib.sha256((tmp_path / "app.zip").read_bytes()).digest()).decode()
    assert made["codeSha256"] == expected == configuration(plugin, name)["CodeSha256"]
    assert made["sourceCodeSize"] == (tmp_path / "app.zip").stat().st_size
    assert invoked(plugin, name)["number"] == 1


def test_a_folder_always_gives_the_same_archive(plugin: Plugin, given: Properties, tmp_path: Path) -> None:
    hashes = set()
    for at, names in enumerate((["app.py", "below/part.py"], ["below/part.py", "app.py"])):
        folder = tmp_path / str(at)
        (folder / "below").mkdir(parents=True)
        for file in names:
            (folder / file).write_text(f"NUMBER = 1\n{SOURCE}")
            os.utime(folder / file, (at, at * 10**9))
        _, made = plugin.create(FUNCTION, {**given, "name": f"{given['name']}-{at}", "code": of_path(folder)})
        hashes.add(made["codeSha256"])
        assert invoked(plugin, made["name"])["number"] == 1
        with zipfile.ZipFile(io.BytesIO(archives.zipped(of_path(folder)))) as archive:
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert len(hashes) == 1


def test_an_asset_archive_contains_texts_files_and_archives(
    plugin: Plugin, given: Properties, name: str, tmp_path: Path
) -> None:
    (tmp_path / "number.txt").write_text("7")
    source = SOURCE.replace("NUMBER,", "int(open('data/number.txt').read()) + app.NUMBER,")
    members = {
        "main.py": Asset(ASSET, "1", {"text": f"from lib import app\n{source}"}),
        "data/number.txt": Asset(ASSET, "2", {"path": str(tmp_path / "number.txt")}),
        "lib": packed(tmp_path / "lib.zip", 100),
    }
    plugin.create(
        FUNCTION, {**given, "handler": "main.handle", "code": Asset(ARCHIVE, "3", {"assets": members})}
    )
    assert invoked(plugin, name)["number"] == 107


@pytest.mark.parametrize(
    ("source", "about"),
    [
        ({"path": "nowhere.zip"}, "reading archive (nowhere.zip): No such file or directory"),
        ({"path": "code.tar.gz"}, "reading archive (code.tar.gz): the local stand-in reads only folders and"),
        ({"uri": "https://example.com/a.zip"}, "it has an address; give a file or a folder"),
        ({"assets": {}}, "it has no files"),
    ],
)
def test_an_archive_that_cannot_be_read_is_named(  # noqa: PLR0913, PLR0917  fixtures
    plugin: Plugin,
    given: Properties,
    source: Properties,
    about: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("code.tar.gz").touch()
    with pytest.raises(RefusedError) as caught:
        plugin.create(FUNCTION, {**given, "code": Asset(ARCHIVE, "1", source)})
    assert about in str(caught.value)


def test_another_archive_updates_the_code_in_place(
    plugin: Plugin, given: Properties, name: str, tmp_path: Path
) -> None:
    _, made = plugin.create(FUNCTION, given)
    assert invoked(plugin, name)["number"] == 1  # and leaves a warm environment behind
    changed = {**given, "code": packed(tmp_path / "other.zip", 2)}
    found = difference(plugin, FUNCTION, made, changed)
    assert (sorted(found.diffs), list(found.replaces)) == (["code", "lastModified"], [])
    updated = plugin.update(FUNCTION, name, made, changed)
    assert updated["arn"] == made["arn"]
    assert updated["codeSha256"] != made["codeSha256"]
    assert invoked(plugin, name)["number"] == 2
    assert not difference(plugin, FUNCTION, updated, changed).diffs


def test_the_same_archive_elsewhere_is_no_change(plugin: Plugin, given: Properties, tmp_path: Path) -> None:
    _, made = plugin.create(FUNCTION, given)
    assert not difference(plugin, FUNCTION, made, {**given, "code": packed(tmp_path / "copy.zip")}).diffs


def test_another_hash_of_the_source_sends_the_code_again(
    plugin: Plugin, given: Properties, name: str, tmp_path: Path
) -> None:
    _, made = plugin.create(FUNCTION, {**given, "sourceCodeHash": "a"})
    packed(tmp_path / "app.zip", 3)
    changed = {**given, "sourceCodeHash": "b"}
    assert "sourceCodeHash" in difference(plugin, FUNCTION, made, changed).diffs
    assert plugin.update(FUNCTION, name, made, changed)["sourceCodeHash"] == "b"
    assert invoked(plugin, name)["number"] == 3


def test_code_and_configuration_change_together(
    plugin: Plugin, given: Properties, name: str, tmp_path: Path
) -> None:
    _, made = plugin.create(FUNCTION, given)
    changed = {
        **given,
        "code": packed(tmp_path / "other.zip", 5),
        "environment": {"variables": {"COLOUR": "blue"}},
        "memorySize": 512,
    }
    plugin.update(FUNCTION, name, made, changed)
    assert invoked(plugin, name) == {"event": {}, "number": 5, "colour": "blue"}
    assert configuration(plugin, name)["MemorySize"] == 512


def test_code_that_was_not_deployed_is_deployed_by_the_next_update(
    plugin: Plugin, given: Properties, name: str, tmp_path: Path
) -> None:
    _, made = plugin.create(FUNCTION, given)
    changed = {**given, "code": packed(tmp_path / "other.zip", 2)}
    (tmp_path / "other.zip").rename(tmp_path / "away.zip")
    with pytest.raises(RefusedError) as caught:
        plugin.update(FUNCTION, name, made, changed)
    recorded = caught.value.recorded
    assert recorded["code"].hash == given["code"].hash
    assert "code" in difference(plugin, FUNCTION, recorded, changed).diffs


# Configuration


def test_a_variable_taken_away_is_taken_away_in_aws(plugin: Plugin, given: Properties, name: str) -> None:
    both = {**given, "environment": {"variables": {"COLOUR": "blue", "SHAPE": "round"}}}
    _, made = plugin.create(FUNCTION, both)
    one = {**given, "environment": {"variables": {"SHAPE": "round"}}}
    assert list(difference(plugin, FUNCTION, made, one).detailedDiff) == ["environment.variables.COLOUR"]
    updated = plugin.update(FUNCTION, name, made, one)
    assert configuration(plugin, name)["Environment"] == {"Variables": {"SHAPE": "round"}}
    assert invoked(plugin, name)["colour"] is None
    updated = plugin.update(FUNCTION, name, updated, given)
    assert "Environment" not in configuration(plugin, name)
    assert updated["environment"] is None
    assert not difference(plugin, FUNCTION, updated, given).diffs


def test_logs_go_to_the_group_that_the_program_names(
    emulator: Emulator, plugin: Plugin, given: Properties, name: str
) -> None:
    logging = {"logFormat": "Text", "logGroup": f"own-{name}"}
    _, made = plugin.create(FUNCTION, {**given, "loggingConfig": logging})
    assert made["loggingConfig"] == {**logging, "applicationLogLevel": "", "systemLogLevel": ""}
    assert not difference(plugin, FUNCTION, made, {**given, "loggingConfig": logging}).diffs
    invoked(plugin, name)
    assert logged(emulator, f"own-{name}")
    other = {**logging, "logGroup": f"other-{name}"}
    changed = {**given, "loggingConfig": other}
    assert list(difference(plugin, FUNCTION, made, changed).detailedDiff) == ["loggingConfig.logGroup"]
    assert plugin.update(FUNCTION, name, made, changed)["loggingConfig"]["logGroup"] == f"other-{name}"
    invoked(plugin, name)
    assert logged(emulator, f"other-{name}")


def test_concurrency_and_tags_change(plugin: Plugin, given: Properties, name: str) -> None:
    _, made = plugin.create(
        FUNCTION, {**given, "reservedConcurrentExecutions": 1, "tags": {"a": "1", "b": "2"}}
    )
    assert made["reservedConcurrentExecutions"] == 1
    updated = plugin.update(FUNCTION, name, made, {**given, "tags": {"b": "3"}})
    assert updated["reservedConcurrentExecutions"] == -1
    assert updated["tags"] == updated["tagsAll"] == {"b": "3"}
    assert plugin.client("lambda").list_tags(Resource=made["arn"])["Tags"] == {"b": "3"}


def test_a_published_version_is_named_by_the_qualified_arn(
    plugin: Plugin, given: Properties, name: str
) -> None:
    _, made = plugin.create(FUNCTION, {**given, "publish": True})
    assert (made["version"], made["qualifiedArn"]) == ("1", f"{made['arn']}:1")
    changed = {**given, "publish": True, "description": "another"}
    found = difference(plugin, FUNCTION, made, changed)
    assert {"qualifiedArn", "qualifiedInvokeArn", "version"} <= set(found.diffs)
    assert plugin.update(FUNCTION, name, made, changed)["version"] == "2"


# Networks


INTERFACES = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": ["ec2:CreateNetworkInterface"], "Resource": "*"},
}


@pytest.fixture
def network(plugin: Plugin) -> Properties:
    ec2 = plugin.client("ec2")
    subnets = ec2.describe_subnets()["Subnets"][:2]
    vpc = subnets[0]["VpcId"]
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    return {
        "subnetIds": [subnet["SubnetId"] for subnet in subnets],
        "securityGroupIds": [groups[0]["GroupId"]],
        "vpcId": vpc,
    }


def asked(network: Properties) -> Properties:
    return {part: value for part, value in network.items() if part != "vpcId"}


def test_a_function_enters_and_leaves_a_network(
    plugin: Plugin, given: Properties, name: str, network: Properties
) -> None:
    plugin.create(ROLE_POLICY, {"role": name, "policy": json.dumps(INTERFACES)})
    inside = {**given, "vpcConfig": asked(network)}
    _, made = plugin.create(FUNCTION, inside)
    assert made["vpcConfig"] == {**network, "ipv6AllowedForDualStack": False}
    turned = {**asked(network), "subnetIds": network["subnetIds"][::-1]}
    assert not difference(plugin, FUNCTION, made, {**given, "vpcConfig": turned}).diffs
    assert difference(plugin, FUNCTION, made, given).diffs == ["vpcConfig"]
    outside = plugin.update(FUNCTION, name, made, given)
    assert outside["vpcConfig"] is None
    assert not difference(plugin, FUNCTION, outside, given).diffs
    again = plugin.update(FUNCTION, name, outside, inside)
    assert again["vpcConfig"]["vpcId"] == network["vpcId"]


def test_a_role_that_may_create_no_network_interfaces_is_refused(
    plugin: Plugin, given: Properties, network: Properties, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.localcloud.plugins.aws.retries.SECONDS", 0)
    with pytest.raises(RefusedError, match="does not have permissions to call CreateNetworkInterface on EC2"):
        plugin.create(FUNCTION, {**given, "vpcConfig": asked(network)})


def test_a_role_that_becomes_usable_during_retries_is_accepted(
    plugin: Plugin, given: Properties, name: str, network: Properties, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.localcloud.plugins.aws.retries.SECONDS", 30)

    def add_policy() -> None:
        time.sleep(0.3)
        plugin.create(ROLE_POLICY, {"role": name, "policy": json.dumps(INTERFACES)})

    late = threading.Thread(target=add_policy)
    late.start()
    _, made = plugin.create(FUNCTION, {**given, "vpcConfig": asked(network)})
    late.join()
    assert made["vpcConfig"]["vpcId"] == network["vpcId"]


@pytest.mark.parametrize(
    ("part", "wrong", "about"),
    [
        ("subnetIds", "subnet-0123", "The subnet ID 'subnet-0123' does not exist"),
        ("securityGroupIds", "sg-0123", "The security group 'sg-0123' does not exist"),
    ],
)
def test_a_network_that_is_not_there_is_refused(  # noqa: PLR0913, PLR0917  fixtures
    plugin: Plugin, given: Properties, network: Properties, part: str, wrong: str, about: str
) -> None:
    with pytest.raises(RefusedError, match=about):
        plugin.create(FUNCTION, {**given, "vpcConfig": {**asked(network), part: [wrong]}})


# What is refused, and what is gone


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"s3Bucket": "b", "s3Key": "k"}, "deploys archives only, no images and nothing from S3"),
        ({"imageUri": "i"}, "deploys archives only, no images and nothing from S3"),
        ({"packageType": "Image"}, "deploys archives only, no images and nothing from S3"),
        ({"layers": ["arn:aws:lambda:us-east-1:123456789012:layer:l:1"]}, "does not implement this setting"),
        ({"code": None}, "one of `code,image_uri,s3_bucket` must be specified"),
        ({"code": Asset(ASSET, "1", {"text": ""})}, "expected an archive: pulumi.FileArchive"),
        ({"handler": None}, "handler and runtime must be set when PackageType is Zip"),
        ({"timeout": 901}, "expected timeout to be in the range (1 - 900), got 901"),
        ({"memorySize": 1}, "expected memory_size to be in the range (128 - 10240), got 1"),
        ({"name": "a b"}, "must be valid function name or function ARN"),
        ({"name": "a" * 65}, "less than or equal to 64"),
    ],
)
def test_what_cannot_be_deployed_is_refused_before_anything_is_made(
    plugin: Plugin, given: Properties, change: Properties, about: str
) -> None:
    assert refusals(plugin, FUNCTION, given) == []
    assert any(about in reason for reason in refusals(plugin, FUNCTION, {**given, **change}))


def test_a_variable_s_value_is_in_no_error(plugin: Plugin, given: Properties) -> None:
    secret = "s3cret-in-the-environment"
    given = {**given, "environment": {"variables": {"PASSWORD": secret}}}
    plugin.create(FUNCTION, given)
    with pytest.raises(RefusedError, match="ResourceConflictException") as caught:
        plugin.create(FUNCTION, given)
    assert secret not in str(caught.value)


def test_a_function_deleted_outside_reads_as_gone(plugin: Plugin, given: Properties, name: str) -> None:
    _, made = plugin.create(FUNCTION, given)
    _, permission = plugin.create(
        PERMISSION, {"function": name, "action": "lambda:InvokeFunction", "principal": "s3.amazonaws.com"}
    )
    plugin.client("lambda").delete_function(FunctionName=name)
    for token, olds in ((FUNCTION, made), (PERMISSION, permission)):
        asked_for = provider_pb2.ReadRequest(urn=urn(token), id=olds["id"], properties=to_struct(olds))
        assert not plugin.servicer.Read(asked_for, Context()).id
        request = provider_pb2.DeleteRequest(urn=urn(token), id=olds["id"], properties=to_struct(olds))
        plugin.servicer.Delete(request, Context())


def test_a_function_and_its_permission_are_imported(plugin: Plugin, given: Properties, name: str) -> None:
    plugin.create(FUNCTION, given)
    allowed = {
        "function": name,
        "action": "lambda:InvokeFunction",
        "principal": "secretsmanager.amazonaws.com",
        "sourceAccount": "123456789012",
    }
    statement, _ = plugin.create(PERMISSION, allowed)
    found = json_format.MessageToDict(plugin.read(FUNCTION, name).inputs)
    assert {"handler": "app.handle", "runtime": "python3.13", "name": name}.items() <= found.items()
    imported = plugin.read(PERMISSION, f"{name}/{statement}")
    assert imported.id == statement
    assert allowed.items() <= json_format.MessageToDict(imported.inputs).items()


# Invocations


def test_a_function_that_fails_fails_the_creation_which_is_tried_again(
    plugin: Plugin, given: Properties, name: str
) -> None:
    plugin.create(FUNCTION, given)
    with pytest.raises(RefusedError) as caught:
        plugin.create(INVOCATION, {"functionName": name, "input": json.dumps({"fail": "no such role"})})
    assert f"invoking Lambda Function ({name}): " in str(caught.value)
    assert '"errorMessage": "no such role"' in str(caught.value)
    assert "/var/task/app.py" in str(caught.value)
    assert caught.value.recorded == {}  # so that the engine creates it at the next try
    identity, made = plugin.create(INVOCATION, {"functionName": name, "input": json.dumps({"fail": ""})})
    assert identity.startswith(f"{name},$LATEST,")
    assert json.loads(made["result"])["event"] == {"fail": ""}


def test_a_create_only_invocation_is_not_called_on_deletion(
    emulator: Emulator, plugin: Plugin, given: Properties, name: str
) -> None:
    plugin.create(FUNCTION, given)
    identity, made = plugin.create(INVOCATION, {"functionName": name, "input": "{}"})
    found = difference(plugin, INVOCATION, made, {"functionName": name, "input": '{"other": 1}'})
    assert list(found.replaces) == ["__meta"]
    before = logged(emulator, f"/aws/lambda/{name}")
    request = provider_pb2.DeleteRequest(urn=urn(INVOCATION), id=identity, properties=to_struct(made))
    plugin.servicer.Delete(request, Context())
    assert logged(emulator, f"/aws/lambda/{name}") == before


def test_an_invocation_for_the_whole_life_tells_what_happens(
    emulator: Emulator, plugin: Plugin, given: Properties, name: str
) -> None:
    plugin.create(FUNCTION, given)

    def inputs(number: int) -> Properties:
        text = json.dumps({"number": number})
        return {"functionName": name, "input": text, "lifecycleScope": "CRUD"}

    identity, made = plugin.create(INVOCATION, inputs(1))
    assert json.loads(made["result"])["event"] == {
        "number": 1,
        "tf": {"action": "create", "prev_input": None},
    }
    found = difference(plugin, INVOCATION, made, inputs(2))
    assert (sorted(found.diffs), list(found.replaces)) == (["input", "result"], [])
    updated = plugin.update(INVOCATION, identity, made, inputs(2))
    assert json.loads(updated["result"])["event"] == {
        "number": 2,
        "tf": {"action": "update", "prev_input": {"number": 1}},
    }
    before = len(logged(emulator, f"/aws/lambda/{name}"))
    request = provider_pb2.DeleteRequest(urn=urn(INVOCATION), id=identity, properties=to_struct(updated))
    plugin.servicer.Delete(request, Context())
    assert len(logged(emulator, f"/aws/lambda/{name}")) > before


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"input": '{"password": "s3cret'}, '"input" contains an invalid JSON'),
        ({"input": '{"password": NaN}'}, '"input" contains an invalid JSON'),
        ({"input": "[]", "lifecycleScope": "CRUD"}, "requires input to be a JSON object"),
        ({"lifecycleScope": "ALWAYS"}, 'expected lifecycle_scope to be one of ["CREATE_ONLY" "CRUD"]'),
    ],
)
def test_what_cannot_be_sent_is_refused_without_showing_it(
    plugin: Plugin, change: Properties, about: str
) -> None:
    (reason,) = refusals(plugin, INVOCATION, {"functionName": "f", "input": "{}", **change})
    assert about in reason
    assert "s3cret" not in reason


# Roles


def test_a_role_changes_in_place(plugin: Plugin, name: str) -> None:
    given = {"name": name, "assumeRolePolicy": json.dumps(TRUST), "description": "one", "tags": {"a": "1"}}
    _, made = plugin.create(ROLE, given)
    other = json.dumps(TRUST).replace("lambda", "ec2")
    changed = {"name": name, "assumeRolePolicy": other, "maxSessionDuration": 7200, "tags": {"b": "2"}}
    updated = plugin.update(ROLE, name, made, changed)
    assert (updated["description"], updated["maxSessionDuration"]) == ("", 7200)
    assert updated["tagsAll"] == {"b": "2"}
    assert json.loads(updated["assumeRolePolicy"]) == json.loads(other)
    role = plugin.client("iam").get_role(RoleName=name)["Role"]
    assert role["AssumeRolePolicyDocument"] == json.loads(other)
    assert not difference(plugin, ROLE, updated, changed).diffs


def test_policies_that_a_role_names_itself_are_added_and_taken_away(plugin: Plugin, name: str) -> None:
    managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
    given = {"name": name, "assumeRolePolicy": json.dumps(TRUST)}
    own = {
        **given,
        "inlinePolicies": [{"name": "p", "policy": json.dumps(INTERFACES)}],
        "managedPolicyArns": [managed],
    }
    _, made = plugin.create(ROLE, own)
    assert made["managedPolicyArns"] == [managed]
    assert not difference(plugin, ROLE, made, own).diffs
    updated = plugin.update(ROLE, name, made, {**given, "inlinePolicies": [], "managedPolicyArns": []})
    iam = plugin.client("iam")
    assert updated["managedPolicyArns"] == iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []


def test_a_role_with_a_policy_of_another_s_is_not_deleted(plugin: Plugin, name: str) -> None:
    identity, made = plugin.create(ROLE, {"name": name, "assumeRolePolicy": json.dumps(TRUST)})
    policy, _ = plugin.create(ROLE_POLICY, {"role": name, "policy": json.dumps(INTERFACES)})
    request = provider_pb2.DeleteRequest(urn=urn(ROLE), id=identity, properties=to_struct(made))
    with pytest.raises(RefusedError, match="DeleteConflict"):
        plugin.servicer.Delete(request, Context())
    plugin.servicer.Delete(provider_pb2.DeleteRequest(urn=urn(ROLE_POLICY), id=policy), Context())
    plugin.servicer.Delete(request, Context())
    assert not plugin.read(ROLE, name).id
    assert not plugin.read(ROLE_POLICY, policy).id


def test_a_policy_of_a_role_removed_outside_reads_as_gone(plugin: Plugin, name: str) -> None:
    plugin.create(ROLE, {"name": name, "assumeRolePolicy": json.dumps(TRUST)})
    policy, _ = plugin.create(ROLE_POLICY, {"role": name, "policy": json.dumps(INTERFACES)})
    assert plugin.read(ROLE_POLICY, policy).id == policy
    plugin.client("iam").delete_role_policy(RoleName=name, PolicyName=policy.partition(":")[2])
    assert not plugin.read(ROLE_POLICY, policy).id
