"""Run the linters of workflows: actionlint, built once from its Go module, and zizmor from its wheel."""

import hashlib
import subprocess
import sys
from pathlib import Path

from tools.localcloud.engine_build import find_go
from tools.localcloud.files import exclusive
from tools.localcloud.layout import checkout

_MODULE = Path(__file__).parents[1] / "workflows" / "actionlint"
_PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"


def actionlint() -> Path:
    """Return the program at its pinned version, built on first use and cached in the virtual environment."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((_MODULE / name).read_bytes())
    layout = checkout()
    folder = layout.root / ".venv" / "actionlint"
    program = folder / digest.hexdigest()[:12]
    folder.mkdir(exist_ok=True)
    with exclusive(folder / "lock", lambda: None):
        if not program.exists():
            go = find_go(layout)
            unfinished = folder / "unfinished"
            command = [go.program, "build", "-trimpath", "-o", str(unfinished), _PACKAGE]
            built = subprocess.run(
                command, cwd=_MODULE, env=dict(go.environment), capture_output=True, text=True, check=False
            )
            assert built.returncode == 0, built.stderr
            unfinished.rename(program)
    return program


def run_actionlint(folder: Path) -> str:
    """Return actionlint's findings for the workflows in a folder, without shellcheck and pyflakes."""
    workflows = sorted(map(str, folder.glob("*.yml")))
    command = [str(actionlint()), "-no-color", "-shellcheck=", "-pyflakes=", *workflows]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def run_zizmor(folder: Path) -> str:
    """Return the findings of zizmor's strictest persona, without network access."""
    program = Path(sys.executable).with_name("zizmor")
    command = [str(program), "--offline", "--no-progress", "--persona=pedantic", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
