"""The local cloud from the command line: `python -m localcloud COMMAND`, which make's targets call."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from localcloud.database import is_wanted, register, start_database
from localcloud.down import down
from localcloud.emulator_control import Emulator, start_emulator, stop_emulator
from localcloud.environment import local_environment, write_env_file
from localcloud.files import exclusive
from localcloud.layout import Layout, SetupError, checkout
from localcloud.postgres import PostgresServer
from localcloud.postgres_process import stop as stop_postgres
from localcloud.pulumi_commands import Stack, checkpoint, last_changes, local_stack, outputs, select, shown
from localcloud.recovery import recover
from localcloud.rotate import rotate
from localcloud.tools import provide_tools

INTERRUPTED = 130


def up(layout: Layout) -> int:
    """Set up what is missing, start the emulator and PostgreSQL, and deploy the stack `local` there."""
    stand_ins = provide_tools(layout)
    emulator, server = _started(layout)
    print(f"Emulator at http://127.0.0.1:{emulator.port}", end="")
    print(f", with stand-ins for the plugins {' and '.join(stand_ins)}" if stand_ins else "")
    _say_where(server)
    stack = _stack(layout, emulator)
    select(stack)
    options = _options_after_recovery(layout, stack, emulator)
    # the outputs are many pages of manifests, which a summary follows
    update = ("up", "--yes", "--skip-preview", "--suppress-outputs", "--stack", stack.name)
    returncode = shown(stack, *update, *options)
    if returncode:
        print(
            "\nThe update failed: the reason is above. What was made is kept; `make up` goes on from there."
        )
        return returncode
    _deployed_to(layout).write_text(_identity(emulator))
    _say_what_is_there(stack)
    return 0


def start(layout: Layout) -> int:
    """Start the emulator and PostgreSQL, without an update of the stack."""
    emulator, server = _started(layout)
    print(f"Emulator at http://127.0.0.1:{emulator.port} (process {emulator.pid})")
    _say_where(server)
    return 0


def _started(layout: Layout) -> tuple[Emulator, PostgresServer | None]:
    """Both at work; the server only where the stack file has databases."""
    if not is_wanted(layout):
        emulator, server = start_emulator(layout), None
    else:
        with ThreadPoolExecutor(1) as beside:
            starting = beside.submit(start_database, layout)
            emulator = start_emulator(layout)
            server = starting.result()
        register(emulator, server)
    write_env_file(layout, emulator.port)
    return emulator, server


def _say_where(server: PostgresServer | None) -> None:
    if server is not None:
        print(f"PostgreSQL {server.version} at {server.host}:{server.port} (process {server.pid})")
    sys.stdout.flush()


def stop(layout: Layout) -> int:
    """Stop the emulator and PostgreSQL; their data stay for the next start."""
    # The emulator first: a function of its may be at work in the database.
    stopped = [stop_emulator(layout), stop_postgres(layout.postgres)]
    print("Stopped; the data are kept." if any(stopped) else "The local cloud was not running.")
    return 0


def env(layout: Layout) -> int:
    """Print what sets a shell to the local cloud."""
    if not layout.env_file.exists():
        raise SetupError("There is no local cloud yet: run `make up` first.")
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
    return layout.local / "deployed-to"


def _identity(emulator: Emulator) -> str:
    """Differs when its data may: a new instance began with none, a new process may lack the last moments."""
    return f"{emulator.instance} {emulator.pid}"


def _options_after_recovery(layout: Layout, stack: Stack, emulator: Emulator) -> tuple[str, ...]:
    """Settle what an interrupted command left; what `up` needs for what happened since."""
    recovered = recover(stack)
    if recovered.unlocked or recovered.found or recovered.forgotten:
        print("The last pulumi command was interrupted.", end=" ")
        print(f"Of what it was creating, {len(recovered.found)} exist and {len(recovered.forgotten)} do not.")
    noted = _deployed_to(layout)
    if not checkpoint(stack).get("resources"):
        noted.write_text(_identity(emulator))
    elif not noted.exists() or noted.read_text() != _identity(emulator):
        print("The emulator was started anew: comparing the stack's state with what it holds first.")
        return ("--refresh",)
    return ()


def _say_what_is_there(stack: Stack) -> None:
    changes = last_changes(stack)
    if not any(count for operation, count in changes.items() if operation != "same"):
        print(f"\nNothing changed: all {changes.get('same', 0)} resources are as declared.")
        return
    exported = outputs(stack)
    secrets, logins = _mapping(exported, "secrets"), list(_logins(exported))
    if secrets:
        print("\nThese secrets are there now, in an emulated AWS:")
    for name, secret in secrets.items():
        print(f"  {name}: {', '.join(_names(secret, 'keys'))}")
    if logins:
        print("\nThese database logins work now, on a real PostgreSQL:")
    for secret, database in logins:
        print(f"  {secret}: on {database}")
    rotating = bool(logins) or any("rotation" in _mapping(secrets, name) for name in secrets)
    print(_next_steps(secrets, rotating=rotating))


def _mapping(value: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 -- whatever the program exports
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _logins(exported: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Secret and database of every login."""
    databases = _mapping(exported, "databases")
    for database in databases:
        for secret in _mapping(databases[database], "logins"):
            yield secret, database


def _names(secret: Any, output: str) -> list[str]:  # noqa: ANN401 -- whatever the program exports
    value = secret.get(output) if isinstance(secret, dict) else None
    return [str(name) for name in value] if isinstance(value, dict | list) else []


def _next_steps(secrets: Mapping[str, Any], *, rotating: bool) -> str:
    steps = [
        (". .local/env", "lead this shell to the local cloud"),
        ("pulumi preview", "after a change in Pulumi.local.yaml: what `pulumi up` would do"),
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
        steps.append(("make rotate", "renew a password now, and log in with it"))
    steps += [("make test", "all checks"), ("make down", "remove the local cloud")]
    lines = (f"  {command:33}  # {why}" if why else f"  {command}" for command, why in steps)
    return "\nTry next:\n" + "\n".join(lines)


def _say_waiting() -> None:
    print("Waiting for another make command on this checkout to end.", file=sys.stderr, flush=True)


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
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m localcloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, function in COMMANDS.items():
        description = (function.__doc__ or "").splitlines()[0]
        added = commands.add_parser(name, help=description, description=description)
        if name == "rotate":
            added.add_argument("secret", nargs="?", help="name or ARN; by default the only one that rotates")
    given = vars(parser.parse_args(arguments))
    return run(given.pop("command"), checkout(), **given)


def run(command: str, layout: Layout, **options: str | None) -> int:
    """Run one command, after any other that is at work on the same checkout; its exit code.

    A rotation waits for nobody and keeps nobody waiting: it is AWS that is at work.
    """
    try:
        with nullcontext() if command == "rotate" else exclusive(layout.lock, _say_waiting):
            return COMMANDS[command](layout, **options)
    except SetupError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"\nerror: {where}{error.strerror}. What was made so far is kept.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. `make {command}` goes on from here.", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
