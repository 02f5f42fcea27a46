"""Setup compiles what commands import, so that none of them compiles it again."""

import json
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from tools.localcloud.bytecode import compile_installed, services
from tools.localcloud.layout import Layout, checkout

ROOT = checkout().root
STARTED = (
    "program",
    "pulumi_aws.lambda_",
    "tools.localcloud.plugins.serve",
    "tools.localcloud.emulator.server",
    "pytest",
)


@pytest.mark.parametrize("module", STARTED)
def test_every_installed_module_that_a_command_imports_is_compiled(module: str) -> None:
    imports = (
        f"import importlib, json, sys; importlib.import_module({module!r}); "
        # pulumi_aws's services are lazy: to look at one that is not loaded loads it
        "found = [module for module in sys.modules.values() if type(module) is type(sys)]; "
        "print(json.dumps([getattr(module, '__file__', None) or '' for module in found]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", imports], cwd=ROOT, capture_output=True, text=True, check=True
    )
    sources = [name for name in json.loads(ran.stdout) if "site-packages" in name and name.endswith(".py")]
    assert sources
    assert [name for name in sources if not Path(cache_from_source(name)).exists()] == []


def test_services_that_no_component_uses_are_left_out(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    for name in ("other/inner", "pulumi_aws/kms", "pulumi_aws/kmsother", "pulumi_aws/sagemaker"):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").write_text("")
    (packages / "pulumi_aws" / "_inputs.py").write_text("")
    (packages / "other" / "template.py").write_text("def {{ name }}(:")
    program = tmp_path / "program"
    program.mkdir()
    (program / "key.py").write_text("key = aws.kms.Key('key')\n")
    layout = Layout(tmp_path)
    compile_installed(layout, packages)
    compiled = {path.parent.parent.relative_to(packages).as_posix() for path in packages.rglob("*.pyc")}
    assert services(layout) == ["kms"]
    assert compiled == {"other/inner", "pulumi_aws", "pulumi_aws/kms"}
