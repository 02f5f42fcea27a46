"""The project's and the stacks' files, as committed."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

from stack_file import check, files
from stack_file.schema import stack_file_schema

ROOT = Path(__file__).parents[2]
FILES = ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.local.yaml")


def committed(name: str) -> str:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("these files are read from git, and this is not a clone")
    done = subprocess.run(
        ["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("stack", ["dev", "local"])
def test_a_shipped_stack_file_has_no_mistake_and_follows_the_schema(
    stack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    authorities = tmp_path / ".local" / "postgres" / "ca.pem"  # created by `make up`
    authorities.parent.mkdir(parents=True)
    authorities.write_text("-----BEGIN CERTIFICATE-----\n")
    for name in FILES:
        (tmp_path / name).write_text(committed(name))
    configuration = files.read(tmp_path, stack)
    assert not configuration.mistakes
    # encrypted values are added later, with `pulumi config set`
    unset = {
        f"aws-secrets:{name}": "x"
        for name in re.findall(r"\{config: (\w+)\}", committed(f"Pulumi.{stack}.yaml"))
    }
    whole = replace(
        configuration,
        values={**unset, **configuration.values},
        encrypted=configuration.encrypted | unset.keys(),
    )
    assert check(whole).stack_file.secrets
    document = yaml.safe_load((tmp_path / f"Pulumi.{stack}.yaml").read_text())
    jsonschema.Draft202012Validator(json.loads(json.dumps(stack_file_schema()))).validate(document)
