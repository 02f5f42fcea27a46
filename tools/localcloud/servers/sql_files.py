"""The files of a MariaDB or MySQL server: its data, certificates, options and users."""

import shutil
import subprocess
from os import geteuid
from pathlib import Path

from tools.localcloud.certificates import make_authority, write_server_certificate
from tools.localcloud.files import exclusive, write_if_changed
from tools.localcloud.layout import SetupError
from tools.localcloud.servers.process import HOST, Settings, write_settings
from tools.localcloud.servers.programs import TITLES, Programs

_FIRST_WITH_DEFINER_PRIVILEGES = (8, 2)  # of MySQL
_FIRST_WITH_SHOW_CREATE_ROUTINE = (11, 4)  # of MariaDB


def make(directory: Path, programs: Programs) -> Settings:
    """Create the files of a server that has never been started."""
    data = directory / "data"
    shutil.rmtree(data, ignore_errors=True)  # of an interrupted start
    shutil.copytree(_empty_data(directory, programs), data)
    data.chmod(0o700)
    authority = make_authority(f"local cloud {TITLES[programs.engine]}")
    directory.joinpath("ca.pem").write_bytes(authority.pem())
    write_server_certificate(authority, HOST, directory / "server.crt", directory / "server.key")
    settings = Settings(
        engine=programs.engine, version=programs.version, port=0, admin_user="admin", superuser="rdsadmin"
    )
    write_settings(directory, settings)  # the last step: a server's files are complete or are made again
    return settings


def _empty_data(directory: Path, programs: Programs) -> Path:
    """Return the folder of a data directory with the system's tables and no user that can log in.

    It is kept next to unpacked programs, because MySQL takes seconds to make one.
    """
    if programs.root is None:
        return _initialised(directory / "empty", programs)
    kept = programs.root / "empty-data"
    with exclusive(programs.root / "empty-data.lock", lambda: None):
        if not kept.is_dir():
            _initialised(programs.root / "empty-data.part", programs).rename(kept)
    return kept


def _initialised(folder: Path, programs: Programs) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    options = [f"{name}={value}" for name, value in _places(programs).items()]
    command = [*programs.command, "--no-defaults", *(f"--{option}" for option in options)]
    command += [f"--datadir={folder}", "--innodb-buffer-pool-size=16M", *_user_option("--user=")]
    if programs.engine == "mariadb":
        command += ["--bootstrap", "--innodb-log-file-size=8M", "--log-warnings=0"]
        text = _system_tables(programs)
    else:
        command += ["--initialize-insecure", "--innodb-redo-log-capacity=32M", "--log-error-verbosity=1"]
        text = ""
    done = subprocess.run(command, check=False, input=text, capture_output=True, text=True, cwd="/")
    if done.returncode:
        raise SetupError(f"{TITLES[programs.engine]} could not be set up:\n{done.stderr.strip()[-2000:]}")
    return folder


def _system_tables(programs: Programs) -> str:
    """Return the statements that mariadb-install-db gives to a new server, without its users."""
    share = _share(programs)
    patterns = (
        "m*_system_tables.sql",
        "m*_performance_tables.sql",
        "m*_system_tables_data.sql",
        "maria_add_gis_sp_bootstrap.sql",
        "m*_sys_schema.sql",  # since 10.6
    )
    begin = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
    files = [file for pattern in patterns for file in share.glob(pattern)]
    return begin + "".join(file.read_text() for file in files) + _NO_USERS


_NO_USERS = "USE mysql;\nDELETE FROM global_priv WHERE User IN ('root', '');\n"


def _share(programs: Programs) -> Path:
    """Return MariaDB's folder of messages and of the system tables' statements.

    Raises:
        SetupError: An installed server lacks it.
    """
    prefix = programs.root / "usr" if programs.root else Path(programs.command[0]).resolve().parents[1]
    for place in ("share/mysql", "share/mariadb", "share"):
        if any(prefix.joinpath(place).glob("m*_system_tables.sql")):
            return prefix / place
    raise SetupError(f"MariaDB's files mysql_system_tables.sql and so on are not below {prefix / 'share'}.")


