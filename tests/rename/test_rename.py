"""A rename from the command line: declare, update, finish, update."""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.rename.running import rename
from tests.support.stacks import Stack

APP: dict[str, Any] = {
    "description": "of the shop",
    "values": {"KEY": {"random": {}, "generation": 2}, "TOKEN": {"filledByHand": "the vendor"}},
}
FINISH = ("--finish", "--readers-have-moved", "--yes")


def secrets(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(stack.file.read_text())["config"]["aws-secrets:secrets"]
    return found


def texts(stack: Stack) -> str:
    """Return everything that a value could have been written to."""
    state = Path(stack.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    files = [path for path in (*stack.folder.glob("*.*"), *state.rglob("*")) if path.is_file()]
    return "".join(path.read_bytes().decode("utf-8", "replace") for path in files) + stack.function_log()


def impossible_names_change_nothing(stack: Stack) -> None:
    client = stack.client()
    client.create_secret(Name="taken", SecretString="x")
    client.create_secret(Name="deleted", SecretString="x")
    client.delete_secret(SecretId="deleted", RecoveryWindowInDays=7)
    cases = [
        (("old", "old"), 2, "the two names are the same"),
        (("odl", "new"), 1, "declares no secret odl. It declares: old."),
        (("old", "taken"), 1, "AWS has a secret taken already"),
        (("old", "deleted"), 1, "AWS reserves the name deleted"),
        (("old", "old-AbCdEf"), 3, "differ only in a hyphen and six characters"),
        (("old", "no name"), 3, "not a valid secret name"),
    ]
    for names, code, words in cases:
        assert words in rename(stack, *names, "--yes", code=code)
    assert "Confirm with --yes" in rename(stack, code=2)


def test_a_rename_goes_through_its_stages(stack: Stack) -> None:
    stack.configure({"old": APP}, initialValues="managed", encryption="aws-managed")
    stack.up()
    stack.edit("old", TOKEN="by-hand-83af20")
    value = stack.value("old")
    before = stack.file.read_text()
    impossible_names_change_nothing(stack)
    printed = [rename(stack, "--dry-run")]
    assert stack.file.read_text() == before
    printed.append(rename(stack, "--yes"))
    assert "Next: python -m operations up --stack test" in printed[-1]
    assert secrets(stack)["new"] == {
        **APP,
        "values": {"KEY": {"random": {}}, "TOKEN": APP["values"]["TOKEN"]},
        "renamedFrom": "old",
    }
    printed.append(rename(stack))
    assert "and the stack does not yet" in printed[-1]
    assert "Run this command without --finish first" in rename(stack, *FINISH, code=1)
    stack.up()
    printed.append(rename(stack))
    assert "new has the value of old." in printed[-1]
    assert stack.value("new") == value
    stack.edit("old", TOKEN="by-hand-again-83af20")
    assert "new has an older value than old." in rename(stack, "--dry-run")
    printed.append(rename(stack))
    assert "new has the value of old." in printed[-1]
    assert stack.value("new") == stack.value("old")
    stack.edit("old", TOKEN="by-hand-at-last-83af20")
    last = stack.value("old")
    printed.append(rename(stack, "--json", "--dry-run"))
    assert (json.loads(printed[-1])["stage"], json.loads(printed[-1])["values"]) == ("both", "behind")
    assert "--readers-have-moved" in rename(stack, "--finish", "--yes", code=1)
    printed.append(rename(stack, *FINISH))
    assert list(secrets(stack)) == ["new"]
    assert "renamedFrom" not in secrets(stack)["new"]
    assert "can be restored for" in printed[-1]
    assert stack.value("new") == last
    printed.append(rename(stack, *FINISH))
    assert "Nothing to rename" in printed[-1]
    stack.up()
    assert stack.value("new") == last
    assert "DeletedDate" in stack.client().describe_secret(SecretId="old")
    assert stack.preview() == []
    assert "83af20" not in "".join(printed) + texts(stack)
