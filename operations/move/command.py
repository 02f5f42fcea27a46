"""Move a secret with its value from one stack to another of the same account and region."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.visible import visible
from operations.console import print_json
from operations.exit_codes import ExitCode, epilogue
from operations.move.moving import Outcome, Plan, move, plan
from operations.restore.one_secret import CODES, add_arguments, confirmed, guarded, silent, target_of, tell
from operations.workspace import checkout


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code, as `--help` lists them."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.source == options.target:
        parser.error("--from-stack and --to-stack are the same stack")
    return guarded(lambda: _run(options), as_json=options.json)


def _run(options: argparse.Namespace) -> int:
    folder = Path(options.cwd)
    workspace = checkout(folder, backend=options.backend)
    source = target_of(folder, options.source, workspace)
    target = target_of(folder, options.target, workspace)
    made = plan(options.secret, source, target)
    if options.dry_run or made.is_done:
        _write(options, made, None)
        return ExitCode.DONE
    code = confirmed(f"Move {made.name} from stack {options.source} to {options.target} now?", options)
    if code != ExitCode.DONE:
        return code
    _write(options, made, move(made, source, target, silent if options.json else tell))
    return ExitCode.DONE


def _lines(made: Plan, outcome: Outcome | None, options: argparse.Namespace) -> Iterator[str]:
    if made.is_done:
        yield f"{made.name} is in stack {options.target} already. Nothing to move."
    elif outcome is None:
        yield f"{made.name} can be moved from stack {options.source} to {options.target}."
        yield "Dry run: nothing was changed."
    else:
        yield f"{made.name} is in stack {options.target}: its value, version ids, and ARN are as they were."
        yield f"The next update of {options.target}:"
        yield from (f"  {change}" for change in outcome.changes or ["changes nothing of it"])
        yield from _besides(outcome.target_others)
        yield f"The next update of {options.source}:"
        yield from _besides(outcome.source_others) if outcome.source_others else ["  changes nothing"]


def _besides(others: Mapping[str, int]) -> Iterator[str]:
    return (f"  by the stack file: {operation} {count}" for operation, count in others.items())


def _write(options: argparse.Namespace, made: Plan, outcome: Outcome | None) -> None:
    if options.json:
        print_json(_as_json(made, outcome, options))
    else:
        sys.stdout.write("".join(f"{visible(line)}\n" for line in _lines(made, outcome, options)))


def _as_json(made: Plan, outcome: Outcome | None, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "version": 1,
        "secret": made.name,
        "arn": made.arn,
        "from": options.source,
        "to": options.target,
        "done": asdict(outcome) if outcome else None,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operations move",
        description=__doc__,
        epilog=epilogue(*CODES) + "\nMore: docs/rollback.md\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("secret", metavar="SECRET", help="name of a secret in the stack file")
    parser.add_argument(
        "--from-stack", required=True, dest="source", metavar="STACK", help="the stack that has it"
    )
    parser.add_argument(
        "--to-stack", required=True, dest="target", metavar="STACK", help="the stack that gets it"
    )
    add_arguments(parser)
    return parser
