"""Vendors' credentials that AWS rotates: settings, resources and status, without an engine."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from components.lambdas.notices.age import Declared as Age
from operations.status import drift
from operations.status.assess import _of_drift
from operations.status.aws import AwsSecret
from operations.status.declared import DeclaredSecret, IgnoredTags, Schedule
from stack_file import SettingsError
from stack_file.partners import Partner
from tests.support.recorded_run import Recording, run
from tests.unit.test_pipeline_program import made, statements

ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
COMPONENT = "aws-secrets:index:PartnerRotation"
SECRET = "aws:secretsmanager/secret:Secret"
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:crm-AbCdEf"
ADMIN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:crm-admin-QwErTy"
ROLE = "arn:aws:iam::123456789012:role/crm"
SALESFORCE = {
    "type": "SalesforceClientSecret",
    "metadata": {"apiVersion": "v65.0", "adminSecretArn": ADMIN},
}
VALUES = {"consumerKey": {"value": "k"}, "consumerSecret": {"filledByHand": "Salesforce"}}


def stack(
    partner: Mapping[str, Any], secret: Mapping[str, Any] | None = None, **stack_wide: object
) -> Recording:
    return run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:secrets": {"crm": {"values": VALUES, "partner": partner, **(secret or {})}},
            **{f"aws-secrets:{key}": value for key, value in stack_wide.items()},
        }
    )


def policy(recording: Recording, name: str, key: str) -> dict[str, dict[str, Any]]:
    [text] = [found.inputs[key] for found in recording.resources if found.name == name]
    return {found.get("Sid", "trust"): found for found in json.loads(text)["Statement"]}


def test_a_partners_secret_has_its_type_and_a_schedule_without_a_function() -> None:
    recording = stack(SALESFORCE)
    assert recording.only(SECRET, "crm-secret").inputs["type"] == "SalesforceClientSecret"
    schedule = recording.only(ROTATION, "crm-partner-schedule")
    assert schedule.inputs == {
        "secretId": ARN,
        "externalSecretRotationRoleArn": "arn:aws:iam::123456789012:role/crm-partner-role",
        "externalSecretRotationMetadatas": [
            {"key": "adminSecretArn", "value": ADMIN},
            {"key": "apiVersion", "value": "v65.0"},
        ],
        "rotateImmediately": False,
        "rotationRules": {"automaticallyAfterDays": 30},
    }
    waits_for = {found.name for found in recording.resources if found.urn in schedule.dependencies}
    assert {"crm-partner-policy", "crm-initial-version"} <= waits_for


def test_only_secrets_manager_assumes_the_role_for_its_secret() -> None:
    recording = stack(SALESFORCE, permissionsBoundary="arn:aws:iam::123456789012:policy/b")
    trust = policy(recording, "crm-partner-role", "assumeRolePolicy")["trust"]
    assert trust["Principal"] == {"Service": "secretsmanager.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": ARN},
    }
    found = policy(recording, "crm-partner-policy", "policy")
    assert found["RotateIt"]["Resource"] == ARN
    assert found["ReadTheAdministratorsSecret"]["Resource"] == [ADMIN]
    assert found["MakePasswords"]["Action"] == "secretsmanager:GetRandomPassword"
    assert found["UseItsKey1"]["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"] == [ARN]
    assert recording.only("aws:iam/role:Role").inputs["permissionsBoundary"].endswith("policy/b")


def test_an_administrators_partial_arn_becomes_a_pattern() -> None:
    short = ADMIN.removesuffix("-QwErTy").replace("admin", "x")
    found = policy(
        stack({**SALESFORCE, "metadata": {"adminSecretArn": short}}), "crm-partner-policy", "policy"
    )
    assert found["ReadTheAdministratorsSecret"]["Resource"] == [f"{short}-??????"]


def test_a_preview_shows_the_administrators_secret_of_a_partner() -> None:
    [component] = [found for found in stack(SALESFORCE).resources if found.type == COMPONENT]
    assert component.inputs == {"reads": ["crm"], "readsByArn": [ADMIN]}
    for partner in ({"type": "X"}, {**SALESFORCE, "roleArn": ROLE}):
        [component] = [found for found in stack(partner).resources if found.type == COMPONENT]
        assert component.inputs == {"reads": ["crm"]}


@pytest.mark.parametrize("name", ["*", "crm-*", "crm-admin-??????", "${aws:username}"])
def test_no_pattern_grants_a_partners_role_other_secrets(name: str) -> None:
    wide = f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}"
    found = policy(
        stack({**SALESFORCE, "metadata": {"adminSecretArn": wide}}), "crm-partner-policy", "policy"
    )
    assert "ReadTheAdministratorsSecret" not in found


def test_an_existing_role_is_used() -> None:
    recording = stack({**SALESFORCE, "roleArn": ROLE, "rotation": {"scheduleExpression": "rate(9 days)"}})
    schedule = recording.only(ROTATION)
    assert schedule.inputs["externalSecretRotationRoleArn"] == ROLE
    assert schedule.inputs["rotationRules"] == {"scheduleExpression": "rate(9 days)"}
    assert "aws:iam/role:Role" not in recording.types()


def test_a_partners_secret_may_have_no_rotation() -> None:
    recording = stack({"type": "BigIDClientSecret", "rotation": {"enabled": False}})
    assert recording.only(SECRET, "crm-secret").inputs["type"] == "BigIDClientSecret"
    assert ROTATION not in recording.types()


def test_only_a_partners_secret_has_a_type() -> None:
    recording = run({"aws:region": "us-east-1", "aws-secrets:secrets": {"crm": {"values": VALUES}}})
    assert "type" not in recording.only(SECRET).inputs


S = "aws-secrets:secrets.crm"


@pytest.mark.parametrize(
    ("partner", "secret", "path", "words"),
    [
        ({}, {}, f"{S}.partner.type", 'Add "type"'),
        ({"type": "Sales force"}, {}, f"{S}.partner.type", "SalesforceClientSecret"),
        ({"type": "X", "roleArn": "crm"}, {}, f"{S}.partner.roleArn", "let the stack create a role"),
        ({"type": "X", "metadat": {}}, {}, f"{S}.partner.metadat", 'did you mean "metadata"'),
        ({"type": "X", "metadata": {"a": 1}}, {}, f"{S}.partner.metadata.a", "expected text"),
        (SALESFORCE, {"rotation": {"keys": ["consumerKey"]}}, S, "Set the schedule under partner"),
        ({**SALESFORCE, "rotation": {"enabled": False}}, {}, f"{S}.partner", "remove enabled: false"),
    ],
)
def test_a_wrong_partner_is_rejected_with_the_remedy(
    partner: dict[str, Any], secret: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        stack(partner, secret)
    found = {mistake.path: f"{mistake.wrong}. {mistake.remedy}" for mistake in raised.value.mistakes}
    assert words in found[path]


def test_a_pipeline_passes_roles_to_secrets_manager_only_if_declared() -> None:
    for declared in (False, True):
        recording = made(partnerSecrets=declared)
        passing = {one["Sid"]: one for one in statements(recording, "update-policy")}["GiveRolesTo"]
        services = passing["Condition"]["StringEquals"]["iam:PassedToService"]
        assert ("secretsmanager.amazonaws.com" in services) is declared
        boundary = {one["Sid"]: one for one in statements(recording, "update-boundary")}
        assert ("MakePasswords" in boundary) is declared


PARTNER = Partner.model_validate({**SALESFORCE, "roleArn": ROLE})
DESCRIBED: dict[str, Any] = {
    "ARN": ARN,
    "Name": "crm",
    "Type": "SalesforceClientSecret",
    "RotationEnabled": True,
    "RotationRules": {"AutomaticallyAfterDays": 30},
    "ExternalSecretRotationRoleArn": ROLE,
    "ExternalSecretRotationMetadata": [
        {"Key": "apiVersion", "Value": "v65.0"},
        {"Key": "adminSecretArn", "Value": ADMIN},
    ],
}


def differences(
    described: Mapping[str, Any], partner: Partner | None = PARTNER
) -> list[tuple[str, str, str]]:
    declared = DeclaredSecret(
        content="keys",
        name="crm",
        path="p",
        keys=(),
        placeholders={},
        age=Age("crm"),
        description="",
        description_in_words="",
        tags={},
        encryption="aws-managed",
        schedule=Schedule(days=30, expression=None, duration=None, function_arn=None, function_names=None),
        policy=None,
        replicas={},
        reads={},
        partner=partner,
    )
    ignored = IgnoredTags(keys=frozenset(), prefixes=("aws:",))
    found = drift.drift(declared, AwsSecret(described=described), {}, ignored).differences
    assert len(_of_drift("crm", found, {})) == len(found)
    return [(one.what, one.declared, one.actual) for one in found]


def test_status_compares_a_partners_rotation_settings() -> None:
    assert differences(DESCRIBED) == []
    assert differences({**DESCRIBED, "Type": None}) == [("type", "SalesforceClientSecret", "none")]
    assert differences(DESCRIBED, None) == [("type", "none", "SalesforceClientSecret")]
    other = {**DESCRIBED, "ExternalSecretRotationRoleArn": f"{ROLE}2"}
    assert differences(other) == [("partner", ROLE, f"{ROLE}2")]
    [(what, _, actual)] = differences({**DESCRIBED, "ExternalSecretRotationMetadata": []})
    assert (what, actual) == ("partner", "no metadata")
    made_role = PARTNER.model_copy(update={"role_arn": None})
    assert differences(other, made_role) == []
