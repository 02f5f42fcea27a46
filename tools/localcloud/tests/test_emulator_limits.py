# ruff: noqa: ANN401  boto3 is untyped
"""AWS's limits in the emulator: each at the last allowed and at the first refused."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.emulator_functions import ACCOUNT, TRUST, client, deploy, ready, zipped
from tests.support.emulator_process import Emulator, running_emulator

CODE = zipped("def handle(event, context): return None")


def refused(call: Callable[..., Any], code: str, **request: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**request)
    about = error.value.response["Error"]
    assert about["Code"] == code, about
    return str(about["Message"])


@pytest.fixture
def iam(emulator: Emulator) -> Any:
    return client(emulator, "iam")


@pytest.fixture
def secrets(emulator: Emulator) -> Any:
    return client(emulator, "secretsmanager")


@pytest.fixture
def functions(emulator: Emulator) -> Any:
    return client(emulator, "lambda")


@pytest.fixture
def role(iam: Any) -> str:
    name = f"r-{uuid.uuid4()}"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    return name


def policy_of(characters: int) -> str:
    """Return a policy with this many characters that count."""
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "arn:aws:s3:::"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    missing = characters - len(json.dumps(document, separators=(",", ":")))
    statement["Resource"] += "x" * missing
    return json.dumps(document, indent=4)  # white space does not count


# IAM


def test_a_roles_inline_policies_have_10240_characters_in_all(iam: Any, role: str) -> None:
    iam.put_role_policy(RoleName=role, PolicyName="one", PolicyDocument=policy_of(6_000))
    iam.put_role_policy(RoleName=role, PolicyName="two", PolicyDocument=policy_of(4_240))
    message = refused(
        iam.put_role_policy, "LimitExceeded", RoleName=role, PolicyName="two", PolicyDocument=policy_of(4_241)
    )
    assert message == f"Maximum policy size of 10240 bytes exceeded for role {role}"
    iam.put_role_policy(RoleName=role, PolicyName="one", PolicyDocument=policy_of(5_000))
    iam.put_role_policy(RoleName=role, PolicyName="two", PolicyDocument=policy_of(5_240))


def test_a_managed_policy_has_6144_characters_in_every_version(iam: Any) -> None:
    name = f"p-{uuid.uuid4()}"
    message = "Cannot exceed quota for PolicySize: 6144"
    for _ in range(2):
        assert message == refused(
            iam.create_policy, "LimitExceeded", PolicyName=name, PolicyDocument=policy_of(6_145)
        )
    arn = iam.create_policy(PolicyName=name, PolicyDocument=policy_of(6_144))["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy_of(6_144))
    refused(iam.create_policy_version, "LimitExceeded", PolicyArn=arn, PolicyDocument=policy_of(6_145))


def test_a_role_has_ten_managed_policies(iam: Any, role: str) -> None:
    made = [
        iam.create_policy(PolicyName=f"p-{uuid.uuid4()}", PolicyDocument=policy_of(200))["Policy"]["Arn"]
        for _ in range(11)
    ]
    for arn in made[:10]:
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    message = refused(iam.attach_role_policy, "LimitExceeded", RoleName=role, PolicyArn=made[10])
    assert message == "Cannot exceed quota for PoliciesPerRole: 10"
    iam.attach_role_policy(RoleName=role, PolicyArn=made[0])  # it has this one already


def test_a_managed_policy_is_deleted_only_detached_and_with_one_version(iam: Any, role: str) -> None:
    policy = {"PolicyName": f"p-{uuid.uuid4()}", "PolicyDocument": policy_of(200)}
    arn = iam.create_policy(**policy)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    assert "attached to entities" in refused(iam.delete_policy, "DeleteConflict", PolicyArn=arn)
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy_of(200), SetAsDefault=True)
    assert "more than one version" in refused(iam.delete_policy, "DeleteConflict", PolicyArn=arn)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy(PolicyArn=arn)
    refused(iam.get_policy, "NoSuchEntity", PolicyArn=arn)


def trust(**changes: Any) -> str:
    statement = {**json.loads(TRUST)["Statement"][0], **changes}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    "document",
    [
        "{}",
        "no json",
        "[]",
        json.dumps({"Statement": []}),
        json.dumps({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}),
        trust(Action="secretsmanager:GetSecretValue"),
        trust(Principal={"Robot": "x"}),
        trust(Resource="*"),
        trust(Effect="Maybe"),
    ],
)
def test_a_malformed_trust_policy_is_refused_and_makes_no_role(iam: Any, role: str, document: str) -> None:
    name = f"r-{uuid.uuid4()}"
    refused(iam.create_role, "MalformedPolicyDocument", RoleName=name, AssumeRolePolicyDocument=document)
    refused(iam.get_role, "NoSuchEntity", RoleName=name)
    refused(iam.update_assume_role_policy, "MalformedPolicyDocument", RoleName=role, PolicyDocument=document)


@pytest.mark.parametrize("name", ["with/slash", "with space", "ü"])
def test_a_name_with_other_characters_is_refused(iam: Any, role: str, name: str) -> None:
    assert "roleName is invalid" in refused(
        iam.create_role, "ValidationError", RoleName=name, AssumeRolePolicyDocument=TRUST
    )
    refused(
        iam.put_role_policy,
        "ValidationError",
        RoleName=role,
        PolicyName=name,
        PolicyDocument=policy_of(200),
    )
    refused(iam.create_policy, "ValidationError", PolicyName=name, PolicyDocument=policy_of(200))


def test_a_roles_name_has_64_characters(iam: Any) -> None:
    name = uuid.uuid4().hex
    iam.create_role(RoleName=name + "x" * 32, AssumeRolePolicyDocument=TRUST)
    refused(iam.create_role, "ValidationError", RoleName=name + "x" * 33, AssumeRolePolicyDocument=TRUST)


# Lambda


def creation(iam: Any, role: str, **changes: Any) -> dict[str, Any]:
    arn = iam.get_role(RoleName=role)["Role"]["Arn"]
    usual = {"FunctionName": f"f-{uuid.uuid4()}", "Role": arn, "Code": {"ZipFile": CODE}}
    return {**usual, "Runtime": "python3.13", "Handler": "app.handle", **changes}


def test_a_functions_variables_have_4_kb_in_all(iam: Any, functions: Any, role: str) -> None:
    def variables(size: int) -> dict[str, Any]:
        return {"Variables": {"A": "x" * (size - len('{"A":""}'))}}

    asked = creation(iam, role, Environment=variables(4_096))
    functions.create_function(**asked)
    ready(functions, asked["FunctionName"])
    more = creation(iam, role, Environment=variables(4_097))
    message = refused(functions.create_function, "InvalidParameterValueException", **more)
    assert "exceeded the 4KB limit" in message
    assert "xxx" not in message
    refused(
        functions.update_function_configuration,
        "InvalidParameterValueException",
        FunctionName=asked["FunctionName"],
        Environment=variables(4_097),
    )
    refused(functions.get_function, "ResourceNotFoundException", FunctionName=more["FunctionName"])


def test_a_runtime_that_lambda_does_not_have_is_refused(iam: Any, functions: Any, role: str) -> None:
    for runtime in ("python2.0", "cobol"):
        message = refused(
            functions.create_function,
            "InvalidParameterValueException",
            **creation(iam, role, Runtime=runtime),
        )
        assert message.startswith(f"Value {runtime} at 'runtime' failed to satisfy constraint")


@pytest.mark.parametrize("name", ["with.dot", "with space", "x" * 65])
def test_a_functions_name_has_64_letters_digits_and_dashes(
    iam: Any, functions: Any, role: str, name: str
) -> None:
    refused(functions.create_function, "ValidationException", **creation(iam, role, FunctionName=name))
    longest = f"{uuid.uuid4().hex:x<64}"
    assert functions.create_function(**creation(iam, role, FunctionName=longest))["State"] == "Pending"


@pytest.mark.parametrize(
    ("principal", "known"),
    [
        ("secretsmanager.amazonaws.com", True),
        ("123456789012", True),
        (f"arn:aws:iam::{ACCOUNT}:root", True),
        (f"arn:aws:iam::{ACCOUNT}:role/nobody", False),
        ("secretsmanager", False),
        ("secretsmanager.example.com", False),
        ("arn:aws:s3:::bucket", False),
    ],
)
def test_a_principal_that_aws_does_not_know_gets_no_permission(
    emulator: Emulator, functions: Any, principal: str, *, known: bool
) -> None:
    name = f"f-{uuid.uuid4()}"
    deploy(emulator, name, CODE)
    asked = {"FunctionName": name, "StatementId": "s", "Action": "lambda:InvokeFunction"}
    if known:
        functions.add_permission(**asked, Principal=principal)
    else:
        message = refused(
            functions.add_permission, "InvalidParameterValueException", **asked, Principal=principal
        )
        assert message == "The provided principal was invalid. Please check the principal and try again."


def test_a_function_is_pending_at_first_and_busy_during_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALCLOUD_LAMBDA_PENDING_SECONDS", "3600")
    with running_emulator(None) as slow:
        functions = client(slow, "lambda")
        iam = client(slow, "iam")
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
        asked = creation(iam, "r", FunctionName="f")
        assert functions.create_function(**asked)["State"] == "Pending"
        for call, request in (
            (functions.update_function_configuration, {"Timeout": 5}),
            (functions.update_function_code, {"ZipFile": CODE}),
            (functions.invoke, {}),
        ):
            message = refused(call, "ResourceConflictException", FunctionName="f", **request)
            assert message.endswith("The function is currently in the following state: Pending")
    monkeypatch.setenv("LOCALCLOUD_LAMBDA_PENDING_SECONDS", "0.3")
    with running_emulator(None) as quick:
        functions = client(quick, "lambda")
        deploy(quick, "f", CODE)
        updated = functions.update_function_configuration(FunctionName="f", Timeout=5)
        assert (updated["State"], updated["LastUpdateStatus"]) == ("Active", "InProgress")
        message = refused(
            functions.update_function_code, "ResourceConflictException", FunctionName="f", ZipFile=CODE
        )
        assert "An update is in progress for resource: arn:aws:lambda:" in message
        functions.invoke(FunctionName="f")  # what there is runs on
        ready(functions, "f")
        functions.update_function_code(FunctionName="f", ZipFile=CODE)


# Secrets Manager


def test_a_secret_has_20_labels_over_all_its_versions(secrets: Any) -> None:
    name = f"labelled/{uuid.uuid4()}"
    secrets.create_secret(Name=name, SecretString="first")
    secrets.put_secret_value(SecretId=name, SecretString="second", VersionStages=[f"a{n}" for n in range(10)])
    secrets.put_secret_value(SecretId=name, SecretString="third", VersionStages=[f"b{n}" for n in range(9)])
    # a label that moves is counted once
    secrets.put_secret_value(SecretId=name, SecretString="fourth", VersionStages=["a0"])
    refused(
        secrets.put_secret_value,
        "LimitExceededException",
        SecretId=name,
        SecretString="fifth",
        VersionStages=["c"],
    )


def test_a_secret_has_50_tags_given_at_once_or_in_turn(secrets: Any) -> None:
    def tags(count: int) -> list[dict[str, str]]:
        return [{"Key": f"t{number}", "Value": "x"} for number in range(count)]

    name = f"tagged/{uuid.uuid4()}"
    refused(secrets.create_secret, "InvalidParameterException", Name=name, Tags=tags(51))
    secrets.create_secret(Name=name, Tags=tags(50))
    secrets.tag_resource(SecretId=name, Tags=tags(50))
    refused(secrets.tag_resource, "InvalidParameterException", SecretId=name, Tags=tags(51)[50:])


def test_a_resource_policy_has_20480_characters(secrets: Any) -> None:
    def policy(size: int) -> str:
        statement = {"Sid": "", "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        statement["Sid"] = "x" * (size - len(json.dumps(document)))
        return json.dumps(document)

    name = f"policied/{uuid.uuid4()}"
    secrets.create_secret(Name=name)
    secrets.put_resource_policy(SecretId=name, ResourcePolicy=policy(20_480))
    refused(secrets.put_resource_policy, "ValidationException", SecretId=name, ResourcePolicy=policy(20_481))
