"""The local cloud from the command line: `python -m localcloud COMMAND`, which make's targets call."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localcloud.down import down
from localcloud.emulator_control import Emulator, start_emulator, stop_emulator
from localcloud.environment import local_environment, write_env_file
from localcloud.files import exclusive
from localcloud.layout import Layout, SetupError, checkout
from localcloud.pulumi_commands import Stack, checkpoint, last_changes, outputs, select, shown
from localcloud.recovery import recover
from localcloud.tools import provide_tools

INTERRUPTED = 130


def up(layout: Layout) -> int:
    """Set up what is missing, start the emulator, and deploy the stack `local` to it."""
    stand_ins = provide_tools(layout)
    emulator = start_emulator(layout)
    write_env_file(layout, emulator.port)
    print(f"Emulator at http://127.0.0.1:{emulator.port}", end="")
    print(f", with stand-ins for the plugins {' and '.join(stand_ins)}" if stand_ins else "", flush=True)
    stack = _stack(layout, emulator)
    select(stack)
    options = _options_after_recovery(layout, stack, emulator)
    returncode = shown(stack, "up", "--yes", "--skip-preview", "--stack", stack.name, *options)
    if returncode:
        print(
            "\nThe update failed: the reason is above. What was made is kept; `make up` goes on from there."
        )
        return returncode
    _deployed_to(layout).write_text(_identity(emulator))
    _say_what_is_there(stack)
    return 0


def start(layout: Layout) -> int:
    """Start the emulator alone."""
    emulator = start_emulator(layout)
    write_env_file(layout, emulator.port)
    print(f"Emulator at http://127.0.0.1:{emulator.port} (process {emulator.pid})")
    return 0


def stop(layout: Layout) -> int:
    """Stop the emulator; its data stay for the next start."""
    print("Stopped; its data are kept." if stop_emulator(layout) else "The emulator was not running.")
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
    return Stack(
        pulumi=layout.pulumi,
        project=layout.root,
        state=layout.state,
        environment=local_environment(layout, emulator.port),
    )


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
    secrets = outputs(stack).get("secrets")
    if not isinstance(secrets, dict):
        secrets = {}
    if secrets:
        print("\nThese secrets are there now, in an emulated AWS:")
    for name, secret in secrets.items():
        print(f"  {name}: {', '.join(_names(secret, 'keys'))}")
    print(_next_steps(secrets))


def _names(secret: Any, output: str) -> list[str]:  # noqa: ANN401 -- whatever the program exports
    value = secret.get(output) if isinstance(secret, dict) else None
    return [str(name) for name in value] if isinstance(value, dict | list) else []


def _next_steps(secrets: Mapping[str, Any]) -> str:
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
    steps += [("make test", "all checks"), ("make down", "remove the local cloud")]
    lines = (f"  {command:33}  # {why}" if why else f"  {command}" for command, why in steps)
    return "\nTry next:\n" + "\n".join(lines)


def _say_waiting() -> None:
    print("Waiting for another make command on this checkout to end.", file=sys.stderr, flush=True)


COMMANDS: dict[str, Callable[[Layout], int]] = {
    "up": up,
    "down": down,
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
        commands.add_parser(name, help=description, description=description)
    return run(parser.parse_args(arguments).command, checkout())


def run(command: str, layout: Layout) -> int:
    """Run one command, after any other that is at work on the same checkout; its exit code."""
    try:
        with exclusive(layout.lock, _say_waiting):
            return COMMANDS[command](layout)
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
