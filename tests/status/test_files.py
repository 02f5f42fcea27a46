"""A configuration read from files equals the one that the engine passes to the program."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stack_file import Configuration, SettingsError, check
from stack_file.files import FileError, read, stacks_in
from tests.support.example_project import PROJECT_FILE

SECRET = {"app": {"values": {"KEY": {"random": {}}, "STRIPE": {"config": "stripeKey"}}}}
KEY = {"secure": "v1:aaaa:bbbb"}


def configured(folder: Path, config: dict[str, Any], project: dict[str, Any] | None = None) -> Configuration:
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project or yaml.safe_load(PROJECT_FILE)))
    (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))
    return read(folder, "dev")


def usual(**more: object) -> dict[str, Any]:
    config: dict[str, Any] = {"aws:region": "us-east-1", "aws-secrets:secrets": SECRET}
    return {
        **config,
        "aws-secrets:stripeKey": KEY,
        **{f"aws-secrets:{key}": value for key, value in more.items()},
    }


def test_project_settings_apply_unless_the_stack_overrides_them(tmp_path: Path) -> None:
    found = check(configured(tmp_path, usual()))
    assert found.stack_file.recovery_window_days == 30
    project = {
        "name": "aws-secrets",
        "config": {"recoveryWindowDays": {"default": 9}, "aws-secrets:tags": {"value": {"team": "web"}}},
    }
    found = check(configured(tmp_path, usual(), project))
    assert (found.stack_file.recovery_window_days, found.stack_file.tags) == (9, {"team": "web"})


def test_quoted_numbers_and_booleans_are_parsed(tmp_path: Path) -> None:
    found = check(configured(tmp_path, usual(recoveryWindowDays="8", protect="true")))
    assert (found.stack_file.recovery_window_days, found.stack_file.protect) == (8, True)


def test_key_without_namespace_belongs_to_the_project(tmp_path: Path) -> None:
    config = {"aws:region": "us-east-1", "secrets": SECRET, "stripeKey": KEY}
    assert check(configured(tmp_path, config)).references == {"stripeKey"}


def test_encrypted_values_are_noted_but_never_stored(tmp_path: Path) -> None:
    found = configured(tmp_path, usual())
    assert found.encrypted == {"aws-secrets:stripeKey"}
    assert "v1:aaaa" not in repr(found)
    plain = configured(tmp_path, {**usual(), "aws-secrets:stripeKey": "in plain text"})
    with pytest.raises(SettingsError, match="is stored in plain text"):
        check(plain)


def test_nested_encrypted_value_is_rejected(tmp_path: Path) -> None:
    nested = {"app": {"values": {"KEY": {"value": KEY}}}}
    with pytest.raises(SettingsError, match="is nested in the structure"):
        check(configured(tmp_path, {"aws:region": "us-east-1", "aws-secrets:secrets": nested}))


def test_unused_encrypted_value_is_idle_but_unused_text_is_rejected(tmp_path: Path) -> None:
    assert check(configured(tmp_path, usual(forgotten=KEY))).idle == ("forgotten",)
    with pytest.raises(SettingsError, match='unknown key "forgotten"'):
        check(configured(tmp_path, usual(forgotten="text")))


def test_stack_is_found_by_full_name_and_unknown_stack_is_rejected(tmp_path: Path) -> None:
    configured(tmp_path, usual())
    assert read(tmp_path, "organization/aws-secrets/dev").stack == "dev"
    assert stacks_in(tmp_path) == ["dev"]
    with pytest.raises(FileError, match=r"Stacks with a file: dev\."):
        read(tmp_path, "production")
    with pytest.raises(FileError, match="Run this in the project's folder"):
        read(tmp_path / "elsewhere", "dev")


def test_invalid_yaml_is_rejected_without_quoting_it(tmp_path: Path) -> None:
    configured(tmp_path, usual())
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  a: [canary-4f1d\n  b: canary-4f1d]: x\n")
    with pytest.raises(FileError) as rejected:
        read(tmp_path, "dev")
    assert "line" in str(rejected.value)
    assert "canary" not in str(rejected.value)
