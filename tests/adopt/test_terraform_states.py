"""Readers of Terraform states: what they find, and what they say of files that are something else."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.adopt import terraform_state
from operations.adopt.leaving_terraform import leaving
from operations.adopt.model import SourceError
from tests.adopt.recorded import MANY, SINGLE, WORKSPACES, attributes_of, document, text_of

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"
VALUE = "drawn-value-that-may-never-show"


def recorded(shape: str) -> dict[str, Any]:
    return document(f"{shape}.tfstate")


def shown(state: dict[str, Any]) -> dict[str, Any]:
    """The same as `terraform show -json` prints it."""
    modules: dict[str, Any] = {"resources": [], "child_modules": []}
    for resource in state["resources"]:
        address = resource.get("module", "")
        of_module = next((one for one in modules["child_modules"] if one["address"] == address), None)
        if of_module is None:
            of_module = {"address": address, "resources": []}
            modules["child_modules"].append(of_module)
        for instance in resource["instances"]:
            index = {"index": instance["index_key"]} if "index_key" in instance else {}
            of_module["resources"].append(
                {
                    "mode": resource["mode"],
                    "type": resource["type"],
                    "name": resource["name"],
                    **index,
                    "values": instance["attributes"],
                    "depends_on": instance.get("dependencies", []),
                }
            )
    return {"format_version": "1.0", "terraform_version": "1.9.8", "values": {"root_module": modules}}


@pytest.mark.parametrize("shape", ["thoughtbot", "terraform_aws_modules"])
def test_a_state_file_and_its_json_output_say_the_same(shape: str) -> None:
    state = recorded(shape)
    assert terraform_state.read(json.dumps(shown(state))) == terraform_state.read(json.dumps(state))


def test_generated_keys_are_linked_with_their_passwords() -> None:
    origin = terraform_state.read(json.dumps(recorded("thoughtbot"))).origins.secrets[ARN]
    assert origin.shape is not None
    found = {key: how and (how.by, how.options) for key, how in origin.shape.keys.items()}
    assert found == {
        "SECRET_KEY_BASE": (
            'module.app.random_password.this["SECRET_KEY_BASE"]',
            {"length": 64, "special": False},
        ),
        "SIGNING_KEY": (
            'module.app.random_password.this["SIGNING_KEY"]',
            {"length": 32, "overrideSpecial": "false"},
        ),
    }


def test_random_bytes_and_ids_are_linked_in_their_encoding() -> None:
    state = recorded("thoughtbot")
    for resource in state["resources"]:
        if resource["type"] == "random_password":
            resource["type"] = "random_id"
            resource["instances"] = [
                {"attributes": {"byte_length": 8, "hex": "0123456789abcdef", "b64_std": "ASNFZ4mrze8="}}
            ]
        if resource["type"] == "aws_secretsmanager_secret_version":
            value = {"HEX": "0123456789abcdef", "BASE64": "ASNFZ4mrze8=", "OTHER": "x"}
            resource["instances"][0]["attributes"]["secret_string"] = json.dumps(value)
    origin = terraform_state.read(json.dumps(state)).origins.secrets[ARN]
    assert origin.shape is not None
    options = {key: how and how.options for key, how in origin.shape.keys.items()}
    assert options == {
        "HEX": {"length": 8, "encoding": "hex"},
        "BASE64": {"length": 8, "encoding": "base64"},
        "OTHER": None,
    }


OTHER_FILES = {
    "newer": ({"version": 5, "resources": []}, "newer than 4"),
    "older": ({"version": 3, "modules": []}, "Terraform 0.11 or older"),
    "encrypted": ({"encrypted_data": "x", "encryption_version": "v0"}, "encrypted"),
    "plan": ({"format_version": "1.2", "planned_values": {}}, "a plan, not a state"),
    "backend": ({"version": 3, "backend": {"type": "s3"}}, "where the state is"),
    "pulumi": ({"version": 3, "deployment": {}}, "Pulumi stack"),
    "template": ({"Resources": {}}, "CloudFormation template"),
    "format-2": ({"format_version": "2.0", "values": {}}, "other than 1.x"),
    "foreign": ({"hello": VALUE}, "not a Terraform state"),
    "texts": ({"version": "4"}, "no version number"),
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_another_file_is_named_for_what_it_is(kind: str) -> None:
    document, words = OTHER_FILES[kind]
    with pytest.raises(SourceError, match=words) as caught:
        terraform_state.read(json.dumps(document))
    assert VALUE not in str(caught.value)


@given(cut=st.integers(min_value=0, max_value=4000))
def test_a_state_that_is_cut_off_is_called_damaged(cut: int) -> None:
    text = json.dumps(recorded("thoughtbot"))
    if cut < len(text):
        with pytest.raises(SourceError) as caught:
            terraform_state.read(text[:cut])
        assert "made-up" not in str(caught.value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.just(VALUE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401  JSON
    """All places in a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(place for key, item in below for place in places(item, (*above, key)))]


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:  # noqa: ANN401  JSON
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = replaced(copy[place[0]], place[1:], new)
    return copy


