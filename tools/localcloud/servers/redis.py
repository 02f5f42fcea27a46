"""A real Redis or Valkey server on this machine, which speaks TLS only.

It listens on the loopback address, with a certificate for the host name `localhost` from an authority of
its own. The user `default` is off until the administrator's ACL commands enable it, as ElastiCache would.
`ACL SAVE` keeps users across restarts; the data are not kept.
"""

import hashlib
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

from tools.localcloud.certificates import make_authority, write_server_certificate
from tools.localcloud.files import exclusive, write_if_changed
from tools.localcloud.ports import any_free_port, require_free
from tools.localcloud.servers.process import (
    HOST,
    PORT_SECONDS,
    Settings,
    find_running,
    launch_and_find,
    process_of,
    read_settings,
    remove,
    stop,
    write_settings,
)
from tools.localcloud.servers.programs import TITLES, Programs, find_or_unpack

__all__ = ["RedisServer", "remove", "running", "start", "stop"]

RedisEngine = Literal["redis", "valkey"]


@dataclass(frozen=True)
class RedisServer:
    """A running server and its administrator. Printing it shows no password.

    Attributes:
        engine: Redis or Valkey.
        directory: the folder given to `start`.
        host: the name that the certificate is for.
        port: TCP port on the loopback address, TLS only.
        ca_file: PEM file of the authority to trust.
        certificate_file: the server's certificate, and its key in `key_file`; `CONFIG SET` reads them again.
        log_file: the server's log.
        version: such as `7.0.15`.
        pid: the server's process id.
        admin_user: may run every command; clients of ElastiCache have no such user.
    """

    engine: RedisEngine
    directory: Path
    host: str
    port: int
    ca_file: Path
    certificate_file: Path
    key_file: Path
    log_file: Path
    version: str
    pid: int
    admin_user: str
    admin_password: str = field(repr=False)


def start(
    directory: Path, engine: RedisEngine = "redis", port: int = 0, programs: Programs | None = None
) -> RedisServer:
    """Start the server whose files are in `directory`, creating them if needed, unless it runs.

    Args:
        directory: certificates, users, log and settings.
        engine: Redis or Valkey.
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
        settings = read_settings(directory) or _make(directory, programs)
        chosen = settings.port or port or any_free_port()
        require_free(chosen, TITLES[engine], PORT_SECONDS)
        # Noted before the server is there: whatever is interrupted now, the port is the same next time.
        settings = replace(settings, version=programs.version, port=chosen)
        write_settings(directory, settings)
        _write_options(directory, settings)
        command = [*programs.command, str(directory / "redis.conf")]
        return launch_and_find(directory, TITLES[engine], command, lambda: _listens(chosen), running)


def running(directory: Path) -> RedisServer | None:
    """Return the server that runs on the files in `directory`, None when none takes connections."""
    directory = directory.resolve()
    settings, pid = read_settings(directory), process_of(directory)
    if settings is None or pid is None or not _listens(settings.port):
        return None
    return RedisServer(
        engine=cast("RedisEngine", settings.engine),
        directory=directory,
        host=HOST,
        port=settings.port,
        ca_file=directory / "ca.pem",
        certificate_file=directory / "server.crt",
        key_file=directory / "server.key",
        log_file=directory / "log",
        version=settings.version,
        pid=pid,
        admin_user=settings.admin_user,
        admin_password=settings.admin_password,
    )


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5):
            return True
    except OSError:
        return False


def _make(directory: Path, programs: Programs) -> Settings:
    authority = make_authority(f"local cloud {TITLES[programs.engine]}")
    directory.joinpath("ca.pem").write_bytes(authority.pem())
    write_server_certificate(authority, HOST, directory / "server.crt", directory / "server.key")
    settings = Settings(
        engine=programs.engine, version=programs.version, port=0, admin_user="localcloud-admin"
    )
    digest = hashlib.sha256(settings.admin_password.encode()).hexdigest()
    users = f"user default off\nuser {settings.admin_user} on #{digest} ~* &* +@all\n"
    write_if_changed(directory / "users.acl", users, 0o600)
    write_settings(directory, settings)  # the last step: a server's files are complete or are made again
    return settings


def _write_options(directory: Path, settings: Settings) -> None:
    data = directory / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    options: dict[str, object] = {
        "bind": "127.0.0.1",
        "port": 0,
        "tls-port": settings.port,
        "tls-cert-file": directory / "server.crt",
        "tls-key-file": directory / "server.key",
        "tls-ca-cert-file": directory / "ca.pem",
        "tls-auth-clients": "no",
        "tls-protocols": "TLSv1.2 TLSv1.3",
        "aclfile": directory / "users.acl",
        "dir": data,
        "save": "",
        "loglevel": "verbose",
        "set-proc-title": "no",  # by its command line a process is known to be this server
        "maxmemory": "64mb",
    }
    lines = [f"{name} {_quoted(value)}" for name, value in options.items()]
    write_if_changed(directory / "redis.conf", "\n".join(lines) + "\n")


def _quoted(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
