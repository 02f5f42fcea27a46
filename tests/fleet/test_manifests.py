"""The Kubernetes operator example matches the published schemas and its own stack file."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from operations.fleet.stack_files import load_fleet_file
from stack_file.schema import stack_file_schema
from tests.support.example_project import PROJECT_FILE
from tests.support.local_engine import local_engine
from tests.support.stacks import ROOT

EXAMPLES = ROOT / "examples" / "kubernetes-operator"
SCHEMAS = {
    path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "schemas").glob("*.json")
}
DOCS = (ROOT / "docs" / "fleet.md").read_text()


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))


@pytest.mark.parametrize("name", ["stacks.yaml", "workspace.yaml"])
def test_the_manifests_match_the_operators_schemas(name: str) -> None:
    documents = manifests(name)
    assert documents
    for manifest in documents:
        jsonschema.Draft202012Validator(SCHEMAS[manifest["kind"]]).validate(manifest)


def test_the_schemas_reject_unknown_fields() -> None:
    stack, workspace = manifests("stacks.yaml")[0], manifests("workspace.yaml")[0]
    for manifest, wrong in (
        (stack, {"projectRepository": "x"}),
        (stack, {"workspaceReclaimPolicy": "Keep"}),
        (stack, {"envRefs": {"A": {"value": "x"}}}),
        (workspace, {"securityProfile": 1}),
    ):
        broken = {**manifest, "spec": {**manifest["spec"], **wrong}}
        assert not jsonschema.Draft202012Validator(SCHEMAS[manifest["kind"]]).is_valid(broken), wrong


def test_each_group_has_a_stack_with_an_existing_service_account(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT_FILE)
    (tmp_path / "Pulumi.prod.yaml").write_text((EXAMPLES / "Pulumi.prod.yaml").read_text())
    jsonschema.Draft202012Validator(stack_file_schema()).validate(
        yaml.safe_load((EXAMPLES / "Pulumi.prod.yaml").read_text())
    )
    fleet = load_fleet_file(tmp_path, "prod")
    assert [manifest["spec"]["stack"] for manifest in manifests("stacks.yaml")] == [
        group.stack for group in fleet.partition.groups
    ]
    fleet.write(fleet.partition.groups)
    generated = yaml.safe_load((tmp_path / "Pulumi.prod.web.yaml").read_text())
    assert generated["encryptedkey"] == "AQICAHgEXAMPLE="
    assert generated["secretsprovider"].startswith("awskms://")
    accounts = {
        (manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        for manifest in manifests("access.yaml")
        if manifest["kind"] == "ServiceAccount"
    }
    for manifest in (*manifests("stacks.yaml"), *manifests("workspace.yaml")):
        account = (manifest["metadata"]["namespace"], manifest["spec"]["serviceAccountName"])
        assert account in accounts


def test_the_pulumi_deployments_command_uses_existing_options() -> None:
    [block] = re.findall(r"```sh\n(for group in .*?)```", DOCS, re.DOTALL)
    [line] = [line for line in block.replace("\\\n", " ").splitlines() if "deployment settings edit" in line]
    options = {word.partition("=")[0] for word in shlex.split(line) if word.startswith("--")}
    usage = subprocess.run(
        [local_engine().pulumi, "deployment", "settings", "edit", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert len(options) > 5
    assert options <= set(re.findall(r"--[a-z-]+", usage))
