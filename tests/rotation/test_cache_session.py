"""A server that is not the cache gets no password, and none of its answers reaches a message."""

import contextlib
import datetime as dt
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import redis

from components.lambdas.rotation import cache_session
from components.lambdas.rotation.cache_secret import CacheLogin
from components.lambdas.rotation.handler import handle
from tests.support.cache_world import Caches, a_cache_login, a_token, can_log_in, connected, current
from tests.support.rotation_world import rejection, rotate
from tools.localcloud.certificates import make_authority, write_server_certificate

PASSWORD = "made-up-password-1"
OK = b"+OK\r\n"


def login(port: int, username: str | None = "app", host: str = "localhost") -> CacheLogin:
    return CacheLogin(host=host, port=port, username=username, password=PASSWORD)


@contextlib.contextmanager
def answering(answer: bytes, context: ssl.SSLContext | None) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one connection, and answer what it sends; yield the port and what was received."""
    received: list[bytes] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            connection.settimeout(5)
            with contextlib.ExitStack() as stack:
                stack.enter_context(connection)
                if context:
                    connection = stack.enter_context(context.wrap_socket(connection, server_side=True))
                received.append(connection.recv(4096))
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], received
        listener.close()
        thread.join()


@pytest.fixture
def server_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ssl.SSLContext]:
    """Make a server's TLS settings; the function trusts its authority unless `trusted` is False."""

    def make(host: str = "localhost", days: int = 10, *, trusted: bool = True) -> ssl.SSLContext:
        authority = make_authority("operator")
        files = tmp_path / "crt", tmp_path / "key"
        write_server_certificate(authority, host, *files, dt.timedelta(days=days))
        known = authority if trusted else make_authority("other")
        monkeypatch.delenv("DATABASE_CA_FILE", raising=False)
        monkeypatch.setenv("DATABASE_CA_PEM", known.pem().decode())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        return context

    return make


@pytest.mark.parametrize(
    ("host", "days", "trusted", "reason"),
    [
        ("localhost", 10, False, "unable to get local issuer certificate"),
        ("localhost", -1, True, "certificate has expired"),
        ("other.example", 10, True, "Hostname mismatch"),
    ],
    ids=["foreign", "expired", "other-host"],
)
def test_a_server_that_cannot_prove_its_identity_gets_no_password(
    server_context: Callable[..., ssl.SSLContext], host: str, days: int, trusted: bool, reason: str
) -> None:
    with answering(OK, server_context(host, days, trusted=trusted)) as (port, received):
        message = rejection(lambda: cache_session.works(login(port)))
    assert f"is not trusted: {reason}" in message
    assert received == []


def test_a_server_without_tls_gets_no_password() -> None:
    with answering(b"-ERR Protocol error\r\n", None) as (port, received):
        message = rejection(lambda: cache_session.works(login(port)))
    assert "does not support TLS" in message
    assert PASSWORD.encode() not in b"".join(received)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"+OK\r\n", True),
        (b"-WRONGPASS invalid username-password pair or user is disabled.\r\n", False),
        (b"-ERR invalid password\r\n", False),
        (b"-ERR Client sent AUTH, but no password is set\r\n", False),
    ],
)
def test_answers_of_all_versions_are_understood(
    server_context: Callable[..., ssl.SSLContext], answer: bytes, expected: bool
) -> None:
    with answering(answer, server_context()) as (port, received):
        assert cache_session.works(login(port)) is expected
    assert received == [b"*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$18\r\n" + PASSWORD.encode() + b"\r\n"]


@pytest.mark.parametrize(
    "answer",
    [
        b"-LOADING made-up-password-1\r\n",
        b"-MASTERDOWN 'made-up-password-1'\r\n",
        b"made-up-password-1\r\n",
        b"",
        b"$9999999999\r\n",
        b"$-\r\n",
        b"*1\r\n" * 40,
        b"+" + b"x" * 10_000,
    ],
)
def test_no_answer_of_a_server_reaches_a_message(
    server_context: Callable[..., ssl.SSLContext], answer: bytes
) -> None:
    """Redis repeats the words of a command that it does not know, which may be a password."""
    with answering(answer, server_context()) as (port, _):
        message = rejection(lambda: cache_session.works(login(port)))
    assert PASSWORD not in message


