"""Servers of MariaDB, MySQL, Redis and Valkey: who may log in, over which connection."""

import datetime as dt
import hashlib
import re
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest
import redis as redis_client
from pymysql.constants import ER
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.engine_servers import reload_tls
from tools.localcloud.certificates import make_authority, write_server_certificate
from tools.localcloud.layout import Layout, SetupError
from tools.localcloud.servers import process, programs, redis, sql
from tools.localcloud.servers.programs import Engine, UnavailableError
from tools.localcloud.servers.redis import RedisServer
from tools.localcloud.servers.sql import SqlServer

SQL_SERVERS = ("mariadb_server", "mariadb_11_server", "mysql_server")
REDIS_SERVERS = ("redis_server", "valkey_server")
Server = SqlServer | RedisServer


@pytest.fixture(params=SQL_SERVERS)
def sql_server(request: pytest.FixtureRequest) -> SqlServer:
    found: SqlServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["mariadb_10_5_server", "mariadb_server", "mariadb_11_server"])
def any_mariadb(request: pytest.FixtureRequest) -> SqlServer:
    found: SqlServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=REDIS_SERVERS)
def cache_server(request: pytest.FixtureRequest) -> RedisServer:
    found: RedisServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=SQL_SERVERS + REDIS_SERVERS)
def any_server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def ask(server: SqlServer, *statements: str, user: str = "", password: str = "") -> Any:  # noqa: ANN401 -- rows
    """Return the answer to the last statement, executed by the administrator or by somebody else."""
    with sql.connect(server, user or server.admin_user, password or server.admin_password) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()


def cache(server: RedisServer, user: str = "", password: str = "") -> redis_client.Redis:
    """Return a client of the administrator or of somebody else."""
    return redis_client.Redis(
        server.host,
        server.port,
        username=user or server.admin_user,
        password=password or server.admin_password,
        ssl=True,
        ssl_ca_certs=str(server.ca_file),
        retry=Retry(NoBackoff(), 0),
    )


def log_in(server: Server) -> None:
    """Log in as the administrator over TLS, verified with the host name."""
    if isinstance(server, RedisServer):
        cache(server).ping()
    else:
        ask(server, "SELECT 1")


VERIFICATION = "certificate verify failed"


def test_clients_that_trust_its_authority_log_in(any_server: Server) -> None:
    log_in(any_server)


def test_clients_that_trust_another_authority_do_not(any_server: Server, tmp_path: Path) -> None:
    foreign = tmp_path / "ca.pem"
    foreign.write_bytes(make_authority("somebody else").pem())
    with pytest.raises(Exception, match=VERIFICATION):
        log_in(replace(any_server, ca_file=foreign))


def test_clients_that_expect_another_host_do_not(any_server: Server) -> None:
    with pytest.raises(Exception, match=VERIFICATION):
        log_in(replace(any_server, host="127.0.0.1"))


def test_another_certificate_is_presented_at_once(any_server: Server) -> None:
    before = any_server.certificate_file.read_bytes(), any_server.key_file.read_bytes()
    files = any_server.certificate_file, any_server.key_file
    write_server_certificate(make_authority("somebody else"), "localhost", *files, dt.timedelta(days=-1))
    try:
        reload_tls(any_server)
        with pytest.raises(Exception, match=VERIFICATION):
            log_in(any_server)
    finally:
        any_server.certificate_file.write_bytes(before[0])
        any_server.key_file.write_bytes(before[1])
        reload_tls(any_server)
    log_in(any_server)


def test_two_passwords_of_a_mariadb_user_log_in(any_mariadb: SqlServer) -> None:
    digests = [mariadb_hash(password) for password in ("first-password", "second-password")]
    accepted = " OR ".join(f"mysql_native_password USING '{digest}'" for digest in digests)
    ask(any_mariadb, f"CREATE USER 'two'@'%' IDENTIFIED VIA {accepted}")
    for password in ("first-password", "second-password"):
        assert ask(any_mariadb, "SELECT CURRENT_USER()", user="two", password=password) == (("two@%",),)
    assert not accepts(any_mariadb, "two", "third-password")
    logged = any_mariadb.statements_file.read_text()
    assert digests[0] in logged
    assert "first-password" not in logged


def mariadb_hash(password: str) -> str:
    inner = hashlib.sha1(password.encode()).digest()  # noqa: S324 -- MariaDB's own
    return "*" + hashlib.sha1(inner).hexdigest().upper()  # noqa: S324 -- MariaDB's own


