import json

import pulumi
import pulumi_aws as aws
import pytest

from components import (
    ArgumentError,
    FilledByHand,
    Given,
    Random,
    RandomBytes,
    RenewedKeys,
    RotationFunction,
    RotationFunctionArgs,
    Schedule,
    Secret,
    SecretArgs,
    Structure,
    Text,
)
from tests.support.recorded_run import record

SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"


def app(**arguments: object) -> Secret:
    values = {"values": {"KEY": Random(length=20)}, **arguments}
    return Secret("app", SecretArgs(secret_name="app", **values))  # type: ignore[arg-type]  # any of them


def test_three_resources_make_a_secret_with_one_generated_key() -> None:
    recorded = record(app)
    assert sorted(recorded.types()) == [
        "aws-secrets:index:Secret",
        SECRET,
        VERSION,
        "random:index/randomPassword:RandomPassword",
    ]


def test_the_initial_version_ignores_changes_and_stays_when_it_is_removed() -> None:
    version = record(app).only(VERSION)
    assert set(version.ignore_changes) == {"secretString", "secretBinary", "versionStages"}
    assert version.retain_on_delete
    assert version.deleted_with.endswith("app-secret")
    assert version.secret_inputs == {"secretString"}


def test_a_secret_registers_hooks_of_its_own() -> None:
    hooks = {hook for resource in record(app).resources for hook in resource.hooks}
    assert hooks == {"app-taken-name", "app-out-of-reach", "app-secret-created", "app-version-created"}


def test_every_kind_of_source_is_an_initial_value() -> None:
    values = {
        "RANDOM": Random(length=4),
        "BYTES": RandomBytes(length=2),
        "GIVEN": Given(value="production"),
        "JSON": Structure(value=[1, {"a": None}]),
        "LATER": FilledByHand(hint="ask"),
    }
    version = record(lambda: app(values=values)).only(VERSION)
    assert json.loads(version.inputs["secretString"]) == {
        "RANDOM": "RRRR",
        "BYTES": "fbff",
        "GIVEN": "production",
        "JSON": [1, {"a": None}],
        "LATER": "",
    }


def test_a_role_is_granted_read_access_to_exactly_this_secret() -> None:
    def declare() -> None:
        role = aws.iam.Role("reader", assume_role_policy="{}")
        app(kms_key_id="alias/shop").grant_read(role)

    policy = record(declare).only(ROLE_POLICY)
    assert policy.name == "app-read-by-reader"
    assert policy.parent.endswith("::app")
    read, decrypt = json.loads(policy.inputs["policy"])["Statement"]
    assert read["Resource"] == [ARN]
    assert decrypt["Resource"] == "arn:aws:kms:us-east-1:123456789012:key/*"
    assert decrypt["Condition"]["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": "alias/shop"}


def test_awss_own_key_needs_no_permission() -> None:
    policy = record(lambda: app().grant_read("reader")).only(ROLE_POLICY)
    assert [statement["Sid"] for statement in json.loads(policy.inputs["policy"])["Statement"]] == [
        "ReadTheseSecrets"
    ]
    assert policy.inputs["role"] == "reader"


def test_a_role_known_only_later_needs_a_name_for_its_policy() -> None:
    def declare() -> None:
        secret = app()
        with pytest.raises(ArgumentError, match="role without a name is an Output"):
            secret.grant_read(pulumi.Output.from_input("reader"))
        secret.grant_read(pulumi.Output.from_input("reader"), "reads-app")

    assert record(declare).only(ROLE_POLICY).name == "reads-app"


def test_a_secret_rotates_with_a_function_that_may_write_it() -> None:
    def declare() -> None:
        function = RotationFunction("rotation", RotationFunctionArgs(archive="a.zip", secret_names=["app"]))
        app(renewed_keys=RenewedKeys(keys=["KEY"])).rotate_with(function)

    recorded = record(declare)
    rotation = recorded.only(ROTATION)
    assert rotation.name == "app-rotation-schedule"
    assert rotation.inputs["rotationRules"] == {"automaticallyAfterDays": 30}
    assert rotation.inputs["rotateImmediately"] is False
    assert recorded.only(VERSION).urn in rotation.dependencies
    assert rotation.parent.endswith("::app-rotation")
    assert recorded.only(SECRET).inputs["tags"] == {
        "aws-secrets:rotation": "random-key",
        "aws-secrets:rotation-keys": "KEY",
        "aws-secrets:rotation-length": "64",
        "aws-secrets:rotation-format": "alphanumeric",
    }


