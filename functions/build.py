"""Builds the rotation function's archive: `python functions/build.py [--output FILE] [--cache FOLDER]`.

The archive is the same, byte for byte, from every checkout on every machine: fixed order, time and
permissions, no bytecode, no installer's notes, and no compression, whose result depends on the zlib at hand.
Dependencies are the pinned ones of `requirements.txt`, pure Python only, checked by hash; they are fetched
once into the cache.
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

HANDLER = "rotation.handler.handle"
REDEPLOY_HANDLER = "redeploy.handle"
WRITER_HANDLER = "writer.handler.handle"

_HERE = Path(__file__).resolve().parent
_PACKAGE = _HERE / "rotation"
_REQUIREMENTS = _HERE / "requirements.txt"
_LOCAL = _HERE.parent / ".local" / "functions"

# Lambda's own libraries are enough for the other functions: name in the archive to file.
REDEPLOY_FILES = {"redeploy.py": _HERE / "redeploy.py"}
WRITER_FILES = {path.relative_to(_HERE).as_posix(): path for path in sorted((_HERE / "writer").glob("*.py"))}

# Of a distribution's metadata only what its own code reads (METADATA) and what its licence asks for.
_KEPT_METADATA = {"METADATA", "LICENSE", "LICENSE.txt", "COPYING", "NOTICE"}
_FIRST_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file knows
_READABLE = 0o100644 << 16
_UNIX = 3


class BuildError(Exception):
    """The archive cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Archive:
    """A built archive.

    Attributes:
        path: the zip file.
        sha256: base64 of its SHA-256, as Lambda gives it (CodeSha256).
        size: bytes.
    """

    path: Path
    sha256: str
    size: int


def build(output: Path = _LOCAL / "rotation.zip", cache: Path = _LOCAL / "cache") -> Archive:
    """Build the archive.

    Args:
        output: where it goes; replaced in one step, and left alone if it is the same already.
        cache: where dependencies are kept for the next time.

    Raises:
        BuildError: the dependencies cannot be fetched.
    """
    files = {**dict(_sources()), **dict(_dependencies(cache))}
    output.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=output.parent, prefix=".rotation-", suffix=".zip")
    try:
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, _FIRST_TIME)
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


def _sources() -> Iterator[tuple[str, Path]]:
    for path in _PACKAGE.rglob("*"):
        if path.suffix in {".py", ".pem"}:
            yield path.relative_to(_HERE).as_posix(), path


def _dependencies(cache: Path) -> Iterator[tuple[str, Path]]:
    folder = cache / hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:16]
    if not folder.is_dir():
        _fetch(folder)
    for path in folder.rglob("*"):
        if path.is_file() and _belongs(path.relative_to(folder)):
            yield path.relative_to(folder).as_posix(), path


def _belongs(path: Path) -> bool:
    if path.suffix == ".pyc" or path.parts[0] == "bin":
        return False
    return not path.parts[0].endswith(".dist-info") or path.name in _KEPT_METADATA


def _fetch(folder: Path) -> None:
    """Install into a temporary folder, so that one which was left halfway is never taken for whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".fetch-"))
    # wheels that name no Python version, operating system or processor: pure Python
    anywhere = ["--only-binary=:all:", "--platform", "any", "--abi", "none", "--implementation", "py"]
    pinned = ["--require-hashes", "--no-deps", "--no-compile"]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            [*pip, *pinned, *anywhere, "--target", temporary, "-r", _REQUIREMENTS],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise BuildError(
                f"The rotation function's dependencies ({_REQUIREMENTS.name}) could not be fetched with pip. "
                f"Check the network and pip's settings. pip said:\n{done.stderr.strip()[-1500:]}"
            )
        if not folder.is_dir():  # another build may have been faster
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Build, and say where the archive is; returns the exit code."""
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
