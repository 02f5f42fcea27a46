"""The stand-in aws plugin against an emulator: errors that operators read, and updates."""

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import provider_pb2

from tests.support.emulator_process import Emulator
from tools.localcloud.plugins.values import Properties, from_struct, to_struct
from tools.localcloud.tests.plugin_calls import Context, Plugin, RefusedError, difference, lead_to, urn

pytestmark = pytest.mark.usefixtures("surroundings")

SECRET = "aws:secretsmanager/secret:Secret"
SECRET_VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
SECRET_POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"
KEY = "aws:kms/key:Key"
ALIAS = "aws:kms/alias:Alias"
MARK = "4dabf18193072939515e22adb298388d"


@pytest.fixture(scope="module")
def plugin(emulator: Emulator) -> Iterator[Plugin]:
    with pytest.MonkeyPatch.context() as patch:
        lead_to(emulator, patch)
        made = Plugin({"region": "us-east-1"})
        for service in ("secretsmanager", "kms"):
            made.client(service)
        yield made


@pytest.fixture
def name() -> str:
    return f"app/{uuid.uuid4()}"


# Configuration and what is not supported


@pytest.mark.parametrize("token", ["aws:s3/bucket:Bucket", "aws:ec2/instance:Instance"])
def test_a_type_that_is_not_supported_is_named_with_the_remedy(plugin: Plugin, token: str) -> None:
    for call in (lambda: plugin.inputs(token, {}), lambda: plugin.read(token, "x")):
        with pytest.raises(RefusedError) as refused:
            call()
        assert token in str(refused.value)
        assert "PULUMI_PLUGINS=official" in str(refused.value)


def test_a_function_that_is_not_supported_is_named_with_the_remedy(plugin: Plugin) -> None:
    with pytest.raises(RefusedError, match=r"aws:s3/getBucket:getBucket.*PULUMI_PLUGINS=official"):
        plugin.invoke("aws:s3/getBucket:getBucket", {})


@pytest.mark.parametrize(
    ("config", "allowed"),
    [
        ({"allowedAccountIds": ["123456789012"]}, True),
        ({"allowedAccountIds": ["999999999999"]}, False),
        ({"allowedAccountIds": '["999999999999"]'}, False),
        ({"forbiddenAccountIds": ["123456789012"]}, False),
        ({"forbiddenAccountIds": ["999999999999"]}, True),
    ],
)
def test_only_an_allowed_account_is_used(config: Properties, *, allowed: bool) -> None:
    if allowed:
        Plugin({"region": "us-east-1", **config})
    else:
        with pytest.raises(RefusedError, match="not allowed: 123456789012"):
            Plugin({"region": "us-east-1", **config})


def test_missing_credentials_are_said_with_the_ways_to_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    [reason] = Plugin({"region": "us-east-1"}).refused
    assert "No valid credential sources found" in reason
    assert "AWS_ACCESS_KEY_ID" in reason


def test_a_missing_profile_is_named() -> None:
    [reason] = Plugin({"region": "us-east-1", "profile": "nobody"}).refused
    assert "nobody" in reason


def test_a_missing_region_is_said_with_the_command_that_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    [reason] = Plugin({}).refused
    assert "pulumi config set aws:region" in reason


def test_a_setting_that_is_not_supported_is_named() -> None:
    assert any("assumeRole" in reason for reason in Plugin({"assumeRole": "x", "region": "x"}).refused)


def test_an_endpoint_that_nobody_answers_at_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    [reason] = Plugin({"region": "us-east-1"}).refused
    assert "unable to validate AWS credentials" in reason
    assert "127.0.0.1:9" in reason


@pytest.fixture
def web_page() -> Iterator[str]:
    """The address of something that is not AWS, such as a proxy's error page."""

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<p>not AWS")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_something_else_in_aws_s_place_is_no_defect_of_ours(
    monkeypatch: pytest.MonkeyPatch, web_page: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", web_page)
    [reason] = Plugin({"region": "us-east-1"}).refused
    assert "unable to validate AWS credentials" in reason
    assert "is not AWS" in reason


