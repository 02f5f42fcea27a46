import json
from pathlib import Path
from typing import Any

import pytest

from components.version_labels import INITIAL_VERSION_LABEL
from tests.support.example_project import config
from tests.support.recorded_run import Recording, run

ROOT = Path(__file__).parents[2]
PASSWORD = "random:index/randomPassword:RandomPassword"
SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"
KEY = "aws:kms/key:Key"


def declared(name: str) -> dict[str, Any]:
    found = {key: value for key, value in config(name).items() if key != "aws-secrets:stripeKey"}
    # created by `make up`
    found["aws-secrets:databases"]["example"].pop("certificateAuthorities", None)
    return found


def example(name: str = "dev") -> Recording:
    return run(declared(name), {"aws-secrets:stripeKey": "a-configured-value"})


def one_secret(secret: dict[str, Any], **stack_wide: object) -> Recording:
    return run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:secrets": {"app": {"values": {"K": {"random": {}}}, **secret}},
            **{f"aws-secrets:{key}": value for key, value in stack_wide.items()},
        }
    )


def first_value(recording: Recording, name: str = "app") -> dict[str, str]:
    value: dict[str, str] = json.loads(
        recording.only(VERSION, f"{name}-initial-version").inputs["secretString"]
    )
    return value


@pytest.mark.parametrize("name", ["dev", "local"])
def test_every_urn_of_the_example_is_unchanged(name: str) -> None:
    recording = example(name)
    urns = sorted(recording.real_urn(resource) for resource in recording.resources)
    snapshot = (Path(__file__).parent / "example_urns.txt").read_text().splitlines()
    assert urns == snapshot


def test_a_secret_with_one_generated_key_is_three_resources() -> None:
    recording = one_secret({}, encryption="aws-managed")
    assert sorted(recording.types()) == sorted(["aws-secrets:index:Secret", PASSWORD, SECRET, VERSION])


def test_the_initial_version_ignores_changes_and_keeps_its_label() -> None:
    version = example().only(VERSION, "example-app-secret-initial-version")
    assert set(version.ignore_changes) == {"secretString", "secretBinary", "versionStages"}
    assert version.inputs["versionStages"] == [INITIAL_VERSION_LABEL]
    assert version.deleted_with.endswith("::example-app-secret-secret")


def test_all_secrets_share_the_same_hooks() -> None:
    recording = example()
    hooks = {(resource.type, resource.hooks) for resource in recording.resources if resource.hooks}
    assert hooks == {
        (SECRET, frozenset({"secrets-taken-name", "secrets-secret-created"})),
        (VERSION, frozenset({"secrets-version-created"})),
        ("aws-secrets:index:Secret", frozenset({"secrets-out-of-reach"})),
    }


def test_only_the_initial_version_ignores_changes() -> None:
    assert {resource.type for resource in example().resources if resource.ignore_changes} == {VERSION}


def test_every_child_has_its_component_as_parent() -> None:
    recording = example()
    components = {resource.urn for resource in recording.resources if not resource.custom}
    assert components
    assert {resource.parent for resource in recording.resources if resource.custom} == components


def test_the_example_has_its_declared_initial_values() -> None:
    recording = example()
    app = first_value(recording, "example-app-secret")
    assert app == {
        "SECRET_KEY_BASE": "R" * 32,
        "RAILS_ENV": "production",
        "STRIPE_KEY": "a-configured-value",
    }
    assert first_value(recording, "example-prismic") == {"PRISMIC_ACCESS_TOKEN": ""}
    key_base = recording.only(PASSWORD, "example-app-secret-random:SECRET_KEY_BASE")
    assert (key_base.inputs["length"], key_base.inputs["special"]) == (32, False)


def test_values_are_secret_inputs() -> None:
    recording = example()
    for version in (resource for resource in recording.resources if resource.type == VERSION):
        assert version.secret_inputs == {"secretString"}
    for resource in recording.resources:
        assert "RRRR" not in str(resource.visible_inputs)
        assert "a-configured-value" not in str(resource.visible_inputs)


def test_a_random_value_is_only_in_its_two_resources() -> None:
    for resource in example().resources:
        if resource.type != VERSION:
            assert "RRRR" not in str(resource.inputs)


def test_inputs_show_the_source_of_each_initial_value() -> None:
    recording = example()
    assert recording.only("aws-secrets:index:Secret", "example-app-secret").visible_inputs == {
        "initialValues": {
            "SECRET_KEY_BASE": {"random": {"length": 32, "special": False}},
            "RAILS_ENV": "production",
            "STRIPE_KEY": "[secret]",
        }
    }


def test_outputs_have_keys_and_references_but_no_values() -> None:
    outputs = example().outputs
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:example-app-secret-AbCdEf"
    assert outputs["secrets"]["example-app-secret"] == {
        "arn": arn,
        "name": "example-app-secret",
        "keys": ["SECRET_KEY_BASE", "RAILS_ENV", "STRIPE_KEY"],
        "references": {key: f"{arn}:{key}::" for key in ("SECRET_KEY_BASE", "RAILS_ENV", "STRIPE_KEY")},
        "filledByHand": {},
    }
    assert outputs["secrets"]["example-prismic"]["filledByHand"] == {
        "PRISMIC_ACCESS_TOKEN": "Prismic > Settings > API & Security"
    }
    assert "RRRR" not in str(outputs)
    assert "a-configured-value" not in str(outputs)


