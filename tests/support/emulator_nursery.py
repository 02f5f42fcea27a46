"""Start emulators as forks of one process: `python -m tests.support.emulator_nursery`.

An emulator's imports take half a second of processor time, and most tests have their own. One process imports
once, and each emulator is a fork of it before anything has run: the same code in the same state as
`python -m tools.localcloud.emulator` after its imports.

The same holds for the functions that an emulator runs: their processes are forks, too (function_nursery.py),
and emulators share what they unpack.

A line of standard input is `{"log": file, "data": file, "environment": {...}, "functions": whether they are
forks}`; the response is a process id.
"""

import atexit
import gc
import hashlib
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tests.support import function_nursery
from tools.localcloud.emulator import lambda_runtime, lambda_workers, server
from tools.localcloud.emulator.__main__ import main
from tools.localcloud.files import exclusive

if TYPE_CHECKING:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

# What the module sets on import, regardless of the caller's environment.
_FAMILIES = ("AWS_", "MOTO_")
# Services whose applications are built before the first fork.
_SERVICES = (
    *("cloudtrail", "ec2", "ecs", "eks", "elasticache", "events", "iam", "kms", "lambda", "logs", "memorydb"),
    *("monitoring", "rds", "s3", "secretsmanager", "sns", "sts"),
)
_ROUTED = ("eks", "lambda")
_MODELS = {"monitoring": "cloudwatch"}
_OWN = {name: value for name, value in os.environ.items() if name.startswith(_FAMILIES)}


def _prepare_services() -> None:
    """Build the applications of the services, whose modules and routes are made on the first request."""
    # not imported above: the emulator's module sets what moto reads on import
    models, routing = (importlib.import_module(f"moto.core.{name}") for name in ("utils", "routing"))
    function_nursery.keep_models()
    application = server.aws_services()
    dispatcher = cast("DomainDispatcherApplication", application)
    for name in _SERVICES:
        server.replace_service(name)
        credential = f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{name}/aws4_request"
        host = f"{name}.us-east-1.amazonaws.com"
        request = {"PATH_INFO": "/", "HTTP_HOST": host, "HTTP_AUTHORIZATION": credential}
        dispatcher.get_application(request).url_map.update()
        models.get_service_model(_MODELS.get(name, name))
        models.get_pagination_model(_MODELS.get(name, name))
    for name in _ROUTED:
        routing.get_service_router(name)
    server.aws_services = lambda: application


def _start_function_nursery(folder: Path) -> str:
    """Start what the functions are forks of, and return its address. It ends with this process."""
    packages, address = folder / "packages", str(folder / "functions")
    lambda_workers.link_packages(packages)
    arguments = [str(lambda_runtime.__file__), str(packages), address]
    nursery = subprocess.Popen(
        [sys.executable, "-I", "-S", function_nursery.__file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert nursery.stdout is not None
    assert nursery.stdout.readline() == b"listening\n"
    atexit.register(nursery.kill)
    return address


def _unpack_once(shared: Path) -> Callable[[bytes, Path], None]:
    """Return `lambda_workers.unpack` with compiled modules that a later emulator finds again."""
    unpack = lambda_workers.unpack

    def link(archive: bytes, folder: Path) -> None:
        unpacked = shared / hashlib.sha256(archive).hexdigest()
        with exclusive(unpacked.with_suffix(".lock"), lambda: None):
            if not unpacked.is_dir():
                unfinished = unpacked.with_suffix(".unfinished")
                unpack(archive, unfinished)
                unfinished.rename(unpacked)
        folder.symlink_to(unpacked)

    return link


def _fork_functions(nursery: str, shared: Path) -> None:
    # mypy compares the names of arguments, too
    setattr(lambda_workers, "start_runtime", function_nursery.starter(nursery))  # noqa: B010
    setattr(lambda_workers, "unpack", _unpack_once(shared))  # noqa: B010


def _become_an_emulator(log: str, data: str, environment: Mapping[str, str]) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.closerange(3, max(output, nothing) + 1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    theirs = {name: value for name, value in environment.items() if not name.startswith(_FAMILIES)}
    os.environ.clear()
    os.environ.update(theirs | _OWN)
    random.seed()
    sys.argv = ["tools.localcloud.emulator", "--port", "0", "--data", data]
    main()


def serve() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nothing waits for them here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    _prepare_services()
    gc.collect()
    gc.freeze()  # collections in a fork skip the memory shared with this process
    with tempfile.TemporaryDirectory(prefix="emulators-") as folder:
        functions = _start_function_nursery(Path(folder))
        while line := sys.stdin.readline():
            asked = json.loads(line)
            child = os.fork()
            if child == 0:
                try:
                    if asked.pop("functions"):
                        _fork_functions(functions, Path(folder))
                    _become_an_emulator(**asked)
                except BaseException:  # noqa: BLE001  every error goes to the log, and none back into the loop
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(1)
            sys.stdout.write(f"{child}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    serve()
