"""KMS keys: states, aliases and policies, as far as secrets need them."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.emulator_process import running_emulator


@pytest.fixture(scope="module")
def kms() -> Iterator[Any]:
    with running_emulator(None) as emulator:
        yield boto3.client(
            "kms",
            endpoint_url=emulator.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )


def state_of(kms: Any, key: str) -> str:  # noqa: ANN401  boto3 has no types
    return str(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"])


USES: dict[str, Callable[[Any, str], Any]] = {
    "encrypt": lambda kms, key: kms.encrypt(KeyId=key, Plaintext=b"text"),
    "generate_data_key": lambda kms, key: kms.generate_data_key(KeyId=key, KeySpec="AES_256"),
    "enable": lambda kms, key: kms.enable_key(KeyId=key),
    "disable": lambda kms, key: kms.disable_key(KeyId=key),
    "rotate": lambda kms, key: kms.enable_key_rotation(KeyId=key),
    "describe again": lambda kms, key: kms.update_key_description(KeyId=key, Description="new"),
    "tag": lambda kms, key: kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}]),
    "give an alias": lambda kms, key: kms.create_alias(AliasName=f"alias/{uuid.uuid4()}", TargetKeyId=key),
    "delete again": lambda kms, key: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("form", ["KeyId", "Arn"])
def test_a_key_pending_deletion_is_unusable_until_it_is_restored(
    kms: Any,  # noqa: ANN401  boto3 has no types
    use: str,
    form: str,
) -> None:
    key = str(kms.create_key()["KeyMetadata"][form])
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with pytest.raises(ClientError) as refused:
        USES[use](kms, key)
    assert refused.value.response["Error"]["Code"] == "KMSInvalidStateException"
    assert state_of(kms, key) == "PendingDeletion"
    kms.cancel_key_deletion(KeyId=key)
    assert state_of(kms, key) == "Disabled"
    kms.enable_key(KeyId=key)
    USES[use](kms, key)


def test_a_key_pending_deletion_keeps_policy_tags_and_aliases(
    kms: Any,  # noqa: ANN401  boto3 has no types
) -> None:
    key = str(kms.create_key(Tags=[{"TagKey": "team", "TagValue": "web"}])["KeyMetadata"]["KeyId"])
    alias = f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert state_of(kms, alias) == "PendingDeletion"
    with pytest.raises(ClientError, match="pending deletion"):
        kms.encrypt(KeyId=alias, Plaintext=b"text")
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "team", "TagValue": "web"}]
    assert [found["AliasName"] for found in kms.list_aliases(KeyId=key)["Aliases"]] == [alias]
    assert json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])["Statement"]
    kms.delete_alias(AliasName=alias)
    assert kms.list_aliases(KeyId=key)["Aliases"] == []


def test_a_key_pending_deletion_rotates_only_after_it_is_restored(
    kms: Any,  # noqa: ANN401  boto3 has no types
) -> None:
    key = str(kms.create_key()["KeyMetadata"]["KeyId"])
    kms.enable_key_rotation(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.cancel_key_deletion(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True


def test_an_alias_names_one_key_until_it_is_moved(kms: Any) -> None:  # noqa: ANN401  boto3 has no types
    first, second = (str(kms.create_key()["KeyMetadata"]["KeyId"]) for _ in range(2))
    alias = f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=alias, TargetKeyId=first)
    with pytest.raises(ClientError) as taken:
        kms.create_alias(AliasName=alias, TargetKeyId=second)
    assert taken.value.response["Error"]["Code"] == "AlreadyExistsException"
    kms.update_alias(AliasName=alias, TargetKeyId=second)
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"] == second
    assert kms.list_aliases(KeyId=first)["Aliases"] == []


@pytest.mark.parametrize("actions", ["kms:*", "kms:Create*", ["kms:Create*", "kms:Describe*", "kms:Put*"]])
def test_a_policy_with_wildcards_in_its_actions_is_accepted_and_kept(
    kms: Any,  # noqa: ANN401  boto3 has no types
    actions: str | list[str],
) -> None:
    root = {"AWS": "arn:aws:iam::123456789012:root"}
    statements = [
        {"Sid": "all", "Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"},
        {"Sid": "some", "Effect": "Allow", "Principal": root, "Action": actions, "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    key = str(kms.create_key(Policy=policy)["KeyMetadata"]["KeyId"])
    assert json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]) == json.loads(policy)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
    assert state_of(kms, key) == "Enabled"


@pytest.mark.parametrize(
    "text", ["{", "[]", '"text"', '{"Statement": []}', '{"Statement": [{"Effect": "Allow"}]}']
)
def test_a_malformed_key_policy_is_refused_and_no_key_made(kms: Any, text: str) -> None:  # noqa: ANN401  boto3 has no types
    before = len(kms.list_keys()["Keys"])
    key = str(kms.create_key()["KeyMetadata"]["KeyId"])
    policy = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    for call, more in ((kms.create_key, {}), (kms.put_key_policy, {"KeyId": key, "PolicyName": "default"})):
        with pytest.raises(ClientError) as refused:
            call(Policy=text, **more)
        assert refused.value.response["Error"]["Code"] == "MalformedPolicyDocumentException"
    assert len(kms.list_keys()["Keys"]) == before + 1
    assert kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"] == policy


def test_a_key_policy_has_32_kib(kms: Any) -> None:  # noqa: ANN401  boto3 has no types
    def policy(size: int) -> str:
        root = {"AWS": "arn:aws:iam::123456789012:root"}
        statement = {"Sid": "", "Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        statement["Sid"] = "x" * (size - len(json.dumps(document)))
        return json.dumps(document)

    key = str(kms.create_key(Policy=policy(32_768))["KeyMetadata"]["KeyId"])
    for call, more in ((kms.create_key, {}), (kms.put_key_policy, {"KeyId": key, "PolicyName": "default"})):
        with pytest.raises(ClientError) as refused:
            call(Policy=policy(32_769), **more)
        assert refused.value.response["Error"]["Code"] == "LimitExceededException"


def test_aliases_of_aws_are_its_own(kms: Any) -> None:  # noqa: ANN401  boto3 has no types
    key = str(kms.create_key()["KeyMetadata"]["KeyId"])
    with pytest.raises(ClientError) as refused:
        kms.create_alias(AliasName="alias/aws/app", TargetKeyId=key)
    assert refused.value.response["Error"]["Code"] == "NotAuthorizedException"


@pytest.mark.parametrize("days", [6, 31])
def test_a_key_waits_7_to_30_days_for_its_deletion(kms: Any, days: int) -> None:  # noqa: ANN401  boto3 has no types
    key = str(kms.create_key()["KeyMetadata"]["KeyId"])
    with pytest.raises(ClientError, match="between 7 and 30"):
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=days)
    assert state_of(kms, key) == "Enabled"
