"""Callers other than the administrator may do what policies allow, and nothing else."""

# ruff: noqa: ANN401  boto3 makes its clients' types at run time

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED, xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.sts.models import AssumedRole

from tests.support.emulator_functions import call, deploy, logged, zipped
from tests.support.emulator_process import Emulator, running_emulator
from tools.localcloud.emulator import sts_service
from tools.localcloud.emulator.identities import CredentialsError, SessionDetails, identity_of
from tools.localcloud.emulator.secrets_service import SecretsManager

ACCOUNT, OTHER = "123456789012", "210987654321"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
READ = "secretsmanager:GetSecretValue"
ISSUER = "oidc.eks.us-east-1.amazonaws.com/id/ABC"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        client(emulator, "iam").create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
        )
        yield emulator


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str] = READ, resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trust(principal: Any = None, action: str = "sts:AssumeRole", **more: Any) -> str:
    by = {"AWS": ROOT} if principal is None else principal
    return policy({"Effect": "Allow", "Principal": by, "Action": action, **more})


def client(emulator: Emulator, service: str, credentials: Any = None, account: str | None = None) -> Any:
    known = credentials or {"AccessKeyId": "test", "SecretAccessKey": "test"}
    made = boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=emulator.endpoint,
        aws_access_key_id=known["AccessKeyId"],
        aws_secret_access_key=known["SecretAccessKey"],
        aws_session_token=known.get("SessionToken"),
        config=Config(retries={"total_max_attempts": 1}),
    )
    if account:
        made.meta.events.register(
            "before-sign.*.*", lambda request, **_: request.headers.add_header("x-moto-account-id", account)
        )
    return made


def assume(emulator: Emulator, arn: str, **asked: Any) -> Any:
    found = client(emulator, "sts").assume_role(RoleArn=arn, RoleSessionName="pod", **asked)
    return found["Credentials"]


def role(emulator: Emulator, *allowed: dict[str, Any], document: str | None = None, **made: Any) -> str:
    """Return the ARN of a new role with these statements."""
    iam, name = client(emulator, "iam"), f"role-{uuid.uuid4().hex[:8]}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document or trust(), **made)["Role"]["Arn"]
    if allowed:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(*allowed))
    return str(arn)


def as_role(emulator: Emulator, service: str, *allowed: dict[str, Any]) -> Any:
    return client(emulator, service, assume(emulator, role(emulator, *allowed)))


def secret(emulator: Emulator, **more: Any) -> str:
    made = client(emulator, "secretsmanager").create_secret(
        Name=f"app/{uuid.uuid4().hex[:8]}", SecretString="{}", **more
    )
    return str(made["ARN"])


def name_of(arn: str) -> str:
    return arn.rpartition(":")[2][:-7]


def refused(call: Callable[..., Any], /, code: str = "AccessDeniedException", **asked: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**asked)
    assert refusal.value.response["Error"]["Code"] == code
    return str(refusal.value.response["Error"]["Message"])


# --- Secrets


@pytest.mark.parametrize("form", ["name", "arn", "partial"])
def test_a_role_reads_only_what_it_may_by_name_or_arn(emulator: Emulator, form: str) -> None:
    arn = secret(emulator)
    secret_id = {"name": name_of(arn), "arn": arn, "partial": arn[:-7]}[form]
    arn_of_role = role(emulator, allow(resource=arn))
    reader = client(emulator, "secretsmanager", assume(emulator, arn_of_role))
    assert reader.get_secret_value(SecretId=secret_id)["SecretString"] == "{}"
    message = refused(reader.put_secret_value, SecretId=secret_id, SecretString="x")
    assert message == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{arn_of_role.rpartition('/')[2]}/pod is not authorized "
        f"to perform: secretsmanager:PutSecretValue on resource: {secret_id} because no identity-based "
        "policy allows the secretsmanager:PutSecretValue action"
    )
    assert reader.get_secret_value(SecretId=secret_id)["SecretString"] == "{}"


def everything(secrets: Any, secret_id: str) -> dict[str, Callable[[], Any]]:
    """Return every operation of Secrets Manager on one secret."""
    token = str(uuid.uuid4())
    version = {"SecretId": secret_id, "VersionStage": "mine", "MoveToVersionId": token}
    return {
        "CancelRotateSecret": lambda: secrets.cancel_rotate_secret(SecretId=secret_id),
        "DeleteResourcePolicy": lambda: secrets.delete_resource_policy(SecretId=secret_id),
        "DeleteSecret": lambda: secrets.delete_secret(SecretId=secret_id),
        "DescribeSecret": lambda: secrets.describe_secret(SecretId=secret_id),
        "GetResourcePolicy": lambda: secrets.get_resource_policy(SecretId=secret_id),
        "GetSecretValue": lambda: secrets.get_secret_value(SecretId=secret_id),
        "ListSecretVersionIds": lambda: secrets.list_secret_version_ids(SecretId=secret_id),
        "PutResourcePolicy": lambda: secrets.put_resource_policy(
            SecretId=secret_id, ResourcePolicy=policy({**allow(), "Principal": "*"})
        ),
        "PutSecretValue": lambda: secrets.put_secret_value(SecretId=secret_id, SecretString="x"),
        "RemoveRegionsFromReplication": lambda: secrets.remove_regions_from_replication(
            SecretId=secret_id, RemoveReplicaRegions=["eu-west-1"]
        ),
        "ReplicateSecretToRegions": lambda: secrets.replicate_secret_to_regions(
            SecretId=secret_id, AddReplicaRegions=[{"Region": "eu-west-1"}]
        ),
        "RestoreSecret": lambda: secrets.restore_secret(SecretId=secret_id),
        "RotateSecret": lambda: secrets.rotate_secret(SecretId=secret_id),
        "StopReplicationToReplica": lambda: secrets.stop_replication_to_replica(SecretId=secret_id),
        "TagResource": lambda: secrets.tag_resource(SecretId=secret_id, Tags=[{"Key": "a", "Value": "b"}]),
        "UntagResource": lambda: secrets.untag_resource(SecretId=secret_id, TagKeys=["a"]),
        "UpdateSecret": lambda: secrets.update_secret(SecretId=secret_id, Description="new"),
        "UpdateSecretVersionStage": lambda: secrets.update_secret_version_stage(**version),
        "ValidateResourcePolicy": lambda: secrets.validate_resource_policy(
            SecretId=secret_id, ResourcePolicy=policy({**allow(), "Principal": "*"})
        ),
    }


