import json
from pathlib import Path
from typing import Any

import pytest

from components import (
    ArgumentError,
    FunctionSettings,
    RotationFunction,
    RotationFunctionArgs,
    Schedule,
    SecretArgs,
    SmtpCredentials,
    SmtpCredentialsArgs,
)
from components.lambdas import build
from components.lambdas.rotation.driver_selection import driver_for
from components.lambdas.rotation.smtp import SmtpDriver
from components.lambdas.rotation.store import Description
from components.smtp_permissions import user_name
from tests.support.recorded_run import Recording, record

USER = "aws:iam/user:User"
USER_POLICY = "aws:iam/userPolicy:UserPolicy"
FUNCTION = "aws:lambda/function:Function"
INVOCATION = "aws:lambda/invocation:Invocation"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
SECRET = "aws:secretsmanager/secret:Secret"
SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/mail-AbCdEf"
NAME = user_name("app/mail", "us-east-1")
ARN = f"arn:aws:iam::123456789012:user/{NAME}"


@pytest.fixture(autouse=True)
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A build of the default archive that downloads nothing."""

    def built(output: Path, _cache: Path) -> build.Archive:
        output.write_bytes(b"zip")
        return build.Archive(output, "AAAA", 3)

    monkeypatch.setattr(build, "build", built)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def arguments(**changes: Any) -> SmtpCredentialsArgs:  # noqa: ANN401  any argument
    given = {"secret": SecretArgs(secret_name="app/mail"), "identities": ["example.com"], **changes}
    return SmtpCredentialsArgs(**given)


def declared(**changes: Any) -> Recording:  # noqa: ANN401  any argument
    return record(lambda: SmtpCredentials("mail", arguments(**changes)))


def statements(recorded: Recording, kind: str) -> dict[str, dict[str, Any]]:
    policy = json.loads(recorded.only(kind).inputs["policy"])
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def test_no_access_key_is_in_the_programs_hands() -> None:
    recorded = declared()
    assert json.loads(recorded.only(VERSION).inputs["secretString"]) == {
        "SMTP_USERNAME": "",
        "SMTP_PASSWORD": "",
        "SMTP_ADDRESS": "email-smtp.us-east-1.amazonaws.com",
        "SMTP_PORT": "587",
    }
    assert not [one for one in recorded.resources if "accessKey" in one.type or "random" in one.type]


def test_the_user_may_only_send_from_what_is_declared() -> None:
    recorded = declared(
        identities=["example.com", "billing@example.org"], configuration_sets=["tracked"], region="eu-west-1"
    )
    place = "arn:aws:ses:eu-west-1:123456789012"
    assert statements(recorded, USER_POLICY) == {
        "SendFromDomains": {
            "Sid": "SendFromDomains",
            "Effect": "Allow",
            "Action": "ses:SendRawEmail",
            "Resource": [f"{place}:identity/example.com"],
        },
        "SendFromAddress1": {
            "Sid": "SendFromAddress1",
            "Effect": "Allow",
            "Action": "ses:SendRawEmail",
            "Resource": [f"{place}:identity/billing@example.org", f"{place}:identity/example.org"],
            "Condition": {"StringEqualsIgnoreCase": {"ses:FromAddress": "billing@example.org"}},
        },
        "UseConfigurationSets": {
            "Sid": "UseConfigurationSets",
            "Effect": "Allow",
            "Action": "ses:SendRawEmail",
            "Resource": [f"{place}:configuration-set/tracked"],
        },
    }
    user = recorded.only(USER).inputs
    assert user["tags"] == {"aws-secrets:secret": "app/mail", "aws-secrets:smtp-region": "eu-west-1"}
    value = json.loads(recorded.only(VERSION).inputs["secretString"])
    assert value["SMTP_ADDRESS"] == "email-smtp.eu-west-1.amazonaws.com"


def test_the_function_may_replace_keys_of_this_user_only() -> None:
    recorded = declared()
    of_role = statements(recorded, "aws:iam/rolePolicy:RolePolicy")
    assert of_role["ReplaceAccessKeysOfTheseUsers"]["Resource"] == [ARN]
    assert not [
        sid
        for sid, one in of_role.items()
        if "iam:" in str(one["Action"]) and sid != "ReplaceAccessKeysOfTheseUsers"
    ]
    assert recorded.only(USER).inputs["name"] == NAME
    assert recorded.only(FUNCTION).inputs["timeout"] == 300


def test_a_function_without_smtp_users_stays_as_it_was() -> None:
    recorded = record(
        lambda: RotationFunction("other", RotationFunctionArgs(secret_names=["other"], archive="x"))
    )
    assert set(statements(recorded, "aws:iam/rolePolicy:RolePolicy")) == {
        "RotateTheseSecrets",
        "WriteItsLog",
    }
    assert recorded.only(FUNCTION).inputs["timeout"] == 60


def test_the_function_reads_the_secret_as_it_was_declared() -> None:
    recorded = declared()
    tags = recorded.only(SECRET).inputs["tags"]
    described = Description(SECRET_ARN, tags, {}, rotation_enabled=True, deleted=False)
    driver = driver_for(described, {})
    assert isinstance(driver, SmtpDriver)
    assert (driver.user.arn, driver.user.name) == (ARN, NAME)
    event = json.loads(recorded.only(INVOCATION).inputs["input"])
    assert event["Smtp"] == {"user": ARN}


def test_the_boundary_of_the_functions_holds_for_the_user() -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    own = "arn:aws:iam::123456789012:policy/mail"
    common = FunctionSettings(
        account_id="123456789012", partition="aws", region="us-east-1", permissions_boundary=boundary
    )
    assert declared(common=common).only(USER).inputs["permissionsBoundary"] == boundary
    recorded = declared(common=common, permissions_boundary=own)
    assert recorded.only(USER).inputs["permissionsBoundary"] == own


def test_it_rotates_only_after_the_first_credentials_exist() -> None:
    recorded = declared(schedule=Schedule(automatically_after_days=30))
    rotation = recorded.only("aws:secretsmanager/secretRotation:SecretRotation")
    assert any(INVOCATION in urn for urn in rotation.dependencies)
    assert any(USER_POLICY in urn for urn in recorded.only(INVOCATION).dependencies)


def test_names_of_users_are_valid_and_differ() -> None:
    names = [user_name("a" * 500, "us-east-1"), user_name("a" * 499 + "/", "us-east-1")]
    assert [len(name) for name in names] == [64, 64]
    assert names[0] != names[1]
    assert user_name("app/mail", "us-east-1") != user_name("app-mail", "us-east-1")
    assert user_name("app/mail", "us-east-1") != user_name("app/mail", "eu-west-1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"identities": []}, "at least one domain or address"),
        ({"identities": ["*"]}, r"not '\*'"),
        ({"identities": ["a@b@example.com"]}, "not 'a@b@example.com'"),
        ({"port": 0}, "port"),
        ({"secret": SecretArgs(secret_name="x" * 257)}, "257|256 characters"),
    ],
)
def test_arguments_that_cannot_work_are_rejected(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        arguments(**changes)


def test_too_many_addresses_are_rejected() -> None:
    with pytest.raises(ArgumentError, match="longer than 2048 characters"):
        declared(identities=[f"person{number}@example.com" for number in range(20)])
