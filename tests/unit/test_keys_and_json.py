"""Keys with any characters, and JSON values: resources, outputs and unsupported reads."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.initial_value import Structure, random_name, resolve
from components.undeployed_changes import undeployed_changes
from operations.report import initial_values
from operations.report.model import Danger, Kind, Name, plain
from stack_file import SettingsError
from stack_file.secrets import Secret
from tests.support.recorded_run import Recording, run
from tests.unit.test_modes_program import SECRET_COMPONENT, request
from tests.unit.test_program import PASSWORD, first_value
from tests.unit.test_whole_secrets import plan, step

KEYS = (
    "a:b",
    "a::b",
    "[x]",
    "$a.b",
    "with blank",
    'quo"ted',
    "back\\slash",
    "é\U0001f511",
    "-random:x",
    "::group::",
)
STRUCTURE = {
    "id": 12,
    "ratio": 1.5,
    "on": True,
    "nothing": None,
    "list": [1, "two", {"three": 3}],
    "a:b": "c",
}
PROVIDER = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
PODS = {"operator": "external-secrets", "oidcProviderArn": PROVIDER}


def stack(values: Mapping[str, Any], workload: Mapping[str, Any] | None = None, **more: object) -> Recording:
    workloads = {} if workload is None else {"aws-secrets:workloads": {"web": workload}}
    secrets = {"app": {"values": values, **more}}
    return run({"aws:region": "us-east-1", "aws-secrets:secrets": secrets, **workloads})


def test_a_secret_has_its_declared_keys_with_any_characters() -> None:
    recording = stack({key: {"value": f"of {key}"} for key in KEYS})
    assert first_value(recording) == {key: f"of {key}" for key in KEYS}
    references = recording.outputs["secrets"]["app"]["references"]
    assert references.keys() == {key for key in KEYS if ":" not in key}
    assert recording.outputs["secrets"]["app"]["keys"] == list(KEYS)


def test_a_keys_random_resource_has_a_printable_name() -> None:
    names = [
        found.name
        for found in stack({key: {"random": {}} for key in KEYS}).resources
        if found.type == PASSWORD
    ]
    assert len({*names}) == len(KEYS)
    assert all(
        name.isascii() and name.count(":") == 1 and "[" not in name and " " not in name for name in names
    )


@given(st.text(st.sampled_from("ABCabc019_./-"), min_size=1, max_size=30))
def test_a_random_resource_keeps_the_name_of_earlier_releases(key: str) -> None:
    assert random_name("app", key) == f"app-random:{key}"


@pytest.mark.parametrize("key", KEYS)
def test_a_report_shows_the_key_of_a_changed_random_resource(key: str) -> None:
    declared: dict[str, Any] = {"initialValues": {key: {"random": {}}}}
    component = step(SECRET_COMPONENT, "same", declared, declared)
    again = step(PASSWORD, "replace", {}, {}, random_name("app", key))
    [found] = initial_values.random_value(again, plan(component, again))
    assert plain(found.text).startswith(f"{key} is regenerated")


def test_a_structure_arrives_as_json_and_not_as_a_text() -> None:
    values = {
        "CLIENT": {"json": STRUCTURE},
        "PORT": {"json": 5432},
        "ON": {"json": False},
        "T": {"json": "t"},
    }
    expected = {"CLIENT": STRUCTURE, "PORT": 5432, "ON": False, "T": "t"}
    assert first_value(stack(values)) == expected
    told = request(stack(values, initialValues="account"), "app")["Keys"]
    assert told == {key: {"json": value} for key, value in expected.items()}
    raised = {"PORT": {"json": 5433, "generation": 2}}
    assert request(stack(raised, initialValues="managed"), "app")["Keys"] == raised


def test_a_structure_is_a_text_among_the_components_inputs() -> None:
    structure = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": 1}
    found = stack({"K": {"json": structure}}).only(SECRET_COMPONENT).inputs
    assert json.loads(found["initialValues"]["K"]["json"]) == structure


def test_a_key_that_the_engine_reserves_is_rejected() -> None:
    marks = {"4dabf18193072939515e22adb298388d": {"value": "1b47061264138c4ac30d75fd1eb44270"}}
    with pytest.raises(SettingsError) as raised:
        stack({**marks, "value": {"value": "v"}, "K": {"random": {}, "generation": 2}})
    assert "Pulumi reserves this key" in str(raised.value)


@pytest.mark.parametrize(
    "values",
    ["[secret]", {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": ""}],
    ids=str,
)
@pytest.mark.parametrize("side", ["old", "new"])
def test_values_that_the_engine_hides_cannot_be_assessed(values: object, side: str) -> None:
    declared: dict[str, Any] = {"initialValues": {"K": {"random": {}}}, "mode": "managed"}
    other = {**declared, "initialValues": values}
    old, new = (other, declared) if side == "old" else (declared, other)
    component = step(SECRET_COMPONENT, "update", old, {**new, "removedKeys": ["L"]})
    [found] = initial_values.component(component, plan(component))
    assert isinstance(found, Danger)
    assert found.kind == Kind.CANNOT_BE_JUDGED


def test_an_unknown_mode_in_a_log_is_shown_as_text() -> None:
    declared: dict[str, Any] = {"initialValues": {"K": {"random": {}}}}
    forged = "once\n<!-- hides what follows"
    component = step(
        SECRET_COMPONENT, "update", {**declared, "mode": forged}, {**declared, "mode": "managed"}
    )
    [found] = initial_values.component(component, plan(component))
    assert Name(forged) in found.text


def test_a_changed_structure_is_not_applied() -> None:
    old, new = ({"initialValues": {"K": {"json": json.dumps(value)}}} for value in (1, 2))
    [said] = undeployed_changes("app", old, new)
    assert "K was changed" in said


def test_a_component_rejects_a_structure_as_a_text() -> None:
    with pytest.raises(TypeError):
        resolve("x", Structure(value=1), None)  # type: ignore[arg-type]  # it is not come to


def mistakes(values: Mapping[str, Any], workload: Mapping[str, Any]) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        stack(values, workload)
    return {found.path: f"{found.wrong}. {found.remedy}" for found in raised.value.mistakes}


VALUES: dict[str, Any] = {
    "a:b": {"random": {}},
    "PORT": {"json": 5432},
    "TEXT": {"json": "t"},
    "K": {"random": {}},
}
W = "aws-secrets:workloads.web"


@pytest.mark.parametrize(
    ("workload", "path", "words"),
    [
        (
            {"ecs": {}, "environment": {"A": {"secret": "app", "key": "a:b"}}},
            f"{W}.environment.A",
            "Rename the key",
        ),
        ({"ecs": {}, "environment": {"PORT": {"secret": "app"}}}, f"{W}.environment.PORT", "{value: '...'}"),
        (
            {"ecs": {}, "environment": {"A": {"existingSecret": "other", "key": "a:b"}}},
            f"{W}.environment.A",
            "Rename the key",
        ),
        ({"ecs": {}, "environmentFrom": ["app"]}, f"{W}.environmentFrom[0]", "is JSON of another type"),
        (
            {
                "kubernetes": {**PODS, "operator": "secrets-store-csi"},
                "environment": {"PORT": {"secret": "app"}},
            },
            f"{W}.environment.PORT",
            "The CSI driver supports only text",
        ),
        (
            {"kubernetes": PODS, "environmentFrom": ["app"]},
            f"{W}.environmentFrom[0]",
            "Use environment: {VARIABLE: {secret: app, key: 'a:b'}}",
        ),
    ],
)
def test_an_unsupported_key_is_rejected_only_in_its_workload(
    workload: dict[str, Any], path: str, words: str
) -> None:
    found = mistakes(VALUES, workload)
    assert words in found[path], found


@pytest.mark.parametrize(
    "platform",
    [
        {"kubernetes": PODS},
        {"kubernetes": {**PODS, "operator": "secrets-store-csi"}},
        {"ecs": {}},
        {"lambda": {"role": "web"}},
    ],
)
def test_every_other_key_is_read_on_every_platform(platform: dict[str, Any]) -> None:
    keys = [key for key in KEYS if "ecs" not in platform or ":" not in key]
    reads = {f"V{number}": {"secret": "app", "key": key} for number, key in enumerate(keys)}
    stack({key: {"value": "v"} for key in KEYS}, {**platform, "environment": reads})
    stack({"T": {"json": "text"}}, {**platform, "environment": {"T": {"secret": "app"}}})


JSON = st.recursive(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(st.none() | inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), st.none() | inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(min_size=1, max_size=6), JSON, min_size=1, max_size=3))
def test_any_declared_value_is_kept_or_rejected_by_key(values: dict[str, Any]) -> None:
    declared = {"values": {key: {"json": value} for key, value in values.items()}}
    if all(key.isprintable() for key in values):
        found = Secret.model_validate_json(json.dumps(declared)).values
        assert {key: value.json_ for key, value in found.items()} == values
    else:
        with pytest.raises(ValueError, match="not a valid JSON key"):
            Secret.model_validate_json(json.dumps(declared))