def test_every_operation_on_a_secret_needs_its_own_permission_on_that_secret(emulator: Emulator) -> None:
    arn, admin = secret(emulator), client(emulator, "secretsmanager")
    before = admin.describe_secret(SecretId=arn)
    elsewhere = allow("secretsmanager:*", secret(emulator))
    for credentials in (assume(emulator, role(emulator)), assume(emulator, role(emulator, elsewhere))):
        for operation, perform in everything(client(emulator, "secretsmanager", credentials), arn).items():
            assert f"perform: secretsmanager:{operation} on" in refused(perform)
    after = admin.describe_secret(SecretId=arn)
    assert {**before, "ResponseMetadata": 0} == {**after, "ResponseMetadata": 0}
    named = as_role(emulator, "secretsmanager", allow("secretsmanager:*", f"{arn[:-6]}??????"))
    for perform in everything(named, arn).values():
        try:
            perform()
        except ClientError as error:
            assert error.response["Error"]["Code"] != "AccessDeniedException"  # noqa: PT017  others may come


def test_no_operation_that_the_emulator_serves_was_forgotten_here(emulator: Emulator) -> None:
    operations = client(emulator, "secretsmanager").meta.service_model.operation_names
    served = {name for name in operations if xform_name(name) in vars(SecretsManager)}
    without = {"BatchGetSecretValue", "CreateSecret", "GetRandomPassword", "ListSecrets"}
    assert served == {*everything(None, ""), *without}


def test_a_role_without_policies_may_nothing_and_the_administrator_everything(emulator: Emulator) -> None:
    arn, nobody = secret(emulator), as_role(emulator, "secretsmanager")
    assert "on resource" not in refused(nobody.list_secrets)
    refused(nobody.get_random_password)
    refused(nobody.create_secret, Name="new")
    refused(nobody.get_secret_value, SecretId="not-there")
    assert client(emulator, "secretsmanager").get_secret_value(SecretId=arn)
    with pytest.raises(ClientError, match="can't find"):
        client(emulator, "secretsmanager").describe_secret(SecretId="new")


def test_listing_is_allowed_for_all_secrets_or_not_at_all(emulator: Emulator) -> None:
    arn = secret(emulator)
    refused(as_role(emulator, "secretsmanager", allow("secretsmanager:*", arn)).list_secrets)
    assert as_role(emulator, "secretsmanager", allow("secretsmanager:ListSecrets")).list_secrets()


def test_a_batch_leaves_out_what_may_not_be_read(emulator: Emulator) -> None:
    mine, other = secret(emulator), secret(emulator)
    batch = allow("secretsmanager:BatchGetSecretValue")
    reader = as_role(emulator, "secretsmanager", allow(resource=mine), batch)
    found = reader.batch_get_secret_value(SecretIdList=[mine, name_of(other)])
    assert [value["ARN"] for value in found["SecretValues"]] == [mine]
    assert [error["ErrorCode"] for error in found["Errors"]] == ["AccessDeniedException"]
    refused(reader.batch_get_secret_value, Filters=[{"Key": "name", "Values": ["app"]}])
    searching = as_role(
        emulator, "secretsmanager", allow(resource=mine), batch, allow("secretsmanager:ListSecrets")
    )
    found = searching.batch_get_secret_value(Filters=[{"Key": "name", "Values": [name_of(mine)]}])
    assert [value["ARN"] for value in found["SecretValues"]] == [mine]
    found = searching.batch_get_secret_value(Filters=[{"Key": "name", "Values": [name_of(other)]}])
    assert found["SecretValues"] == []
    refused(as_role(emulator, "secretsmanager", allow()).batch_get_secret_value, SecretIdList=[mine])
    whole = client(emulator, "secretsmanager").batch_get_secret_value(SecretIdList=[mine, other])
    assert len(whole["SecretValues"]) == 2


