# ruff: noqa: ANN401  boto3 is untyped
"""Secrets Manager as any client of AWS sees it, in one running emulator."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.emulator_process import Emulator
from tools.localcloud.emulator import server

DAY = 86_400


def client_of(emulator: Emulator, service: str, region: str = "us-east-1") -> Any:
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=emulator.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(max_pool_connections=64),
    )


@pytest.fixture(scope="module")
def client(emulator: Emulator) -> Any:
    return client_of(emulator, "secretsmanager")


@pytest.fixture(scope="module")
def abroad(emulator: Emulator) -> Any:
    return client_of(emulator, "secretsmanager", "eu-west-1")


@pytest.fixture(scope="module")
def kms(emulator: Emulator) -> Any:
    return client_of(emulator, "kms")


@pytest.fixture
def name() -> str:
    return f"app/{uuid.uuid4()}"


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    """Return the code and message with which a request is rejected."""
    with pytest.raises(ClientError) as refused:
        call(**request)
    about = refused.value.response["Error"]
    return about["Code"], about["Message"]


NOT_FOUND = ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
MARKED = (
    "InvalidRequestException",
    "You can't perform this operation on the secret because it was marked for deletion.",
)


# Names, ARNs, values


def test_a_secret_is_found_by_name_arn_and_partial_arn(client: Any, name: str) -> None:
    created = client.create_secret(Name=name, SecretString="first")
    arn = created["ARN"]
    assert arn[:-6] == f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-"
    for wanted in (name, arn, arn[:-7]):
        found = client.get_secret_value(SecretId=wanted)
        assert (found["ARN"], found["Name"], found["SecretString"]) == (arn, name, "first")
        assert found["VersionId"] == created["VersionId"]
        assert found["VersionStages"] == ["AWSCURRENT"]


@pytest.mark.parametrize("cut", [1, 6, 8])
def test_an_arn_cut_elsewhere_finds_nothing(client: Any, name: str, cut: int) -> None:
    arn = client.create_secret(Name=name)["ARN"]
    assert refusal(client.describe_secret, SecretId=arn[:-cut]) == NOT_FOUND


def test_a_secret_without_a_value_has_no_version_and_says_so(client: Any, name: str) -> None:
    created = client.create_secret(Name=name)
    assert "VersionId" not in created
    assert client.describe_secret(SecretId=name).get("VersionIdsToStages", {}) == {}
    assert refusal(client.get_secret_value, SecretId=name) == (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    )


def test_a_taken_name_is_rejected_and_its_secret_stays(client: Any, name: str) -> None:
    client.create_secret(Name=name, SecretString="first")
    assert refusal(client.create_secret, Name=name, SecretString="second") == (
        "ResourceExistsException",
        f"The operation failed because the secret {name} already exists.",
    )
    assert client.get_secret_value(SecretId=name)["SecretString"] == "first"


def test_a_creation_repeated_with_its_token_answers_as_the_first_time(client: Any, name: str) -> None:
    request = {"Name": name, "SecretString": "first", "ClientRequestToken": str(uuid.uuid4())}
    first, again = client.create_secret(**request), client.create_secret(**request)
    assert (first["ARN"], first["VersionId"]) == (again["ARN"], again["VersionId"])


@pytest.mark.parametrize("bad", ["with space", "semi;colon", "ü", "a" * 513])
def test_a_name_that_aws_refuses_is_refused(client: Any, bad: str) -> None:
    code, _ = refusal(client.create_secret, Name=bad)
    assert code == "ValidationException"


@pytest.mark.parametrize("bad", ["Inv Name", " Inv Name", " Inv*Name? ", " Inv *?!]Name\\-"])
def test_a_name_that_no_secret_has_is_refused_by_every_operation(client: Any, bad: str) -> None:
    allowed = "-/_+=.@!"
    words = "Must be a valid name containing alphanumeric characters, or any of the following:"
    invalid = ("ValidationException", f"Invalid name. {words} {allowed}")
    assert refusal(client.create_secret, Name=bad, SecretString="x") == invalid
    operations: dict[str, dict[str, Any]] = {
        "delete_secret": {"ForceDeleteWithoutRecovery": True},
        "describe_secret": {},
        "get_secret_value": {},
        "list_secret_version_ids": {},
        "put_secret_value": {"SecretString": "x"},
        "tag_resource": {"Tags": [{"Key": "a", "Value": "b"}]},
        "untag_resource": {"TagKeys": ["a"]},
        "update_secret": {"Description": "x"},
        "validate_resource_policy": {"ResourcePolicy": "{}"},
    }
    for operation, more in operations.items():
        assert refusal(getattr(client, operation), SecretId=bad, **more) == invalid, operation


@pytest.mark.parametrize("value", ["x" * 65_536, "é" * 32_768], ids=["ascii", "two bytes each"])
def test_a_value_may_have_65536_bytes_and_not_one_more(client: Any, name: str, value: str) -> None:
    client.create_secret(Name=name, SecretString=value)
    assert client.get_secret_value(SecretId=name)["SecretString"] == value
    code, message = refusal(client.put_secret_value, SecretId=name, SecretString=value + "x")
    assert code == "ValidationException"
    assert "65536" in message
    assert "xx" not in message
    assert "é" not in message
    assert len(client.describe_secret(SecretId=name)["VersionIdsToStages"]) == 1


def test_a_binary_value_is_measured_in_its_own_bytes(client: Any, name: str) -> None:
    value = bytes(range(256)) * 256
    client.create_secret(Name=name, SecretBinary=value)
    assert client.get_secret_value(SecretId=name)["SecretBinary"] == value
    code, _ = refusal(client.put_secret_value, SecretId=name, SecretBinary=value + b"x")
    assert code == "ValidationException"


def test_a_put_with_neither_or_both_kinds_of_value_is_refused(client: Any, name: str) -> None:
    client.create_secret(Name=name)
    assert refusal(client.put_secret_value, SecretId=name)[0] == "InvalidParameterException"
    both = refusal(client.put_secret_value, SecretId=name, SecretString="text", SecretBinary=b"bytes")
    assert both[0] == "InvalidParameterException"


# Deletion


def test_a_secret_scheduled_for_deletion_can_be_described_and_restored_only(client: Any, name: str) -> None:
    client.create_secret(Name=name, SecretString="first")
    client.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    assert "DeletedDate" in client.describe_secret(SecretId=name)
    assert refusal(client.get_secret_value, SecretId=name) == MARKED
    assert refusal(client.put_secret_value, SecretId=name, SecretString="second") == MARKED
    assert refusal(client.update_secret, SecretId=name, Description="new") == MARKED
    assert refusal(client.tag_resource, SecretId=name, Tags=[{"Key": "a", "Value": "b"}]) == MARKED
    assert refusal(client.get_resource_policy, SecretId=name) == MARKED
    assert refusal(client.create_secret, Name=name) == (
        "InvalidRequestException",
        "You can't create this secret because a secret with this name is already scheduled for deletion.",
    )
    named = [{"Key": "name", "Values": [name]}]
    assert client.list_secrets(Filters=named)["SecretList"] == []
    [listed] = client.list_secrets(Filters=named, IncludePlannedDeletion=True)["SecretList"]
    assert "DeletedDate" in listed
    client.restore_secret(SecretId=name)
    assert client.get_secret_value(SecretId=name)["SecretString"] == "first"
    assert "DeletedDate" not in client.describe_secret(SecretId=name)


def test_a_name_is_free_at_once_after_a_deletion_without_recovery(client: Any, name: str) -> None:
    first = client.create_secret(Name=name, SecretString="first")["ARN"]
    client.delete_secret(SecretId=name)
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    assert refusal(client.describe_secret, SecretId=name) == NOT_FOUND
    second = client.create_secret(Name=name)["ARN"]
    assert second != first
    assert refusal(client.describe_secret, SecretId=first) == NOT_FOUND


def test_deleting_nothing_is_refused_unless_it_is_forced(client: Any, name: str) -> None:
    assert refusal(client.delete_secret, SecretId=name) == NOT_FOUND
    assert client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)["Name"] == name


@pytest.mark.parametrize("days", [-1, 0, 6, 31])
def test_a_recovery_window_outside_7_to_30_days_is_refused(client: Any, name: str, days: int) -> None:
    client.create_secret(Name=name)
    assert refusal(client.delete_secret, SecretId=name, RecoveryWindowInDays=days) == (
        "InvalidParameterException",
        "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
    )
    assert "DeletedDate" not in client.describe_secret(SecretId=name)


@pytest.mark.parametrize(("asked", "days"), [({"RecoveryWindowInDays": 7}, 7), ({}, 30)])
def test_the_deletion_comes_after_the_recovery_window(
    client: Any, name: str, asked: dict[str, int], days: int
) -> None:
    client.create_secret(Name=name)
    date = client.delete_secret(SecretId=name, **asked)["DeletionDate"]
    assert round((date.timestamp() - time.time()) / DAY) == days


def test_a_recovery_window_and_a_deletion_without_recovery_exclude_each_other(client: Any, name: str) -> None:
    client.create_secret(Name=name)
    code, _ = refusal(
        client.delete_secret, SecretId=name, RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True
    )
    assert code == "InvalidParameterException"


# Tags and lists


def tags_of(client: Any, name: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in client.describe_secret(SecretId=name).get("Tags", [])}


def test_tags_are_added_replaced_and_removed_by_key(client: Any, name: str) -> None:
    client.create_secret(Name=name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    client.tag_resource(SecretId=name, Tags=[{"Key": "b", "Value": "3"}, {"Key": "c", "Value": "4"}])
    client.untag_resource(SecretId=name, TagKeys=["a", "never there"])
    assert tags_of(client, name) == {"b": "3", "c": "4"}


def test_an_empty_tag_list_is_shown_only_after_tags_existed(client: Any, name: str) -> None:
    client.create_secret(Name=name)
    assert "Tags" not in client.describe_secret(SecretId=name)
    client.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "1"}])
    client.untag_resource(SecretId=name, TagKeys=["a"])
    assert client.describe_secret(SecretId=name)["Tags"] == []


def test_reserved_tags_and_a_51st_tag_are_rejected(client: Any, name: str) -> None:
    tags = [{"Key": f"tag{number}", "Value": "x"} for number in range(50)]
    client.create_secret(Name=name, Tags=tags)
    for bad in ({"Key": "aws:own", "Value": "x"}, {"Key": "one more", "Value": "x"}):
        assert refusal(client.tag_resource, SecretId=name, Tags=[bad])[0] == "InvalidParameterException"
    assert len(tags_of(client, name)) == 50


def test_filters_find_by_prefix_and_all_of_them_must_match(client: Any, name: str) -> None:
    def found(*filters: tuple[str, list[str]]) -> list[str]:
        wanted = [{"Key": "name", "Values": [name]}]
        wanted += [{"Key": key, "Values": values} for key, values in filters]
        listed = client.list_secrets(Filters=wanted, SortOrder="asc")["SecretList"]
        return [secret["Name"].removeprefix(name) for secret in listed]

    client.create_secret(
        Name=f"{name}/a", Description="Login of Anna", Tags=[{"Key": "team", "Value": "red"}]
    )
    client.create_secret(Name=f"{name}/b", Description="Key of Bob", Tags=[{"Key": "Team", "Value": "blue"}])
    assert found() == ["/a", "/b"]
    assert found(("description", ["login"])) == ["/a"]
    assert found(("description", ["anna lo"])) == ["/a"]  # each word begins a word, in any order
    assert found(("description", ["nna"])) == []
    assert found(("description", ["login bob"])) == []
    assert found(("name", [f"{name} a"])) == []  # a name is one prefix
    assert found(("tag-key", ["te"])) == ["/a"]
    assert found(("tag-value", ["red", "blu"])) == ["/a", "/b"]
    assert found(("tag-key", ["Team"]), ("tag-value", ["red"])) == []
    assert found(("tag-value", ["!red"])) == ["/b"]
    assert found(("primary-region", ["us-"])) == ["/a", "/b"]
    assert found(("all", ["LOGIN"])) == ["/a"]


def test_a_filter_by_name_tells_capitals_from_small_letters(client: Any, name: str) -> None:
    client.create_secret(Name=f"{name}/Capital")
    assert client.list_secrets(Filters=[{"Key": "name", "Values": [f"{name}/capital"]}])["SecretList"] == []


def test_pages_of_secrets_hold_each_once(client: Any, name: str) -> None:
    names = {f"{name}/{number}" for number in range(7)}
    for each in names:
        client.create_secret(Name=each)
    pages = list(
        client.get_paginator("list_secrets").paginate(
            Filters=[{"Key": "name", "Values": [name]}], PaginationConfig={"PageSize": 3}
        )
    )
    assert [len(page["SecretList"]) for page in pages] == [3, 3, 1]
    assert sorted(secret["Name"] for page in pages for secret in page["SecretList"]) == sorted(names)


def test_paging_versions_lists_each_once(client: Any, name: str) -> None:
    client.create_secret(Name=name)
    made = [
        client.put_secret_value(SecretId=name, SecretString=str(number))["VersionId"] for number in range(7)
    ]
    first = client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True, MaxResults=4)
    rest = client.list_secret_version_ids(
        SecretId=name, IncludeDeprecated=True, MaxResults=4, NextToken=first["NextToken"]
    )
    assert "NextToken" not in rest
    found = [version["VersionId"] for version in first["Versions"] + rest["Versions"]]
    assert sorted(found) == sorted(made)
    labelled = client.list_secret_version_ids(SecretId=name)["Versions"]
    assert {version["VersionId"] for version in labelled} == set(made[-2:])


# Replicas


def test_a_replica_is_read_in_its_region_with_every_later_value(client: Any, abroad: Any, name: str) -> None:
    created = client.create_secret(
        Name=name, SecretString="first", AddReplicaRegions=[{"Region": "eu-west-1"}]
    )
    [status] = created["ReplicationStatus"]
    assert (status["Region"], status["Status"]) == ("eu-west-1", "InSync")
    assert abroad.get_secret_value(SecretId=name)["SecretString"] == "first"
    arn = created["ARN"].replace("us-east-1", "eu-west-1")
    client.put_secret_value(SecretId=name, SecretString="second")
    found = abroad.get_secret_value(SecretId=arn)
    assert (found["ARN"], found["SecretString"]) == (arn, "second")
    assert abroad.describe_secret(SecretId=name)["PrimaryRegion"] == "us-east-1"
    for change, more in (
        (abroad.put_secret_value, {"SecretString": "third"}),
        (abroad.delete_secret, {}),
        (abroad.restore_secret, {}),
        (abroad.tag_resource, {"Tags": [{"Key": "a", "Value": "b"}]}),
    ):
        assert refusal(change, SecretId=name, **more) == (
            "InvalidParameterException",
            "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
        )


def test_a_secret_without_a_replica_is_not_found_in_another_region(
    client: Any, abroad: Any, name: str
) -> None:
    client.create_secret(Name=name, SecretString="first")
    assert refusal(abroad.get_secret_value, SecretId=name) == NOT_FOUND


def test_a_replica_takes_no_policy_of_its_own(client: Any, abroad: Any, name: str) -> None:
    client.create_secret(Name=name, AddReplicaRegions=[{"Region": "eu-west-1"}])
    assert refusal(abroad.put_resource_policy, SecretId=name, ResourcePolicy=policy("*", Effect="Deny")) == (
        "InvalidParameterException",
        "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
    )


def test_a_secret_with_replicas_is_deleted_only_after_they_are_removed(
    client: Any, abroad: Any, name: str
) -> None:
    made = client.create_secret(
        Name=name, SecretString="first", AddReplicaRegions=[{"Region": "eu-west-1"}, {"Region": "us-west-2"}]
    )
    assert refusal(client.delete_secret, SecretId=name) == (
        "InvalidParameterException",
        f"You can't delete secret {made['ARN']} that still has replica regions [eu-west-1, us-west-2].",
    )
    client.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=["us-west-2"])
    client.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=["eu-west-1"])
    assert refusal(abroad.get_secret_value, SecretId=name) == NOT_FOUND
    client.delete_secret(SecretId=name)


def test_a_replica_whose_replication_was_stopped_lives_on_its_own(
    client: Any, abroad: Any, name: str
) -> None:
    client.create_secret(Name=name, SecretString="first", AddReplicaRegions=[{"Region": "eu-west-1"}])
    abroad.stop_replication_to_replica(SecretId=name)
    client.put_secret_value(SecretId=name, SecretString="second")
    assert abroad.get_secret_value(SecretId=name)["SecretString"] == "first"
    abroad.put_secret_value(SecretId=name, SecretString="third")
    assert abroad.get_secret_value(SecretId=name)["SecretString"] == "third"
    assert client.get_secret_value(SecretId=name)["SecretString"] == "second"


def test_a_replica_overwrites_a_taken_name_only_when_forced(client: Any, abroad: Any, name: str) -> None:
    abroad.create_secret(Name=name, SecretString="other")
    client.create_secret(Name=name, SecretString="first")
    wanted = {"SecretId": name, "AddReplicaRegions": [{"Region": "eu-west-1"}]}
    [status] = client.replicate_secret_to_regions(**wanted)["ReplicationStatus"]
    assert (status["Status"], status["StatusMessage"]) == (
        "Failed",
        f"Replication failed: Secret name {name} already exists in region eu-west-1.",
    )
    assert client.describe_secret(SecretId=name)["ReplicationStatus"] == [status]
    assert abroad.get_secret_value(SecretId=name)["SecretString"] == "other"
    [status] = client.replicate_secret_to_regions(**wanted, ForceOverwriteReplicaSecret=True)[
        "ReplicationStatus"
    ]
    assert status["Status"] == "InSync"
    assert abroad.get_secret_value(SecretId=name)["SecretString"] == "first"


# Resource policies


def policy(principal: Any, **more: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "secretsmanager:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **more}]})


EVERYONE = ["*", {"AWS": "*"}, {"AWS": ["arn:aws:iam::123456789012:root", "*"]}]
OWN_ACCOUNT = {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}


@pytest.mark.parametrize("text", ["{", "{}", '{"Statement": [{"Effect": "Allow"}]}', "[]", '"text"'])
def test_a_malformed_policy_is_refused(client: Any, name: str, text: str) -> None:
    client.create_secret(Name=name)
    assert refusal(client.put_resource_policy, SecretId=name, ResourcePolicy=text) == (
        "MalformedPolicyDocumentException",
        "This resource policy contains invalid Json.",
    )
    assert "ResourcePolicy" not in client.get_resource_policy(SecretId=name)


@pytest.mark.parametrize("principal", EVERYONE)
def test_a_public_policy_is_refused_when_that_is_blocked(client: Any, name: str, principal: Any) -> None:
    client.create_secret(Name=name)
    public = {"SecretId": name, "ResourcePolicy": policy(principal)}
    assert refusal(client.put_resource_policy, **public, BlockPublicPolicy=True)[0] == "PublicPolicyException"
    assert "ResourcePolicy" not in client.get_resource_policy(SecretId=name)
    client.put_resource_policy(**public)
    assert client.get_resource_policy(SecretId=name)["ResourcePolicy"] == public["ResourcePolicy"]


@pytest.mark.parametrize("principal", EVERYONE)
def test_a_policy_for_everyone_limited_by_a_condition_is_not_public(
    client: Any, name: str, principal: Any
) -> None:
    client.create_secret(Name=name)
    text = policy(principal, Condition=OWN_ACCOUNT)
    client.put_resource_policy(SecretId=name, ResourcePolicy=text, BlockPublicPolicy=True)
    assert client.get_resource_policy(SecretId=name)["ResourcePolicy"] == text
    client.delete_resource_policy(SecretId=name)
    assert "ResourcePolicy" not in client.get_resource_policy(SecretId=name)


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:PrincipalAccount": "*"}},
        {"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}},
        {"Bool": {"aws:SecureTransport": "true"}},
    ],
)
def test_a_condition_that_limits_nobody_leaves_a_policy_public(
    client: Any, name: str, condition: dict[str, Any]
) -> None:
    client.create_secret(Name=name)
    code, _ = refusal(
        client.put_resource_policy,
        SecretId=name,
        ResourcePolicy=policy("*", Condition=condition),
        BlockPublicPolicy=True,
    )
    assert code == "PublicPolicyException"


def test_a_policy_for_everyone_but_some_is_public(client: Any, name: str) -> None:
    client.create_secret(Name=name)
    statement = {
        "Effect": "Allow",
        "NotPrincipal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": statement})
    code, _ = refusal(client.put_resource_policy, SecretId=name, ResourcePolicy=text, BlockPublicPolicy=True)
    assert code == "PublicPolicyException"
    checked = client.validate_resource_policy(ResourcePolicy=text)
    assert not checked["PolicyValidationPassed"]


def test_a_policy_that_denies_everyone_is_not_public(client: Any, name: str) -> None:
    client.create_secret(Name=name)
    client.put_resource_policy(
        SecretId=name, ResourcePolicy=policy("*", Effect="Deny"), BlockPublicPolicy=True
    )


# Encryption keys


def key_of(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def key_id(arn: str) -> str:
    """Return the key's id, for the operations of moto's KMS that accept no ARN."""
    return arn.rpartition("/")[2]


def test_writing_a_value_with_a_missing_key_creates_nothing(client: Any, name: str) -> None:
    missing = f"arn:aws:kms:us-east-1:123456789012:key/{uuid.uuid4()}"
    code, _ = refusal(client.create_secret, Name=name, SecretString="first", KmsKeyId=missing)
    assert code == "EncryptionFailure"
    assert refusal(client.describe_secret, SecretId=name) == NOT_FOUND


@pytest.mark.parametrize("unusable", ["pending deletion", "disabled"])
def test_a_value_with_an_unusable_key_is_neither_read_nor_written(
    client: Any, kms: Any, name: str, unusable: str
) -> None:
    key = key_of(kms)
    client.create_secret(Name=name, SecretString="first", KmsKeyId=key)
    if unusable == "disabled":
        kms.disable_key(KeyId=key_id(key))
    else:
        kms.schedule_key_deletion(KeyId=key_id(key), PendingWindowInDays=7)
    assert refusal(client.get_secret_value, SecretId=name)[0] == "DecryptionFailure"
    assert refusal(client.put_secret_value, SecretId=name, SecretString="second")[0] == "EncryptionFailure"
    if unusable != "disabled":
        kms.cancel_key_deletion(KeyId=key_id(key))
    kms.enable_key(KeyId=key_id(key))
    assert client.get_secret_value(SecretId=name)["SecretString"] == "first"


def test_only_versions_with_aws_labels_get_another_key(client: Any, kms: Any, name: str) -> None:
    old, new = key_of(kms), key_of(kms)
    client.create_secret(Name=name, KmsKeyId=old)

    def put(text: str, *stages: str) -> str:
        made = client.put_secret_value(
            SecretId=name, SecretString=text, VersionStages=["AWSCURRENT", *stages]
        )
        return str(made["VersionId"])

    kept, deprecated = put("first", "kept"), put("second")
    previous, current = put("third"), put("fourth")
    client.update_secret(SecretId=name, KmsKeyId=new)
    found = client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    assert {version["VersionId"]: version["KmsKeyIds"] for version in found} == {
        kept: [old],
        deprecated: [old],
        previous: [new],
        current: [new],
    }
    assert client.describe_secret(SecretId=name)["KmsKeyId"] == new
    kms.schedule_key_deletion(KeyId=key_id(old), PendingWindowInDays=7)
    assert refusal(client.get_secret_value, SecretId=name, VersionId=kept)[0] == "DecryptionFailure"
    assert client.get_secret_value(SecretId=name)["SecretString"] == "fourth"
    assert client.get_secret_value(SecretId=name, VersionId=previous)["SecretString"] == "third"


def test_a_key_named_by_its_alias_is_found(client: Any, kms: Any, name: str) -> None:
    alias = f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=alias, TargetKeyId=key_of(kms))
    client.create_secret(Name=name, SecretString="first", KmsKeyId=alias)
    assert client.get_secret_value(SecretId=name)["SecretString"] == "first"


# Many at once


def test_two_hundred_secrets_made_at_once_are_each_right(client: Any, name: str) -> None:
    def make(number: int) -> Any:
        tags = [{"Key": "number", "Value": str(number)}]
        return client.create_secret(Name=f"{name}/{number}", SecretString=f"value {number}", Tags=tags)

    with ThreadPoolExecutor(32) as pool:
        made = list(pool.map(make, range(200)))
    assert len({created["ARN"] for created in made}) == 200
    listed = [
        secret
        for page in client.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [name]}])
        for secret in page["SecretList"]
    ]
    assert {secret["Name"]: secret["Tags"][0]["Value"] for secret in listed} == {
        f"{name}/{number}": str(number) for number in range(200)
    }
    for start in range(0, 200, 20):
        wanted = [f"{name}/{number}" for number in range(start, start + 20)]
        values = client.batch_get_secret_value(SecretIdList=wanted)["SecretValues"]
        assert [value["SecretString"] for value in values] == [
            f"value {number}" for number in range(start, start + 20)
        ]


def test_fifty_values_put_at_once_all_exist_and_one_is_current(client: Any, name: str) -> None:
    client.create_secret(Name=name)

    def put(number: int) -> tuple[str, str]:
        made = client.put_secret_value(SecretId=name, SecretString=f"value {number}")
        return made["VersionId"], f"value {number}"

    with ThreadPoolExecutor(25) as pool:
        made = dict(pool.map(put, range(50)))
    assert len(made) == 50
    versions = client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    assert {version["VersionId"] for version in versions} == set(made)
    labels = sorted(label for version in versions for label in version.get("VersionStages", []))
    assert labels == ["AWSCURRENT", "AWSPREVIOUS"]
    for version, value in made.items():
        assert client.get_secret_value(SecretId=name, VersionId=version)["SecretString"] == value


def test_requests_are_served_one_after_the_other() -> None:
    inside: list[int] = []
    most: list[int] = []

    def services(_environ: Any, start_response: Any) -> list[bytes]:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.005)
        inside.pop()
        start_response("200 OK", [])
        return []

    serve = server.emulator(services, {}, lambda: None)
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "HTTP_X_AMZ_TARGET": "secretsmanager.PutSecretValue",
    }
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: serve(dict(environ), lambda *_: None), range(16)))
    assert most == [1] * 16


def test_the_log_names_requests_and_holds_no_value(
    emulator: Emulator, client: Any, kms: Any, name: str
) -> None:
    value = f"never-in-a-log-{uuid.uuid4()}"
    client.create_secret(Name=name, SecretString=value, Description=f"about {value}")
    client.put_secret_value(SecretId=name, SecretString=f"{value} again")
    client.get_secret_value(SecretId=name)
    refusal(client.put_secret_value, SecretId=name, SecretString=value * 2000)
    kms.encrypt(KeyId=key_of(kms), Plaintext=value.encode())
    log = emulator.log.read_text()
    for operation in ("CreateSecret", "PutSecretValue", "GetSecretValue"):
        assert f"secretsmanager {operation} 200" in log
    assert "secretsmanager PutSecretValue 400" in log
    assert "kms Encrypt 200" in log
    assert value not in log
    assert "Traceback" not in log