@pytest.mark.parametrize("part", [1, 7, 1 << 12])
def test_clients_with_endless_names_are_listed(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """A name may be longer than any limit, and users without a long one follow it."""
    monkeypatch.setattr(cache_session, "_PART", part)
    text = f"id=1 name={'x' * 40_000} age=3 user=app\nid=2 name=short age=4 user=other\n".encode()
    stream = MagicMock(read=io.BytesIO(text + b"\r\n").read, readline=lambda _: b"$%d\r\n" % len(text))
    first, second = cache_session._Session(stream, "cache").lines("CLIENT", "LIST")
    assert first.startswith("id=1 name=xxx")
    assert first.endswith("x age=3 user=app")
    assert len(first) < 2000
    assert second == "id=2 name=short age=4 user=other"


def test_an_unreachable_cache_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert f"localhost:{port} is unreachable" in rejection(lambda: cache_session.works(login(port)))
    assert "does not resolve" in rejection(lambda: cache_session.works(login(1, host="cache.invalid")))


def test_a_slow_server_does_not_hold_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_session, "_ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        message = rejection(lambda: cache_session.works(login(port)))
    assert "did not complete the login (TimeoutError)" in message


def test_monitor_and_logs_show_no_password(caches: Caches) -> None:
    admin = {"username": caches.server.admin_user, "password": caches.server.admin_password}
    with connected(caches, admin) as client, client.monitor() as monitor:
        _, arn = a_cache_login(caches)
        rotate(caches, arn)
        value = current(caches, arn)
        assert can_log_in(caches, value)
        seen = []
        for command in monitor.listen():
            seen.append(str(command))
            if "ping" in str(command).lower():
                break
    assert seen
    assert not [line for line in seen if value["password"] in line]
    assert value["password"] not in caches.server.log_file.read_text()


def end_sessions(arn: str) -> object:
    return handle({"Action": "end-sessions", "SecretId": arn})


def is_over(connection: Any) -> bool:
    """Return whether the server has ended a connection."""
    try:
        connection.send_command("PING")
        connection.read_response()
    except redis.ConnectionError:
        return True
    return False


def test_sessions_of_a_user_end_and_no_others(caches: Caches) -> None:
    _, arn = a_cache_login(caches)
    admin = {"username": caches.server.admin_user, "password": caches.server.admin_password}
    with connected(caches, current(caches, arn)) as mine, connected(caches, admin) as foreign:
        opened = [mine.connection_pool.get_connection() for _ in range(2)]
        rotate(caches, arn)
        foreign.ping()
        assert end_sessions(arn) == {"Sessions": 2}
        assert all(map(is_over, opened))
        assert foreign.ping()
    assert end_sessions(arn) == {"Sessions": 0}


def test_sessions_of_a_token_end(caches: Caches) -> None:
    _, arn = a_token(caches)
    with connected(caches, current(caches, arn)) as mine:
        connection = mine.connection_pool.get_connection()
        assert end_sessions(arn) == {"Sessions": 1}
        assert is_over(connection)


def test_a_user_that_may_not_end_sessions_is_reported(caches: Caches) -> None:
    _, arn = a_cache_login(caches, access="on ~* +@read +@write")
    message = rejection(lambda: end_sessions(arn))
    assert "add +client|kill" in message
    assert "Rotate twice" in message


def test_sessions_end_on_every_node_of_a_cluster(server_context: Callable[..., ssl.SSLContext]) -> None:
    """Each node knows its own sessions only."""
    context, asked = server_context(), []
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        ports = [listener.getsockname()[1] for listener in listeners]
        nodes = "".join(f"*3\r\n$9\r\nlocalhost\r\n:{port}\r\n$1\r\nx\r\n" for port in ports)
        answers = {
            b"AUTH": OK,
            b"SLOTS": f"*1\r\n*4\r\n:0\r\n:16383\r\n{nodes}".encode(),
            b"KILL": b":3\r\n",
        }

        def serve(listener: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while True:
                    plain, _ = listener.accept()
                    with context.wrap_socket(plain, server_side=True) as connection:
                        while request := connection.recv(4096):
                            asked.append((listener.getsockname()[1], request))
                            [answer] = [known for word, known in answers.items() if word in request]
                            connection.sendall(answer)

        threads = [threading.Thread(target=serve, args=[listener], daemon=True) for listener in listeners]
        for thread in threads:
            thread.start()
        assert cache_session.end_sessions(login(ports[0])) == 6
    killed = [port for port, request in asked if b"KILL" in request]
    assert killed == ports
    assert all(b"$4\r\nUSER\r\n$3\r\napp\r\n" in request for _, request in asked if b"KILL" in request)
