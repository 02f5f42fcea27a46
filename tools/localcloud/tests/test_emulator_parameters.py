"""Limits of parameters, and generated passwords: rejected as by AWS, whatever the request."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.localcloud.emulator.parameters import check
from tools.localcloud.emulator.random_password import random_password
from tools.localcloud.emulator.secrets_rules import ServiceError


def refusal(operation: str, asked: object) -> tuple[str, str]:
    with pytest.raises(ServiceError) as refused:
        check("secretsmanager", operation, asked)
    return refused.value.code, refused.value.message


@pytest.mark.parametrize(
    ("operation", "asked", "value", "place", "constraint"),
    [
        (
            "CreateSecret",
            {"Name": "a", "Tags": [{"Key": ""}]},
            "''",
            "tags.1.member.key",
            "have length greater than or equal to 1",
        ),
        ("CreateSecret", {}, "null", "name", "not be null"),
        (
            "GetRandomPassword",
            {"PasswordLength": 4097},
            "'4097'",
            "passwordLength",
            "have value less than or equal to 4096",
        ),
        ("ListSecrets", {"SortOrder": "up"}, "'up'", "sortOrder", "satisfy enum value set: [asc, desc]"),
        (
            "ReplicateSecretToRegions",
            {"SecretId": "a", "AddReplicaRegions": []},
            "'[]'",
            "addReplicaRegions",
            "have length greater than or equal to 1",
        ),
    ],
)
def test_a_parameter_outside_its_limits_is_named_in_words_of_aws(
    operation: str, asked: object, value: str, place: str, constraint: str
) -> None:
    said = f"Value {value} at '{place}' failed to satisfy constraint: Member must {constraint}"
    assert refusal(operation, asked) == ("ValidationException", f"1 validation error detected: {said}")


@pytest.mark.parametrize(("length", "fits"), [(2048, True), (2049, False)])
def test_a_description_has_2048_characters_at_most(length: int, fits: bool) -> None:
    asked = {"Name": "a", "Description": "x" * length}
    if fits:
        check("secretsmanager", "CreateSecret", asked)
    else:
        assert refusal("CreateSecret", asked)[0] == "ValidationException"


def test_all_mistakes_are_named_at_once() -> None:
    code, message = refusal("ListSecrets", {"MaxResults": 101, "SortOrder": "up"})
    assert code == "ValidationException"
    assert message.startswith("2 validation errors detected: ")


@given(value=st.sampled_from(["SecretString", "SecretBinary"]), size=st.integers(65_537, 70_000))
def test_a_refused_value_is_not_shown(value: str, size: int) -> None:
    text = "QUFB" * (size // 3 + 1) if value == "SecretBinary" else "Q" * size
    _, message = refusal("PutSecretValue", {"SecretId": "a", value: text})
    assert "QQ" not in message
    assert "QUFB" not in message
    assert message.endswith("Member must have length less than or equal to 65536")


@given(asked=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_a_value_of_another_type_is_refused_and_not_shown(asked: object) -> None:
    sentinel = "sentinel-of-a-test"
    code, message = refusal("PutSecretValue", {"SecretId": "a", "SecretString": [sentinel, asked]})
    assert code == "SerializationException"
    assert sentinel not in message


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "PasswordLength": st.integers(1, 60),
        "ExcludeCharacters": st.text(string.printable, max_size=30),
        **{
            option: st.booleans()
            for option in (
                "ExcludeLowercase",
                "ExcludeUppercase",
                "ExcludeNumbers",
                "ExcludePunctuation",
                "IncludeSpace",
                "RequireEachIncludedType",
            )
        },
    },
)
TYPES = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}


@given(asked=OPTIONS)
def test_a_password_has_what_was_asked_for_and_nothing_else(asked: dict[str, object]) -> None:
    allowed = [set(characters) for option, characters in TYPES.items() if not asked.get(option)]
    allowed += [{" "}] if asked.get("IncludeSpace") else []
    types = [kept for kind in allowed if (kept := kind - set(str(asked.get("ExcludeCharacters", ""))))]
    length = asked.get("PasswordLength", 32)
    if not types or (
        isinstance(length, int) and length < len(types) and asked.get("RequireEachIncludedType", True)
    ):
        with pytest.raises(ServiceError) as refused:
            random_password(asked)
        assert refused.value.code == "InvalidParameterException"
        return
    password = random_password(asked)
    assert len(password) == length
    assert set(password) <= set().union(*types)
    if asked.get("RequireEachIncludedType", True):
        assert all(kind & set(password) for kind in types)
