"""The checkers of workflows: actionlint, built once from its Go module, and zizmor from its wheel."""

import hashlib
import subprocess
import sys
from pathlib import Path

from localcloud.engine_build import find_go
from localcloud.files import exclusive
from localcloud.layout import checkout

_MODULE = Path(__file__).parent / "actionlint"
_PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"


def actionlint() -> Path:
    """The program of exactly the pinned versions, kept in the virtual environment; needs no network again."""
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


def complaints_of_actionlint(folder: Path) -> str:
    """What it says of the workflows in a folder; nothing if all is well. It uses no other program."""
    workflows = sorted(map(str, folder.glob("*.yml")))
    command = [str(actionlint()), "-no-color", "-shellcheck=", "-pyflakes=", *workflows]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def complaints_of_zizmor(folder: Path) -> str:
    """The same; it asks nobody, and finds what only careful people look for."""
    program = Path(sys.executable).with_name("zizmor")
    command = [str(program), "--offline", "--no-progress", "--persona=pedantic", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
