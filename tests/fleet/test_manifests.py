"""The examples for Pulumi's own machinery: of the published shape, about the groups of their stack file."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from automation.fleet.stack_files import source
from settings.schema import stack_file_schema
from tests.engine.stacks import ROOT
from tests.example_project import PROJECT_FILE
from tests.local_engine import local_engine

EXAMPLES = ROOT / "examples" / "kubernetes-operator"
SCHEMAS = {
    path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "schemas").glob("*.json")
}
DOCS = (ROOT / "docs" / "fleet.md").read_text()


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))


@pytest.mark.parametrize("name", ["stacks.yaml", "workspace.yaml"])
def test_the_manifests_have_the_shape_that_the_operator_publishes(name: str) -> None:
    found = manifests(name)
    assert found
    for manifest in found:
        jsonschema.Draft202012Validator(SCHEMAS[manifest["kind"]]).validate(manifest)


def test_the_shapes_refuse_what_the_operator_does_not_know() -> None:
    stack, workspace = manifests("stacks.yaml")[0], manifests("workspace.yaml")[0]
    for manifest, wrong in (
        (stack, {"projectRepository": "x"}),
        (stack, {"workspaceReclaimPolicy": "Keep"}),
        (stack, {"envRefs": {"A": {"value": "x"}}}),
        (workspace, {"securityProfile": 1}),
    ):
        broken = {**manifest, "spec": {**manifest["spec"], **wrong}}
        assert not jsonschema.Draft202012Validator(SCHEMAS[manifest["kind"]]).is_valid(broken), wrong


def test_there_is_a_stack_for_each_group_run_by_an_account_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT_FILE)
    (tmp_path / "Pulumi.prod.yaml").write_text((EXAMPLES / "Pulumi.prod.yaml").read_text())
    jsonschema.Draft202012Validator(stack_file_schema()).validate(
        yaml.safe_load((EXAMPLES / "Pulumi.prod.yaml").read_text())
    )
    fleet = source(tmp_path, "prod")
    assert [manifest["spec"]["stack"] for manifest in manifests("stacks.yaml")] == [
        group.stack for group in fleet.division.groups
    ]
    fleet.write(fleet.division.groups)
    made = yaml.safe_load((tmp_path / "Pulumi.prod.web.yaml").read_text())
    assert made["encryptedkey"] == "AQICAHgEXAMPLE="
    assert made["secretsprovider"].startswith("awskms://")
    accounts = {
        (manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        for manifest in manifests("access.yaml")
        if manifest["kind"] == "ServiceAccount"
    }
    for manifest in (*manifests("stacks.yaml"), *manifests("workspace.yaml")):
        account = (manifest["metadata"]["namespace"], manifest["spec"]["serviceAccountName"])
        assert account in accounts


def test_the_command_for_pulumi_deployments_has_only_options_that_the_cli_knows() -> None:
    [block] = re.findall(r"```sh\n(for group in .*?)```", DOCS, re.DOTALL)
    [line] = [line for line in block.replace("\\\n", " ").splitlines() if "deployment settings edit" in line]
    options = {word.partition("=")[0] for word in shlex.split(line) if word.startswith("--")}
    told = subprocess.run(
        [local_engine().pulumi, "deployment", "settings", "edit", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert len(options) > 5
    assert options <= set(re.findall(r"--[a-z-]+", told))
