"""Find the programs of MariaDB, MySQL, Redis and Valkey on this machine, or unpack Debian's packages.

In this order: the program that a variable names, the one on PATH, and Debian's packages, unpacked into a
folder of this checkout. A program that is too old is passed over.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.localcloud.files import exclusive
from tools.localcloud.layout import SetupError, checkout
from tools.localcloud.servers import debian
from tools.localcloud.servers.debian import NotOfferedError, PackageError, Packages

Engine = Literal["mariadb", "mysql", "redis", "valkey"]

TITLES: dict[Engine, str] = {"mariadb": "MariaDB", "mysql": "MySQL", "redis": "Redis", "valkey": "Valkey"}


class UnavailableError(SetupError):
    """A server cannot exist on this machine. The message says what to install."""


@dataclass(frozen=True)
class Programs:
    """A server that can be started.

    Attributes:
        engine: whose server this is.
        version: such as `10.11.19`.
        command: the server's program, after the loader of its C library where it brings one.
        root: the folder that it was unpacked into; None for one that is installed.
    """

    engine: Engine
    version: str
    command: tuple[str, ...]
    root: Path | None = None

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers."""
        return tuple(int(part) for part in self.version.split("."))


@dataclass(frozen=True)
class _Source:
    """Where an engine's server is found.

    Attributes:
        variable: the environment's variable that names the program.
        program: its path in the packages; its last part is searched on PATH.
        oldest: the oldest version that has two passwords for one user, TLS, and what `sql` and `redis` need.
        packages: the first that is offered is taken.
        others: further versions by suite.
    """

    variable: str
    program: str
    oldest: tuple[int, ...]
    packages: tuple[Packages, ...]
    others: tuple[Packages, ...] = ()


# Debian's stable suites have no MySQL, and Ubuntu has no plain `mysql-server-core`.
_SOURCES: dict[Engine, _Source] = {
    "mariadb": _Source(
        variable="LOCALCLOUD_MARIADB",
        program="usr/sbin/mariadbd",
        oldest=(10, 5),
        # mariadb-server has the plugin for ed25519, and would bring Perl
        packages=(Packages(("mariadb-server-core",), alone=("mariadb-server",)),),
        others=(
            Packages(("mariadb-server-core-10.5",), alone=("mariadb-server-10.5",), suite="bullseye"),
            Packages(("mariadb-server-core",), alone=("mariadb-server",), suite="trixie"),
        ),
    ),
    "mysql": _Source(
        variable="LOCALCLOUD_MYSQL",
        program="usr/sbin/mysqld",
        oldest=(8, 0, 29),
        packages=(
            Packages(("mysql-server-core",)),
            Packages(("mysql-server-core-8.4",)),
            Packages(("mysql-server-core-8.0",)),
            Packages(("mysql-server-core",), suite="sid"),
        ),
    ),
    "redis": _Source(
        variable="LOCALCLOUD_REDIS",
        program="usr/bin/redis-server",
        oldest=(6, 2),
        packages=(Packages(("redis-tools",), alone=("redis-server",)),),
    ),
    "valkey": _Source(
        variable="LOCALCLOUD_VALKEY",
        program="usr/bin/valkey-server",
        oldest=(7, 2),
        packages=(
            Packages(("valkey-tools",), alone=("valkey-server",)),
            Packages(("valkey-tools",), alone=("valkey-server",), suite="trixie"),
        ),
    ),
}


def find_or_unpack(engine: Engine, suite: str | None = None) -> Programs:
    """Return an engine's server, unpacking Debian's packages where the machine has none.

    Args:
        engine: whose server.
        suite: Debian's suite to take it from, for another version than the machine's; by default the
            installed one, else whatever is offered.

    Raises:
        UnavailableError: None was found, and no package source of this machine offers one.
        SetupError: The variable names something else, or a package cannot be downloaded or started.
    """
    if suite is None:
        found = _named(engine) or _installed(engine)
        if found is not None:
            return found
        return _unpacked(engine, _SOURCES[engine].packages, engine)
    others = [one for one in _SOURCES[engine].others + _SOURCES[engine].packages if one.suite == suite]
    return _unpacked(engine, others, f"{engine}-{suite}")


