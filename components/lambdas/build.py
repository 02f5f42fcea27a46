"""Build the rotation function's archive: `python -m components.lambdas.build [--output FILE]`.

The archive is byte-for-byte the same from every checkout on every machine: fixed order, times and
permissions, no bytecode, no installer metadata, and no compression, whose result depends on the version of
zlib. The dependencies are those of `requirements.txt`, pure Python only, pinned by hash and downloaded once
into a cache.
"""

import argparse
import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COPIER_HANDLER = "copier.handler.handle"
HANDLER = "rotation.handler.handle"
REDEPLOY_HANDLER = "redeploy.handle"
WRITER_HANDLER = "writer.handler.handle"
NOTICES_HANDLER = "notices.handler.handle"
REHEARSAL_HANDLER = "rehearsal.handler.handle"

_HERE = Path(__file__).resolve().parent
_COMMON = _HERE / "common"
_REQUIREMENTS = _HERE / "requirements.txt"
_LOCAL = _HERE.parents[1] / ".local" / "functions"

# The part of a distribution's metadata that its own code reads (METADATA) or its license requires.
_KEPT_METADATA = {"METADATA", "LICENSE", "LICENSE.txt", "COPYING", "NOTICE"}
_EARLIEST_TIME = (1980, 1, 1, 0, 0, 0)  # of a zip file
_READABLE = 0o100644 << 16
_UNIX = 3


def _files(name: str) -> dict[str, Path]:
    """Return the files of a package or module of this folder: name in the archive to path.

    A package contains the modules of `common`, in place of its own modules that only re-export them.
    """
    source = _HERE / name
    if source.is_file():
        return {name: source}
    files = {
        path.relative_to(_HERE).as_posix(): path
        for path in sorted(source.rglob("*"))
        if path.suffix in {".py", ".pem"}
    }
    common = {f"{name}/{path.name}": path for path in _COMMON.glob("*.py") if path.name != "__init__.py"}
    return dict(sorted({**files, **common}.items()))


ROTATION_FILES = _files("rotation")
"""The rotation function's own files, by their name in the archive; its dependencies are added to them."""

WRITER_FILES = _files("writer")
"""The writer's files, by their name in the archive. It uses only the libraries that Lambda provides."""

COPIER_FILES = {
    **_files("copier"),
    **{f"copier/{name}": _HERE / "writer" / name for name in ("errors.py", "store.py")},
}
"""The copier's files, by their name in the archive, with the writer's client of Secrets Manager."""

REDEPLOY_FILES = _files("redeploy.py")
"""The redeployment function's files, by their name in the archive, likewise without dependencies."""

NOTICES_FILES = {**_files("notices"), "notices/outcomes.py": _HERE / "rehearsal" / "outcomes.py"}
"""The files of the function that sends notices, by their name in the archive, likewise."""

REHEARSAL_FILES = {
    **_files("rehearsal"),
    "rehearsal/rotation_protocol.py": _HERE / "rotation" / "protocol.py",
}
"""The files of the function that rehearses on a schedule, by their name in the archive, likewise."""


class BuildError(Exception):
    """The archive cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Archive:
    """A built archive.

    Attributes:
        path: the zip file.
        sha256: its SHA-256 in base64, like Lambda's CodeSha256.
        size: its size in bytes.
    """

    path: Path
    sha256: str
    size: int


def build(output: Path = _LOCAL / "rotation.zip", cache: Path = _LOCAL / "cache") -> Archive:
    """Build the rotation function's archive.

    Args:
        output: path of the archive, which is replaced atomically, and not touched if it is up to date.
        cache: folder in which the dependencies are kept.

    Raises:
        BuildError: the dependencies could not be downloaded.
    """
    files = {**ROTATION_FILES, **dict(_dependencies(cache))}
    output.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=output.parent, prefix=".rotation-", suffix=".zip")
    try:
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, _EARLIEST_TIME)
                entry.external_attr, entry.create_system = _READABLE, _UNIX
                archive.writestr(entry, files[name].read_bytes())
        data = Path(temporary).read_bytes()
        if output.is_file() and output.read_bytes() == data:
            Path(temporary).unlink()
        else:
            Path(temporary).chmod(0o644)
            Path(temporary).replace(output)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Archive(output, base64.b64encode(hashlib.sha256(data).digest()).decode(), len(data))


def _dependencies(cache: Path) -> Iterator[tuple[str, Path]]:
    folder = cache / hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:16]
    if not folder.is_dir():
        _download(folder)
    for path in folder.rglob("*"):
        if path.is_file() and _is_needed(path.relative_to(folder)):
            yield path.relative_to(folder).as_posix(), path


def _is_needed(path: Path) -> bool:
    if path.suffix == ".pyc" or path.parts[0] == "bin":
        return False
    return not path.parts[0].endswith(".dist-info") or path.name in _KEPT_METADATA


def _download(folder: Path) -> None:
    """Install into a temporary folder first, so that an interrupted download never looks complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".fetch-"))
    # wheels for any Python version, operating system and processor: pure Python
    anywhere = ["--only-binary=:all:", "--platform", "any", "--abi", "none", "--implementation", "py"]
    pinned = ["--require-hashes", "--no-deps", "--no-compile"]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    try:
        completed = subprocess.run(
            [*pip, *pinned, *anywhere, "--target", temporary, "-r", _REQUIREMENTS],
            check=False,
            capture_output=True,
            text=True,
        )
        if completed.returncode != 0:
            raise BuildError(
                f"The rotation function's dependencies ({_REQUIREMENTS.name}) could not be downloaded with "
                "pip. Check the network and pip's settings. pip's "
                f"output:\n{completed.stderr.strip()[-1500:]}"
            )
        if not folder.is_dir():  # a concurrent build may have been faster
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Build the archive, print its path, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=_LOCAL / "rotation.zip")
    parser.add_argument("--cache", type=Path, default=_LOCAL / "cache")
    options = parser.parse_args(arguments)
    try:
        archive = build(options.output, options.cache)
    except (BuildError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{archive.path} {archive.size} bytes, SHA-256 {archive.sha256}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