def accepts(server: SqlServer, user: str, password: str) -> bool:
    """Return whether the server accepts the login; any error but its denial is raised."""
    try:
        ask(server, "SELECT 1", user=user, password=password)
    except pymysql.err.OperationalError as error:
        if error.args[0] != ER.ACCESS_DENIED_ERROR:
            raise
        return False
    return True


def test_mariadb_has_the_plugin_for_ed25519(any_mariadb: SqlServer) -> None:
    ask(any_mariadb, "CREATE USER 'edwards'@'%' IDENTIFIED VIA ed25519 USING PASSWORD('any')")


def test_mysql_retains_the_current_password(mysql_server: SqlServer) -> None:
    ask(
        mysql_server,
        "CREATE USER 'two'@'%' IDENTIFIED BY 'first'",
        "ALTER USER 'two'@'%' IDENTIFIED BY 'second' RETAIN CURRENT PASSWORD",
    )
    assert [accepts(mysql_server, "two", password) for password in ("first", "second")] == [True, True]
    ask(mysql_server, "ALTER USER 'two'@'%' IDENTIFIED BY 'third' RETAIN CURRENT PASSWORD")
    logins = [accepts(mysql_server, "two", password) for password in ("first", "second", "third")]
    assert logins == [False, True, True]
    ask(mysql_server, "ALTER USER 'two'@'%' DISCARD OLD PASSWORD")
    assert [accepts(mysql_server, "two", password) for password in ("second", "third")] == [False, True]


def test_passwords_sent_in_statements_are_seen_in_the_log(sql_server: SqlServer) -> None:
    ask(sql_server, "CREATE USER 'careless'@'%' IDENTIFIED BY 'seen-in-the-log'")
    assert "seen-in-the-log" in sql_server.statements_file.read_text()


def test_no_password_of_its_own_users_is_in_a_log(sql_server: SqlServer) -> None:
    log_in(sql_server)
    logged = sql_server.statements_file.read_text() + sql_server.log_file.read_text()
    assert sql_server.admin_password not in logged
    assert sql_server.superuser_password not in logged


def test_plain_connections_are_possible_and_logged_as_such(sql_server: SqlServer) -> None:
    log_in(sql_server)  # after which MySQL accepts this password on a plain connection too
    plain = f"{sql_server.admin_user}@localhost on  using TCP/IP"
    assert plain not in sql_server.statements_file.read_text()
    pymysql.connect(
        host=sql_server.host,
        port=sql_server.port,
        user=sql_server.admin_user,
        password=sql_server.admin_password,
        ssl_disabled=True,
    ).close()
    assert plain in sql_server.statements_file.read_text()


def test_the_administrator_ends_sessions_only_as_on_rds(sql_server: SqlServer) -> None:
    ask(sql_server, "CREATE USER 'busy'@'%' IDENTIFIED BY 'any'")
    session = sql.connect(sql_server, "busy", "any")
    with pytest.raises(pymysql.err.OperationalError) as denial:
        ask(sql_server, f"KILL {session.thread_id()}")
    assert denial.value.args[0] == ER.KILL_DENIED_ERROR
    session.ping(reconnect=False)
    ask(sql_server, f"CALL mysql.rds_kill({session.thread_id()})")
    with pytest.raises(pymysql.err.OperationalError):
        session.ping(reconnect=False)


def test_the_administrator_grants_no_more_than_on_rds(sql_server: SqlServer) -> None:
    sql.create_database(sql_server, "app`s")
    ask(
        sql_server,
        "CREATE USER 'granted'@'%' IDENTIFIED BY 'any'",
        "GRANT SELECT, CREATE, DROP, ALTER ON `app``s`.* TO 'granted'@'%'",
    )
    with pytest.raises(pymysql.err.MySQLError) as denial:
        ask(sql_server, "GRANT SUPER ON *.* TO 'granted'@'%'")
    assert denial.value.args[0] == ER.ACCESS_DENIED_ERROR


def test_two_passwords_of_a_redis_user_log_in(cache_server: RedisServer) -> None:
    digests = [hashlib.sha256(password.encode()).hexdigest() for password in ("first", "second")]
    cache(cache_server).acl_setuser(
        "two",
        enabled=True,
        hashed_passwords=[f"+{digest}" for digest in digests],
        keys=["*"],
        categories=["+@all"],
    )
    for password in ("first", "second"):
        assert cache(cache_server, "two", password).acl_whoami() == "two"
    with pytest.raises(redis_client.AuthenticationError):
        cache(cache_server, "two", "third").ping()


