import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from stack_file import StackFile
from stack_file.schema import stack_file_schema
from tests.support.example_project import PROJECT_FILE, stack_file

ROOT = Path(__file__).parents[2]


def test_the_committed_schema_is_current() -> None:
    shipped = json.loads((ROOT / "stack-file.schema.json").read_text())
    assert shipped == stack_file_schema(), "run: python -m stack_file.schema > stack-file.schema.json"


@pytest.mark.parametrize("name", ["dev", "local"])
def test_the_example_stack_files_follow_the_schema(name: str) -> None:
    jsonschema.Draft202012Validator(stack_file_schema()).validate(stack_file(name))


def test_the_schema_rejects_unknown_keys_wrong_types_and_two_sources() -> None:
    validator = jsonschema.Draft202012Validator(stack_file_schema())
    refused: list[dict[str, Any]] = [
        {"K": {"rondom": {}}},
        {"K": {"value": 1}},
        {"K": {"value": "v", "random": {}}},
        {},
    ]
    for values in refused:
        broken = {"config": {"aws-secrets:secrets": {"app": {"values": values}}}}
        assert not validator.is_valid(broken), values


def test_the_schema_accepts_workloads_with_existing_secrets_only() -> None:
    reading = {"ecs": {}, "environment": {"A": {"existingSecret": "rds!cluster-1", "key": "password"}}}
    validator = jsonschema.Draft202012Validator(stack_file_schema())
    validator.validate({"config": {"aws-secrets:workloads": {"web": reading}}})
    wrong = {**reading, "environment": {"A": {"existingsecret": "a"}}}
    assert not validator.is_valid({"config": {"aws-secrets:workloads": {"web": wrong}}})


def test_the_schema_accepts_quoted_numbers() -> None:
    written = stack_file("local")
    written["config"] |= {"aws-secrets:recoveryWindowDays": "7", "aws-secrets:protect": "true"}
    validator = jsonschema.Draft202012Validator(stack_file_schema())
    validator.validate(written)
    written["config"]["aws-secrets:recoveryWindowDays"] = "seven"
    assert not validator.is_valid(written)


def test_pulumi_yaml_describes_every_setting_with_a_default() -> None:
    declared = yaml.safe_load(PROJECT_FILE)["config"]
    # Pulumi would require a value for a declared key without a default
    fields = {
        f"aws-secrets:{field.alias}": field
        for field in StackFile.model_fields.values()
        if field.get_default(call_default_factory=True) is not None
    }
    assert declared.keys() == fields.keys()
    for key, declaration in declared.items():
        assert declaration["description"]
        default = fields[key].get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            assert default == type(default).model_validate(declaration["default"])
        else:
            assert json.dumps(declaration["default"]) == json.dumps(default)