RECORDED = {
    f"{shape}-{form}": document
    for shape in ("thoughtbot", "terraform_aws_modules")
    for form, document in (("state", recorded(shape)), ("shown", shown(recorded(shape))))
}


def read_or_refusal(text: str) -> terraform_state.TerraformState | str:
    try:
        return terraform_state.read(text)
    except SourceError as error:
        return str(error)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_state_gives_words_and_no_value(data: st.DataObject) -> None:
    document: Any = RECORDED[data.draw(st.sampled_from(sorted(RECORDED)))]
    for _ in range(data.draw(st.integers(1, 3))):
        document = replaced(document, data.draw(st.sampled_from(places(document))), data.draw(JSON))
    found = read_or_refusal(json.dumps(document))
    if isinstance(found, str):
        assert [value for value in (VALUE, "made-up") if value in found] == []
    else:
        assert "made-up" not in repr(found)
        for origin in found.origins.secrets.values():
            leaving(found.instances, origin.addresses)


@given(text=st.text(max_size=200))
def test_any_text_is_rejected_in_words(text: str) -> None:
    with pytest.raises(SourceError):
        terraform_state.read(text)


def test_a_deposed_or_repeated_secret_is_left_out_with_its_reason() -> None:
    state = recorded("terraform_aws_modules")
    secret = next(one for one in state["resources"] if one["type"] == "aws_secretsmanager_secret")
    again = json.loads(json.dumps(secret)) | {"module": "module.copy"}
    old = json.loads(json.dumps(secret)) | {"module": "module.old"}
    old["instances"][0]["deposed"] = "0a1b2c3d"
    lost = {**secret, "module": "module.lost", "instances": [{"attributes": {"name": "lost"}}]}
    state["resources"] += [again, old, lost]
    left_out = terraform_state.read(json.dumps(state)).origins.left_out
    assert {address.split(".")[1]: reason.partition(":")[0] for address, reason in left_out.items()} == {
        "copy": "module.vendor.aws_secretsmanager_secret.this[0] is the same secret",
        "old": "Terraform has replaced it and is about to destroy the old one",
        "lost": "the state has no ARN of it",
    }


def test_a_removed_block_covers_only_what_was_wholly_taken_over() -> None:
    state = recorded("terraform_aws_modules")
    for resource in list(state["resources"]):
        state["resources"].append({**resource, "module": 'module.vendor["b.c"]'})
        resource["module"] = 'module.vendor["a]"]'
    found = terraform_state.read(json.dumps(state)).instances
    taken = [one.address for one in found if one.type.startswith("aws_secretsmanager")]
    partly = leaving(found, [one for one in taken if '"b.c"' not in one])
    assert partly.removed == ""
    assert len(partly.commands) == 4
    assert all('\'module.vendor["a]"].' in one for one in partly.commands)
    assert any("terraform state rm" in one for one in partly.remarks)
    whole = leaving(found, taken)
    assert "from = module.vendor.aws_secretsmanager_secret.this\n" in whole.removed
    assert whole.removed.count("removed {") == 4