def test_a_secret_is_made_under_a_name_that_is_allowed(emulator: Emulator) -> None:
    pattern = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:team-a/*"
    maker = as_role(emulator, "secretsmanager", allow("secretsmanager:CreateSecret", pattern))
    assert maker.create_secret(Name="team-a/one", SecretString="x")
    refused(maker.create_secret, Name="team-b/one", SecretString="x")
    refused(maker.create_secret, Name="team-a/two", Tags=[{"Key": "a", "Value": "b"}])


@pytest.mark.parametrize(
    ("condition", "asked", "passes"),
    [
        (
            {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}},
            {"VersionStage": "AWSCURRENT"},
            True,
        ),
        ({"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}, {"VersionStage": "other"}, False),
        ({"StringEquals": {"aws:ResourceTag/team": "web"}}, {}, True),
        ({"StringEquals": {"secretsmanager:ResourceTag/team": "web"}}, {}, True),
        ({"StringEquals": {"secretsmanager:ResourceTag/team": "other"}}, {}, False),
        ({"StringNotEquals": {"aws:ResourceTag/missing": "x"}}, {}, True),
        ({"ArnLike": {"secretsmanager:SecretId": "arn:aws:secretsmanager:*:*:secret:app/*"}}, {}, True),
        ({"StringEquals": {"secretsmanager:Name": "app"}}, {}, False),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, {}, True),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, {}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2100-01-01T00:00:00Z"}}, {}, False),
        ({"DateLessThan": {"aws:TokenIssueTime": "2100-01-01T00:00:00Z"}}, {}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, {}, True),
    ],
)
def test_conditions_are_about_the_request_the_secret_and_the_moment(
    emulator: Emulator, condition: dict[str, Any], asked: dict[str, str], *, passes: bool
) -> None:
    arn = secret(emulator, Tags=[{"Key": "team", "Value": "web"}])
    reader = as_role(emulator, "secretsmanager", allow(Condition=condition))
    if passes:
        assert reader.get_secret_value(SecretId=arn, **asked)
    else:
        refused(reader.get_secret_value, SecretId=arn, **asked)


def test_a_policy_that_cannot_be_judged_refuses_also_whom_others_allow(emulator: Emulator) -> None:
    arn, reader = secret(emulator), as_role(emulator, "secretsmanager", allow())
    odd = allow(Principal="*", Condition={"StringSomehow": {"aws:RequestedRegion": "us-east-1"}})
    client(emulator, "secretsmanager").put_resource_policy(SecretId=arn, ResourcePolicy=policy(odd))
    assert "StringSomehow" in refused(reader.get_secret_value, SecretId=arn)


def test_a_variable_is_the_callers_own_tag(emulator: Emulator) -> None:
    iam = client(emulator, "iam")
    mine, other = (secret(emulator, Tags=[{"Key": "team", "Value": team}]) for team in ("web", "ops"))
    condition = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    arn = role(emulator, allow(Condition=condition), document=_tagging())
    untagged = client(emulator, "secretsmanager", assume(emulator, arn))
    refused(untagged.get_secret_value, SecretId=mine)
    iam.tag_role(RoleName=arn.rpartition("/")[2], Tags=[{"Key": "team", "Value": "web"}])
    assert untagged.get_secret_value(SecretId=mine)
    refused(untagged.get_secret_value, SecretId=other)
    tags = [{"Key": "team", "Value": "ops"}]
    tagged = client(emulator, "secretsmanager", assume(emulator, arn, Tags=tags))
    assert tagged.get_secret_value(SecretId=other)
    refused(tagged.get_secret_value, SecretId=mine)


def _tagging() -> str:
    return policy(
        {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    )


def test_a_secrets_policy_grants_and_denies_a_role_access(emulator: Emulator) -> None:
    arn, arn_of_role = secret(emulator), role(emulator)
    reader = client(emulator, "secretsmanager", assume(emulator, arn_of_role))
    admin, principal = client(emulator, "secretsmanager"), {"AWS": arn_of_role}
    admin.put_resource_policy(SecretId=arn, ResourcePolicy=policy(allow(Principal=principal)))
    assert reader.get_secret_value(SecretId=arn)
    refused(reader.describe_secret, SecretId=arn)
    shut = policy(allow(Principal=principal), {**allow(Principal="*"), "Effect": "Deny"})
    admin.put_resource_policy(SecretId=arn, ResourcePolicy=shut)
    message = refused(reader.get_secret_value, SecretId=arn)
    assert message.endswith("with an explicit deny in a resource-based policy")


# --- Keys of KMS


def key(emulator: Emulator, *statements: dict[str, Any]) -> str:
    own = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
    made = client(emulator, "kms").create_key(Policy=policy(*(statements or [own])))
    return str(made["KeyMetadata"]["Arn"])


def use(key_arn: str, actions: str | list[str] = "kms:Decrypt", **conditions: Any) -> dict[str, Any]:
    return allow(actions, key_arn, **({"Condition": {"StringEquals": conditions}} if conditions else {}))


def test_a_customer_managed_key_must_let_the_reader_in_too(emulator: Emulator) -> None:
    key_arn = key(emulator)
    arn = secret(emulator, KmsKeyId=key_arn)
    read = allow(resource=arn)

    def reader(*more: dict[str, Any]) -> Any:
        return as_role(emulator, "secretsmanager", read, *more)

    assert refused(reader().get_secret_value, SecretId=arn) == "Access to KMS is not allowed"
    via = "secretsmanager.us-east-1.amazonaws.com"
    exact = {"kms:ViaService": via, "kms:EncryptionContext:SecretARN": arn}
    assert reader(use(key_arn, **exact)).get_secret_value(SecretId=arn)
    for wrong in (
        {**exact, "kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"},
        {**exact, "kms:EncryptionContext:SecretARN": secret(emulator)},
        {**exact, "kms:CallerAccount": OTHER},
    ):
        refused(reader(use(key_arn, **wrong)).get_secret_value, SecretId=arn)
    refused(reader(use(key(emulator))).get_secret_value, SecretId=arn)
    refused(reader(use(key_arn, "kms:GenerateDataKey")).get_secret_value, SecretId=arn)
    assert reader(use(key_arn)).describe_secret  # a client as any other
    describing = as_role(emulator, "secretsmanager", allow("secretsmanager:DescribeSecret", arn))
    assert describing.describe_secret(SecretId=arn)["KmsKeyId"] == key_arn


def test_a_roles_policy_does_not_override_the_keys(emulator: Emulator) -> None:
    statement = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    trusted = role(emulator, allow())
    closed = key(emulator, {**statement, "Principal": {"AWS": trusted}})
    arn = secret(emulator, KmsKeyId=closed)
    reader = as_role(emulator, "secretsmanager", allow(["secretsmanager:*", "kms:*"]))
    assert refused(reader.get_secret_value, SecretId=arn) == "Access to KMS is not allowed"
    named = client(emulator, "secretsmanager", assume(emulator, trusted))
    assert named.get_secret_value(SecretId=arn)
    encrypted = client(emulator, "kms").encrypt(KeyId=closed, Plaintext=b"x")["CiphertextBlob"]
    direct = as_role(emulator, "kms", allow("kms:*"))
    message = refused(direct.decrypt, CiphertextBlob=encrypted)
    assert message.endswith("because no resource-based policy allows the kms:Decrypt action")


def test_a_key_is_found_by_its_alias(emulator: Emulator) -> None:
    key_arn, alias = key(emulator), f"alias/{uuid.uuid4()}"
    client(emulator, "kms").create_alias(AliasName=alias, TargetKeyId=key_arn)
    arn = secret(emulator, KmsKeyId=alias)
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
    keys = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/*"
    reader = as_role(
        emulator, "secretsmanager", allow(resource=arn), allow("kms:Decrypt", keys, Condition=condition)
    )
    assert reader.get_secret_value(SecretId=arn)
    other = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/other"}}
    wrong = as_role(
        emulator, "secretsmanager", allow(resource=arn), allow("kms:Decrypt", keys, Condition=other)
    )
    refused(wrong.get_secret_value, SecretId=arn)


def test_writing_needs_a_data_key_and_moving_to_another_key_needs_both(emulator: Emulator) -> None:
    first, second = key(emulator), key(emulator)
    both = ["kms:Decrypt", "kms:GenerateDataKey"]
    every = allow("secretsmanager:*")
    for allowed in ([], [use(first)], [use(first, "kms:GenerateDataKey")]):
        writer = as_role(emulator, "secretsmanager", every, *allowed)
        arn = secret(emulator, KmsKeyId=first)
        refused(writer.put_secret_value, SecretId=arn, SecretString="x")
        refused(writer.update_secret, SecretId=arn, SecretString="x")
        refused(writer.create_secret, Name="new-one", SecretString="x", KmsKeyId=first)
        assert writer.update_secret(SecretId=arn, Description="needs no key")
        assert writer.create_secret(Name=f"empty-{uuid.uuid4()}", KmsKeyId=first)
        assert client(emulator, "secretsmanager").get_secret_value(SecretId=arn)["SecretString"] == "{}"
    writer = as_role(emulator, "secretsmanager", every, use(first, both))
    arn = secret(emulator, KmsKeyId=first)
    assert writer.put_secret_value(SecretId=arn, SecretString="x")
    assert writer.create_secret(Name=f"new-{uuid.uuid4()}", SecretString="x", KmsKeyId=first)
    refused(writer.update_secret, SecretId=arn, KmsKeyId=second)
    half = as_role(emulator, "secretsmanager", every, use(second, both))
    refused(half.update_secret, SecretId=arn, KmsKeyId=second)
    mover = as_role(emulator, "secretsmanager", every, use(first), use(second, both))
    assert mover.update_secret(SecretId=arn, KmsKeyId=second)


def test_kms_itself_is_held_to_its_keys(emulator: Emulator) -> None:
    mine, other = key(emulator), key(emulator)
    kms = as_role(emulator, "kms", allow(["kms:Encrypt", "kms:Decrypt"], mine))
    encrypted = kms.encrypt(KeyId=mine, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=encrypted, EncryptionContext={"a": "b"})["Plaintext"] == b"x"
    refused(kms.encrypt, KeyId=other, Plaintext=b"x")
    refused(kms.describe_key, KeyId=mine)
    refused(kms.list_keys)
    refused(kms.create_key)
    of_other = client(emulator, "kms").encrypt(KeyId=other, Plaintext=b"x")["CiphertextBlob"]
    refused(kms.decrypt, CiphertextBlob=of_other)
    context = {"Condition": {"StringEquals": {"kms:EncryptionContext:a": "c"}}}
    refused(
        as_role(emulator, "kms", allow("kms:Decrypt", mine, **context)).decrypt,
        CiphertextBlob=encrypted,
        EncryptionContext={"a": "b"},
    )


# --- Limits and identities


def test_a_sessions_policies_limit_the_role(emulator: Emulator) -> None:
    one, other = secret(emulator), secret(emulator)
    arn_of_role = role(emulator, allow())
    made = client(emulator, "iam").create_policy(
        PolicyName=f"p-{uuid.uuid4()}", PolicyDocument=policy(allow(resource=one))
    )
    limits: list[dict[str, Any]] = [
        {"Policy": policy(allow(resource=one))},
        {"PolicyArns": [{"arn": made["Policy"]["Arn"]}]},
    ]
    for limit in limits:
        limited = client(emulator, "secretsmanager", assume(emulator, arn_of_role, **limit))
        assert limited.get_secret_value(SecretId=one)
        assert "no session policy allows" in refused(limited.get_secret_value, SecretId=other)
    wider = assume(emulator, role(emulator), Policy=policy(allow()))
    refused(client(emulator, "secretsmanager", wider).get_secret_value, SecretId=one)


def test_a_boundary_limits_a_role(emulator: Emulator) -> None:
    arn, iam = secret(emulator), client(emulator, "iam")
    arn_of_role = role(emulator, allow(["secretsmanager:*", "kms:*"]))
    reader, name = (
        client(emulator, "secretsmanager", assume(emulator, arn_of_role)),
        arn_of_role.rpartition("/")[2],
    )
    made = iam.create_policy(PolicyName=f"b-{uuid.uuid4()}", PolicyDocument=policy(allow()))
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=made["Policy"]["Arn"])
    assert reader.get_secret_value(SecretId=arn)
    assert "no permissions boundary allows" in refused(reader.describe_secret, SecretId=arn)
    of_aws = "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=of_aws)
    refused(reader.get_secret_value, SecretId=arn)


def test_a_user_is_bound_by_its_own_and_its_groups_policies(emulator: Emulator) -> None:
    arn, iam = secret(emulator), client(emulator, "iam")
    iam.create_user(UserName="person")
    known = iam.create_access_key(UserName="person")["AccessKey"]
    person = client(emulator, "secretsmanager", known)
    refused(person.get_secret_value, SecretId=arn)
    made = iam.create_policy(PolicyName="read-it", PolicyDocument=policy(allow(resource=arn)))
    read_it = made["Policy"]["Arn"]
    iam.attach_user_policy(UserName="person", PolicyArn=read_it)
    assert person.get_secret_value(SecretId=arn)
    iam.detach_user_policy(UserName="person", PolicyArn=read_it)
    iam.create_group(GroupName="people")
    iam.attach_group_policy(GroupName="people", PolicyArn=read_it)
    refused(person.get_secret_value, SecretId=arn)
    iam.add_user_to_group(GroupName="people", UserName="person")
    assert person.get_secret_value(SecretId=arn)
    iam.put_user_policy(
        UserName="person", PolicyName="not", PolicyDocument=policy({**allow(), "Effect": "Deny"})
    )
    assert "explicit deny in an identity-based" in refused(person.get_secret_value, SecretId=arn)
    iam.delete_user_policy(UserName="person", PolicyName="not")
    iam.update_access_key(UserName="person", AccessKeyId=known["AccessKeyId"], Status="Inactive")
    refused(person.get_secret_value, "UnrecognizedClientException", SecretId=arn)
    iam.update_access_key(UserName="person", AccessKeyId=known["AccessKeyId"], Status="Active")
    assert person.get_secret_value(SecretId=arn)
    refused(client(emulator, "sts", known).get_session_token, "AccessDenied")
    iam.delete_access_key(UserName="person", AccessKeyId=known["AccessKeyId"])
    refused(person.get_secret_value, "UnrecognizedClientException", SecretId=arn)


def test_what_a_role_loses_its_sessions_lose_at_once(emulator: Emulator) -> None:
    arn, iam, arn_of_role = secret(emulator), client(emulator, "iam"), role(emulator, allow())
    reader, name = (
        client(emulator, "secretsmanager", assume(emulator, arn_of_role)),
        arn_of_role.rpartition("/")[2],
    )
    assert reader.get_secret_value(SecretId=arn)
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    refused(reader.get_secret_value, SecretId=arn)
    iam.delete_role(RoleName=name)
    refused(reader.get_secret_value, SecretId=arn)


def test_a_session_needs_its_token_and_says_who_it_is(emulator: Emulator) -> None:
    arn, credentials = secret(emulator), assume(emulator, role(emulator, allow()))
    assert client(emulator, "sts", credentials).get_caller_identity()["Arn"].endswith("/pod")
    for wrong in ({**credentials, "SessionToken": None}, {**credentials, "SessionToken": "other"}):
        reader = client(emulator, "secretsmanager", wrong)
        refused(reader.get_secret_value, "UnrecognizedClientException", SecretId=arn)


def test_a_session_ends() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/x"
    over, lives = (
        sts_service.begun(arn, "x", "us-east-1", SessionDetails(), seconds) for seconds in (-1, 60)
    )

    def used(session: AssumedRole) -> Any:
        credential = (
            f"AWS4-HMAC-SHA256 Credential={session.access_key_id}/20260101/us-east-1/sts/aws4_request"
        )
        return identity_of(
            {"HTTP_AUTHORIZATION": credential, "HTTP_X_AMZ_SECURITY_TOKEN": session.session_token}
        )

    for _ in range(2):
        with pytest.raises(CredentialsError) as refusal:
            used(over)
        assert refusal.value.expired
        assert used(lives).caller.arn == lives.arn


def test_credentials_and_what_they_may_outlive_a_restart(tmp_path: Any) -> None:
    data = tmp_path / "data"
    with running_emulator(data) as first:
        arn = secret(first)
        credentials = assume(first, role(first, allow()), Policy=policy(allow(resource=arn)))
    with running_emulator(data) as second:
        reader = client(second, "secretsmanager", credentials)
        assert reader.get_secret_value(SecretId=arn)
        assert "session policy" in refused(reader.get_secret_value, SecretId=secret(second))


# --- Who may become a role


def test_a_role_lets_in_whom_its_trust_policy_names(emulator: Emulator) -> None:
    first = role(emulator, allow("sts:AssumeRole"))
    sts = client(emulator, "sts", assume(emulator, first))
    admin = client(emulator, "sts")
    open_to_account, open_to_first = role(emulator), role(emulator, document=trust({"AWS": first}))
    for arn, mine, admins in (
        (open_to_account, True, True),
        (open_to_first, True, False),
        (role(emulator, document=trust({"Service": "lambda.amazonaws.com"})), False, False),
        (role(emulator, document=trust({"AWS": f"arn:aws:iam::{OTHER}:root"})), False, False),
        (f"arn:aws:iam::{ACCOUNT}:role/not-there", False, False),
    ):
        for caller, allowed in ((sts, mine), (admin, admins)):
            if allowed:
                assert caller.assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
            else:
                message = refused(caller.assume_role, "AccessDenied", RoleArn=arn, RoleSessionName="session")
                assert message.endswith(f"is not authorized to perform: sts:AssumeRole on resource: {arn}")
    without = client(emulator, "sts", assume(emulator, role(emulator)))
    refused(without.assume_role, "AccessDenied", RoleArn=open_to_account, RoleSessionName="session")


def test_an_external_id_must_be_the_one_that_the_role_wants(emulator: Emulator) -> None:
    wants = trust(Condition={"StringEquals": {"sts:ExternalId": "ours"}})
    arn, sts = role(emulator, document=wants), client(emulator, "sts")
    assert sts.assume_role(RoleArn=arn, RoleSessionName="session", ExternalId="ours")
    for asked in ({}, {"ExternalId": "theirs"}):
        refused(sts.assume_role, "AccessDenied", RoleArn=arn, RoleSessionName="session", **asked)


def token(**claims: Any) -> str:
    given = {
        "iss": f"https://{ISSUER}",
        "aud": ["sts.amazonaws.com"],
        "sub": "system:serviceaccount:shop:web",
        "exp": time.time() + 600,
        **claims,
    }
    parts = ({"alg": "RS256"}, {name: value for name, value in given.items() if value is not None})
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (*parts, "s")
    )


IRSA = trust(
    {"Federated": PROVIDER},
    "sts:AssumeRoleWithWebIdentity",
    Condition={
        "StringEquals": {
            f"{ISSUER}:aud": "sts.amazonaws.com",
            f"{ISSUER}:sub": "system:serviceaccount:shop:web",
        }
    },
)


def test_a_pods_token_opens_the_role_of_its_service_account(emulator: Emulator) -> None:
    arn, other = secret(emulator), secret(emulator)
    arn_of_role = role(emulator, allow(resource=arn), document=IRSA)
    sts = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=emulator.endpoint,
        config=Config(signature_version=UNSIGNED),
    )
    found = sts.assume_role_with_web_identity(
        RoleArn=arn_of_role, RoleSessionName="pod", WebIdentityToken=token()
    )
    assert found["Provider"] == PROVIDER
    assert found["SubjectFromWebIdentityToken"] == "system:serviceaccount:shop:web"
    reader = client(emulator, "secretsmanager", found["Credentials"])
    assert reader.get_secret_value(SecretId=arn)
    refused(reader.get_secret_value, SecretId=other)
    refused(
        client(emulator, "sts").assume_role, "AccessDenied", RoleArn=arn_of_role, RoleSessionName="session"
    )


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"sub": "system:serviceaccount:shop:other"}, "AccessDenied"),
        ({"sub": "system:serviceaccount:other:web"}, "AccessDenied"),
        ({"sub": None}, "AccessDenied"),
        ({"aud": ["somebody-else"]}, "InvalidIdentityToken"),
        ({"aud": None}, "InvalidIdentityToken"),
        ({"iss": "https://elsewhere.example"}, "InvalidIdentityToken"),
        ({"exp": 1_000_000_000}, "ExpiredTokenException"),
        ({"exp": None}, "ExpiredTokenException"),
        (None, "InvalidIdentityToken"),
    ],
)
def test_another_token_opens_nothing(emulator: Emulator, claims: dict[str, Any] | None, code: str) -> None:
    arn = role(emulator, allow(), document=IRSA)
    refused(
        client(emulator, "sts").assume_role_with_web_identity,
        code,
        RoleArn=arn,
        RoleSessionName="pod",
        WebIdentityToken="no.token" if claims is None else token(**claims),
    )


def test_a_pods_token_needs_trust_beyond_the_account(emulator: Emulator) -> None:
    refused(
        client(emulator, "sts").assume_role_with_web_identity,
        "AccessDenied",
        RoleArn=role(emulator, allow()),
        RoleSessionName="pod",
        WebIdentityToken=token(),
    )


def service_session(emulator: Emulator, **asked: Any) -> Any:
    """Return the credentials that an AWS service passes on; None if the role does not trust it."""
    connection = HTTPConnection("127.0.0.1", emulator.port, timeout=60)
    connection.request("POST", "/_localcloud/sessions", json.dumps(asked))
    answer = connection.getresponse()
    return json.loads(answer.read()) if answer.status == 200 else None


def test_a_task_has_its_role_from_ecs_for_its_own_account(emulator: Emulator) -> None:
    arn = secret(emulator)
    tasks = {"Service": "ecs-tasks.amazonaws.com"}
    condition = {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:ecs:us-east-1:{ACCOUNT}:*"},
    }
    arn_of_role = role(emulator, allow(resource=arn), document=trust(tasks, Condition=condition))
    asked = {"RoleArn": arn_of_role, **tasks, "SourceArn": f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/shop"}
    reader = client(emulator, "secretsmanager", service_session(emulator, **asked))
    assert reader.get_secret_value(SecretId=arn)
    refused(reader.describe_secret, SecretId=arn)
    for wrong in (
        {"Service": "lambda.amazonaws.com"},
        {"SourceArn": None},
        {"SourceArn": f"arn:aws:ecs:us-east-1:{OTHER}:cluster/shop"},
        {"RoleArn": role(emulator)},
        {"RoleArn": f"{arn_of_role}x"},
        {"RoleArn": None},
        {"Tags": {"cluster": "shop"}},
        {"Tags": "cluster"},
        {"SourceArn": "shop"},
    ):
        assert service_session(emulator, **{**asked, **wrong}) is None
    refused(client(emulator, "sts").assume_role, "AccessDenied", RoleArn=arn_of_role, RoleSessionName="pod")


def test_a_pods_session_has_tags_for_policy_conditions(emulator: Emulator) -> None:
    arn = secret(emulator)
    pods = {"Service": "pods.eks.amazonaws.com"}
    document = policy({"Effect": "Allow", "Principal": pods, "Action": ["sts:AssumeRole", "sts:TagSession"]})
    condition = {"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "shop"}}
    arn_of_role = role(emulator, allow(resource=arn, Condition=condition), document=document)
    for namespace, reads in (("shop", True), ("other", False)):
        tags = {"kubernetes-namespace": namespace}
        found = service_session(emulator, RoleArn=arn_of_role, **pods, Tags=tags)
        reader = client(emulator, "secretsmanager", found)
        if reads:
            assert reader.get_secret_value(SecretId=arn)
        else:
            refused(reader.get_secret_value, SecretId=arn)


# --- Other accounts


def test_another_accounts_role_needs_both_policies_and_the_key(emulator: Emulator) -> None:
    theirs = client(emulator, "iam", account=OTHER)
    own = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
    document = trust({"AWS": f"arn:aws:iam::{OTHER}:root"})
    reader_arn = theirs.create_role(RoleName="guest", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    shared = {"Effect": "Allow", "Principal": {"AWS": reader_arn}, "Action": "kms:Decrypt", "Resource": "*"}
    key_arn = key(emulator, own, shared)
    arn, with_awss_key = secret(emulator, KmsKeyId=key_arn), secret(emulator)
    admin = client(emulator, "secretsmanager")
    credentials = client(emulator, "sts", account=OTHER).assume_role(
        RoleArn=reader_arn, RoleSessionName="session"
    )
    reader = client(emulator, "secretsmanager", credentials["Credentials"])
    theirs.put_role_policy(
        RoleName="guest",
        PolicyName="p",
        PolicyDocument=policy(allow([READ, "secretsmanager:PutSecretValue", "kms:Decrypt"])),
    )
    message = refused(reader.get_secret_value, SecretId=arn)
    assert message.endswith(
        "because no resource-based policy allows the secretsmanager:GetSecretValue action"
    )
    for one in (arn, with_awss_key):
        used = allow([READ, "secretsmanager:PutSecretValue"], Principal={"AWS": reader_arn})
        admin.put_resource_policy(SecretId=one, ResourcePolicy=policy(used))
    assert reader.get_secret_value(SecretId=arn)["SecretString"] == "{}"
    refused(reader.get_secret_value, "InvalidRequestException", SecretId=with_awss_key)
    message = refused(
        reader.put_secret_value, "InvalidRequestException", SecretId=with_awss_key, SecretString="x"
    )
    assert message.startswith("You can't access a secret from a different AWS account if you encrypt")
    theirs.put_role_policy(RoleName="guest", PolicyName="p", PolicyDocument=policy(allow()))
    assert refused(reader.get_secret_value, SecretId=arn) == "Access to KMS is not allowed"
    with pytest.raises(ClientError, match="can't find"):  # a name is one of the caller's own account
        reader.get_secret_value(SecretId=name_of(arn))


def test_nobody_but_the_administrator_works_in_another_account(emulator: Emulator) -> None:
    credentials = assume(emulator, role(emulator, allow("secretsmanager:*")))
    for credential, account in ((None, OTHER), (credentials, ACCOUNT)):
        made = client(emulator, "secretsmanager", credential, account=OTHER)
        arn = made.create_secret(Name=f"made-{uuid.uuid4()}", SecretString="x")["ARN"]
        assert arn.split(":")[4] == account


# --- Other services


def test_roles_and_logs_and_lookups_are_held_to_their_arns(emulator: Emulator) -> None:
    admin = client(emulator, "logs")
    for group in ("/mine", "/other"):
        admin.create_log_group(logGroupName=group)
    prefix = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group"
    logs = as_role(
        emulator, "logs", allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"{prefix}:/mine:log-stream:*")
    )
    logs.create_log_stream(logGroupName="/mine", logStreamName="s")
    events = [{"timestamp": int(time.time() * 1000), "message": "x"}]
    assert logs.put_log_events(logGroupName="/mine", logStreamName="s", logEvents=events)
    refused(logs.create_log_stream, logGroupName="/other", logStreamName="s")
    refused(logs.put_retention_policy, logGroupName="/mine", retentionInDays=7)
    refused(logs.describe_log_groups)

    mine = role(emulator)
    iam = as_role(emulator, "iam", allow("iam:GetRole", mine))
    assert iam.get_role(RoleName=mine.rpartition("/")[2])
    refused(iam.get_role, "AccessDenied", RoleName=role(emulator).rpartition("/")[2])
    refused(iam.list_roles, "AccessDenied")
    refused(iam.put_role_policy, "AccessDenied", RoleName="x", PolicyName="x", PolicyDocument=policy(allow()))

    database = f"arn:aws:rds:us-east-1:{ACCOUNT}:db:mine"
    rds = as_role(emulator, "rds", allow("rds:DescribeDBInstances", database))
    refused(rds.describe_db_instances, "AccessDenied")
    refused(rds.describe_db_instances, "AccessDenied", DBInstanceIdentifier="other")
    refused(rds.describe_db_instances, "DBInstanceNotFound", DBInstanceIdentifier="mine")

    ec2 = as_role(emulator, "ec2", allow("ec2:DescribeSubnets"))
    assert ec2.describe_subnets()
    refused(ec2.describe_vpcs, "UnauthorizedOperation")


def test_services_of_ecs_and_rules_are_held_to_their_arns(emulator: Emulator) -> None:
    service = f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/shop/web"
    ecs = client(emulator, "ecs")
    for cluster in ("shop", "other"):
        ecs.create_cluster(clusterName=cluster)
        for name in ("web", "worker"):
            ecs.create_service(cluster=cluster, serviceName=name, desiredCount=0)
    held = as_role(emulator, "ecs", allow(["ecs:UpdateService", "ecs:DescribeServices"], service))
    cluster_arn = f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/shop"
    for cluster, name in (("shop", "web"), (cluster_arn, service)):
        assert held.update_service(cluster=cluster, service=name, desiredCount=1)
    for asked in ({"cluster": "shop", "service": "worker"}, {"cluster": "other", "service": "web"}):
        refused(held.update_service, **asked)
    refused(held.update_service, service="web")  # of the cluster `default`
    refused(held.describe_services, cluster="shop", services=["web", "worker"])
    refused(held.delete_service, cluster="shop", service="web")
    in_cluster = {"ArnEquals": {"ecs:cluster": cluster_arn}}
    held = as_role(emulator, "ecs", allow(["ecs:*"], Condition=in_cluster))
    assert held.list_services(cluster="shop")["serviceArns"]
    refused(held.list_services, cluster="other")
    rules = f"arn:aws:events:us-east-1:{ACCOUNT}:rule"
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:mine"
    to_mine = {"ForAllValues:ArnEquals": {"events:TargetArn": function}}
    events = as_role(
        emulator,
        "events",
        allow("events:PutRule", f"{rules}/app-*"),
        allow("events:PutTargets", f"{rules}/app-*", Condition=to_mine),
    )
    pattern = json.dumps({"source": ["aws.secretsmanager"]})
    assert events.put_rule(Name="app-rule", EventPattern=pattern)
    refused(events.put_rule, Name="other", EventPattern=pattern)
    refused(events.put_rule, Name="app-rule", EventPattern=pattern, EventBusName="mine")
    assert "events:TagResource" in refused(
        events.put_rule, Name="app-rule", EventPattern=pattern, Tags=[{"Key": "a", "Value": "b"}]
    )
    assert events.put_targets(Rule="app-rule", Targets=[{"Id": "it", "Arn": function}])
    refused(events.put_targets, Rule="app-rule", Targets=[{"Id": "it", "Arn": f"{function}-too"}])
    refused(events.remove_targets, Rule="app-rule", Ids=["it"])


def test_giving_tags_to_something_new_is_a_permission_of_its_own(emulator: Emulator) -> None:
    logs, kms = (
        as_role(emulator, service, allow(action))
        for service, action in (("logs", "logs:CreateLogGroup"), ("kms", "kms:CreateKey"))
    )
    assert "perform: logs:TagResource" in refused(
        logs.create_log_group, logGroupName=f"/{uuid.uuid4()}", tags={"a": "b"}
    )
    assert "perform: kms:TagResource" in refused(kms.create_key, Tags=[{"TagKey": "a", "TagValue": "b"}])
    assert logs.create_log_group(logGroupName=f"/{uuid.uuid4()}")
    assert kms.create_key()
    name = f"role-{uuid.uuid4().hex[:8]}"
    for actions in (["iam:CreateRole"], ["iam:CreateRole", "iam:TagRole"]):
        iam = as_role(emulator, "iam", allow(actions, f"arn:aws:iam::{ACCOUNT}:role/{name}"))
        asked = {"RoleName": name, "AssumeRolePolicyDocument": trust()}
        tags = [{"Key": "a", "Value": "b"}]
        if len(actions) == 1:
            refused(iam.create_role, "AccessDenied", **asked, Tags=tags)
        else:
            assert iam.create_role(**asked, Tags=tags)


def test_of_other_services_the_action_alone_counts(emulator: Emulator) -> None:
    for resource, allowed in (("*", True), (f"arn:aws:sns:us-east-1:{ACCOUNT}:mine", False)):
        sns = as_role(emulator, "sns", allow("sns:CreateTopic", resource))
        if allowed:
            assert sns.create_topic(Name="mine")
        else:
            refused(sns.create_topic, "AccessDenied", Name="mine")


# --- Functions

READS_A_SECRET = """
import boto3
def handle(event, _):
    found = boto3.client("secretsmanager").get_secret_value(SecretId=event["id"])
    return {"text": found["SecretString"], "arn": boto3.client("sts").get_caller_identity()["Arn"]}
"""
LAMBDA = {"Service": "lambda.amazonaws.com"}


def function(emulator: Emulator, arn_of_role: str) -> str:
    name = f"f-{uuid.uuid4().hex[:8]}"
    deploy(emulator, name, zipped(READS_A_SECRET), Role=arn_of_role)
    return name


def test_a_function_has_its_execution_roles_permissions(emulator: Emulator) -> None:
    mine, other = secret(emulator), secret(emulator)
    trusting = trust(LAMBDA, Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})
    arn_of_role = role(emulator, allow(resource=mine), document=trusting)
    name = function(emulator, arn_of_role)
    found, _ = call(emulator, name, {"id": mine})
    assert found["text"] == "{}"
    assert found["arn"].endswith(f"assumed-role/{arn_of_role.rpartition('/')[2]}/{name}")
    found, _ = call(emulator, name, {"id": other})
    assert "not authorized to perform: secretsmanager:GetSecretValue" in found["errorMessage"]
    from_code = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    condition = {"Null": {"lambda:SourceFunctionArn": "false"}}
    client(emulator, "iam").put_role_policy(
        RoleName=arn_of_role.rpartition("/")[2],
        PolicyName="not-from-code",
        PolicyDocument=policy({**from_code, "Condition": condition}),
    )
    found, _ = call(emulator, name, {"id": mine})
    assert "explicit deny" in found["errorMessage"]


def test_a_function_needs_a_role_that_lets_lambda_in(emulator: Emulator) -> None:
    other_account = {"StringEquals": {"aws:SourceAccount": OTHER}}
    for document in (
        trust(),
        trust(LAMBDA, Condition=other_account),
        trust({"Service": "ecs-tasks.amazonaws.com"}),
    ):
        with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
            function(emulator, role(emulator, document=document))
    arn_of_role = role(emulator, document=trust(LAMBDA))
    name, iam = function(emulator, arn_of_role), client(emulator, "iam")
    iam.update_assume_role_policy(RoleName=arn_of_role.rpartition("/")[2], PolicyDocument=trust())
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        call(emulator, name)


def test_calling_a_function_needs_a_policy_and_creating_one_needs_pass_role(
    emulator: Emulator,
) -> None:
    arn_of_role = role(emulator, document=trust(LAMBDA))
    mine, other = function(emulator, arn_of_role), function(emulator, arn_of_role)
    prefix = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function"
    caller = as_role(emulator, "lambda", allow("lambda:InvokeFunction", f"{prefix}:{mine}"))
    assert caller.invoke(FunctionName=mine, Payload='{"id": "x"}')["StatusCode"] == 200
    refused(caller.invoke, FunctionName=other, Payload="{}")
    refused(caller.get_function, FunctionName=mine)
    refused(caller.list_functions)
    guest_arn = role(emulator)
    guest = client(emulator, "lambda", assume(emulator, guest_arn))
    refused(guest.invoke, FunctionName=mine, Payload="{}")
    client(emulator, "lambda").add_permission(
        FunctionName=mine, StatementId="guest", Action="lambda:InvokeFunction", Principal=guest_arn
    )
    assert guest.invoke(FunctionName=mine, Payload='{"id": "x"}')["StatusCode"] == 200
    asked: dict[str, Any] = {
        "FunctionName": "made",
        "Role": arn_of_role,
        "Code": {"ZipFile": zipped(READS_A_SECRET)},
        "Runtime": "python3.13",
        "Handler": "app.handle",
    }
    maker = as_role(emulator, "lambda", allow("lambda:CreateFunction"))
    assert "iam:PassRole" in refused(maker.create_function, **asked)
    passing = {"Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}}
    maker = as_role(
        emulator, "lambda", allow("lambda:CreateFunction"), allow("iam:PassRole", arn_of_role, **passing)
    )
    assert maker.create_function(**asked)


def test_turning_rotation_on_needs_the_right_to_call_the_function(emulator: Emulator) -> None:
    arn = secret(emulator)
    name = function(emulator, role(emulator, document=trust(LAMBDA)))
    function_arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    client(emulator, "lambda").add_permission(
        FunctionName=name,
        StatementId="rotation",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    asked: dict[str, Any] = {
        "SecretId": arn,
        "RotationLambdaARN": function_arn,
        "RotationRules": {"AutomaticallyAfterDays": 30},
    }
    rotate = allow("secretsmanager:RotateSecret", arn)
    denied = as_role(emulator, "secretsmanager", rotate)
    assert "lambda:InvokeFunction" in refused(denied.rotate_secret, **asked)
    assert "RotationEnabled" not in client(emulator, "secretsmanager").describe_secret(SecretId=arn)
    allowed = as_role(emulator, "secretsmanager", rotate, allow("lambda:InvokeFunction", function_arn))
    assert allowed.rotate_secret(**asked)


WRITES = """
def handle(event, _):
    print("a line of the function")
"""


def test_a_function_writes_its_log_if_its_role_may(emulator: Emulator) -> None:
    prefix = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group"
    group = f"/mine/{uuid.uuid4()}"
    client(emulator, "logs").create_log_group(logGroupName=group)
    writing = ["logs:CreateLogStream", "logs:PutLogEvents"]
    for allowed, expected in (
        (allow(writing, f"{prefix}:{group}:log-stream:*"), True),
        (allow(writing, f"{prefix}:/other:*"), False),
        (allow("logs:CreateLogStream"), False),
    ):
        name = f"f-{uuid.uuid4().hex[:8]}"
        arn_of_role = role(emulator, allowed, document=trust(LAMBDA))
        before = logged(emulator, group)
        deploy(
            emulator,
            name,
            zipped(WRITES),
            Role=arn_of_role,
            LoggingConfig={"LogFormat": "Text", "LogGroup": group},
        )
        call(emulator, name)
        written = [line for line in logged(emulator, group)[len(before) :] if "a line" in line]
        assert bool(written) is expected


def test_access_keys_are_replaced_only_for_the_users_that_a_policy_names(emulator: Emulator) -> None:
    iam = client(emulator, "iam")
    names = [f"mail-{uuid.uuid4().hex[:8]}" for _ in range(2)]
    mine, other = (iam.create_user(UserName=name)["User"] for name in names)
    actions = ["iam:CreateAccessKey", "iam:DeleteAccessKey", "iam:ListAccessKeys", "iam:ListUserTags"]
    function = as_role(emulator, "iam", allow(actions, mine["Arn"]))
    key = function.create_access_key(UserName=names[0])["AccessKey"]["AccessKeyId"]
    assert [
        one["AccessKeyId"] for one in function.list_access_keys(UserName=names[0])["AccessKeyMetadata"]
    ] == [key]
    assert function.list_user_tags(UserName=names[0])["Tags"] == []
    function.delete_access_key(UserName=names[0], AccessKeyId=key)
    theirs = iam.create_access_key(UserName=names[1])["AccessKey"]["AccessKeyId"]
    for attempt, more in (
        (function.create_access_key, {}),
        (function.list_access_keys, {}),
        (function.list_user_tags, {}),
        (function.delete_access_key, {"AccessKeyId": theirs}),
    ):
        assert other["Arn"] in refused(attempt, code="AccessDenied", UserName=names[1], **more)
    assert iam.list_access_keys(UserName=names[1])["AccessKeyMetadata"]
