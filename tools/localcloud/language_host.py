"""Python language host: started by the engine to run a Python program, where no official one is installed.

It serves the gRPC service `LanguageRuntime` (pulumi's language.proto) on a free port, which it prints as its
first line. Programs run through Pulumi's own script `pulumi-language-python-exec`, plugins by their
`__main__.py`. Code generation is not served: the engine says so when it is asked for.

Run by path, `python -P language_host.py EXECUTOR [FLAG...] ENGINE`: it imports nothing of this project,
because the engine waits for it in every command and a Python path set for it would reach the program too.
"""

import errno
import json
import os
import queue
import re
import select
import signal
import stat
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, DistributionFinder, MetadataPathFinder, version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any


def _import_protocol_only() -> None:
    """Let `pulumi.runtime.proto` be imported without the rest of the SDK, which takes as long again."""
    spec = find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("pulumi-language-python: the pulumi package is not installed for this interpreter")
    folder = Path(spec.submodule_search_locations[0])
    for name in ("pulumi", "pulumi.runtime", "pulumi.runtime.proto"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package


_import_protocol_only()

import grpc  # noqa: E402 -- the protocol modules must come after the line above; grpc belongs to them
from google.protobuf.empty_pb2 import Empty  # noqa: E402 -- the same
from pulumi.runtime.proto import language_pb2, plugin_pb2  # noqa: E402 -- the same

# How the exec script says that the user has been told what went wrong.
EXIT_AFTER_MESSAGE = 32

# protobuf publishes no types for the base class.
Message = Any


class ProgramError(Exception):
    """The request cannot be served with this Pulumi.yaml; the engine shows the message."""


def _option(info: language_pb2.ProgramInfo, name: str) -> str:
    return str(info.options[name]) if name in info.options else ""


def _virtual_environment(info: language_pb2.ProgramInfo) -> Path | None:
    """Return the folder of the `virtualenv` option, relative to Pulumi.yaml; None without that option."""
    named = _option(info, "virtualenv")
    return Path(info.root_directory, named) if named else None


def _interpreter(info: language_pb2.ProgramInfo) -> Path:
    """Return the program's Python.

    Raises:
        ProgramError: The virtual environment does not exist, or the toolchain is not supported.
    """
    toolchain = _option(info, "toolchain")
    if toolchain not in ("", "pip"):
        raise ProgramError(
            f"Pulumi.yaml asks for the toolchain {toolchain!r}. This language host supports only pip: remove "
            "runtime.options.toolchain, or install the official pulumi-language-python."
        )
    environment = _virtual_environment(info)
    if environment is None:
        return Path(sys.executable)
    python = environment / "bin" / "python"
    if not python.exists():
        raise ProgramError(
            f"The 'virtualenv' option in Pulumi.yaml is set to {_option(info, 'virtualenv')!r}, but "
            f"{environment} is not a virtual environment. Run `make up`, or `pulumi install` to create it."
        )
    return python


def _environment(info: language_pb2.ProgramInfo) -> dict[str, str]:
    """Return our environment, with the program's virtual environment activated."""
    variables = dict(os.environ)
    environment = _virtual_environment(info)
    if environment is not None:
        variables["VIRTUAL_ENV"] = str(environment)
        variables["PATH"] = f"{environment / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}"
        variables.pop("PYTHONHOME", None)
    return variables


def _distributions(info: language_pb2.ProgramInfo) -> Iterable[Distribution]:
    """Return the program's distributions, read from its site-packages without starting its Python."""
    environment = _virtual_environment(info)
    if environment is None:
        paths = sys.path
    else:
        paths = [str(path) for path in environment.glob("lib/python*/site-packages")]
    return MetadataPathFinder.find_distributions(DistributionFinder.Context(path=paths))


def _required_package(distribution: Distribution) -> plugin_pb2.PackageDependency | None:
    """Return the resource plugin that an installed package says it needs, from its pulumi-plugin.json."""
    name = distribution.metadata["Name"]
    if not name.lower().replace("_", "-").startswith("pulumi-"):
        return None
    path = Path(str(distribution.locate_file(name.lower().replace("-", "_")))) / "pulumi-plugin.json"
    if not path.is_file():
        return None
    described: dict[str, Any] = json.loads(path.read_text())
    if not described.get("resource"):
        return None
    parameterization = described.get("parameterization")
    if parameterization:
        raise ProgramError(
            f"{name} is generated from another provider's schema, which this language host does not support: "
            "install the official pulumi-language-python."
        )
    version = described.get("version") or distribution.version
    return plugin_pb2.PackageDependency(
        name=described.get("name") or name.lower().removeprefix("pulumi-"),
        kind="resource",
        version=f"v{version.removeprefix('v')}",
        server=described.get("server", ""),
    )


def run_arguments(request: language_pb2.RunRequest, engine_address: str) -> list[str]:
    """Return the exec script's arguments, program last."""
    named = {
        "monitor": request.monitor_address,
        "engine": engine_address,
        "project": request.project,
        "stack": request.stack,
        "organization": request.organization,
        "root_directory": request.info.root_directory,
        "pwd": request.pwd,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": str(request.parallel),
    }
    arguments = [part for key, value in named.items() if value for part in (f"--{key}", value)]
    program = Path(request.info.program_directory, request.info.entry_point)
    return [*arguments, str(program), *request.args]


def run_response(returncode: int) -> language_pb2.RunResponse:
    """Return what the engine is told of a program that ended with this code, or minus a signal."""
    if returncode == 0:
        return language_pb2.RunResponse()
    if returncode == EXIT_AFTER_MESSAGE:
        return language_pb2.RunResponse(bail=True)
    if returncode < 0:
        name = signal.Signals(-returncode).name
        return language_pb2.RunResponse(error=f"Program was ended by the signal {name}")
    return language_pb2.RunResponse(error=f"Program exited with non-zero exit code: {returncode}")


class Programs:
    """The processes that we started, so that none remains when we end."""

    def __init__(self, executor: Path, engine_address: str) -> None:
        self.executor = executor
        self.engine_address = engine_address
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = False
        self._lock = threading.Lock()

    def start(
        self,
        command: list[str],
        environment: dict[str, str],
        folder: str,
        output: int | None = None,
        *,
        separate_errors: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a program in our process group, which the engine interrupts and kills; `output` None is ours.

        Its standard error goes where its output goes, unless `separate_errors` asks for a pipe of its own.

        Raises:
            ProgramError: The host is shutting down, so nothing is started.
        """
        with self._lock:
            if self._ended:
                raise ProgramError("The operation was cancelled.")
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output if separate_errors or output is None else subprocess.STDOUT,
                env=environment,
                cwd=folder or None,
            )
            self._running.add(process)
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for a program of `start`; return its exit code, or minus the signal that ended it."""
        returncode = process.wait()
        with self._lock:
            self._running.discard(process)
        return returncode

    @property
    def cancelled(self) -> bool:
        """True if the operation was cancelled."""
        return self._ended

    def end(self, signal_number: int) -> None:
        """Signal every running program and start no further one."""
        with self._lock:
            self._ended = True
            for process in self._running:
                process.send_signal(signal_number)


def handshake(programs: Programs, request: Message) -> Message:
    """Keep the engine's address."""
    programs.engine_address = request.engine_address or programs.engine_address
    return language_pb2.LanguageHandshakeResponse()


def _plugin_info(_programs: Programs, _request: Message) -> Message:
    return plugin_pb2.PluginInfo(version=version("pulumi"))


def _required_packages(_programs: Programs, request: Message) -> Message:
    _interpreter(request.info)
    found = (_required_package(distribution) for distribution in _distributions(request.info))
    packages = sorted((package for package in found if package), key=lambda package: package.name)
    return language_pb2.GetRequiredPackagesResponse(packages=packages)


def _run(programs: Programs, request: Message) -> Message:
    interpreter = _interpreter(request.info)
    environment = _environment(request.info)
    # Not on the command line: anyone may list command lines, and the configuration holds secrets.
    environment["PULUMI_CONFIG"] = json.dumps(dict(request.config))
    environment["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(list(request.configSecretKeys))
    command = [str(interpreter), "-u", str(programs.executor)]
    command += run_arguments(request, programs.engine_address)
    try:
        process = programs.start(command, environment, request.pwd)
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
        raise ProgramError(
            f"The configuration of stack {request.stack} takes {len(environment['PULUMI_CONFIG']) // 1024} "
            "KiB, more than the system allows a program (argument list too long). Move parts of it to files "
            "that the program reads itself, or divide it among several stacks."
        ) from None
    returncode = programs.finish(process)
    if programs.cancelled:
        return language_pb2.RunResponse(bail=True)
    return run_response(returncode)


def _install_dependencies(programs: Programs, request: Message) -> Iterator[Message]:
    folder = Path(request.info.program_directory)
    environment = _virtual_environment(request.info)
    commands = []
    if environment is not None and not (environment / "bin" / "python").exists():
        commands.append([sys.executable, "-m", "venv", str(environment)])
    python = sys.executable if environment is None else str(environment / "bin" / "python")
    requirements = folder / "requirements.txt"
    if requirements.is_file():
        commands.append([python, "-m", "pip", "install", "--requirement", str(requirements)])
    for command in commands:
        process = programs.start(command, dict(os.environ), str(folder), subprocess.PIPE)
        for line in process.stdout or ():
            yield language_pb2.InstallDependenciesResponse(stdout=line)
        returncode = programs.finish(process)
        if returncode:
            raise ProgramError(f"`{' '.join(command)}` failed with exit code {returncode}.")


def _run_plugin(programs: Programs, request: Message) -> Iterator[Message]:
    """Run a folder with a PulumiPlugin.yaml and a `__main__.py`, and pass on what it prints."""
    environment = _environment(request.info) | dict(text.split("=", 1) for text in request.env)
    command = [str(_interpreter(request.info)), "-u", request.info.program_directory, *request.args]
    process = programs.start(command, environment, request.pwd, subprocess.PIPE, separate_errors=True)
    printed: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def read(stream: IO[bytes] | None, message: Callable[[bytes], Message]) -> None:
        for line in stream or ():
            printed.put(message(line))
        printed.put(None)

    streams: list[tuple[IO[bytes] | None, Callable[[bytes], Message]]] = [
        (process.stdout, lambda line: language_pb2.RunPluginResponse(stdout=line)),
        (process.stderr, lambda line: language_pb2.RunPluginResponse(stderr=line)),
    ]
    for stream in streams:
        threading.Thread(target=read, args=stream, daemon=True).start()
    for _ in streams:
        yield from iter(printed.get, None)
    yield language_pb2.RunPluginResponse(exitcode=programs.finish(process))


def _about(_programs: Programs, request: Message) -> Message:
    interpreter = _interpreter(request.info)
    asked = subprocess.run([str(interpreter), "--version"], capture_output=True, text=True, check=False)
    name = asked.stdout.strip().removeprefix("Python ")
    return language_pb2.AboutResponse(executable=str(interpreter), version=name)


def _dependencies(_programs: Programs, request: Message) -> Message:
    installed = {_normal(found.metadata["Name"]): found for found in _distributions(request.info)}
    required = {
        _normal(match[0])
        for found in installed.values()
        for requirement in found.requires or ()
        if (match := re.match(r"[A-Za-z0-9._-]+", requirement))
    }
    shown = installed if request.transitiveDependencies else installed.keys() - required
    return language_pb2.GetProgramDependenciesResponse(
        dependencies=[
            language_pb2.DependencyInfo(
                name=installed[name].metadata["Name"], version=installed[name].version
            )
            for name in sorted(shown)
        ]
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _prompts(_programs: Programs, _request: Message) -> Message:
    return language_pb2.RuntimeOptionsResponse()


def cancel(programs: Programs, _request: Message) -> Message:
    """End what runs."""
    # Not SIGINT: Python would print a traceback for it, which the engine would show.
    programs.end(signal.SIGTERM)
    return Empty()


Answers = dict[str, tuple[Callable[[Programs, Message], Message], type[Message]]]
Streams = dict[str, tuple[Callable[[Programs, Message], Iterator[Message]], type[Message]]]

_ANSWERS: Answers = {
    "Handshake": (handshake, language_pb2.LanguageHandshakeRequest),
    "GetPluginInfo": (_plugin_info, Empty),
    "GetRequiredPackages": (_required_packages, language_pb2.GetRequiredPackagesRequest),
    "Run": (_run, language_pb2.RunRequest),
    "About": (_about, language_pb2.AboutRequest),
    "GetProgramDependencies": (_dependencies, language_pb2.GetProgramDependenciesRequest),
    "RuntimeOptionsPrompts": (_prompts, language_pb2.RuntimeOptionsRequest),
    "Cancel": (cancel, Empty),
}

_STREAMS: Streams = {
    "InstallDependencies": (_install_dependencies, language_pb2.InstallDependenciesRequest),
    "RunPlugin": (_run_plugin, language_pb2.RunPluginRequest),
}


def _service(programs: Programs, answers: Answers, streams: Streams) -> grpc.GenericRpcHandler:
    """Return the methods that we serve; the engine is told of any other that it is not implemented."""

    def answer(
        function: Callable[[Programs, Message], Message],
    ) -> Callable[[Message, grpc.ServicerContext], Message]:
        def served(request: Message, context: grpc.ServicerContext) -> Message:
            try:
                return function(programs, request)
            except ProgramError as error:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))

        return served

    def stream(
        function: Callable[[Programs, Message], Iterator[Message]],
    ) -> Callable[[Message, grpc.ServicerContext], Iterator[Message]]:
        def served(request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
            try:
                yield from function(programs, request)
            except ProgramError as error:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))

        return served

    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            answer(function), request.FromString, lambda response: response.SerializeToString()
        )
        for name, (function, request) in answers.items()
    }
    for name, (streamed, request) in streams.items():
        handlers[name] = grpc.unary_stream_rpc_method_handler(
            stream(streamed), request.FromString, lambda response: response.SerializeToString()
        )
    return grpc.method_handlers_generic_handler("pulumirpc.LanguageRuntime", handlers)


def _wait_for_the_end() -> None:
    """Return on SIGINT or SIGTERM, or when the engine is gone, which holds our standard input's end."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    watched = [woken]
    # Started by hand or by a test, the standard input says nothing about an engine.
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        watched.append(0)
    while True:
        readable, _, _ = select.select(watched, [], [])
        if woken in readable or not os.read(0, 4096):
            return


def main(arguments: list[str], answers: Answers = _ANSWERS, streams: Streams = _STREAMS) -> None:
    """Serve until the engine ends.

    Args:
        arguments: the exec script, flags that are ignored, the engine's address.
        answers: the methods with one answer; those of the Python host by default.
        streams: the methods with a stream of answers.
    """
    executor, *others = arguments
    programs = Programs(Path(executor), others[-1] if others else "")
    # The protocol sets no limit; gRPC's default of 4 MB is too small for a large configuration.
    server = grpc.server(
        ThreadPoolExecutor(),
        handlers=[_service(programs, answers, streams)],
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)],
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    _wait_for_the_end()
    # The engine waits for us: no shutdown of the server, whose answers nobody reads any more.
    programs.end(signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
