"""What initialValues, generation and removedKeys become, without an engine."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.initial_value import FilledByHand
from components.reach import out_of_reach
from components.secret import SecretArgs
from settings import SettingsError
from tests.unit.recorded_run import MASTER_ARN, Recording, run
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


def test_nothing_of_ours_runs_in_the_account_unless_the_stack_file_says_so() -> None:
    assert not {FUNCTION, INVOCATION} & set(stack({"app": {"values": {"K": {"random": {}}}}}).types())


def test_each_secret_has_the_resources_of_its_mode_and_the_stack_one_writer() -> None:
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
def test_a_component_that_nothing_would_write_values_of_is_not_made(
    mode: Literal["managed", "account"],
) -> None:
    with pytest.raises(ValueError, match="needs a writer"):
        SecretArgs(secret_name="app", values={"K": FilledByHand(hint="ask")}, mode=mode)


def test_a_secrets_own_mode_stands_over_the_stacks() -> None:
    recording = stack(
        {
            "a": {"values": {"K": {"random": {}}}, "initialValues": "once"},
            "b": {"values": {"K": {"random": {}}}},
        },
        initialValues="account",
    )
    assert {found.name for found in recording.resources if found.type == INVOCATION} == {"b-values"}
    assert {found.name for found in recording.resources if found.type == VERSION} == {"a-initial-version"}


def test_the_writer_may_write_exactly_the_secrets_that_are_its_own() -> None:
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


def test_the_writer_is_told_of_keys_and_of_no_value_that_it_makes_itself() -> None:
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


def test_a_configured_value_travels_as_a_secret_with_salt_because_the_id_is_a_hash_of_it() -> None:
    recording = stack({"app": {"values": {"K": {"config": "key"}}, "initialValues": "managed"}})
    assert request(recording, "app")["Keys"] == {"K": {"value": CONFIGURED}}
    assert request(recording, "app")["Salt"] == "R" * 32
    assert recording.only(INVOCATION).secret_inputs == {"input"}
    for resource in recording.resources:
        assert CONFIGURED not in str(resource.visible_inputs)


def test_a_login_in_account_mode_has_its_password_and_url_made_by_the_writer() -> None:
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
            "initialValues: managed for this secret alone",
        ),
        ({"values": {"K": {"random": {}}}, "removedKeys": ["A", "K"]}, "removedKeys[1]", "one of the two"),
        ({"values": {"K": {"filledByHand": "x", "generation": 2}}}, "values.K", "Drop generation"),
        ({"values": {"K": {"random": {}, "generation": 0}}}, "values.K.generation", ""),
        ({"values": {"K": {"generation": 2}}}, "values.K", "exactly one kind"),
        ({"initialValues": "plain", "values": {"K": {"random": {}}}}, "initialValues", "once"),
        (
            {"values": {f"K{n}": {"random": {}, "generation": 2} for n in range(61)}},
            "values",
            "Spread the keys",
        ),
    ],
)
def test_what_a_mode_cannot_do_is_refused_before_anything_is_declared(
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


def test_the_password_of_an_administrator_needs_a_mode_that_may_know_it() -> None:
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
def test_whatever_changes_each_key_out_of_reach_is_named_and_no_value_is(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    said = list(out_of_reach("app", old, new))
    text = "\n".join(said)
    assert "canary" not in text
    once = new["mode"] == "once"
    for key in new["initialValues"].keys() - old["initialValues"].keys():
        assert any(key in part and "will not reach" in part for part in said) == once
    for key in old["initialValues"].keys() - new["initialValues"].keys() - set(new["removedKeys"]):
        assert any(f" {key}" in part and "stays in AWS" in part for part in said)


@given(inputs=INPUTS)
def test_what_does_not_change_is_no_warning(inputs: dict[str, Any]) -> None:
    assert list(out_of_reach("app", inputs, inputs)) == []


def test_a_state_from_before_the_engine_knew_first_values_is_no_warning() -> None:
    assert list(out_of_reach("app", {}, {"initialValues": {"K": "v"}})) == []
