import ast
import hashlib
import subprocess
import sys
from pathlib import Path

import components
from components import archives
from components.lambdas import build

ROOT = Path(__file__).parents[3]


def test_every_exported_name_is_there_and_documented() -> None:
    for name in components.__all__:
        assert getattr(components, name).__doc__, name


def test_types_and_names_are_exported_from_the_same_modules() -> None:
    module = ast.parse((ROOT / "components" / "__init__.py").read_text())
    [typed] = [node for node in module.body if isinstance(node, ast.If)]
    imported = {
        name.name: node.module
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert imported == components._MODULES
    assert sorted(imported) == sorted(components.__all__)


def test_importing_the_package_loads_no_sdk() -> None:
    code = "import sys, components, components.visible; sys.exit('pulumi' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_archive_is_built_once_and_named_by_its_content(tmp_path: Path) -> None:
    digest = hashlib.sha256(build._REQUIREMENTS.read_bytes()).hexdigest()[:16]
    folder = tmp_path / "dependencies" / digest  # as if they had been fetched
    folder.mkdir(parents=True)
    (folder / "module.py").write_text("x = 1\n")
    first = archives.rotation_archive(tmp_path)
    time = Path(first).stat().st_mtime_ns
    assert archives.rotation_archive(tmp_path) == first
    assert Path(first).stat().st_mtime_ns == time
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [Path(first).name]
    (folder / "module.py").write_text("x = 2\n")
    assert archives.rotation_archive(tmp_path) != first
