"""The language hosts that the engine needs for YAML and TypeScript, next to a pulumi of their own.

They are built and fetched when TEST_LANGUAGES=fetch says so (`make test-languages`), and kept in
`.local/languages`.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.local_engine import local_engine
from tools.localcloud.engine_build import find_go
from tools.localcloud.files import link_or_copy
from tools.localcloud.layout import checkout

FETCH = os.environ.get("TEST_LANGUAGES") == "fetch"

_HERE = Path(__file__).parent
_YAML_HOST = "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"


def commands(folder: Path) -> Path:
    """Fill a folder with pulumi and its language hosts for Python, YAML and Node.js; return it."""
    engine, layout = local_engine(), checkout()
    folder.mkdir()
    for command in engine.bin.iterdir():
        link_or_copy(command, folder / command.name)
    module = layout.engine_module
    yaml_host = _built(_HERE / "yaml_host", _YAML_HOST)
    # the host looks for others next to itself
    link_or_copy(yaml_host, folder / "pulumi-language-yaml")
    generator = _built(module, "./nodejs_sdk")
    python = shlex.join([str(engine.python), "-P", "-m", "tests.languages.node_host", str(generator)])
    launcher = folder / "pulumi-language-nodejs"
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(layout.root))} exec {python} "$@"\n')
    launcher.chmod(0o755)
    return folder


def node_modules() -> Path:
    """Fetch the packages of the TypeScript example, by the hashes of the lock file."""

    def fetch(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(_HERE / "npm" / name, folder / name)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "ci", *options], cwd=folder, check=True)

    return _kept("npm", [_HERE / "npm" / "package-lock.json"], fetch) / "node_modules"


def _built(module: Path, package: str) -> Path:
    def build(folder: Path) -> None:
        go = find_go(checkout())
        command = [go.program, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"]
        subprocess.run(
            [*command, "-o", str(folder / "host"), package], cwd=module, env=dict(go.environment), check=True
        )

    name = package.rpartition("/")[2]
    sources = [module / "go.mod", module / "go.sum", *sorted((module / name).glob("*.go"))]
    return _kept(name, sources, build) / "host"


def _kept(name: str, sources: list[Path], make: Callable[[Path], None]) -> Path:
    """Return a folder that `make` fills, unless it was filled from the same sources before."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    folder = checkout().local / "languages" / f"{name}-{digest}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".unfinished-"))
        make(unfinished)
        unfinished.replace(folder)
    return folder