def test_ambiguous_secret_and_key_names_have_different_urns() -> None:
    recording = run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:secrets": {
                "a": {"values": {"b-c": {"random": {}}}},
                "a-b": {"values": {"c": {"random": {}}}},
                "a-secret": {"values": {"c": {"random": {}}}},
                "a-random": {"values": {"c": {"random": {}}}},
            },
        }
    )
    urns = [resource.urn for resource in recording.resources]
    assert len(set(urns)) == len(urns)


def test_random_options_are_passed_to_the_provider() -> None:
    options = {
        "length": 40,
        "special": True,
        "lower": False,
        "upper": True,
        "numeric": True,
        "minSpecial": 1,
        "minUpper": 3,
        "minNumeric": 4,
        "overrideSpecial": "-_",
        "keepers": {"year": "2026"},
    }
    inputs = dict(one_secret({"values": {"K": {"random": options}}}).only(PASSWORD).inputs)
    assert inputs == {**options, "minLower": 0}


@pytest.mark.parametrize(("encoding", "text"), [("hex", "fbfffb"), ("base64", "+//7"), ("base64url", "-__7")])
def test_random_bytes_are_stored_in_the_chosen_encoding(encoding: str, text: str) -> None:
    recording = one_secret({"values": {"K": {"randomBytes": {"length": 3, "encoding": encoding}}}})
    assert first_value(recording) == {"K": text}
    assert recording.only(VERSION).secret_inputs == {"secretString"}


def test_base64url_has_no_padding() -> None:
    recording = one_secret({"values": {"K": {"randomBytes": {"length": 2, "encoding": "base64url"}}}})
    assert first_value(recording) == {"K": "-_8"}


def test_random_bytes_come_from_a_random_password() -> None:
    recording = one_secret({"values": {"K": {"randomBytes": {"length": 16}}}})
    assert "random:index/randomBytes:RandomBytes" not in recording.types()
    inputs = recording.only(PASSWORD).inputs
    assert inputs["length"] == 32
    assert inputs["overrideSpecial"] == "0123456789abcdef"
    assert not any(inputs[name] for name in ("lower", "upper", "numeric"))


def test_a_secrets_settings_default_to_the_stacks() -> None:
    stack_wide = {
        "recoveryWindowDays": 14,
        "protect": True,
        "tags": {"team": "web", "cost": "1"},
        "replicas": [{"region": "eu-west-1"}],
    }
    plain = one_secret({}, **stack_wide).only(SECRET)
    assert plain.inputs["recoveryWindowInDays"] == 14
    assert plain.protect
    assert plain.inputs["tags"] == {"team": "web", "cost": "1"}
    assert plain.inputs["replicas"] == [{"region": "eu-west-1"}]
    own = {
        "recoveryWindowDays": 0,
        "protect": False,
        "tags": {"cost": "2"},
        "replicas": [],
        "description": "d",
    }
    overridden = one_secret(own, **stack_wide).only(SECRET)
    assert overridden.inputs == {
        "name": "app",
        "description": "d",
        "recoveryWindowInDays": 0,
        "tags": {"team": "web", "cost": "2"},
        "kmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/k",
    }
    assert not overridden.protect


def test_protection_reaches_every_resource_of_a_secret() -> None:
    recording = one_secret({"protect": True}, encryption="aws-managed")
    assert all(resource.protect for resource in recording.resources)


def test_the_stack_key_exists_only_if_a_secret_uses_it() -> None:
    assert KEY in one_secret({}).types()
    assert KEY not in one_secret({}, encryption="aws-managed").types()
    assert KEY not in one_secret({"encryption": "aws-managed"}).types()
    assert KEY in one_secret({"encryption": "stack-key"}, encryption="aws-managed").types()


def test_a_key_arn_is_used_unchanged() -> None:
    arn = "arn:aws:kms:us-east-1:123456789012:key/1234"
    assert one_secret({"encryption": arn}).only(SECRET).inputs["kmsKeyId"] == arn
    assert "kmsKeyId" not in one_secret({"encryption": "aws-managed"}).only(SECRET).inputs


def test_the_stack_key_decrypts_only_through_secrets_manager() -> None:
    policy = json.loads(one_secret({}).only(KEY).inputs["policy"])
    data_operations = {"kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt", "kms:ReEncrypt", "kms:*"}
    for statement in policy["Statement"]:
        if data_operations & set(statement["Action"]):
            assert statement["Condition"]["StringEquals"] == {
                "kms:CallerAccount": "123456789012",
                "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com",
            }
        assert statement["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}


def test_only_the_stack_key_is_retained_on_delete() -> None:
    assert {resource.type for resource in example().resources if resource.retain_on_delete} == {KEY, VERSION}


def test_a_policy_is_attached_with_public_access_blocked() -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::210987654321:role/reader"},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    policy = one_secret({"policy": {"Statement": [statement]}}).only(POLICY)
    assert policy.inputs["blockPublicPolicy"] is True
    assert json.loads(policy.inputs["policy"]) == {"Version": "2012-10-17", "Statement": [statement]}