def test_redis_denies_the_default_user_and_plain_text(cache_server: RedisServer) -> None:
    with pytest.raises(redis_client.AuthenticationError):
        cache(cache_server, "default", "any").ping()
    with pytest.raises(redis_client.ConnectionError):
        redis_client.Redis(cache_server.host, cache_server.port, retry=Retry(NoBackoff(), 0)).ping()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A folder with a space in its path, for a server of a test's own."""
    folder = tmp_path / "a server"
    yield folder
    process.remove(folder)


def start(engine: Engine, folder: Path, port: int = 0) -> Server:
    if engine == "redis" or engine == "valkey":  # noqa: PLR1714 -- mypy does not narrow by `in`
        return redis.start(folder, engine, port)
    return sql.start(folder, engine, port)


@pytest.mark.parametrize("engine", ["mariadb", "redis"])
def test_servers_keep_port_users_and_authority(own: Path, engine: Engine) -> None:
    first = start(engine, own)
    assert start(engine, own) == first  # it runs
    assert process.stop(own)
    assert not process.stop(own)
    again = start(engine, own)
    assert replace(again, pid=first.pid) == first
    log_in(replace(again, ca_file=first.ca_file))


@pytest.mark.parametrize("engine", ["mariadb", "mysql", "redis"])
def test_killed_servers_start_again(own: Path, engine: Engine) -> None:
    first = start(engine, own)
    if isinstance(first, SqlServer):
        sql.create_database(first, "kept")
    process.kill(own)
    again = start(engine, own)
    assert again.port == first.port
    if isinstance(again, SqlServer):
        assert ("kept",) in ask(again, "SHOW DATABASES")


def test_a_passwords_change_survives_a_restart(own: Path) -> None:
    server = sql.start(own, "mariadb")
    ask(server, f"ALTER USER '{server.admin_user}'@'%' IDENTIFIED BY 'changed'")
    process.stop(own)
    assert accepts(sql.start(own, "mariadb"), server.admin_user, "changed")


def test_a_port_in_use_is_reported_before_the_start(own: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match=f"Port {port} is in use by another program, so Redis cannot"):
            redis.start(own, port=port)


def test_data_of_another_engine_are_not_started(own: Path) -> None:
    server = sql.start(own, "mariadb")
    process.stop(own)
    with pytest.raises(SetupError, match=rf"is of MariaDB {re.escape(server.version)}, .* is MySQL 9"):
        sql.start(own, "mysql")


def test_settings_and_data_are_private(own: Path) -> None:
    engines: tuple[Engine, ...] = ("mariadb", "redis")
    for engine in engines:
        folder = own / engine
        start(engine, folder)
        try:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert stat.S_IMODE((folder / "server.json").stat().st_mode) == 0o600
        finally:
            process.remove(folder)


def test_printed_servers_show_no_password(any_server: Server) -> None:
    assert any_server.admin_password not in repr(any_server)
    assert getattr(any_server, "superuser_password", any_server.admin_password) not in repr(any_server)


def test_a_machine_without_apt_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "checkout", lambda: Layout(tmp_path))
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(UnavailableError, match="so that mysqld is on PATH, or set LOCALCLOUD_MYSQL"):
        programs.find_or_unpack("mysql")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("E: Unable to locate package anything", UnavailableError),
        ("E: Failed to fetch: connection refused", SetupError),
    ],
)
def test_a_failed_download_is_an_error_and_not_an_absent_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, error: type[SetupError]
) -> None:
    for name, code in (
        ("apt-get", f"[ $2 = update ] || {{ echo '{said}' >&2; exit 100; }}"),
        ("dpkg-deb", ""),
    ):
        tmp_path.joinpath(name).write_text(f"#!/bin/sh\n{code}\n")
        tmp_path.joinpath(name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(programs, "checkout", lambda: Layout(tmp_path))
    monkeypatch.setattr(programs, "_installed", lambda _: None)
    with pytest.raises(SetupError, match=f"[(].*{said}") as raised:
        programs.find_or_unpack("redis")
    assert type(raised.value) is error


@pytest.mark.parametrize("named", ["/bin/true", "/does/not/exist"])
def test_a_named_program_must_be_that_server(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALCLOUD_MARIADB", named)
    with pytest.raises(SetupError, match=f"LOCALCLOUD_MARIADB is '{named}', which is not a server"):
        programs.find_or_unpack("mariadb")


def test_mariadb_named_mysqld_is_not_mysql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "mysqld"
    named.write_text("#!/bin/sh\necho 'mysqld  Ver 10.11.19-MariaDB for debian-linux-gnu'\n")
    named.chmod(0o755)
    monkeypatch.setenv("LOCALCLOUD_MYSQL", str(named))
    with pytest.raises(SetupError, match="not a server of MySQL"):
        programs.find_or_unpack("mysql")
