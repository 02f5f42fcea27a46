"""A server that cannot prove its identity receives no password."""

import datetime as dt
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from components.lambdas.rotation import postgres_session
from components.lambdas.rotation.postgres_secret import Login
from components.lambdas.rotation.postgres_session import works
from tests.support.rotation_world import World, rejection, superuser
from tools.localcloud.certificates import Authority, make_authority, write_server_certificate
from tools.localcloud.postgres import PostgresServer
from tools.localcloud.postgres_process import read_cluster


def login(port: int, host: str = "localhost", password: str | None = None) -> Login:
    return Login(
        host=host,
        port=port,
        database="postgres",
        username="postgres",
        password=password or "made-up-password-1",
        admin_arn=None,
    )


@pytest.fixture(scope="module")
def certified_server(start_server: Callable[[Path | None], PostgresServer]) -> PostgresServer:
    """A server with certificates that these tests replace."""
    return start_server(None)


@pytest.fixture
def install(
    certified_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Authority, str, int], None]:
    monkeypatch.setenv("DATABASE_CA_FILE", str(tmp_path / "ca.pem"))
    data = _data_directory(certified_server)

    def replace(authority: Authority, host: str, days: int) -> None:
        certificate, key = tmp_path / "server.crt", tmp_path / "server.key"
        write_server_certificate(authority, host, certificate, key, dt.timedelta(days=days))
        for file in (certificate, key):
            # overwritten in place, so that owner and permissions stay as the server requires
            data.joinpath(file.name).write_bytes(file.read_bytes())
        with superuser(certified_server) as connection:
            connection.run("SELECT pg_reload_conf()")

    return replace


def _data_directory(server: PostgresServer) -> Path:
    cluster = read_cluster(server.directory)
    assert cluster is not None
    return Path(cluster.data)


def _restore(server: PostgresServer, saved: Path) -> None:
    for name in ("server.crt", "server.key"):
        _data_directory(server).joinpath(name).write_bytes((saved / name).read_bytes())


@pytest.fixture(autouse=True)
def original_certificate(certified_server: PostgresServer, tmp_path: Path) -> Iterator[None]:
    """Restore the certificate after each test, over a connection opened before: it is verified as well."""
    saved = tmp_path / "saved"
    saved.mkdir()
    for name in ("server.crt", "server.key"):
        shutil.copy(_data_directory(certified_server) / name, saved / name)
    with superuser(certified_server) as connection:
        yield
        _restore(certified_server, saved)
        connection.run("SELECT pg_reload_conf()")
        _wait_for_certificate(certified_server, saved / "server.crt")


def _presented(server: PostgresServer) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((server.host, server.port), 5) as plain:
        plain.sendall((8).to_bytes(4) + (80877103).to_bytes(4))
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as secured:
            return ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True) or b"")


def _wait_for_certificate(server: PostgresServer, file: Path) -> None:
    for _ in range(500):
        if _presented(server).split() == file.read_text().split():
            return
    raise AssertionError("the server did not load the certificate")


Install = Callable[[Authority, str, int], None]


def test_a_server_of_the_trusted_authority_is_accepted(
    certified_server: PostgresServer, install: Install, tmp_path: Path
) -> None:
    authority = make_authority("operator")
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    install(authority, "localhost", 10)
    _wait_for_certificate(certified_server, tmp_path / "server.crt")
    assert works(login(certified_server.port, password=certified_server.admin_password))


@pytest.mark.parametrize(
    ("host", "days", "trusted", "reason"),
    [
        ("localhost", 10, False, "unable to get local issuer certificate"),
        ("localhost", -1, True, "certificate has expired"),
        ("other.example", 10, True, "Hostname mismatch"),
    ],
)
def test_an_invalid_certificate_is_rejected_with_the_reason(  # noqa: PLR0913 - fixtures
    certified_server: PostgresServer,
    install: Install,
    tmp_path: Path,
    host: str,
    days: int,
    *,
    trusted: bool,
    reason: str,
) -> None:
    authority = make_authority("operator")
    (tmp_path / "ca.pem").write_bytes((authority if trusted else make_authority("other")).pem())
    install(authority, host, days)
    _wait_for_certificate(certified_server, tmp_path / "server.crt")
    message = rejection(lambda: works(login(certified_server.port, password=certified_server.admin_password)))
    assert "not trusted" in message
    assert reason in message
    assert certified_server.admin_password not in message


def test_an_additional_authority_may_be_pem_text(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_CA_FILE")
    monkeypatch.setenv("DATABASE_CA_PEM", world.server.ca_file.read_text())
    assert works(login(world.server.port, password=world.server.admin_password))
    monkeypatch.setenv("DATABASE_CA_PEM", "no certificate")
    assert "DATABASE_CA_PEM" in rejection(lambda: works(login(world.server.port)))
    monkeypatch.delenv("DATABASE_CA_PEM")
    assert "not trusted" in rejection(lambda: works(login(world.server.port)))


class Impostor(threading.Thread):
    """A server that sends one of `answers` after each message, and records what it receives."""

    def __init__(self, *answers: bytes, secured: ssl.SSLContext | None = None) -> None:
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._answers, self._context = list(answers), secured
        self.received = b""

    def run(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            self.received += connection.recv(4096)
            if self._context is not None:
                connection.sendall(b"S")
                connection = self._context.wrap_socket(connection, server_side=True)
                self.received += connection.recv(4096)
            for answer in self._answers:
                connection.sendall(answer)
                try:
                    self.received += connection.recv(4096)
                except OSError:
                    return

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join(10)
        self._listener.close()


def authentication(kind: int) -> bytes:
    return b"R" + (8).to_bytes(4) + kind.to_bytes(4)


def test_a_server_without_tls_is_rejected() -> None:
    with Impostor(b"N") as server:
        message = rejection(lambda: works(login(server.port)))
    assert "does not support TLS" in message
    assert b"made-up" not in server.received


def test_no_cleartext_password_is_sent_even_over_tls(trusted_context: ssl.SSLContext) -> None:
    with Impostor(authentication(3), secured=trusted_context) as server:
        message = rejection(lambda: works(login(server.port)))
    assert "cleartext password" in message
    assert b"made-up" not in server.received


def test_a_server_without_authentication_is_rejected(trusted_context: ssl.SSLContext) -> None:
    with Impostor(authentication(0), secured=trusted_context) as server:
        assert "without a password" in rejection(lambda: works(login(server.port)))


def test_an_unreachable_or_silent_server_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    message = rejection(lambda: works(login(port)))
    assert "security group" in message
    assert f"localhost:{port}" in message
    assert "'host'" in rejection(lambda: works(login(5432, "does-not-exist.invalid")))
    monkeypatch.setattr(postgres_session, "_ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "did not complete" in rejection(lambda: works(login(silent.getsockname()[1])))