def test_the_output_of_a_real_terraform_is_read_as_its_state_is() -> None:
    for shape in SINGLE:
        state, output = (document(f"{shape}.{form}") for form in ("tfstate", "show"))
        assert terraform_state.read(json.dumps(output)) == terraform_state.read(json.dumps(state))


def test_forty_secrets_of_keyed_modules_are_all_found() -> None:
    for shape in MANY:
        found = terraform_state.read(json.dumps(document(f"{shape}.tfstate"))).origins
        assert (len(found.secrets), found.left_out) == (40, {})
    shapes = [
        origin.shape
        for origin in terraform_state.read(json.dumps(recorded(MANY[0]))).origins.secrets.values()
    ]
    generated = [how.by for shape in shapes if shape for how in shape.keys.values() if how]
    assert sorted(generated) == [
        f'module.app["app-app-{number:02}"].random_password.this["SECRET_KEY_BASE"]' for number in range(20)
    ]
    assert sum(shape.empty_keys == {"TOKEN"} for shape in shapes if shape) == 20


def test_a_repeated_value_is_linked_with_the_password_of_its_own_modules() -> None:
    state = recorded(MANY[0])
    first = state["resources"].index(
        next(one for one in state["resources"] if one["type"] == "random_password")
    )
    twin = json.loads(json.dumps(state["resources"][first])) | {"module": "module.twin"}
    state["resources"].insert(0, twin)
    found = terraform_state.read(json.dumps(state)).origins.secrets
    linked = [how.by for one in found.values() if one.shape for how in one.shape.keys.values() if how]
    assert [by for by in linked if by.startswith("module.twin")] == []


def test_a_write_only_value_has_no_keys_and_says_so() -> None:
    found = terraform_state.read(json.dumps(recorded(MANY[1]))).origins.secrets.values()
    written = [origin for origin in found if "write-only" in " ".join(origin.remarks)]
    assert len(written) == 20
    assert {origin.shape for origin in written} == {None}


def test_each_workspace_has_its_own_secrets_and_refers_to_shared_ones() -> None:
    default, staging = (terraform_state.read(json.dumps(recorded(one))).origins for one in WORKSPACES)
    assert len(default.secrets) == 3
    assert len(staging.secrets) == 2
    assert default.secrets.keys().isdisjoint(staging.secrets)
    assert default.left_out == {}
    assert staging.left_out.keys() == {"aws_secretsmanager_secret_policy.shared[0]"}
    assert "in another workspace" in staging.left_out["aws_secretsmanager_secret_policy.shared[0]"]
    kinds = [
        {key: how and how.kind for key, how in one.shape.keys.items()}
        for one in staging.secrets.values()
        if one.shape
    ]
    assert kinds == [{"PASSWORD": "random", "ID": "randomBytes", "HOST": None}] * 2


def test_recorded_states_hold_only_made_up_values() -> None:
    for name in (*SINGLE, *MANY, *WORKSPACES):
        state = recorded(name)
        ids = {
            one[form] for one in attributes_of(state, "random_id") for form in ("hex", "b64_std", "b64_url")
        }
        for version in attributes_of(state, "aws_secretsmanager_secret_version"):
            text = version["secret_string"] or "{}"
            values = json.loads(text).values() if text.startswith("{") else [text]
            assert [one for one in values if one and one not in ids and not one.startswith("made-up")] == []
        for password in attributes_of(state, "random_password"):
            assert password["result"].startswith("made-up")
            assert password["bcrypt_hash"] == "made-up-hash"
        assert re.findall(r"[0-9a-f]{8}-(?!0000)[0-9a-f]{4}-[0-9a-f-]{22}", text_of(f"{name}.tfstate")) == []
