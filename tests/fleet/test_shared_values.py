"""In a fleet, each stack takes its part of what Pulumi.yaml has for every stack, and no more."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from automation.errors import BadSettings
from automation.fleet.stack_files import source
from settings import check
from settings.files import read

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


def test_each_stack_has_its_part_of_what_is_for_every_stack(folder: Path) -> None:
    found = source(folder, "prod")
    found.write(found.division.groups)
    for stack, secrets, workloads in (
        ("prod.web", ["web/app"], ["web"]),
        ("prod.jobs", ["jobs/app"], []),
    ):
        declared = check(read(folder, stack)).stack_file
        assert list(declared.secrets) == secrets
        assert list(declared.workloads) == workloads
        assert declared.tags == {"team": "a"}


def test_a_division_for_every_stack_of_a_project_is_refused(folder: Path) -> None:
    stack = yaml.safe_load((folder / "Pulumi.prod.yaml").read_text())
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text())
    project["config"]["aws-secrets:fleet"] = {"value": stack["config"].pop("aws-secrets:fleet")}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    (folder / "Pulumi.prod.yaml").write_text(yaml.safe_dump(stack))
    with pytest.raises(BadSettings, match="it is for every stack of the project"):
        source(folder, "prod")
