"""Run the local cloud from the command line: `python -m tools.localcloud COMMAND`, as make's targets do."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tools.localcloud.database import register, start_database
from tools.localcloud.down import down
from tools.localcloud.emulator_control import Emulator, start_emulator, stop_emulator
from tools.localcloud.engine_servers import described, register_servers, start_servers
from tools.localcloud.environment import local_environment, write_env_file
from tools.localcloud.files import exclusive
from tools.localcloud.layout import Layout, SetupError, checkout
from tools.localcloud.postgres import PostgresServer
from tools.localcloud.postgres_process import stop as stop_postgres
from tools.localcloud.pulumi_commands import (
    Stack,
    checkpoint,
    last_changes,
    local_stack,
    outputs,
    select,
    shown,
)
from tools.localcloud.recovery import recover
from tools.localcloud.rotate import rotate
from tools.localcloud.servers.process import stop as stop_server
from tools.localcloud.tools import provide_tools
from tools.localcloud.wanted import wanted

INTERRUPTED = 130


def up(layout: Layout) -> int:
    """Set up what is missing, start the emulator and the stack's servers, and deploy the stack there."""
    if not layout.stack_file.exists():
        raise SetupError(f"There is no {layout.stack_file.name}, the file of the stack {layout.stack!r}.")
    stand_ins = provide_tools(layout)
    emulator, servers = _started(layout)
    print(f"Emulator at http://127.0.0.1:{emulator.port}", end="")
    print(f", with stand-ins for the plugins {' and '.join(stand_ins)}" if stand_ins else "")
    _say_where(servers)
    stack = _stack(layout, emulator)
    select(stack)
    options = _options_after_recovery(layout, stack, emulator)
    # the outputs are many pages of manifests, which a summary follows
    update = ("up", "--yes", "--skip-preview", "--suppress-outputs", "--stack", stack.name)
    returncode = shown(stack, *update, *options)
    if returncode:
        print("The update failed: see above. What was created is kept: `make up` continues from there.")
        return returncode
    _deployed_to(layout).write_text(_identity(emulator))
    _say_what_is_there(stack, layout)
    return 0


def start(layout: Layout) -> int:
    """Start the emulator and the stack's servers, without an update of the stack."""
    emulator, servers = _started(layout)
    print(f"Emulator at http://127.0.0.1:{emulator.port} (process {emulator.pid})")
    _say_where(servers)
    return 0


def _started(layout: Layout) -> tuple[Emulator, list[str]]:
    """Start the emulator and the servers that the stack file needs; return it, and a line about each."""
    kinds = wanted(layout)
    with ThreadPoolExecutor(2) as beside:
        postgres = beside.submit(start_database, layout) if "postgres" in kinds else None
        others = beside.submit(start_servers, layout, kinds)
        emulator = start_emulator(layout)
        server, started = postgres.result() if postgres else None, others.result()
    if server is not None:
        register(emulator, server)
    register_servers(layout, emulator, started)
    write_env_file(layout, emulator.port)
    return emulator, [*_described(server), *described(started)]


def _described(server: PostgresServer | None) -> Iterator[str]:
    if server is not None:
        yield f"PostgreSQL {server.version} at {server.host}:{server.port} (process {server.pid})"


def _say_where(servers: Sequence[str]) -> None:
    for line in servers:
        print(line)
    sys.stdout.flush()


def stop(layout: Layout) -> int:
    """Stop the emulator and all servers; their data stay for the next start."""
    # The emulator first: one of its functions may be using the database.
    stopped = [stop_emulator(layout), stop_postgres(layout.postgres)]
    stopped += [stop_server(directory) for directory in (layout.mariadb, layout.mysql, layout.redis)]
    print("Stopped; the data are kept." if any(stopped) else "The local cloud was not running.")
    return 0


def env(layout: Layout) -> int:
    """Print the shell commands that point a shell at the local cloud."""
    if not layout.env_file.exists():
        raise SetupError("The local cloud is not set up yet: run `make up` first.")
    print(layout.env_file.read_text(), end="")
    return 0


def tools(layout: Layout) -> int:
    """Build or find the engine and install the plugins, as `up` does."""
    provide_tools(layout)
    return 0


def _stack(layout: Layout, emulator: Emulator) -> Stack:
    layout.state.mkdir(parents=True, exist_ok=True)
    return local_stack(layout, local_environment(layout, emulator.port))


def _deployed_to(layout: Layout) -> Path:
    """Where the emulator is noted that holds what the stack's state says."""
    return layout.local / ("deployed-to" if layout.stack == Layout.stack else f"deployed-to-{layout.stack}")


def _identity(emulator: Emulator) -> str:
    """Return a text that changes when its data may: with a new instance, and with a new process."""
    return f"{emulator.instance} {emulator.pid}"


