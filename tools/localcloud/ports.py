"""TCP ports of servers whose port must not change, because secrets hold it."""

import random
import socket
import time

from tools.localcloud.layout import SetupError

_PORTS = range(15_000, 30_000)


def any_free_port() -> int:
    """Return a free port below those of outgoing connections, which could take it before the next start."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311  nothing secret
        if _is_free(port):
            return port


def require_free(port: int, server: str, patience: float = 0) -> None:
    """Require that a server can listen on its port.

    Args:
        port: the port that secrets hold.
        server: the server's name, for the message.
        patience: seconds to wait for it, where a server that was killed may still be ending.

    Raises:
        SetupError: Another program listens there.
    """
    deadline = time.monotonic() + patience
    while not _is_free(port):
        if time.monotonic() < deadline:
            time.sleep(0.02)
            continue
        raise SetupError(
            f"Port {port} is in use by another program, so {server} cannot listen there; no other port "
            "will do, because the secrets of its logins hold this one. Stop that program, or run "
            "`make down` to start over with empty data on a free port."
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
