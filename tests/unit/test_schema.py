import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from settings import StackFile
from settings.schema import stack_file_schema
from tests.example_project import PROJECT_FILE, stack_file

ROOT = Path(__file__).parents[2]


def test_the_schema_beside_the_stack_files_is_current() -> None:
    shipped = json.loads((ROOT / "stack-file.schema.json").read_text())
    assert shipped == stack_file_schema(), "run: python -m settings.schema > stack-file.schema.json"


@pytest.mark.parametrize("name", ["dev", "local"])
def test_the_example_stack_files_follow_the_schema(name: str) -> None:
    jsonschema.Draft202012Validator(stack_file_schema()).validate(stack_file(name))


def test_the_schema_refuses_an_unknown_key_a_wrong_type_and_two_kinds_of_value() -> None:
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


def test_the_schema_takes_workloads_that_read_existing_secrets_alone() -> None:
    reading = {"ecs": {}, "environment": {"A": {"existingSecret": "rds!cluster-1", "key": "password"}}}
    validator = jsonschema.Draft202012Validator(stack_file_schema())
    validator.validate({"config": {"aws-secrets:workloads": {"web": reading}}})
    wrong = {**reading, "environment": {"A": {"existingsecret": "a"}}}
    assert not validator.is_valid({"config": {"aws-secrets:workloads": {"web": wrong}}})


def test_the_schema_takes_numbers_in_quotes_as_pulumi_config_set_writes_them() -> None:
    written = stack_file("local")
    written["config"] |= {"aws-secrets:recoveryWindowDays": "7", "aws-secrets:protect": "true"}
    validator = jsonschema.Draft202012Validator(stack_file_schema())
    validator.validate(written)
    written["config"]["aws-secrets:recoveryWindowDays"] = "seven"
    assert not validator.is_valid(written)


def test_pulumi_yaml_describes_every_setting_that_has_a_default_in_the_models() -> None:
    declared = yaml.safe_load(PROJECT_FILE)["config"]
    # Pulumi would demand a value of a key that it knows and that has no default
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
