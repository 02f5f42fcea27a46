"""Paths of the local cloud: all below the checkout, none in the user's home."""

from dataclasses import dataclass
from pathlib import Path


class SetupError(Exception):
    """A step failed. The message says what is wrong and what to do; it is shown without a traceback."""


@dataclass(frozen=True)
class Layout:
    """Paths of one checkout. `.local` is state, which `down` removes; `.venv` is tools, which stay.

    Attributes:
        root: the checkout.
        stack: the stack that commands work on.
    """

    root: Path
    stack: str = "local"

    @property
    def stack_file(self) -> Path:
        """The stack's file."""
        return self.root / f"Pulumi.{self.stack}.yaml"

    @property
    def local(self) -> Path:
        """Everything that `down` removes."""
        return self.root / ".local"

    @property
    def bin(self) -> Path:
        """Programs that come first on PATH once the environment is set."""
        return self.local / "bin"

    @property
    def pulumi(self) -> Path:
        """The engine's command-line program."""
        return self.bin / "pulumi"

    @property
    def pulumi_home(self) -> Path:
        """PULUMI_HOME: plugins, the selected stack."""
        return self.local / "pulumi-home"

    @property
    def state(self) -> Path:
        """The file backend's folder."""
        return self.local / "state"

    @property
    def emulator(self) -> Path:
        """The emulator's pid, port, log and data."""
        return self.local / "emulator"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data, log, settings and authority (`ca.pem`, which the stack file names)."""
        return self.local / "postgres"

    @property
    def postgres_wheel(self) -> Path:
        """A PostgreSQL server from the package registry, where the machine has none."""
        return self.root / ".venv" / "postgres"

    @property
    def mariadb(self) -> Path:
        """MariaDB's data, logs, settings and authority."""
        return self.local / "mariadb"

    @property
    def mysql(self) -> Path:
        """MySQL's data, logs, settings and authority."""
        return self.local / "mysql"

    @property
    def redis(self) -> Path:
        """Redis's log, settings and authority."""
        return self.local / "redis"

    @property
    def servers(self) -> Path:
        """Servers of MariaDB, MySQL, Redis and Valkey unpacked from Debian's packages."""
        return self.root / ".venv" / "servers"

    @property
    def env_file(self) -> Path:
        """The shell file to source."""
        return self.local / "env"

    @property
    def build(self) -> Path:
        """A Go toolchain and its caches for the build of the engine, where the user has none."""
        return self.local / "build"

    @property
    def python(self) -> Path:
        """The virtual environment's interpreter."""
        return self.root / ".venv" / "bin" / "python"

    @property
    def engines(self) -> Path:
        """Engines built from source, one folder for each set of pinned versions."""
        return self.root / ".venv" / "engine"

    @property
    def downloads(self) -> Path:
        """Official archives being downloaded; an interrupted one is resumed by the next command."""
        return self.engines / "downloads"

    @property
    def lock(self) -> Path:
        """Held by the command that changes anything of the above."""
        return self.root / ".venv" / "localcloud.lock"

    @property
    def engine_module(self) -> Path:
        """The Go module that pins the engine's versions."""
        return self.root / "tools" / "localcloud" / "engine"

    @property
    def checksums(self) -> Path:
        """The checksums of the official archives."""
        return self.engine_module / "checksums.txt"


def checkout(stack: str = Layout.stack) -> Layout:
    """Return the layout of the checkout that this file belongs to."""
    return Layout(Path(__file__).resolve().parents[2], stack)