def _places(programs: Programs) -> dict[str, object]:
    """Return the options that lead an unpacked server to its own files."""
    if programs.root is None:
        return {}
    share = _share(programs) if programs.engine == "mariadb" else programs.root / "usr" / "share" / "mysql"
    return {
        "basedir": programs.root / "usr",
        "lc-messages-dir": share,
        "plugin-dir": programs.root / "usr" / "lib" / "mysql" / "plugin",
    }


def _user_option(name: str) -> list[str]:
    return [f"{name}root"] if geteuid() == 0 else []  # refused unless it is said


def write_options(directory: Path, settings: Settings, programs: Programs) -> None:
    """Write what the server reads when it starts: its options, and the statements that create its users."""
    options: dict[str, object] = {
        **_places(programs),
        "datadir": directory / "data",
        "port": settings.port,
        "bind-address": "127.0.0.1",
        "socket": "socket",  # in the data, by a relative path, because the length of one is limited
        "pid-file": directory / "server.pid",
        "ssl-cert": directory / "server.crt",
        "ssl-key": directory / "server.key",
        "tls-version": "TLSv1.2,TLSv1.3",
        "require-secure-transport": "OFF",
        "init-file": directory / "init.sql",
        "general-log": "OFF",  # the last statement of init.sql switches it on
        "general-log-file": directory / "statements",
        "performance-schema": "OFF",
        "skip-log-bin": "",
        "max-connections": 100,
        "max-connect-errors": 1_000_000,
        "innodb-buffer-pool-size": "16M",
        "innodb-flush-log-at-trx-commit": 0,  # the data is an example's: a crash of the machine may take it
        "table-open-cache": 200,
        "secure-file-priv": directory / "files",
    }
    directory.joinpath("files").mkdir(exist_ok=True)
    if programs.engine == "mariadb":
        options |= {"innodb-log-file-size": "8M", "loose-plugin-load-add": "auth_ed25519"}
    else:
        options |= {
            "innodb-redo-log-capacity": "32M",
            "mysqlx": "OFF",
            "log-raw": "ON",
            "auto-generate-certs": "OFF",
        }
    lines = [f"{name} = {value}" if value != "" else name for name, value in options.items()]
    lines += _user_option("user = ")
    write_if_changed(directory / "my.cnf", "\n".join(["[mysqld]", *lines]) + "\n")
    write_if_changed(directory / "init.sql", ";\n".join(_users(settings, programs)) + ";\n", 0o600)


# The master user's privileges, as the RDS user guide lists them.
_MASTER = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, "
    "SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, "
    "CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER"
)
_MASTER_OF_MYSQL = "CREATE ROLE, DROP ROLE, APPLICATION_PASSWORD_ADMIN, ROLE_ADMIN, XA_RECOVER_ADMIN"


def _users(settings: Settings, programs: Programs) -> list[str]:
    """Return the statements that create the users, at every start. The passwords need no quoting."""
    superuser, admin = f"'{settings.superuser}'@'localhost'", f"'{settings.admin_user}'@'%'"
    privileges = _MASTER
    if programs.engine == "mariadb" and programs.release >= _FIRST_WITH_SHOW_CREATE_ROUTINE:
        privileges = f"{_MASTER}, SHOW CREATE ROUTINE"
    if programs.engine == "mysql":
        by_release = "SET_USER_ID"
        if programs.release >= _FIRST_WITH_DEFINER_PRIVILEGES:
            by_release = "SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER"
        privileges = f"{_MASTER}, {_MASTER_OF_MYSQL}, {by_release}"
    return [
        "DROP USER IF EXISTS 'root'@'localhost'",
        f"CREATE USER IF NOT EXISTS {superuser} IDENTIFIED BY '{settings.superuser_password}'",
        f"GRANT ALL ON *.* TO {superuser} WITH GRANT OPTION",
        f"CREATE USER IF NOT EXISTS {admin} IDENTIFIED BY '{settings.admin_password}'",
        f"GRANT {privileges} ON *.* TO {admin} WITH GRANT OPTION",
        # RDS's own way to end the sessions of others, which takes SUPER or CONNECTION ADMIN
        f"CREATE DEFINER={superuser} PROCEDURE IF NOT EXISTS mysql.rds_kill(thread BIGINT) KILL thread",
        "SET GLOBAL general_log = ON",
    ]
