"""Restore a secret that is scheduled for deletion, in AWS and in the stack's state."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.visible import visible
from operations.arguments import add_stack_argument, lacks_stack
from operations.console import print_json
from operations.exit_codes import ExitCode, epilogue
from operations.restore.one_secret import CODES, add_arguments, confirmed, guarded, silent, target_of, tell
from operations.restore.plan import Plan, plan
from operations.restore.restoration import Outcome, check_restored, restore
from operations.stack import Stack as EngineStack
from operations.workspace import Workspace, checkout


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code, as `--help` lists them."""
    options = _parser().parse_args(arguments)
    if lacks_stack(options):
        return ExitCode.USAGE
    return guarded(lambda: _run(options), as_json=options.json)


def _run(options: argparse.Namespace) -> int:
    folder = Path(options.cwd)
    workspace = checkout(folder, backend=options.backend)
    target = target_of(folder, options.stack, workspace)
    made = plan(options.secret, target, _others(workspace, options.stack))
    if made.is_done:
        check_restored(made, target)
    if options.dry_run or made.is_done:
        _write(options, made, None)
        return ExitCode.DONE
    code = confirmed(f"{' '.join(_steps(made, options.stack))} Restore {made.name} now?", options)
    if code != ExitCode.DONE:
        return code
    _write(options, made, restore(made, target, silent if options.json else tell))
    return ExitCode.DONE


def _others(workspace: Workspace, stack: str) -> Iterator[EngineStack]:
    own = stack.rpartition("/")[2]
    for name in workspace.stacks():
        if name.rpartition("/")[2] != own:
            yield workspace.stack(name)


def _steps(made: Plan, stack: str) -> Iterator[str]:
    if made.deleted is not None:
        yield f"{made.name} is scheduled for deletion, and will be restored in AWS."
    if made.in_state:
        yield f"The state of stack {stack} has it."
    else:
        yield f"The state of stack {stack} lost it, and gets it back."


def _lines(made: Plan, outcome: Outcome | None, stack: str) -> Iterator[str]:
    if made.is_done:
        yield f"{made.name} is not scheduled for deletion, and the state of stack {stack} has it."
        yield "Nothing to restore."
    elif outcome is None:
        yield from _steps(made, stack)
        yield "Dry run: nothing was changed."
    else:
        yield f"{made.name} is restored: its value and version ids are as they were."
        yield "The next update:"
        yield from (f"  {change}" for change in outcome.changes or ["changes nothing of it"])
        for operation, count in outcome.others.items():
            yield f"  besides, by the stack file: {operation} {count}"


def _write(options: argparse.Namespace, made: Plan, outcome: Outcome | None) -> None:
    if options.json:
        print_json(_as_json(made, outcome, options.stack))
    else:
        sys.stdout.write("".join(f"{visible(line)}\n" for line in _lines(made, outcome, options.stack)))


def _as_json(made: Plan, outcome: Outcome | None, stack: str) -> dict[str, Any]:
    return {
        "version": 1,
        "secret": made.name,
        "arn": made.arn,
        "stack": stack,
        "scheduledForDeletion": made.deleted is not None,
        "inState": made.in_state,
        "done": asdict(outcome) if outcome else None,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operations restore",
        description=__doc__,
        epilog=epilogue(*CODES) + "\nMore: docs/rollback.md\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("secret", metavar="SECRET", help="name of a secret in the stack file")
    add_stack_argument(parser)
    add_arguments(parser)
    return parser
