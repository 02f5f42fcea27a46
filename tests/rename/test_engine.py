"""A plain `pulumi up` gives a secret a second name with the same value, and later removes the first."""

import json
import subprocess
import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.deep import deep_except
from tests.support.operations_commands import environment
from tests.support.stacks import ROOT, Stack

APP: dict[str, Any] = {"values": {"KEY": {"random": {}}, "TOKEN": {"filledByHand": "the vendor"}}}


def current(stack: Stack, name: str) -> str:
    return str(stack.client().get_secret_value(SecretId=name)["VersionId"])


def report(stack: Stack) -> str:
    """Return the findings of a preview, as a reviewer reads them."""
    command = (*("preview", "--stack", "test", "--report", "terminal"), "--cwd", str(stack.folder))
    done = subprocess.run(
        [sys.executable, "-m", "operations", *command],
        cwd=ROOT,
        env=dict(environment(stack)),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.partition("\nResources\n")[0]


def the_function_may_touch_its_two_secrets_only(stack: Stack) -> None:
    iam, client = stack.client("iam"), stack.client()
    [role] = [one for one in iam.list_roles()["Roles"] if one["RoleName"].startswith("rename-")]
    me = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [me]})
    iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=trust)
    taken = stack.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="function")["Credentials"]
    client.create_secret(Name="old-but-of-others", SecretString="x")
    as_function = stack.client(credentials=taken)
    refused: list[Any] = [
        lambda: as_function.get_secret_value(SecretId="old-but-of-others"),
        lambda: as_function.put_secret_value(SecretId="old-but-of-others", SecretString="y"),
        lambda: as_function.put_secret_value(SecretId="old", SecretString="y"),
        lambda: as_function.update_secret_version_stage(
            SecretId="old", VersionStage="x", MoveToVersionId=current(stack, "old")
        ),
        lambda: as_function.delete_secret(SecretId="old"),
        lambda: as_function.update_secret(SecretId="new", Description="y"),
        lambda: as_function.put_resource_policy(SecretId="new", ResourcePolicy="{}"),
    ]
    for call in refused:
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"
    assert as_function.get_secret_value(SecretId="old")["VersionId"] == current(stack, "new")


@pytest.mark.parametrize("mode", deep_except(["once", "account"], ["account"]))
def test_an_update_copies_the_value_and_another_removes_the_old_name(stack: Stack, mode: str) -> None:
    wide: dict[str, Any] = {"initialValues": mode}
    stack.configure({"old": APP}, **wide)
    stack.up()
    stack.edit("old", TOKEN="filled-by-hand-51c9")
    value = stack.value("old")
    stack.configure({"new": {**APP, "renamedFrom": "old"}, "old": APP}, **wide)
    first = report(stack)
    # a copy gives the value to the readers of another secret, so a person has to look at it
    assert "secret new: Gets the value of old: whoever may read this secret gets it" in first
    assert "A function can copy, and so read, " in first
    assert "cannot be assessed" not in first
    assert "waiting for manual input" not in first
    stack.up()
    assert stack.value("new") == stack.value("old") == value
    assert current(stack, "new") == current(stack, "old")
    stack.edit("old", TOKEN="filled-again-51c9")
    last = stack.value("old")
    second = report(stack)
    assert "The value of old is copied again" in second
    assert "no dangers" in second
    stack.up()
    assert stack.value("new") == stack.value("old") == last
    assert stack.up("--refresh") == []
    the_function_may_touch_its_two_secrets_only(stack)
    stack.configure({"new": APP}, **wide)
    third = report(stack)
    assert "1 danger: deletes 1 secret" in third
    assert "No longer gets the value of old, and keeps the one that it has" in third
    stack.up()
    assert stack.value("new") == last
    assert stack.up("--refresh") == []
    assert stack.value("new") == last
    assert "51c9" not in stack.function_log()
    assert "DeletedDate" in stack.client().describe_secret(SecretId="old")
