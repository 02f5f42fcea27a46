"""Run a Lambda function in this process: `python -I -S lambda_runtime.py ANSWERS PACKAGES`.

ANSWERS is the number of a file descriptor, PACKAGES the folder of what Lambda ships next to Python (boto3).
Configuration is in the environment, as Lambda gives it. Stdin has one JSON object a line for each invocation:
{"id", "arn", "deadline": seconds since 1970, "event"}; it closes when the emulator ends, however it ends, and
so does this process. Answers are JSON objects, one a line: first {"init": null or an error}, then for every
invocation {"result": JSON text} or {"error": payload}, with {"memory": MB}. Stdout and stderr are the
function's; MARK on stdout follows the last output of the initialization and of every invocation.

Nothing but the standard library is imported here: the function must not find more than Lambda has.
Source: AWS Lambda Developer Guide, "Define Lambda function handler in Python", "Using the Lambda context
object", "Log and monitor Python Lambda functions", "Defined runtime environment variables".
"""

import importlib
import io
import json
import logging
import os
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

MARK = b"\x00localcloud\x00\n"
_Handler = Callable[[object, object], object]


class _Context:
    """Lambda's context object."""

    def __init__(self, invocation: dict[str, Any]) -> None:
        self.aws_request_id = str(invocation["id"])
        self.invoked_function_arn = str(invocation["arn"])
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = None
        self._deadline = float(invocation["deadline"])

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.time()) * 1000))


class _Log(logging.Handler):
    """Lambda's root handler; a record stays one log event, which the emulator splits at line feeds."""

    request = ""

    def emit(self, record: logging.LogRecord) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        text = self.format(record)
        if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
            line = json.dumps(
                {
                    "timestamp": f"{moment}Z",
                    "level": record.levelname,
                    "message": text,
                    "logger": record.name,
                    "requestId": self.request,
                }
            )
        else:
            line = f"[{record.levelname}]\t{moment}.{int(record.msecs):03d}Z\t{self.request}\t{text}"
        _say(line)


def _say(event: str) -> None:
    event = event.rstrip("\n").replace("\n", "\r")
    sys.stdout.write(f"{event}\n")


def _failed(error: BaseException, frames: TracebackType | None, request: str) -> dict[str, object]:
    # a function's code is in /var/task on Lambda
    place = os.environ["LAMBDA_TASK_ROOT"]
    stack = [text.replace(place, "/var/task") for text in traceback.format_list(traceback.extract_tb(frames))]
    kind = type(error).__name__
    heading = "Traceback (most recent call last):\n" if stack else ""
    _say(f"[ERROR] {kind}: {error}\n{heading}{''.join(stack)}")
    return {"errorMessage": str(error), "errorType": kind, "requestId": request, "stackTrace": stack}


def _without_frames(kind: str, message: str) -> dict[str, object]:
    _say(f"[ERROR] {kind}: {message}")
    return {"errorMessage": message, "errorType": kind, "requestId": "", "stackTrace": []}


def _find_servers(places: dict[str, int]) -> None:
    """Connect to servers of AWS, given as `host:port`, on ports of this machine."""
    if not places:
        return
    connect = socket.create_connection

    def connected(address: tuple[str, int], *more: Any, **options: Any) -> socket.socket:  # noqa: ANN401
        port = places.get(f"{address[0]}:{address[1]}")
        return connect(address if port is None else ("127.0.0.1", port), *more, **options)

    setattr(socket, "create_connection", connected)  # noqa: B010  its type names every argument


def _load(name: str) -> _Handler | dict[str, object]:
    """Return the handler, or the error to answer with."""
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        return _without_frames(
            "Runtime.MalformedHandlerName", f"Bad handler '{name}': not enough values to unpack"
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        return _without_frames(
            "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}"
        )
    except SyntaxError as error:
        return _without_frames(
            "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}"
        )
    except Exception as error:  # noqa: BLE001  whatever the function's module does
        return _failed(error, error.__traceback__, "")
    found = getattr(module, function_name, None)
    if not callable(found):
        return _without_frames(
            "Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'"
        )
    handler: _Handler = found
    return handler


def _memory() -> int:
    """Return the process's peak memory in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return max(1, round(int(line.split()[1]) / 1024))
    return 1


def _invoke(handler: _Handler, invocation: dict[str, Any]) -> dict[str, object]:
    request = str(invocation["id"])
    try:
        result = handler(invocation["event"], _Context(invocation))
    except Exception as error:  # noqa: BLE001  whatever the function does
        frames = error.__traceback__
        return {"error": _failed(error, frames and frames.tb_next, request)}
    try:
        return {"result": json.dumps(result)}
    except (TypeError, ValueError) as error:
        return {"error": _without_frames("Runtime.MarshalError", f"Unable to marshal response: {error}")}


def _read_invocations(invocations: "queue.Queue[dict[str, Any]]", source: int) -> None:
    """Read invocations; end the process when the emulator has ended, even while the function runs."""
    with os.fdopen(source) as lines:
        for line in lines:
            invocations.put(json.loads(line))
    os._exit(0)


def _main() -> None:
    answers, packages = os.fdopen(int(sys.argv[1]), "w"), sys.argv[2]
    os.set_inheritable(answers.fileno(), False)  # noqa: FBT003  its only form
    # the function must neither read invocations nor lose its mark by closing stdout
    source, output = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    invocations: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read_invocations, args=(invocations, source), daemon=True).start()
    _find_servers(json.loads(os.environ.pop("LOCALCLOUD_SERVERS", "{}")))
    sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"]]
    sys.path.append(packages)
    sys.argv = [""]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what was said before a timeout is not lost
    log = _Log()
    root = logging.getLogger()
    root.addHandler(log)
    root.setLevel(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "WARNING"))

    def answer(found: dict[str, object]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(output, MARK)
        answers.write(json.dumps(found) + "\n")
        answers.flush()

    handler = _load(os.environ["_HANDLER"])
    if isinstance(handler, dict):
        answer({"init": handler, "memory": _memory()})
        return
    answer({"init": None, "memory": _memory()})
    while True:
        invocation = invocations.get()
        log.request = str(invocation["id"])
        answer({**_invoke(handler, invocation), "memory": _memory()})


if __name__ == "__main__":
    _main()
