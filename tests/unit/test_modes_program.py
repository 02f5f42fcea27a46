"""Resources for initialValues, generation and removedKeys, without an engine."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.initial_value import FilledByHand
from components.secret import SecretArgs
from components.undeployed_changes import undeployed_changes
from stack_file import SettingsError
from tests.support.recorded_run import MASTER_ARN, Recording, run
from tests.unit.test_program import PASSWORD, SECRET, VERSION

INVOCATION = "aws:lambda/invocation:Invocation"
FUNCTION = "aws:lambda/function:Function"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
SECRET_COMPONENT = "aws-secrets:index:Secret"
CONFIGURED = "a-configured-value"


def stack(secrets: Mapping[str, Any], **stack_wide: object) -> Recording:
    return run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:secrets": secrets,
            **{f"aws-secrets:{key}": value for key, value in stack_wide.items()},
        },
        {"aws-secrets:key": CONFIGURED},
    )


def request(recording: Recording, name: str) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(recording.only(INVOCATION, f"{name}-values").inputs["input"])
    return sent


def test_by_default_no_function_runs_in_the_account() -> None:
    assert not {FUNCTION, INVOCATION} & set(stack({"app": {"values": {"K": {"random": {}}}}}).types())


def test_secrets_have_their_modes_resources_and_share_one_writer() -> None:
    values: dict[str, Any] = {"values": {"K": {"random": {}}}}
    recording = stack(
        {
            "plain": values,
            "grown": {**values, "initialValues": "managed"},
            "strict": {**values, "initialValues": "account"},
        }
    )
    made = {
        name: sorted(found.type for found in recording.resources if found.parent.endswith(f"::{name}"))
        for name in ("plain", "grown", "strict")
    }
    assert made == {
        "plain": sorted([PASSWORD, SECRET, VERSION]),
        "grown": sorted([PASSWORD, SECRET, VERSION, INVOCATION]),
        "strict": sorted([SECRET, INVOCATION]),
    }
    assert recording.types().count("aws-secrets:index:ValueWriter") == 1


@pytest.mark.parametrize("mode", ["managed", "account"])
def test_a_component_without_a_needed_writer_is_rejected(
    mode: Literal["managed", "account"],
) -> None:
    with pytest.raises(ValueError, match="needs a writer"):
        SecretArgs(secret_name="app", values={"K": FilledByHand(hint="ask")}, mode=mode)


def test_a_secrets_own_mode_wins_over_the_stacks() -> None:
    recording = stack(
        {
            "a": {"values": {"K": {"random": {}}}, "initialValues": "once"},
            "b": {"values": {"K": {"random": {}}}},
        },
        initialValues="account",
    )
    assert {found.name for found in recording.resources if found.type == INVOCATION} == {"b-values"}
    assert {found.name for found in recording.resources if found.type == VERSION} == {"a-initial-version"}


def test_the_writer_may_write_only_its_own_secrets() -> None:
    values: dict[str, Any] = {"values": {"K": {"random": {}}}}
    recording = stack(
        {
            "plain": values,
            "grown": {**values, "initialValues": "managed"},
            "other-key": {**values, "initialValues": "account", "encryption": "aws-managed"},
        }
    )
    policy = json.loads(recording.only(ROLE_POLICY, "writer-policy").inputs["policy"])
    first = policy["Statement"][0]
    assert first["Resource"] == [
        f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-??????"
        for name in ("grown", "other-key")
    ]
    assert first["Action"] == [
        f"secretsmanager:{action}"
        for action in ("DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")
    ]
    assert all(statement["Resource"] != "*" for statement in policy["Statement"])
    function = recording.only(FUNCTION, "writer-function").inputs
    assert (function["reservedConcurrentExecutions"], function["timeout"]) == (10, 60)


def test_the_writer_gets_keys_but_no_values_to_generate() -> None:
    values = {
        "A": {"random": {"length": 40, "special": False, "keepers": {"year": "2026"}}, "generation": 2},
        "B": {"randomBytes": {"length": 8, "encoding": "base64"}},
        "C": {"value": "text"},
        "D": {"filledByHand": "ask"},
    }
    recording = stack({"app": {"values": values, "initialValues": "managed", "removedKeys": ["OLD"]}})
    assert request(recording, "app") == {
        "Action": "write",
        "SecretId": "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf",
        "Keys": {
            "A": {"random": {"length": 40, "special": False}, "generation": 2},
            "B": {"randomBytes": {"length": 8, "encoding": "base64"}},
            "C": {"value": "text"},
            "D": {"filledByHand": "ask"},
        },
        "RemovedKeys": ["OLD"],
    }
    assert not recording.only(INVOCATION).secret_inputs


def test_a_configured_value_is_a_salted_secret_input() -> None:
    recording = stack({"app": {"values": {"K": {"config": "key"}}, "initialValues": "managed"}})
    assert request(recording, "app")["Keys"] == {"K": {"value": CONFIGURED}}
    assert request(recording, "app")["Salt"] == "R" * 32
    assert recording.only(INVOCATION).secret_inputs == {"input"}
    for resource in recording.resources:
        assert CONFIGURED not in str(resource.visible_inputs)


def test_in_account_mode_the_writer_creates_a_logins_password() -> None:
    database = {
        "host": "db.example",
        "outsideVpc": True,
        "admin": {"secretArn": MASTER_ARN},
        "logins": {"shop": {"username": "a user", "database": "shop", "passwordLength": 30}},
    }
    for mode in ("once", "managed", "account"):
        recording = run(
            {
                "aws:region": "us-east-1",
                "aws-secrets:initialValues": mode,
                "aws-secrets:databases": {"main": database},
            }
        )
        passwords = {found.name for found in recording.resources if found.type == PASSWORD} - {"writer-salt"}
        assert passwords == (set() if mode == "account" else {"shop-random:password"})
        if mode == "once":
            continue
        keys = request(recording, "shop-login")["Keys"]
        assert keys["password"] == {"random": {"length": 30, "special": False}}
        assert keys["DATABASE_URL"] == {
            "joined": [
                "postgres://a%20user:",
                {"key": "password", "quoted": True},
                "@db.example:5432/shop?sslmode=verify-full",
            ]
        }
        assert keys["masterarn"] == {"value": MASTER_ARN}
        provisioning = recording.only(INVOCATION, "shop-provisioning")
        assert recording.only(INVOCATION, "shop-login-values").urn in provisioning.dependencies


@pytest.mark.parametrize(
    ("secret", "place", "words"),
    [
        (
            {"initialValues": "account", "values": {"K": {"config": "key"}}},
            "values.K.config",
            "initialValues: managed for this secret",
        ),
        ({"values": {"K": {"random": {}}}, "removedKeys": ["A", "K"]}, "removedKeys[1]", "one of the two"),
        ({"values": {"K": {"filledByHand": "x", "generation": 2}}}, "values.K", "Remove generation"),
        ({"values": {"K": {"random": {}, "generation": 0}}}, "values.K.generation", ""),
        ({"values": {"K": {"generation": 2}}}, "values.K", "exactly one source"),
        ({"initialValues": "plain", "values": {"K": {"random": {}}}}, "initialValues", "once"),
        (
            {"values": {f"K{n}": {"random": {}, "generation": 2} for n in range(61)}},
            "values",
            "Move some of the keys",
        ),
    ],
)
def test_impossible_modes_are_rejected_before_anything_is_declared(
    secret: dict[str, Any], place: str, words: str
) -> None:
    recording = Recording()
    with pytest.raises(SettingsError) as raised:
        run(
            {"aws:region": "us-east-1", "aws-secrets:secrets": {"app": secret}},
            {"aws-secrets:key": CONFIGURED},
            recording=recording,
        )
    [mistake] = raised.value.mistakes
    assert mistake.path == f"aws-secrets:secrets.app.{place}"
    assert words in f"{mistake.wrong}. {mistake.consequence}. {mistake.remedy}"
    assert recording.resources == []


def test_an_administrators_password_is_rejected_in_account_mode() -> None:
    admin = {"secret": "admin", "username": "root", "password": {"config": "key"}}
    database = {
        "host": "db.example",
        "outsideVpc": True,
        "logins": {"shop": {"username": "user", "database": "shop"}},
    }

    def declared(admin: dict[str, Any]) -> Recording:
        return run(
            {
                "aws:region": "us-east-1",
                "aws-secrets:initialValues": "account",
                "aws-secrets:databases": {"main": {**database, "admin": admin}},
            },
            {"aws-secrets:key": CONFIGURED},
        )

    with pytest.raises(SettingsError, match=r"databases\.main\.admin\.password"):
        declared(admin)
    recording = declared({**admin, "initialValues": "once"})
    assert {found.name for found in recording.resources if found.type == VERSION} == {
        "admin-login-initial-version"
    }


KEYS = st.sampled_from(["A", "B", "C"])
ORIGINS = st.one_of(
    st.sampled_from(["canary-1", "canary-2"]),
    st.builds(
        lambda length, generation: {"random": {"length": length}, "generation": generation},
        st.integers(1, 3),
        st.integers(1, 3),
    ),
    st.builds(lambda text: {"value": text, "generation": 2}, st.sampled_from(["canary-1", "canary-2"])),
)
INPUTS = st.builds(
    lambda values, mode, removed: {"initialValues": values, "mode": mode, "removedKeys": removed},
    st.dictionaries(KEYS, ORIGINS),
    st.sampled_from(["once", "managed", "account"]),
    st.lists(KEYS, unique=True),
)


@given(old=INPUTS, new=INPUTS)
def test_changes_that_are_not_applied_are_reported_without_values(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    said = list(undeployed_changes("app", old, new))
    text = "\n".join(said)
    assert "canary" not in text
    once = new["mode"] == "once"
    for key in new["initialValues"].keys() - old["initialValues"].keys():
        assert any(key in part and "will not be applied" in part for part in said) == once
    for key in old["initialValues"].keys() - new["initialValues"].keys() - set(new["removedKeys"]):
        assert any(f" {key}" in part and "stays in AWS" in part for part in said)


@given(inputs=INPUTS)
def test_unchanged_values_cause_no_warning(inputs: dict[str, Any]) -> None:
    assert list(undeployed_changes("app", inputs, inputs)) == []


def test_an_older_state_causes_no_warning() -> None:
    assert list(undeployed_changes("app", {}, {"initialValues": {"K": "v"}})) == []
