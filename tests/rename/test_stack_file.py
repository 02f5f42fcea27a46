"""Mistakes with `renamedFrom` in a stack file."""

from typing import Any

import pytest

from stack_file import Configuration, SettingsError, check

KEY: dict[str, Any] = {"values": {"KEY": {"random": {}}}}
TEXT: dict[str, Any] = {"text": {"filledByHand": "x"}}
NEW: dict[str, Any] = {**KEY, "renamedFrom": "old"}
LOGIN = {"username": "shop", "database": "shop"}


def mistakes(secrets: dict[str, Any], **others: object) -> str:
    values: dict[str, object] = {"aws:region": "us-east-1", "aws-secrets:secrets": secrets}
    values |= {f"aws-secrets:{key}": value for key, value in others.items()}
    with pytest.raises(SettingsError) as raised:
        check(Configuration(project="aws-secrets", stack="dev", values=values, encrypted=frozenset()))
    return str(raised.value)


def test_a_rename_is_accepted() -> None:
    values = {"aws:region": "us-east-1", "aws-secrets:secrets": {"new": NEW, "old": KEY}}
    checked = check(Configuration(project="aws-secrets", stack="dev", values=values, encrypted=frozenset()))
    assert checked.stack_file.secrets["new"].renamed_from == "old"


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        ({"new": NEW}, "declares no secret old"),
        ({"new": NEW, "odl": KEY}, 'did you mean "odl"?'),
        ({"old": {**KEY, "renamedFrom": "old"}}, "it is the name of the secret itself"),
        ({"old": KEY, "new": NEW, "newer": NEW}, "old is being renamed to new already"),
        ({"old": KEY, "new": NEW, "newer": {**KEY, "renamedFrom": "new"}}, "new is itself being renamed"),
        ({"old": TEXT, "new": NEW}, "its content and keys differ from those of old"),
        ({"old": {"values": {"OTHER": {"random": {}}}}, "new": NEW}, "its keys differ from those of old"),
        (
            {"old": KEY, "new": {**NEW, "values": {"KEY": {"random": {}, "generation": 2}}}},
            "secrets.new.values.KEY\n    generation is set in an entry with renamedFrom",
        ),
        (
            {"old": TEXT, "new": {"text": {"random": {}, "generation": 2}, "renamedFrom": "old"}},
            "secrets.new.text\n    generation is set",
        ),
        (
            {"old": {**KEY, "rotation": {"keys": ["KEY"]}}, "new": NEW},
            "secrets.old.rotation\n    a secret that is being renamed cannot rotate",
        ),
        (
            {"old": KEY, "new": {**NEW, "rotation": {"keys": ["KEY"]}}},
            "secrets.new.rotation\n    a secret that is being renamed cannot rotate",
        ),
        ({"old": KEY, "old-AbCdEf": NEW}, "differ only in a hyphen and six characters"),
        ({"new-123456": KEY, "new": {**KEY, "renamedFrom": "new-123456"}}, "differ only in a hyphen"),
        ({"old": KEY, "new": {**KEY, "renamedFrom": "no name"}}, "not a valid secret name"),
    ],
)
def test_a_rename_that_cannot_work_is_a_mistake(secrets: dict[str, Any], words: str) -> None:
    assert words in mistakes(secrets)


def test_a_login_is_not_renamed_because_both_names_would_rotate_it() -> None:
    admin = {"secretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:admin-AbCdEf"}
    database = {"host": "db.example", "outsideVpc": True, "admin": admin, "logins": {"old": LOGIN}}
    found = mistakes({"new": NEW}, databases={"main": database})
    assert "old is a database login" in found
    assert "Declare another login with its own username" in found
