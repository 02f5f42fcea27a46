"""kube-apiserver, etcd and the External Secrets Operator, built from their Go modules.

They are built when TEST_OPERATORS=fetch says so (`make test-operators`), and kept in `.venv/operators` until
their versions change.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.localcloud.engine_build import (
    NO_DEBUGGING,
    Go,
    compile_progress,
    fetch_modules,
    find_go,
    run_go,
)
from tools.localcloud.layout import SetupError, checkout

FETCH = os.environ.get("TEST_OPERATORS") == "fetch"

_HERE = Path(__file__).parent
_API_SERVER = "k8s.io/kubernetes/cmd/kube-apiserver"
_ETCD = "go.etcd.io/etcd/server/v3"
_OPERATOR = "github.com/external-secrets/external-secrets"
# Programs that run for seconds: optimizing them would take longer than it saves.
_COMPILER = f"-gcflags=all={NO_DEBUGGING} -N -l"
# The operator with AWS's provider alone: the others' libraries are nine tenths of its build.
_REGISTERED = {
    "pkg/provider/register/register.go": f'package register\n\nimport _ "{_OPERATOR}/pkg/provider/aws"\n',
    "pkg/generator/register/register.go": "package register\n",
}
_OPERATOR_MODULES = "the Go modules of the External Secrets Operator"
_OPERATOR_SOURCES = ("apis", "cmd", "pkg", "go.mod", "go.sum", "main.go")


@dataclass(frozen=True)
class Programs:
    """Paths of what was built, and of what the operator's module has.

    Attributes:
        api_server, etcd, operator: programs.
        custom_resources: YAML files of the operator's CustomResourceDefinitions.
        permissions: the Helm template of the operator's permissions.
        versions: version of each project.
    """

    api_server: Path
    etcd: Path
    operator: Path
    custom_resources: tuple[Path, ...]
    permissions: Path
    versions: dict[str, str]


def built_programs() -> Programs:
    """Build the programs unless they are there.

    Raises:
        SetupError: a module cannot be fetched, or Go failed.
    """
    cluster = _kept("kubernetes", "kubernetes", _build_cluster)
    resources = _kept("resources", "external_secrets", _copy_resources)
    operator = _kept("external_secrets", "external_secrets", _build_operator, f"{_REGISTERED}")
    return Programs(
        api_server=cluster / "kube-apiserver",
        etcd=cluster / "etcd",
        operator=operator / "external-secrets",
        custom_resources=tuple(sorted((resources / "crds").glob("*.yaml"))),
        permissions=resources / "rbac.yaml",
        versions={
            "kubernetes": _version("kubernetes", "k8s.io/kubernetes"),
            "external-secrets": _version("external_secrets", _OPERATOR),
        },
    )


def _version(module: str, path: str) -> str:
    found = re.search(rf"{re.escape(path)} (v\S+)", (_HERE / module / "go.mod").read_text())
    assert found, f"{module}/go.mod does not require {path}"
    return found[1]


@dataclass(frozen=True)
class _Build:
    """Packages of a module that become programs.

    Attributes:
        module: its folder.
        packages: the programs' packages.
        what: the modules in words.
        linker: further flags.
    """

    module: Path
    packages: Sequence[str]
    what: str
    linker: str = ""


def _build_cluster(go: Go, folder: Path) -> None:
    version = _version("kubernetes", "k8s.io/kubernetes")
    build = _Build(
        module=_HERE / "kubernetes",
        packages=[_API_SERVER, _ETCD],
        what="the Go modules of Kubernetes and etcd",
        linker=f"-X k8s.io/component-base/version.gitVersion={version}",
    )
    _run(go, build, folder)
    (folder / "server").rename(folder / "etcd")


def _operator_module(go: Go) -> Path:
    """Return the folder of the operator's module in Go's cache, whose hash Go has verified."""
    asked = run_go(go, _HERE / "external_secrets", ["mod", "download", "-json", _OPERATOR], _OPERATOR_MODULES)
    return Path(json.loads(asked)["Dir"])


def _copy_resources(go: Go, folder: Path) -> None:
    module = _operator_module(go)
    _copy(module / "config" / "crds" / "bases", folder / "crds")
    (folder / "crds" / "kustomization.yaml").unlink()
    _copy(module / "deploy" / "charts" / "external-secrets" / "templates" / "rbac.yaml", folder / "rbac.yaml")


def _build_operator(go: Go, folder: Path) -> None:
    module = _operator_module(go)
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary)
        for name in _OPERATOR_SOURCES:
            _copy(module / name, source / name)
        for name, text in _REGISTERED.items():
            (source / name).write_text(text)
        _run(go, _Build(module=source, packages=[_OPERATOR], what=_OPERATOR_MODULES), folder)


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a tree of the module cache, whose files nobody may write, as writable ones."""
    if source.is_file():
        target.write_bytes(source.read_bytes())
        return
    target.mkdir()
    for entry in source.iterdir():
        _copy(entry, target / entry.name)


def _run(go: Go, build: _Build, folder: Path) -> None:
    """Build programs into a folder."""
    sys.stdout.write(f"Building from source, with {build.what}: this takes many minutes, once.\n")
    sys.stdout.flush()
    started = time.monotonic()
    count = fetch_modules(go, build.module, build.packages, build.what)
    command = ["build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {build.linker}", _COMPILER]
    command += ["-o", f"{folder}{os.sep}", *build.packages]
    run_go(go, build.module, command, build.what, compile_progress(build.packages[0], count))
    sys.stdout.write(f"  built in {time.monotonic() - started:.0f} s\n")


def _kept(name: str, module: str, build: Callable[[Go, Path], None], changes: str = "") -> Path:
    """Return a folder that `build` fills, unless it was filled from the same versions of a module before.

    Args:
        name: of the folder.
        module: where go.mod and go.sum are.
        build: what fills it.
        changes: our changes to the module's files.
    """
    sources = [(_HERE / module / file).read_bytes() for file in ("go.mod", "go.sum")]
    digest = hashlib.sha256(b"".join([*sources, f"{_COMPILER}{changes}".encode()])).hexdigest()[:12]
    layout = checkout()
    folder = layout.root / ".venv" / "operators" / f"{name}-{digest}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".unfinished-"))
    try:
        build(find_go(layout), unfinished)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for other in folder.parent.glob(f"{name}-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder


if __name__ == "__main__":
    try:
        built_programs()
    except SetupError as error:
        sys.exit(f"error: {error}")
