"""Unpack Debian's packages, with every library that they need, into a folder of their own.

Nothing is installed: no service starts, no user is created, and root is not needed. Packages of a suite
other than the machine's run too, with their own C library. apt verifies what it downloads by Debian's
signatures.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_NOT_OFFERED = ("Unable to locate package", "no installation candidate", "does not have a Release file")
_NOT_NEEDED = ("perl", "debconf", "passwd", "adduser", "init-system-helpers", "libpam-", "login")


class PackageError(Exception):
    """apt cannot provide a package. The message is apt's last line."""


class NotOfferedError(PackageError):
    """No source of this machine offers the package."""


@dataclass(frozen=True)
class Packages:
    """Packages of one suite.

    Attributes:
        names: unpacked with all of their dependencies.
        alone: unpacked without dependencies.
        suite: such as `sid`; by default those of the machine's own sources.
    """

    names: tuple[str, ...]
    alone: tuple[str, ...] = ()
    suite: str | None = None


def is_possible() -> bool:
    """Return whether this machine has apt."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None


class Downloads:
    """A session of apt with private lists and archives, and with nothing installed."""

    def __init__(self, private: Path) -> None:
        """Begin in an empty folder, which the caller deletes afterwards."""
        self._archives = private / "cache" / "archives"
        self._private = private
        self._settings = private / "apt.conf"
        self._updated: set[str | None] = set()
        for made in (private / "lists" / "partial", self._archives / "partial"):
            made.mkdir(parents=True)
        private.joinpath("status").touch()
        self._write_settings()

    def unpack(self, packages: Packages, folder: Path) -> None:
        """Download the packages and unpack them into `folder`.

        Raises:
            NotOfferedError: This machine's sources do not offer them.
            PackageError: They cannot be downloaded or unpacked.
        """
        self._use_suite(packages.suite)
        self._run("install", "--yes", "--no-install-recommends", "--download-only", *packages.names)
        if packages.alone:
            self._run("download", *packages.alone)
        folder.mkdir(parents=True)
        for archive in sorted(self._archives.glob("*.deb")):
            if not any(word in archive.name for word in _NOT_NEEDED):
                _extract(archive, folder)
            archive.unlink()

    def _use_suite(self, suite: str | None) -> None:
        if None not in self._updated:
            # a source that this machine cannot reach must not matter
            self._run("update", may_fail=True)
            self._updated.add(None)
        if suite is None:
            return
        mirror = self._mirror()
        if mirror is None or not _KEYRING.exists():
            raise NotOfferedError(
                f"no mirror of Debian is among the sources of apt, so suite {suite} is not either"
            )
        sources = self._private / f"{suite}.list"
        sources.write_text(f"deb [signed-by={_KEYRING}] {mirror} {suite} main\n")
        self._write_settings(f'Dir::Etc::SourceList "{sources}";', 'Dir::Etc::SourceParts "/dev/null";')
        if suite not in self._updated:
            self._run("update")
            self._updated.add(suite)

    def _mirror(self) -> str | None:
        """Return the address of the Debian mirror that this machine uses."""
        shown = self._run("indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI) $(CODENAME)")
        for line in shown.splitlines():
            origin, component, address, codename = line.split()
            if (origin, component) == ("Debian", "main") and "-" not in codename:
                return address
        return None

    def _write_settings(self, *more: str) -> None:
        lines = [
            f'Dir::State "{self._private}";',
            f'Dir::State::Lists "{self._private / "lists"}";',
            f'Dir::State::Status "{self._private / "status"}";',
            f'Dir::Cache "{self._private / "cache"}";',
            'Acquire::Languages "none";',
            'Acquire::Retries "3";',
            'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";',
            *more,
        ]
        if os.geteuid() == 0:
            lines.append('APT::Sandbox::User "root";')  # apt's own user may not enter this folder
        self._settings.write_text("\n".join(lines) + "\n")

    def _run(self, *arguments: str, may_fail: bool = False) -> str:
        done = subprocess.run(
            ["apt-get", "-qq", *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=self._archives,  # where `download` writes
            env={**os.environ, "APT_CONFIG": str(self._settings), "LC_ALL": "C"},
        )
        if done.returncode and not may_fail:
            last = (done.stderr.strip().splitlines() or ["apt-get failed"])[-1]
            absent = any(words in done.stderr for words in _NOT_OFFERED)
            raise NotOfferedError(last) if absent else PackageError(last)
        return done.stdout


def command(folder: Path, program: str) -> tuple[str, ...]:
    """Return the command that runs a program of `folder` with the libraries there.

    Raises:
        PackageError: The folder has no such program, or no C library.
    """
    path = folder / program
    loaders = sorted(folder.glob("lib/*/ld-linux*.so*")) + sorted(folder.glob("usr/lib/*/ld-linux*.so*"))
    if not path.exists() or not loaders:
        raise PackageError(f"the packages hold no {program} that can run")
    libraries = [str(found) for place in ("lib", "usr/lib") for found in folder.glob(f"{place}/*-linux-*")]
    return (str(loaders[0]), "--library-path", ":".join(libraries), str(path))


def _extract(archive: Path, folder: Path) -> None:
    done = subprocess.run(
        ["dpkg-deb", "-x", str(archive), str(folder)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise PackageError(f"{archive.name}: {done.stderr.strip()[-200:]}")
