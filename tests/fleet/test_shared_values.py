"""Each stack of a fleet gets only its part of the values that Pulumi.yaml sets for every stack."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.errors import InvalidConfigurationError, StackNotFoundError
from operations.exit_codes import ExitCode
from operations.fleet.stack_files import load_fleet_file
from stack_file import check
from stack_file.files import read

VALUE: dict[str, Any] = {"values": {"KEY": {"random": {}}}}
READS = {"lambda": {"role": "role"}, "environment": {"KEY": {"secret": "web/app"}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shared = {
        "aws-secrets:secrets": {"value": {"web/app": VALUE, "jobs/app": VALUE}},
        "aws-secrets:workloads": {"value": {"web": READS}},
        "aws-secrets:tags": {"value": {"team": "a"}},
    }
    project: dict[str, Any] = {"name": "aws-secrets", "runtime": "python", "config": shared}
    (tmp_path / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    stack = {
        "encryptionsalt": "v1:x",
        "config": {
            "aws:region": "us-east-1",
            "aws-secrets:fleet": {"groups": {"web": ["web/*"], "jobs": ["jobs/*"]}},
        },
    }
    (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump(stack))
    return tmp_path


def test_each_stack_gets_its_part_of_the_shared_values(folder: Path) -> None:
    file = load_fleet_file(folder, "prod")
    file.write(file.partition.groups)
    for stack, secrets, workloads in (
        ("prod.web", ["web/app"], ["web"]),
        ("prod.jobs", ["jobs/app"], []),
    ):
        declared = check(read(folder, stack)).stack_file
        assert list(declared.secrets) == secrets
        assert list(declared.workloads) == workloads
        assert declared.tags == {"team": "a"}


def test_a_fleet_key_in_pulumi_yaml_is_a_mistake(folder: Path) -> None:
    stack = yaml.safe_load((folder / "Pulumi.prod.yaml").read_text())
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text())
    project["config"]["aws-secrets:fleet"] = {"value": stack["config"].pop("aws-secrets:fleet")}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    (folder / "Pulumi.prod.yaml").write_text(yaml.safe_dump(stack))
    with pytest.raises(InvalidConfigurationError, match="it applies to every stack of the project"):
        load_fleet_file(folder, "prod")


def test_a_fleet_without_a_stack_file_is_an_unknown_stack(folder: Path) -> None:
    with pytest.raises(StackNotFoundError, match=r'"pord" not found.*did you mean "prod"') as error:
        load_fleet_file(folder, "pord")
    assert error.value.exit_code == ExitCode.STACK_NOT_FOUND
