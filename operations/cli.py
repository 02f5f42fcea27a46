"""The command line: one table of commands, each of which imports only its own modules."""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

from operations.exit_codes import ExitCode, epilogue
from operations.interrupts import interrupts_arrive, is_interrupt

_STACK = "operations.stack_cli"

# Command line, module with its `main`, and a line for --help.
_COMMANDS = (
    ("preview", _STACK, "show what an update would do"),
    ("up", _STACK, "create or update the resources of a stack"),
    ("refresh", _STACK, "refresh the state of a stack from AWS"),
    ("destroy", _STACK, "delete every resource of a stack"),
    ("outputs", _STACK, "print the outputs of a stack"),
    ("history", _STACK, "list the updates of a stack, latest first"),
    ("cancel", _STACK, "release the lock left by an interrupted update"),
    ("fleet", "operations.fleet.command", "run an operation on every stack of a partitioned stack file"),
    ("report", "operations.report.command", "explain what a preview does to live secrets"),
    (
        "report live",
        "operations.report.live.command",
        "query AWS about the secrets of a preview",
    ),
    ("status", "operations.status.command", "check the health of a stack's secrets in AWS"),
    ("status schema", "operations.status.schema", "print the JSON Schema of `status --json`"),
    ("adopt", "operations.adopt.command", "import secrets that already exist into a stack"),
    ("compromised", "operations.compromised.command", "answer a leak: renew, end sessions, restart readers"),
    ("rotate", "operations.rotate.command", "rotate secrets and restart their readers in order"),
    ("rehearse", "operations.rehearse.command", "try the next rotation without changing what is in use"),
    ("rollback", "operations.rollback.command", "make an earlier version of a secret current again"),
    ("restore", "operations.restore.command", "restore a secret that is scheduled for deletion"),
    ("move", "operations.move.command", "move a secret with its value to another stack"),
    ("rename", "operations.rename.command", "give a secret another name in AWS, with its value"),
    ("manifests", "operations.manifests_cli", "write the manifests of a stack's workloads to a folder"),
)
CODES = frozenset(ExitCode)


def main(arguments: Sequence[str]) -> int:
    """Run a command.

    Returns:
        The exit code, as listed by `--help`.
    """
    for length in (2, 1):
        for command, module, _ in _COMMANDS:
            if command.split() == list(arguments[:length]):
                # the parser of stack commands takes the command itself, too
                rest = arguments if module == _STACK else arguments[length:]
                try:
                    return _run(module, command, rest)
                except (KeyboardInterrupt, Exception) as error:
                    if not is_interrupt(error):
                        raise
                    sys.stderr.write("Interrupted.\n")
                    return ExitCode.CANCELLED
    _parser().parse_args(arguments)  # prints the help, or an error
    return ExitCode.USAGE


def _run(module: str, command: str, arguments: Sequence[str]) -> int:
    try:
        run: Callable[[Sequence[str]], int] = importlib.import_module(module).main
    except ModuleNotFoundError as error:
        own = str(error.name).partition(".")[0] in {"operations", "program"}
        remedy = (
            "update this checkout to a version that has it"
            if own
            else "use the Python that has the packages of the program (. .venv/bin/activate), or install "
            "them: pip install -r requirements.txt"
        )
        sys.stderr.write(f"error: `{command}` needs the module {error.name}, which is missing: {remedy}.\n")
        return ExitCode.FAILED
    with interrupts_arrive():
        return run(arguments)


def _parser() -> argparse.ArgumentParser:
    commands = "".join(f"  {command:15} {line}\n" for command, _, line in _COMMANDS)
    parser = argparse.ArgumentParser(
        prog="python -m operations",
        usage="%(prog)s [-h] COMMAND ...",
        description="Operate stacks of application secrets: previews, updates, reports and checks.",
        epilog=f"commands:\n{commands}\n`python -m operations COMMAND --help` describes a command.\n\n"
        f"{epilogue(*CODES)}\nMore: docs/automation.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    choices = [command for command, _, _ in _COMMANDS if " " not in command]
    parser.add_argument("command", metavar="COMMAND", choices=choices, help=argparse.SUPPRESS)
    return parser
