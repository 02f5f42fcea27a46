"""A real MariaDB or MySQL server on this machine, whose administrator may do what Amazon RDS allows.

It listens on the loopback address, with a certificate for the host name `localhost` from an authority of
its own. Plain text is not refused, so that tests can show that a client never uses it. As on RDS, the
administrator (`admin`) is not a superuser: it may create users and databases and grant what it has, and the
superuser is somebody else (`rdsadmin`, here for tests). Every statement is logged as it arrived, so that a
password which reached the server in a statement would be seen.
"""

import socket
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import pymysql

from tools.localcloud.files import exclusive
from tools.localcloud.layout import SetupError
from tools.localcloud.ports import any_free_port, require_free
from tools.localcloud.servers.process import (
    HOST,
    PORT_SECONDS,
    START_SECONDS,
    find_running,
    kill,
    launch_and_find,
    process_of,
    read_settings,
    remove,
    stop,
    write_settings,
)
from tools.localcloud.servers.programs import TITLES, Programs, find_or_unpack
from tools.localcloud.servers.sql_files import make, write_options

__all__ = ["SqlServer", "connect", "create_database", "reload_tls", "remove", "running", "start", "stop"]

SqlEngine = Literal["mariadb", "mysql"]


@dataclass(frozen=True)
class SqlServer:
    """A running server and its administrator. Printing it shows no password.

    Attributes:
        engine: MariaDB or MySQL.
        directory: the folder given to `start`.
        host: the name that the certificate is for.
        port: TCP port on the loopback address.
        ca_file: PEM file of the authority to trust.
        certificate_file: the server's certificate, and its key in `key_file`; see `reload_tls`.
        log_file: the server's own log.
        statements_file: every statement as it arrived, and every connection with its user.
        socket: for clients on this machine, without TLS.
        version: such as `10.11.19`.
        pid: the server's process id.
        admin_user: may create users and databases, as the master user on RDS.
        superuser: may do anything; RDS has it too, but gives it to nobody.
    """

    engine: SqlEngine
    directory: Path
    host: str
    port: int
    ca_file: Path
    certificate_file: Path
    key_file: Path
    log_file: Path
    statements_file: Path
    socket: Path
    version: str
    pid: int
    admin_user: str
    admin_password: str = field(repr=False)
    superuser: str
    superuser_password: str = field(repr=False)


def start(directory: Path, engine: SqlEngine, port: int = 0, programs: Programs | None = None) -> SqlServer:
    """Start the server whose files are in `directory`, creating them if needed, unless it runs.

    Args:
        directory: certificates, data, logs and settings.
        engine: MariaDB or MySQL.
        port: TCP port; 0 takes a free one. It stays the same at every later start, because secrets hold it.
        programs: the server to start; by default found or unpacked.

    Raises:
        UnavailableError: No server can be had on this machine.
        SetupError: The port is in use, or the server did not start.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    with exclusive(directory / "lock", lambda: None):
        server = find_running(directory, running)
        if server is not None:
            return server
        programs = programs or find_or_unpack(engine)
        settings = read_settings(directory) or make(directory, programs)
        if (settings.engine, settings.version) != (programs.engine, programs.version):
            raise SetupError(
                f"The data in {directory} is of {TITLES[cast('SqlEngine', settings.engine)]} "
                f"{settings.version}, the server on this machine is {TITLES[programs.engine]} "
                f"{programs.version}. Run `make down` to start over with empty data."
            )
        chosen = settings.port or port or any_free_port()
        require_free(chosen, TITLES[engine], PORT_SECONDS)
        # Noted before the server is there: whatever is interrupted now, the port is the same next time.
        settings = replace(settings, port=chosen)
        write_settings(directory, settings)
        write_options(directory, settings, programs)
        command = [*programs.command, f"--defaults-file={directory / 'my.cnf'}"]
        return launch_and_find(directory, TITLES[engine], command, lambda: _greets(chosen), running)


def running(directory: Path) -> SqlServer | None:
    """Return the server that runs on the files in `directory`, None when none takes connections."""
    directory = directory.resolve()
    settings, pid = read_settings(directory), process_of(directory)
    if settings is None or pid is None or not _greets(settings.port):
        return None
    return SqlServer(
        engine=cast("SqlEngine", settings.engine),
        directory=directory,
        host=HOST,
        port=settings.port,
        ca_file=directory / "ca.pem",
        certificate_file=directory / "server.crt",
        key_file=directory / "server.key",
        log_file=directory / "log",
        statements_file=directory / "statements",
        socket=directory / "data" / "socket",
        version=settings.version,
        pid=pid,
        admin_user=settings.admin_user,
        admin_password=settings.admin_password,
        superuser=settings.superuser,
        superuser_password=settings.superuser_password,
    )


def connect(server: SqlServer, user: str, password: str, database: str | None = None) -> Any:  # noqa: ANN401 -- PyMySQL has no types
    """Log in over TLS, verified with the host name; return PyMySQL's connection, which commits by itself."""
    return pymysql.connect(
        host=server.host,
        port=server.port,
        user=user,
        password=password,
        database=database,
        ssl=ssl.create_default_context(cafile=str(server.ca_file)),
        connect_timeout=START_SECONDS,
        autocommit=True,
    )


def create_database(server: SqlServer, name: str) -> None:
    """Create a database as the administrator, unless it exists.

    Raises:
        SetupError: The server denies that to the administrator.
    """
    quoted = "`" + name.replace("`", "``") + "`"
    try:
        with connect(server, server.admin_user, server.admin_password) as connection:
            connection.cursor().execute(f"CREATE DATABASE IF NOT EXISTS {quoted}")
    except (pymysql.err.Error, OSError) as error:
        raise SetupError(
            f"{TITLES[server.engine]} at {server.host}:{server.port} did not allow its administrator to "
            f"create the database {name} ({error}). Its log: {server.log_file}. `make down` starts over with "
            "empty data."
        ) from None


def reload_tls(server: SqlServer) -> SqlServer:
    """Let the server present what is now in `certificate_file` and `key_file`; return it, as it runs now.

    MySQL reloads only a certificate that it finds valid, so it is started again.
    """
    if server.engine == "mysql":
        kill(server.directory)
        return start(server.directory, "mysql")
    # over the socket: the certificate presented so far may be one that no client accepts
    with pymysql.connect(
        unix_socket=str(server.socket), user=server.superuser, password=server.superuser_password
    ) as connection:
        connection.cursor().execute("FLUSH SSL")
    return server


def _greets(port: int) -> bool:
    """Return whether a server sends its greeting, which it does once it accepts logins."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connected:
            return bool(connected.recv(1))
    except OSError:
        return False
