"""A PostgreSQL server's files and process: all that is needed to stop and remove it.

Only the standard library is imported here: a half-made checkout can be cleared too.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.localcloud.emulator_control import command_line
from tools.localcloud.files import write_if_changed
from tools.localcloud.layout import SetupError

_STOP_SECONDS = 30


@dataclass(frozen=True)
class Cluster:
    """Settings to start the server again, kept in `cluster.json`, which only the owner may read.

    Attributes:
        data: the server's data directory.
        port: TCP port; 0 before the first start.
        version: major version.
    """

    data: str
    port: int
    version: int
    admin_user: str = "postgres"
    admin_password: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    superuser: str = "rdsadmin"
    superuser_password: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)


@dataclass(frozen=True)
class Postmaster:
    """The process that serves a cluster, by its own account; it accepts connections once it is ready."""

    pid: int
    port: int
    ready: bool


def read_cluster(directory: Path) -> Cluster | None:
    """Return the cluster whose files are in `directory`; None if it was never made to its end."""
    try:
        return Cluster(**json.loads(directory.joinpath("cluster.json").read_text()))
    except FileNotFoundError:
        return None


def write_cluster(directory: Path, cluster: Cluster) -> None:
    """Write the cluster's settings in one step."""
    write_if_changed(directory / "cluster.json", json.dumps(asdict(cluster)), 0o600)


def begin_data(directory: Path, data: Path) -> None:
    """Record a data directory before it is created, so that an interruption leaves none unrecorded."""
    write_if_changed(_unfinished(directory), str(data))


def remove_unfinished_data(directory: Path) -> None:
    """Delete the data directory of a cluster that was not made to its end."""
    noted = _unfinished(directory)
    if noted.exists():
        cluster = read_cluster(directory)
        data = noted.read_text()
        if cluster is None or cluster.data != data:
            shutil.rmtree(data, ignore_errors=True)
        noted.unlink()


def postmaster(cluster: Cluster) -> Postmaster | None:
    """Return the process that serves this data; a crash's pid file may name an unrelated process."""
    try:
        lines = Path(cluster.data, "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if cluster.data not in " ".join(command_line(pid)):
        return None
    # Its lines: pid, data directory, time, port, socket directory, address, shared memory, status.
    port = int(lines[3]) if len(lines) > 3 and lines[3].isdecimal() else cluster.port  # noqa: PLR2004 -- as above
    return Postmaster(pid, port, ready=lines[-1].rstrip() == "ready")


def stop(directory: Path) -> bool:
    """Stop the server at once; return False if none was running. Its data stay.

    Raises:
        SetupError: It is still running after half a minute.
    """
    cluster = read_cluster(directory)
    found = postmaster(cluster) if cluster else None
    if cluster is None or found is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGINT)
    deadline = time.monotonic() + _STOP_SECONDS
    while postmaster(cluster) is not None:
        _reap(found.pid)
        if time.monotonic() > deadline:
            raise SetupError(
                f"PostgreSQL (process {found.pid}) has not stopped in {_STOP_SECONDS} s. End it by hand."
            )
        time.sleep(0.02)
    return True


def remove(directory: Path) -> None:
    """Stop the server and delete all of its files."""
    stop(directory)
    remove_unfinished_data(directory)
    cluster = read_cluster(directory)
    if cluster is not None:
        shutil.rmtree(cluster.data, ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)


def _unfinished(directory: Path) -> Path:
    return directory / "unfinished-data"


def _reap(pid: int) -> None:
    """Collect the process if it is a child of this one."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