def test_a_function_that_may_not_write_the_secret_is_rejected() -> None:
    def declare() -> None:
        function = RotationFunction("rotation", RotationFunctionArgs(archive="a.zip", secret_names=["x"]))
        secret = app(renewed_keys=RenewedKeys(keys=["KEY"]))
        with pytest.raises(ArgumentError, match="add its name to secret_names"):
            secret.rotate_with(function)

    record(declare)


def test_our_function_needs_to_know_what_to_renew() -> None:
    def declare() -> None:
        function = RotationFunction("rotation", RotationFunctionArgs(archive="a.zip", secret_names=["app"]))
        secret = app()
        with pytest.raises(ArgumentError, match="renewed_keys=RenewedKeys"):
            secret.rotate_with(function)
        secret.rotate_with(
            "arn:aws:lambda:us-east-1:123456789012:function:theirs", Schedule(automatically_after_days=7)
        )

    assert record(declare).only(ROTATION).inputs["rotationRules"] == {"automaticallyAfterDays": 7}


def test_the_account_and_region_of_functions_are_looked_up() -> None:
    def declare() -> None:
        RotationFunction("rotation", RotationFunctionArgs(archive="a.zip", secret_names=["app"]))

    recorded = record(declare)
    policy = json.loads(recorded.only(ROLE_POLICY).inputs["policy"])
    assert policy["Statement"][0]["Resource"] == [
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-??????"
    ]
    assert recorded.only("aws:lambda/permission:Permission").inputs["sourceAccount"] == "123456789012"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": {}}, "it has no values: write values="),
        ({"secret_name": ""}, "is not a valid secret name"),
        ({"secret_name": "a b"}, "is not a valid secret name"),
        ({"secret_name": pulumi.Output}, "use a plain string"),
        ({"recovery_window_days": 3}, "recovery_window_days is 3: use 7 to 30, or 0"),
        ({"recovery_window_days": 31}, "recovery_window_days is 31"),
        ({"recovery_window_days": True}, "recovery_window_days is True"),
        ({"mode": "twice"}, 'unknown mode \'twice\': use "once", "managed" or "account"'),
        ({"mode": "managed"}, "needs a writer: write writer=ValueWriter"),
        ({"values": {"KEY": "hunter2"}}, r"values\['KEY'\] is a plain string, not a value source: use Given"),
        ({"values": {"KEY": 7}}, r"values\['KEY'\] is of type int.*Structure"),
        ({"removed_keys": "KEY"}, "removed_keys is one string: use a list"),
        ({"whole": "hunter2"}, "whole is not Text"),
        ({"whole": Text(source=Random(length=8))}, "a whole value has no keys"),
    ],
)
def test_an_argument_that_cannot_work_is_rejected(arguments: dict[str, object], message: str) -> None:
    complete = {"secret_name": "app", "values": {"KEY": Random(length=20)}, **arguments}

    def declare() -> None:
        with pytest.raises(ArgumentError, match=message) as rejected:
            Secret("app", SecretArgs(**complete))  # type: ignore[arg-type]  # that is what is tested
        assert "hunter2" not in str(rejected.value)

    assert record(declare).resources == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Random(length=0), "length is 0: use a whole number, at least 1"),
        (lambda: Random(length=3, min_lower=2, min_upper=2), "minimums add up to 4"),
        (lambda: Random(length=3, special=False, lower=False, upper=False, numeric=False), "no characters"),
        (lambda: RandomBytes(length=3, encoding="base32"), "unknown encoding 'base32'"),  # type: ignore[arg-type]
        (lambda: Given(value=7), "value is not text: use Structure"),  # type: ignore[arg-type]
        (lambda: Structure(value={1, 2}), "value is not JSON"),
        (lambda: FilledByHand(hint=" "), "hint is empty"),
        (lambda: Text(source=Given(value="")), "the configured value is empty"),
        (lambda: Text(source="hunter2"), "Text: source is a plain string"),  # type: ignore[arg-type]
        (lambda: RenewedKeys(keys=[]), "at least one key"),
        (lambda: RenewedKeys(keys=["A B"]), "no key may have spaces"),
        (lambda: RenewedKeys(keys=["A"], length=8), "length is 8"),
    ],
)
def test_a_source_that_cannot_work_is_rejected(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ArgumentError, match=message):
        make()
