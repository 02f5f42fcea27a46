"""A MySQL server that cannot prove its identity, or asks for the password itself, receives no password."""

import datetime as dt
import hashlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from components.lambdas.rotation import mysql_session
from components.lambdas.rotation.login_secret import Login
from components.lambdas.rotation.mysql_session import session, works
from tests.support.mysql_world import MysqlWorld
from tests.support.rotation_world import rejection
from tools.localcloud.certificates import Authority, make_authority, write_server_certificate
from tools.localcloud.servers.sql import SqlServer, reload_tls

PASSWORD = "made-up-password-1"


def login(port: int, host: str = "localhost", password: str = PASSWORD, username: str = "admin") -> Login:
    return Login(host=host, port=port, database="d", username=username, password=password, admin_arn=None)


@pytest.fixture
def certified(mysql_world: MysqlWorld) -> Iterator[SqlServer]:
    """A server whose certificate a test may replace; afterwards it has its own again."""
    server = mysql_world.server
    saved = [(file, file.read_bytes()) for file in (server.certificate_file, server.key_file)]
    yield server
    for file, data in saved:
        file.write_bytes(data)
    reload_tls(server)


def install(server: SqlServer, authority: Authority, host: str, days: int, folder: Path) -> None:
    certificate, key = folder / "server.crt", folder / "server.key"
    write_server_certificate(authority, host, certificate, key, dt.timedelta(days=days))
    server.certificate_file.write_bytes(certificate.read_bytes())
    server.key_file.write_bytes(key.read_bytes())
    reload_tls(server)


