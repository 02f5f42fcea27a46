"""Policies decide as IAM's do."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from localcloud.emulator.authorization import Decision, Request, UnmodelledError, decide
from tests.localcloud.emulator_process import Emulator, running_emulator

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"
READ = "secretsmanager:GetSecretValue"
ALLOW, SILENT, DENY = Decision.ALLOW, Decision.SILENT, Decision.DENY


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(**more: Any) -> dict[str, Any]:  # noqa: ANN401  any part of a statement
    return {"Effect": "Allow", "Action": READ, "Resource": "*", **more}


def request(action: str = READ, resource: str = ARN, **context: str) -> Request:
    return Request(
        action=action,
        resource=resource,
        context={key.replace("__", ":"): (value,) for key, value in context.items()},
    )


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (allow(), ALLOW),
        (allow(Action="secretsmanager:get*"), ALLOW),
        (allow(Action=["kms:*", "*"]), ALLOW),
        (allow(Action="secretsmanager:PutSecretValue"), SILENT),
        (allow(Resource=f"{ARN[:-6]}??????"), ALLOW),
        (allow(Resource=f"{ARN[:-7]}"), SILENT),
        (allow(Resource="arn:aws:secretsmanager:us-east-1:123456789012:secret:app-??????"), ALLOW),
        (allow(Resource="arn:aws:secretsmanager:us-east-1:123456789012:secret:ap-??????"), SILENT),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, ALLOW),
        ({"Effect": "Allow", "Action": "*", "NotResource": ARN}, SILENT),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, DENY),
        (allow(Condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}}), ALLOW),
        (allow(Condition={"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}}), ALLOW),
        (allow(Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}), SILENT),
        (allow(Condition={"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}), SILENT),
        (allow(Condition={"StringLike": {"aws:RequestedRegion": "us-*"}}), ALLOW),
        (allow(Condition={"StringEquals": {"aws:missing": "x"}}), SILENT),
        (allow(Condition={"StringNotEquals": {"aws:missing": "x"}}), ALLOW),
        (allow(Condition={"StringEqualsIfExists": {"aws:missing": "x"}}), ALLOW),
        (allow(Condition={"Null": {"aws:missing": "true"}}), ALLOW),
        (allow(Condition={"Null": {"aws:missing": "false"}}), SILENT),
        (allow(Resource="arn:*:secret:${aws:principaltag/team}-*"), ALLOW),
        (allow(Resource="arn:*:secret:${aws:principaltag/none}-*"), SILENT),
    ],
)
def test_one_statement_decides(statement: dict[str, Any], expected: Decision) -> None:
    asked = request(**{"aws__requestedregion": "us-east-1", "aws__principaltag/team": "app"})
    assert decide([policy(statement)], asked) is expected


def test_a_condition_that_is_not_known_is_never_taken_as_fulfilled() -> None:
    statement = allow(Condition={"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}})
    with pytest.raises(UnmodelledError, match="DateLessThan"):
        decide([policy(statement)], request(aws__currenttime="2026-01-01T00:00:00Z"))


statements = st.builds(
    lambda effect, action, resource: {"Effect": effect, "Action": action, "Resource": resource},
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from([READ, "secretsmanager:*", "kms:Decrypt", "*"]),
    st.sampled_from([ARN, f"{ARN[:-6]}*", "*", "arn:aws:other"]),
)


@given(st.lists(statements, max_size=6))
def test_a_deny_wins_wherever_it_stands_and_order_says_nothing(given_ones: list[dict[str, Any]]) -> None:
    decision = decide([policy(*given_ones)], request())
    assert decision is decide([policy(one) for one in reversed(given_ones)], request())
    applying = {one["Effect"] for one in given_ones if decide([policy(one)], request()) is not SILENT}
    assert decision is (DENY if "Deny" in applying else ALLOW if applying else SILENT)


@given(st.lists(statements, max_size=6), st.data())
def test_taking_an_allow_away_never_opens_anything(
    given_ones: list[dict[str, Any]], data: st.DataObject
) -> None:
    before = decide([policy(*given_ones)], request())
    kept = [one for one in given_ones if one["Effect"] == "Deny" or data.draw(st.booleans())]
    after = decide([policy(*kept)], request())
    assert not (after is ALLOW and before is not ALLOW)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


def client(emulator: Emulator, service: str, credentials: dict[str, str] | None = None) -> Any:  # noqa: ANN401  boto3
    known = credentials or {"AccessKeyId": "test", "SecretAccessKey": "test", "SessionToken": "test"}
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=emulator.endpoint,
        aws_access_key_id=known["AccessKeyId"],
        aws_secret_access_key=known["SecretAccessKey"],
        aws_session_token=known.get("SessionToken"),
    )


def role(emulator: Emulator, name: str, *allowed: dict[str, Any], **assume: str) -> Any:  # noqa: ANN401  boto3
    """A client of Secrets Manager with a role that has these statements."""
    iam = client(emulator, "iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    if allowed:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy(*allowed)))
    found = client(emulator, "sts").assume_role(RoleArn=arn, RoleSessionName="pod", **assume)
    return client(emulator, "secretsmanager", found["Credentials"])


def refusal(call: Any, **asked: str) -> str:  # noqa: ANN401  a method of boto3
    with pytest.raises(ClientError) as refused:
        call(**asked)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    return str(refused.value.response["Error"]["Message"])


def secret(emulator: Emulator, name: str, **more: str) -> str:
    made = client(emulator, "secretsmanager").create_secret(Name=name, SecretString="{}", **more)
    return str(made["ARN"])


def test_a_role_may_do_what_its_policies_allow_and_hears_in_awss_words_what_not(emulator: Emulator) -> None:
    arn = secret(emulator, "one")
    reader = role(emulator, "one-reader", allow(Resource=arn))
    assert reader.get_secret_value(SecretId="one")["SecretString"] == "{}"
    message = refusal(reader.put_secret_value, SecretId="one", SecretString="x")
    assert message == (
        "User: arn:aws:sts::123456789012:assumed-role/one-reader/pod is not authorized to perform: "
        f"secretsmanager:PutSecretValue on resource: {arn} because no identity-based policy allows the "
        "secretsmanager:PutSecretValue action"
    )
    assert reader.get_secret_value(SecretId="one")["SecretString"] == "{}"


def test_a_role_without_policies_may_nothing_and_the_administrator_everything(emulator: Emulator) -> None:
    secret(emulator, "two")
    nobody = role(emulator, "two-nobody")
    refusal(nobody.get_secret_value, SecretId="two")
    refusal(nobody.list_secrets)
    refusal(nobody.get_secret_value, SecretId="not-there")
    assert client(emulator, "secretsmanager").get_secret_value(SecretId="two")


def test_a_secrets_policy_lets_a_role_in_and_its_deny_shuts_it_out(emulator: Emulator) -> None:
    arn = secret(emulator, "three")
    reader = role(emulator, "three-reader")
    principal = {"AWS": "arn:aws:iam::123456789012:role/three-reader"}
    admin = client(emulator, "secretsmanager")
    admin.put_resource_policy(SecretId=arn, ResourcePolicy=json.dumps(policy(allow(Principal=principal))))
    assert reader.get_secret_value(SecretId=arn)
    shut = policy(allow(Principal=principal), {**allow(Principal="*"), "Effect": "Deny"})
    admin.put_resource_policy(SecretId=arn, ResourcePolicy=json.dumps(shut))
    assert "explicit deny" in refusal(reader.get_secret_value, SecretId=arn)


def test_a_customer_managed_key_must_let_the_reader_in_too(emulator: Emulator) -> None:
    key = client(emulator, "kms").create_key()["KeyMetadata"]["Arn"]
    arn = secret(emulator, "four", KmsKeyId=key)
    reader = role(emulator, "four-reader", allow(Resource=arn))
    assert refusal(reader.get_secret_value, SecretId=arn) == "Access to KMS is not allowed"
    decrypting = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key}
    context = {"kms:EncryptionContext:SecretARN": arn}
    both = role(
        emulator,
        "four-both",
        allow(Resource=arn),
        {**decrypting, "Condition": {"StringEquals": context}},
    )
    assert both.get_secret_value(SecretId=arn)
    elsewhere = {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}
    wrong = role(
        emulator,
        "four-wrong",
        allow(Resource=arn),
        {**decrypting, "Condition": {"StringEquals": elsewhere}},
    )
    refusal(wrong.get_secret_value, SecretId=arn)


def test_a_sessions_policy_limits_the_role(emulator: Emulator) -> None:
    arn = secret(emulator, "five")
    limited = role(emulator, "five-reader", allow(), Policy=json.dumps(policy(allow(Resource="arn:aws:x"))))
    assert "session policy" in refusal(limited.get_secret_value, SecretId=arn)


def test_a_user_is_held_to_attached_policies_too(emulator: Emulator) -> None:
    arn = secret(emulator, "six")
    iam = client(emulator, "iam")
    iam.create_user(UserName="person")
    key = iam.create_access_key(UserName="person")["AccessKey"]
    person = client(emulator, "secretsmanager", {**key, "SessionToken": ""})
    refusal(person.get_secret_value, SecretId=arn)
    made = iam.create_policy(PolicyName="read-six", PolicyDocument=json.dumps(policy(allow(Resource=arn))))
    iam.attach_user_policy(UserName="person", PolicyArn=made["Policy"]["Arn"])
    assert person.get_secret_value(SecretId=arn)
