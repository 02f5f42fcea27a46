"""`python -m tools.localcloud.emulator --port 4577 --data FILE`: AWS on 127.0.0.1."""

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

# Before moto is imported: it reads these once. The user's own settings of AWS must not reach it.
for _name in [name for name in os.environ if name.startswith(("AWS_", "MOTO_"))]:
    del os.environ[_name]
os.environ |= {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "MOTO_DISABLE_GLOBAL_CORS": "true",
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "false",  # `iam_service` takes in those that are asked for
}

# ruff: noqa: E402  the environment comes first
from tools.localcloud.emulator import (
    http_server,
    label_rules,
    lambda_service,
    rotation,
    secrets_rules,
    secrets_service,
    server,
    state,
)
from tools.localcloud.emulator.caches import changes
from tools.localcloud.emulator.turns import ONE_AT_A_TIME


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        sys.exit(
            f"The local cloud cannot listen on 127.0.0.1:{port} ({error.strerror}). "
            "Choose another port with LOCALCLOUD_PORT."
        )
    listener.listen(256)
    return listener


def _prepared_for_the_end() -> Callable[[], None]:
    """Return a function that waits for SIGTERM or SIGINT.

    A pipe, because a signal that arrives just before a thread begins to wait for a lock does not wake it up.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        os.read(reading, 1)

    return wait


def main() -> NoReturn:
    """Serve until SIGTERM or SIGINT, then saves."""
    parser = argparse.ArgumentParser(prog="python -m tools.localcloud.emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="file that keeps everything over a restart")
    options = parser.parse_args()
    try:
        secrets_rules.label_rules = label_rules.read(os.environ)
    except ValueError as error:
        sys.exit(f"The local cloud cannot start: {error}")
    state.claim(options.data)
    listener = _bound(options.port)
    services = server.aws_services()
    found = state.load(options.data)
    saver = state.Saver(options.data, found.instance, ONE_AT_A_TIME)
    port = listener.getsockname()[1]
    folder = options.data.resolve().with_name(f"{options.data.name}.functions")
    lambda_service.start(f"http://127.0.0.1:{port}", folder, saver.changed)
    rotation.start(secrets_service.all_secrets, saver.changed)
    try:
        changes.start(saver.changed)
    except ValueError as error:
        sys.exit(f"The local cloud cannot start: {error}")
    health = {"status": "ok", "instance": found.instance, "restored": found.restored}
    application = server.emulator(services, health, saver.changed)
    httpd = http_server.serving(listener, application)
    wait_for_the_end = _prepared_for_the_end()
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    wait_for_the_end()
    lambda_service.end()
    saver.finish()
    os._exit(0)  # open connections of clients that keep them must not delay the end


if __name__ == "__main__":
    main()
