"""A mistake ends in a clear message and an exit code, and nothing is half created."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.emulator_process import Emulator
from tests.support.local_engine import stack_environment
from tests.support.stacks import Stack, new_stack


def refused(stack: Stack, *words: str, environment: Mapping[str, str] | None = None) -> str:
    """Check that the update fails with these words, without a traceback, and leaves AWS and state empty."""
    done = stack.pulumi("up", "--yes", "--skip-preview", check=False, environment=environment)
    assert done.returncode != 0
    for word in words:
        assert word in done.stdout, done.stdout
    assert "Traceback" not in done.stdout
    assert stack.client().list_secrets()["SecretList"] == []
    assert stack.client("kms").list_keys()["Keys"] == []
    made = stack.state().get("resources") or []
    assert [resource for resource in made if not resource["type"].startswith("pulumi:")] == []
    return done.stdout


def without_the_configured_value(stack: Stack) -> None:
    stack.pulumi("config", "rm", "stripeKey")


def with_a_plain_configured_value(stack: Stack) -> None:
    stack.pulumi("config", "set", "--plaintext", "stripeKey", "not-so-secret")


def with_an_encrypted_value_in_the_structure(stack: Stack) -> None:
    stack.pulumi("config", "set", "--secret", "--path", "secrets.app.values.K.value", "nested-secret")


def in_an_unknown_region(stack: Stack) -> None:
    stack.pulumi("config", "set", "aws:region", "us-est-1")


def for_another_account(stack: Stack) -> None:
    stack.pulumi("config", "set", "--path", "aws:allowedAccountIds[0]", "999999999999")


def with_three_mistakes(stack: Stack) -> None:
    stack.configure({"a b": {"values": {}}}, recoveryWindowDays=3, typo=1)


def with_a_name_used_twice_in_the_file(stack: Stack) -> None:
    text = stack.file.read_text()
    stack.file.write_text(text.replace("config:\n", "config:\n  aws-secrets:secrets: {}\n", 1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            without_the_configured_value,
            [
                "aws-secrets:secrets.example-app-secret.values.STRIPE_KEY.config",
                "config set --secret stripeKey",
            ],
        ),
        (with_a_plain_configured_value, ["stored in plain text", "config set --secret stripeKey"]),
        (with_an_encrypted_value_in_the_structure, ["aws-secrets:secrets", "under its own key"]),
        (in_an_unknown_region, ["aws:region", 'did you mean "us-west-1"']),
        (for_another_account, ["AWS account ID not allowed: 123456789012"]),
        (
            with_three_mistakes,
            ["recoveryWindowDays", "7 to 30", 'secrets["a b"]', "1 to 512", "aws-secrets:typo", "4 mistakes"],
        ),
        (with_a_name_used_twice_in_the_file, ["already defined"]),
    ],
)
def test_a_mistake_in_the_stack_file_stops_an_update_early(
    stack: Stack, change: Callable[[Stack], None], words: list[str]
) -> None:
    change(stack)
    shown = refused(stack, *words)
    assert "nested-secret" not in shown
    assert "not-so-secret" not in shown


def test_missing_credentials_stop_an_update_early(emulator: Emulator, tmp_path: Path) -> None:
    environment = stack_environment(tmp_path, emulator.endpoint)
    # with a key in AWS, the engine itself would need credentials before the program
    stack = new_stack(tmp_path / "project", environment, emulator.endpoint, provider="passphrase")
    nothing = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": str(stack.folder)}
    refused(stack, "No valid credential sources found", environment=nothing)


def test_an_unreachable_endpoint_stops_an_update_early(stack: Stack) -> None:
    refused(stack, "127.0.0.1:9", environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})


def test_the_same_mistakes_stop_a_preview(stack: Stack) -> None:
    with_three_mistakes(stack)
    done = stack.pulumi("preview", check=False)
    assert done.returncode != 0
    assert "4 mistakes" in done.stdout
    assert "Traceback" not in done.stdout