def _options_after_recovery(layout: Layout, stack: Stack, emulator: Emulator) -> tuple[str, ...]:
    """Resolve what an interrupted command left, and return the options that `up` needs."""
    recovered = recover(stack)
    if recovered.unlocked or recovered.found or recovered.forgotten:
        print("The last pulumi command was interrupted.", end=" ")
        print(f"Of what it was creating, {len(recovered.found)} exist and {len(recovered.forgotten)} do not.")
    noted = _deployed_to(layout)
    if not checkpoint(stack).get("resources"):
        noted.write_text(_identity(emulator))
    elif not noted.exists() or noted.read_text() != _identity(emulator):
        print("The emulator was restarted: refreshing the stack's state from it first.")
        return ("--refresh",)
    return ()


def _say_what_is_there(stack: Stack, layout: Layout) -> None:
    changes = last_changes(stack)
    if not any(count for operation, count in changes.items() if operation != "same"):
        print(f"Nothing changed: all {changes.get('same', 0)} resources are as declared.")
        return
    exported = outputs(stack)
    secrets, logins = _mapping(exported, "secrets"), list(_logins(exported))
    if secrets:
        print("These secrets now exist in the emulated AWS:")
    for name, secret in secrets.items():
        print(f"  {name}: {', '.join(_names(secret, 'keys'))}")
    if logins:
        print("\nThese logins now work on real servers:")
    for secret, server in logins:
        print(f"  {secret}: on {server}")
    rotating = bool(logins) or any("rotation" in _mapping(secrets, name) for name in secrets)
    print(_next_steps(secrets, layout, rotating=len(logins) or rotating))


def _mapping(value: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 -- whatever the program exports
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _logins(exported: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Secret and server of every login."""
    for section in ("databases", "caches"):
        servers = _mapping(exported, section)
        for server in servers:
            for secret in _mapping(servers[server], "logins"):
                yield secret, server


def _names(secret: Any, output: str) -> list[str]:  # noqa: ANN401 -- whatever the program exports
    value = secret.get(output) if isinstance(secret, dict) else None
    return [str(name) for name in value] if isinstance(value, dict | list) else []


def _next_steps(secrets: Mapping[str, Any], layout: Layout, *, rotating: int) -> str:
    """Return commands to try; `rotating` is the number of secrets that rotate."""
    steps = [
        (". .local/env", "point this shell at the local cloud"),
        ("pulumi preview", f"show what `pulumi up` would do after a change in {layout.stack_file.name}"),
        ("aws secretsmanager list-secrets", "or any other AWS client"),
    ]
    for name, secret in secrets.items():
        waiting = _names(secret, "filledByHand")
        # Writing a secret replaces its whole JSON: right only where nothing else is in it.
        if waiting and waiting == _names(secret, "keys"):
            value = json.dumps(dict.fromkeys(waiting, "..."))
            steps.append(
                (f"aws secretsmanager put-secret-value --secret-id {name} --secret-string '{value}'", "")
            )
            steps.append(("", "fill the placeholder: no later `pulumi up` empties it"))
            break
    if rotating:
        stack = "" if layout.stack == Layout.stack else f" STACK={layout.stack}"
        chosen = "" if rotating == 1 else " SECRET=NAME"
        steps.append((f"make rotate{stack}{chosen}", "rotate a password now, and log in with it"))
    steps += [("make test", "run all checks"), ("make down", "remove the local cloud")]
    lines = (f"  {command:33}  # {why}" if why else f"  {command}" for command, why in steps)
    return "\nTry next:\n" + "\n".join(lines)


def _say_waiting() -> None:
    print("Waiting for another make command in this checkout to finish.", file=sys.stderr, flush=True)


COMMANDS: dict[str, Callable[..., int]] = {
    "up": up,
    "down": down,
    "rotate": rotate,
    "start": start,
    "stop": stop,
    "env": env,
    "tools": tools,
}


def main(arguments: list[str]) -> int:
    """Run one command, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.localcloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, function in COMMANDS.items():
        description = (function.__doc__ or "").splitlines()[0]
        added = commands.add_parser(name, help=description, description=description)
        if name in {"up", "start", "rotate"}:
            added.add_argument("--stack", default=Layout.stack, help="the stack (default: %(default)s)")
        if name == "rotate":
            added.add_argument("secret", nargs="?", help="name or ARN; by default the only one that rotates")
    given = vars(parser.parse_args(arguments))
    return run(given.pop("command"), checkout(given.pop("stack", Layout.stack)), **given)


def run(command: str, layout: Layout, **options: str | None) -> int:
    """Run one command, once any other in this checkout has finished, and return its exit code.

    A rotation neither waits nor blocks other commands, because AWS does the work.
    """
    try:
        with nullcontext() if command == "rotate" else exclusive(layout.lock, _say_waiting):
            return COMMANDS[command](layout, **options)
    except SetupError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"\nerror: {where}{error.strerror}. What was created so far is kept.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. Run `make {command}` again to continue.", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