def _named(engine: Engine) -> Programs | None:
    source = _SOURCES[engine]
    named = os.environ.get(source.variable)
    if not named:
        return None
    found = _usable(engine, (named,))
    if found is None:
        raise SetupError(
            f"{source.variable} is {named!r}, which is not a server of {TITLES[engine]} "
            f"{_dotted(source.oldest)} or later. Correct it, or unset it to search for a server."
        )
    return found


def _installed(engine: Engine) -> Programs | None:
    name = Path(_SOURCES[engine].program).name
    # where Debian and its relatives have servers, which is not on everybody's PATH
    place = shutil.which(
        name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    )
    return _usable(engine, (str(Path(place).absolute()),)) if place else None


def _usable(engine: Engine, command: tuple[str, ...], root: Path | None = None) -> Programs | None:
    """Return the server if it runs, is of this engine, and is recent enough."""
    try:
        said = subprocess.run(
            [*command, "--version"], check=True, capture_output=True, text=True, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    if _engine_of(said) != engine:
        return None
    version = re.search(r"(?:Ver |v=)(\d+\.\d+\.\d+)", said)
    if version is None:
        return None
    found = Programs(engine, version[1], command, root)
    return found if found.release >= _SOURCES[engine].oldest else None


def _engine_of(said: str) -> Engine | None:
    """Return whose server says this of itself; MariaDB's is called `mysqld` too."""
    lower = said.lower()
    for word, engine in _WORDS:
        if word in lower:
            return engine
    return None


_WORDS: tuple[tuple[str, Engine], ...] = (
    ("mariadb", "mariadb"),
    ("mysqld", "mysql"),
    ("valkey", "valkey"),
    ("redis", "redis"),
)


def _unpacked(engine: Engine, offers: Sequence[Packages], name: str) -> Programs:
    """Return the server of a folder next to the virtual environment, unpacking it the first time."""
    folder = checkout().servers / name
    with exclusive(folder.with_name(f"{name}.lock"), lambda: None):
        found = _at(engine, folder) if folder.is_dir() else None
        if found is not None:
            return found
        if not debian.is_possible():
            raise UnavailableError(_advice(engine, "this machine has no apt-get"))
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{TITLES[engine]}: unpacking Debian packages into {folder}", file=sys.stderr, flush=True)
        _unpack_first(engine, offers, folder)
        return _require(engine, folder)


def _unpack_first(engine: Engine, offers: Sequence[Packages], folder: Path) -> None:
    reasons, offered = [], False
    # Unpacked next to its place: an interrupted download is not taken for a server.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        downloads = debian.Downloads(Path(temporary, "apt"))
        for number, offer in enumerate(offers):
            target = Path(temporary, f"root-{number}")
            try:
                downloads.unpack(offer, target)
                _require(engine, target)
            except PackageError as error:
                offered = offered or not isinstance(error, NotOfferedError)
                reasons.append(f"{offer.names[0]} of {offer.suite or 'the configured sources'}: {error}")
                continue
            target.rename(folder)
            return
    advice = _advice(engine, "; ".join(reasons))
    raise SetupError(advice) if offered else UnavailableError(advice)


def _require(engine: Engine, folder: Path) -> Programs:
    found = _at(engine, folder)
    if found is None:
        raise PackageError(f"its server does not run, or is older than {_dotted(_SOURCES[engine].oldest)}")
    return found


def _at(engine: Engine, folder: Path) -> Programs | None:
    try:
        command = debian.command(folder, _SOURCES[engine].program)
    except PackageError:
        return None
    return _usable(engine, command, folder)


def _advice(engine: Engine, reason: str) -> str:
    source, title = _SOURCES[engine], TITLES[engine]
    name = Path(source.program).name
    return (
        f"No server of {title} {_dotted(source.oldest)} or later was found, and none could be unpacked "
        f"({reason}). Install one, so that {name} is on PATH, or set {source.variable} to its path."
    )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