def test_credentials_validation_can_be_postponed_to_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    skipping = {"region": "us-east-1", "skipCredentialsValidation": "true"}
    with pytest.raises(RefusedError, match=r"127\.0\.0\.1:9"):
        Plugin(skipping)
    assert Plugin({**skipping, "skipRequestingAccountId": "true"}).refused == []


# Values


def test_a_refused_value_is_in_no_error(plugin: Plugin, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    _, secret = plugin.create(SECRET, {"name": name})
    value = f"never-shown-{uuid.uuid4()}"
    bad: list[Properties] = [
        {"secretId": secret["arn"], "secretString": value * 2000},
        {"secretId": f"{secret['arn'][:-7]}-absent", "secretString": value},
        {"secretId": secret["arn"], "secretBinary": f"no base64 {value}"},
        {"secretId": secret["arn"], "secretString": value, "versionStages": [f"s{at}" for at in range(30)]},
        {"secretId": secret["arn"], "secretString": value, "versionStages": [1]},
        {"secretId": secret["arn"], "secretString": {"inner": value}},
    ]
    for properties in bad:
        request = provider_pb2.CreateRequest(urn=urn(SECRET_VERSION), properties=to_struct(properties))
        with pytest.raises(RefusedError) as refused:
            plugin.servicer.Create(request, Context())
        assert value not in str(refused.value)
    wrong_types = {"secretId": secret["arn"], "secretString": {"inner": value}, value: "x"}
    checked = plugin.servicer.Check(
        provider_pb2.CheckRequest(urn=urn(SECRET_VERSION), news=to_struct({**wrong_types, value: 1})),
        Context(),
    )
    assert checked.failures
    shown = capfd.readouterr()
    assert value not in shown.out + shown.err


def test_a_value_that_is_too_long_is_refused_with_the_limit(plugin: Plugin, name: str) -> None:
    _, secret = plugin.create(SECRET, {"name": name})
    with pytest.raises(RefusedError) as refused:
        plugin.create(SECRET_VERSION, {"secretId": secret["arn"], "secretString": "x" * 65_537})
    assert "PutSecretValue" in str(refused.value)
    assert "65536" in str(refused.value)
    assert "xx" not in str(refused.value)


def test_a_value_is_marked_as_secret_in_every_answer(plugin: Plugin, name: str) -> None:
    _, secret = plugin.create(SECRET, {"name": name})
    value = f"value-{uuid.uuid4()}"
    given = to_struct({"secretId": secret["arn"], "secretString": value})
    checked = plugin.servicer.Check(provider_pb2.CheckRequest(urn=urn(SECRET_VERSION), news=given), Context())
    preview = plugin.servicer.Create(
        provider_pb2.CreateRequest(urn=urn(SECRET_VERSION), properties=checked.inputs, preview=True),
        Context(),
    )
    made = plugin.servicer.Create(
        provider_pb2.CreateRequest(urn=urn(SECRET_VERSION), properties=checked.inputs), Context()
    )
    read = plugin.read(SECRET_VERSION, made.id)
    for answer in (checked.inputs, preview.properties, made.properties, read.properties, read.inputs):
        found = json_format.MessageToDict(answer)
        assert found["secretString"][MARK]
        assert found["secretString"]["value"] == value
        assert value not in json.dumps({key: item for key, item in found.items() if key != "secretString"})


# How resources change, and how they are imported


def replica_regions(plugin: Plugin, name: str) -> set[str]:
    found = plugin.client("secretsmanager").describe_secret(SecretId=name)
    return {replica["Region"] for replica in found.get("ReplicationStatus", [])}


def test_updates_add_and_replace_replicas_and_keep_them_when_omitted(plugin: Plugin, name: str) -> None:
    identity, outputs = plugin.create(SECRET, {"name": name})
    for regions in (["eu-west-1"], ["eu-west-1", "us-west-2"], ["eu-central-1"]):
        given: Properties = {"name": name, "replicas": [{"region": region} for region in regions]}
        outputs = plugin.update(SECRET, identity, outputs, given)
        assert replica_regions(plugin, name) == set(regions)
        assert {replica["region"] for replica in outputs["replicas"]} == set(regions)
        assert all(replica["status"] == "InSync" for replica in outputs["replicas"])
    plugin.update(SECRET, identity, outputs, {"name": name, "description": "no replicas any more"})
    assert replica_regions(plugin, name) == {"eu-central-1"}


def test_a_replica_gets_another_key_by_an_update(plugin: Plugin, name: str) -> None:
    key = plugin.client("kms", "eu-west-1").create_key()["KeyMetadata"]["Arn"]
    given: Properties = {"name": name, "replicas": [{"region": "eu-west-1"}]}
    identity, outputs = plugin.create(SECRET, given)
    given["replicas"] = [{"region": "eu-west-1", "kmsKeyId": key}]
    outputs = plugin.update(SECRET, identity, outputs, given)
    [status] = plugin.client("secretsmanager").describe_secret(SecretId=name)["ReplicationStatus"]
    assert status["KmsKeyId"] == key
    assert outputs["replicas"][0]["kmsKeyId"] == key


def test_a_failed_replica_shows_in_its_status_only(plugin: Plugin, name: str) -> None:
    missing = "arn:aws:kms:eu-west-1:123456789012:key/none"
    identity, outputs = plugin.create(SECRET, {"name": name, "replicas": [{"region": "us-west-2"}]})
    given: Properties = {
        "name": name,
        "replicas": [{"region": "us-west-2"}, {"region": "eu-west-1", "kmsKeyId": missing}],
    }
    outputs = plugin.update(SECRET, identity, outputs, given)
    assert {replica["region"]: replica["status"] for replica in outputs["replicas"]} == {
        "us-west-2": "InSync",
        "eu-west-1": "Failed",
    }
    assert difference(plugin, SECRET, outputs, given).diffs == []


def test_an_omitted_key_stays_on_the_secret(plugin: Plugin, name: str) -> None:
    key = plugin.client("kms").create_key()["KeyMetadata"]["Arn"]
    secrets = plugin.client("secretsmanager")
    identity, outputs = plugin.create(SECRET, {"name": name, "kmsKeyId": key})
    for _ in range(2):
        outputs = plugin.update(SECRET, identity, outputs, {"name": name})
        assert secrets.describe_secret(SecretId=name)["KmsKeyId"] == key
        assert list(difference(plugin, SECRET, outputs, {"name": name}).diffs) == ["kmsKeyId"]
    # two updates do it: AWS's key by its alias, which AWS does not show, and then none
    outputs = plugin.update(SECRET, identity, outputs, {"name": name, "kmsKeyId": "alias/aws/secretsmanager"})
    assert "KmsKeyId" not in secrets.describe_secret(SecretId=name)
    assert not difference(plugin, SECRET, outputs, {"name": name}).diffs


def test_refreshing_an_initial_version_shows_no_change(plugin: Plugin, name: str) -> None:
    _, secret = plugin.create(SECRET, {"name": name})
    given: Properties = {
        "secretId": secret["arn"],
        "secretString": "first",
        "versionStages": ["aws-secrets-initial"],
    }
    identity, outputs = plugin.create(SECRET_VERSION, given)
    # the labels are read back from AWS, which adds its own to a first version
    assert outputs["versionStages"] == ["AWSCURRENT", "aws-secrets-initial"]
    asked = provider_pb2.ReadRequest(
        urn=urn(SECRET_VERSION),
        id=identity,
        properties=to_struct(outputs),
        inputs=to_struct(plugin.inputs(SECRET_VERSION, given)),
    )
    read = plugin.servicer.Read(asked, Context())
    found, inputs = from_struct(read.properties), from_struct(read.inputs)
    assert found["versionStages"] == ["AWSCURRENT", "aws-secrets-initial"]
    assert inputs["versionStages"] == ["AWSCURRENT"]  # as many as were given, of those that there are
    for news in (given, inputs):  # the engine sends the refreshed inputs for what the program ignores
        request = provider_pb2.DiffRequest(
            urn=urn(SECRET_VERSION),
            id=identity,
            olds=to_struct(found),
            news=to_struct(plugin.inputs(SECRET_VERSION, {name: news[name] for name in given})),
            old_inputs=to_struct(inputs),
            ignoreChanges=["secretString", "versionStages"],
        )
        answer = plugin.servicer.Diff(request, Context())
        assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE
        assert not answer.replaces


def test_secrets_are_listed_by_name_prefix_even_if_none_matches(plugin: Plugin, name: str) -> None:
    def listed(*values: str) -> Properties:
        filters = [{"name": "name", "values": list(values)}]
        return plugin.invoke("aws:secretsmanager/getSecrets:getSecrets", {"filters": filters})

    client = plugin.client("secretsmanager")
    made = [client.create_secret(Name=f"{name}{number}")["ARN"] for number in range(102)]
    client.delete_secret(SecretId=f"{name}0")
    found = listed(f"{name}1", f"{name}0")
    wanted = [arn for number, arn in enumerate(made) if str(number).startswith("1")]
    assert sorted(found["arns"]) == sorted(wanted)
    assert len(listed(name)["names"]) == 101
    assert listed(f"{name}/gone")["arns"] == []


def test_a_secret_with_replicas_is_deleted(plugin: Plugin, name: str) -> None:
    given: Properties = {"name": name, "replicas": [{"region": "eu-west-1"}], "recoveryWindowInDays": 0}
    identity, outputs = plugin.create(SECRET, given)
    request = provider_pb2.DeleteRequest(urn=urn(SECRET), id=identity, properties=to_struct(outputs))
    plugin.servicer.Delete(request, Context())
    for region in ("us-east-1", "eu-west-1"):
        client = plugin.client("secretsmanager", region)
        assert client.list_secrets(Filters=[{"Key": "name", "Values": [name]}])["SecretList"] == []


@pytest.mark.parametrize("regions", [[], ["eu-west-1"]])
def test_what_is_gone_already_is_deleted_without_an_error(
    plugin: Plugin, name: str, regions: list[str]
) -> None:
    replicas = [{"region": region} for region in regions]
    identity, outputs = plugin.create(SECRET, {"name": name, "recoveryWindowInDays": 0, "replicas": replicas})
    for _ in range(2):
        request = provider_pb2.DeleteRequest(urn=urn(SECRET), id=identity, properties=to_struct(outputs))
        plugin.servicer.Delete(request, Context())
    assert plugin.read(SECRET, identity).id == ""


def test_what_was_made_is_imported_by_its_id_alone(plugin: Plugin, name: str) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    key, key_outputs = plugin.create(KEY, {"description": "for the app", "tags": {"team": "red"}})
    alias = f"alias/{name}"
    given: dict[str, Properties] = {
        ALIAS: {"name": alias, "targetKeyId": key_outputs["keyId"]},
        SECRET: {
            "name": name,
            "description": "login",
            "kmsKeyId": key_outputs["arn"],
            "tags": {"team": "red"},
            "replicas": [{"region": "eu-west-1"}],
        },
    }
    made = {KEY: (key, key_outputs), **{token: plugin.create(token, given[token]) for token in given}}
    secret = made[SECRET][1]["arn"]
    given |= {
        KEY: {"description": "for the app", "tags": {"team": "red"}},
        SECRET_VERSION: {"secretId": secret, "secretString": "first"},
        SECRET_POLICY: {"secretArn": secret, "policy": json.dumps(policy)},
    }
    made |= {token: plugin.create(token, given[token]) for token in (SECRET_VERSION, SECRET_POLICY)}
    made[SECRET] = (secret, from_struct(plugin.read(SECRET, secret).properties))
    for token, (identity, outputs) in made.items():
        read = plugin.read(token, identity)
        assert read.id == identity
        found, inputs = from_struct(read.properties), from_struct(read.inputs)
        for kept in given[token].keys() - {"policy", "replicas"}:
            assert found[kept] == outputs[kept] == given[token][kept]
            if isinstance(inputs[kept], dict):
                inputs[kept].pop("__defaults")  # the bridge leaves its mark in imported maps
            assert inputs[kept] == found[kept]
    imported = from_struct(plugin.read(SECRET, secret).inputs)
    assert [replica["region"] for replica in imported["replicas"]] == ["eu-west-1"]
    assert json.loads(from_struct(plugin.read(SECRET_POLICY, secret).inputs)["policy"]) == policy


def test_an_imported_secret_matches_a_program_with_the_same_inputs(plugin: Plugin, name: str) -> None:
    given: Properties = {"name": name, "description": "login", "tags": {"team": "red"}}
    client = plugin.client("secretsmanager")
    tags = [{"Key": "team", "Value": "red"}]
    arn = client.create_secret(Name=name, Description="login", SecretString="first", Tags=tags)["ARN"]
    read = plugin.read(SECRET, arn)
    news = plugin.inputs(SECRET, given, from_struct(read.inputs))
    found = plugin.servicer.Diff(
        provider_pb2.DiffRequest(urn=urn(SECRET), id=arn, olds=read.properties, news=to_struct(news)),
        Context(),
    )
    assert not found.replaces
    # what AWS does not keep, the state has from the first update on
    assert set(found.diffs) <= {"recoveryWindowInDays", "forceOverwriteReplicaSecret"}


@pytest.mark.parametrize(
    ("token", "identity"),
    [
        (SECRET, "arn:aws:secretsmanager:us-east-1:123456789012:secret:absent-AbCdEf"),
        (SECRET_POLICY, "arn:aws:secretsmanager:us-east-1:123456789012:secret:absent-AbCdEf"),
        (
            SECRET_VERSION,
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:absent-AbCdEf|" + "0" * 32,
        ),
        (KEY, "00000000-0000-0000-0000-000000000000"),
        (ALIAS, "alias/absent"),
    ],
)
def test_what_is_not_there_is_read_as_gone(plugin: Plugin, token: str, identity: str) -> None:
    assert plugin.read(token, identity).id == ""


def test_a_secret_scheduled_for_deletion_is_read_as_gone(plugin: Plugin, name: str) -> None:
    identity, _ = plugin.create(SECRET, {"name": name})
    plugin.client("secretsmanager").delete_secret(SecretId=identity)
    assert plugin.read(SECRET, identity).id == ""


def test_a_name_scheduled_for_deletion_is_refused_in_aws_s_words(
    plugin: Plugin, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.localcloud.plugins.aws.retries.SECONDS", 0)
    identity, _ = plugin.create(SECRET, {"name": name})
    plugin.client("secretsmanager").delete_secret(SecretId=identity)
    with pytest.raises(RefusedError, match="already scheduled for deletion") as refused:
        plugin.create(SECRET, {"name": name})
    assert name in str(refused.value)


def test_a_name_that_becomes_free_while_the_plugin_tries_is_taken(plugin: Plugin, name: str) -> None:
    identity, _ = plugin.create(SECRET, {"name": name})
    client = plugin.client("secretsmanager")
    client.delete_secret(SecretId=identity)
    client.delete_secret(SecretId=identity, ForceDeleteWithoutRecovery=True)
    again, _ = plugin.create(SECRET, {"name": name})
    assert again != identity