def test_a_certificate_is_verified_with_its_host_name(
    certified: SqlServer, mysql_world: MysqlWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, foreign = make_authority("operator"), make_authority("other")
    monkeypatch.setenv("DATABASE_CA_FILE", str(tmp_path / "ca.pem"))
    (tmp_path / "ca.pem").write_bytes(ours.pem())
    admin = login(certified.port, password=certified.admin_password, username=certified.admin_user)
    for authority, host, days, reason in (
        (foreign, "localhost", 10, "unable to get local issuer certificate"),
        (ours, "localhost", -1, "certificate has expired"),
        (ours, "other.example", 10, "Hostname mismatch"),
    ):
        install(certified, authority, host, days, tmp_path)
        message = rejection(lambda: works(admin, mysql_world.kind))
        assert "not trusted" in message
        assert reason in message
        assert certified.admin_password not in message
    install(certified, ours, "localhost", 10, tmp_path)
    assert works(admin, mysql_world.kind)


def test_an_additional_authority_may_be_pem_text(
    mysql_world: MysqlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = mysql_world.server
    admin = login(server.port, password=server.admin_password, username=server.admin_user)
    monkeypatch.delenv("DATABASE_CA_FILE")
    monkeypatch.setenv("DATABASE_CA_PEM", server.ca_file.read_text())
    assert works(admin, mysql_world.kind)
    monkeypatch.delenv("DATABASE_CA_PEM")
    assert "not trusted" in rejection(lambda: works(admin, mysql_world.kind))


def packet(number: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


def greeting(*, tls: bool = True, plugin: bytes = b"caching_sha2_password", plugins: bool = True) -> bytes:
    """Return what a server sends first (protocol version 10)."""
    capabilities = 0x000FA685 | (0x800 if tls else 0) & 0x800
    if not tls:
        capabilities &= ~0x800
    if not plugins:
        capabilities &= ~0x80000
    low, high = struct.pack("<H", capabilities & 0xFFFF), struct.pack("<H", capabilities >> 16)
    return packet(
        0,
        b"\x0a8.0.40\0" + struct.pack("<I", 7) + b"saltsalt\0" + low + b"\xff\x02\0" + high + b"\x15"
        + b"\0" * 10 + b"saltsaltsalt\0" + plugin + b"\0",
    )  # fmt: skip


class Impostor(threading.Thread):
    """A server that sends a greeting, then `answer` over TLS, and records what it receives."""

    def __init__(self, first: bytes, answer: bytes, secured: ssl.SSLContext | None) -> None:
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._first, self._answer, self._context = first, answer, secured
        self.received = b""

    def run(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(5)
            connection.sendall(self._first)
            try:
                request = connection.recv(36)
                self.received += request
                if self._context is not None and request:
                    connection = self._context.wrap_socket(connection, server_side=True)
                    self.received += connection.recv(4096)
                    connection.sendall(packet(3, self._answer))
                    self.received += connection.recv(4096)
            except OSError:
                return

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join(10)
        self._listener.close()


def test_a_server_without_tls_receives_nothing() -> None:
    with Impostor(greeting(tls=False), b"", None) as server:
        message = rejection(lambda: works(login(server.port), "mysql"))
    assert "does not support TLS" in message
    assert server.received == b""


def log_in(port: int) -> None:
    with session(login(port), "mysql"):
        pass


@pytest.mark.parametrize(
    "plugin",
    [b"mysql_clear_password", b"mysql_old_password", b"dialog", b"sha256_password", b"client_ed25519"],
)
def test_no_other_method_is_used_even_over_tls(trusted_context: ssl.SSLContext, plugin: bytes) -> None:
    switch = b"\xfe" + plugin + b"\0saltsaltsaltsaltsalt\0"
    for first in (greeting(), greeting(plugin=plugin)):
        with Impostor(first, switch, trusted_context) as server:
            message = rejection(partial(log_in, server.port))
        assert "authentication method" in message
        assert PASSWORD.encode() not in server.received


def test_a_server_without_plugins_is_rejected(trusted_context: ssl.SSLContext) -> None:
    with Impostor(greeting(plugins=False), b"", trusted_context) as server:
        assert "authentication method" in rejection(lambda: log_in(server.port))
    assert server.received == b""


def test_a_server_cannot_read_a_file(trusted_context: ssl.SSLContext, tmp_path: Path) -> None:
    """After the login, an answer to any statement may ask for a file: LOCAL INFILE is off."""
    secret = tmp_path / "file"
    secret.write_text(hashlib.sha256(b"file").hexdigest())

    class Reading(Impostor):
        def run(self) -> None:
            connection, _ = self._listener.accept()
            connection.sendall(self._first)
            connection.recv(36)
            assert self._context is not None
            with self._context.wrap_socket(connection, server_side=True) as secured:
                secured.settimeout(5)
                self.received += secured.recv(4096)
                accepted = b"\0\0\0\x02\0\0\0"
                secured.sendall(packet(3, accepted))
                for answer in (accepted, b"\xfb" + str(secret).encode()):
                    self.received += secured.recv(4096)
                    secured.sendall(packet(1, answer))
                try:
                    self.received += secured.recv(4096)
                except OSError:
                    return

    with Reading(greeting(), b"", trusted_context) as server:
        assert "MySQL at localhost" in rejection(lambda: works(login(server.port), "mysql"))
    assert b"SELECT VERSION()" in server.received
    assert secret.read_bytes() not in server.received


def test_an_unreachable_or_silent_server_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    message = rejection(lambda: works(login(port), "mysql"))
    assert "security group" in message
    assert f"localhost:{port}" in message
    assert "'host'" in rejection(lambda: works(login(3306, "does-not-exist.invalid"), "mysql"))
    monkeypatch.setattr(mysql_session, "_ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        message = rejection(lambda: works(login(silent.getsockname()[1]), "mysql"))
        assert "did not complete" in message


def test_a_server_that_stops_answering_is_reported(
    mysql_world: MysqlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = mysql_world.server
    admin = login(server.port, password=server.admin_password, username=server.admin_user)
    monkeypatch.setattr(mysql_session, "_ANSWER_SECONDS", 0.2)
    with session(admin, mysql_world.kind) as opened:
        assert "was lost" in rejection(lambda: opened.execute("SELECT SLEEP(3)"))


def test_the_login_uses_the_newest_tls(mysql_world: MysqlWorld) -> None:
    server = mysql_world.server
    admin = login(server.port, password=server.admin_password, username=server.admin_user)
    with session(admin, mysql_world.kind) as opened:
        assert opened.rows("SHOW SESSION STATUS LIKE 'Ssl_version'")[0][1] == "TLSv1.3"
