"""Rename a secret in AWS, in stages: a second name with the same value, then no first one."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from components.visible import visible
from operations.arguments import add_stack_argument, lacks_stack
from operations.console import print_json
from operations.exit_codes import ExitCode, epilogue
from operations.rename.pair import Sync
from operations.rename.readers import HOURS
from operations.rename.renaming import (
    Renaming,
    Stage,
    assess,
    check_finish,
    declare,
    finish,
    synchronized,
)
from operations.restore.one_secret import CODES, add_arguments, confirmed, guarded, target_of
from operations.restore.plan import Refusal, Target
from operations.workspace import checkout

_SYNC = {
    Sync.EQUAL: "{new} has the value of {old}.",
    Sync.BEHIND: "{new} has an older value than {old}.",
    Sync.AHEAD: "{new} was changed after it had got the value of {old}, and is not copied any more.",
    Sync.DIVERGED: "{old} and {new} were both changed, and have different values.",
}


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code, as `--help` lists them."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if lacks_stack(options):
        return ExitCode.USAGE
    if options.old == options.new:
        parser.error("the two names are the same")
    return guarded(lambda: _run(options), as_json=options.json)


def _run(options: argparse.Namespace) -> int:
    folder = Path(options.cwd)
    workspace = checkout(folder, backend=options.backend)
    target = target_of(folder, options.stack, workspace)
    made = assess(options.old, options.new, target)
    if made.stage is Stage.TO_DECLARE and not options.finish:
        return _declare(made, target, options)
    if made.stage is Stage.BOTH:
        return _finish(made, target, options) if options.finish else _synchronize(made, target, options)
    if options.finish and made.stage is not Stage.FINISHED:
        raise Refusal(
            f"{made.new} does not have the value of {made.old} yet. Run this command without --finish first."
        )
    _write(made, options, changed=False)
    return ExitCode.DONE


def _declare(made: Renaming, target: Target, options: argparse.Namespace) -> int:
    if not options.dry_run:
        question = f"Add {made.new} to the stack file, with the value of {made.old} from the next update on?"
        if (code := confirmed(question, options)) != ExitCode.DONE:
            return code
        declare(made, target)
    _write(made, options, changed=not options.dry_run)
    return ExitCode.DONE


def _synchronize(made: Renaming, target: Target, options: argparse.Namespace) -> int:
    is_behind = made.sync is Sync.BEHIND
    if is_behind and not options.dry_run:
        made = synchronized(made, target)  # as the deployed stack file says, so without a question
    _write(made, options, changed=is_behind and not options.dry_run)
    return ExitCode.FAILED if made.sync is Sync.DIVERGED else ExitCode.DONE


def _finish(made: Renaming, target: Target, options: argparse.Namespace) -> int:
    if not options.dry_run:
        made = synchronized(made, target)
    if made.sync is not Sync.BEHIND:  # else of a dry run, which does not copy
        check_finish(made, readers_have_moved=options.readers_have_moved)
    if not options.dry_run:
        question = f"Remove {made.old} from the stack file, so that the next update deletes it?"
        if (code := confirmed(question, options)) != ExitCode.DONE:
            return code
        finish(made, target)
    _write(made, options, changed=not options.dry_run)
    return ExitCode.DONE


def _lines(made: Renaming, options: argparse.Namespace, *, changed: bool) -> Iterator[str]:
    names = {"old": made.old, "new": made.new}
    update = (
        f"python -m operations {'fleet ' * (made.file_stack != options.stack)}up --stack {made.file_stack}"
    )
    again = f"python -m operations rename {made.old} {made.new} --stack {options.stack}"
    if made.stage is Stage.FINISHED:
        yield f"The stack file has {made.new} and no {made.old}. Nothing to rename."
        yield f"If AWS still has {made.old}, the next update deletes it: {update}"
    elif made.stage is Stage.TO_DECLARE:
        verb = "is added" if changed else "can be added"
        yield f"{made.new} {verb} to the stack file of {made.file_stack}."
        yield from _next(update if changed else "", f"{made.new} gets the value of {made.old}, which stays")
    elif made.stage is Stage.TO_UPDATE:
        yield f"The stack file has {made.new}, and the stack does not yet."
        yield from _next(update, f"{made.new} gets the value of {made.old}, which stays")
    elif options.finish:
        yield _SYNC[made.sync or Sync.EQUAL].format(**names)
        days = made.desired.recovery_window_days if made.desired else 0
        then = f"{made.old} is deleted and can be restored for {days} days"
        verb = "is removed" if changed else "can be removed"
        yield f"{made.old} {verb} from the stack file of {made.file_stack}."
        yield from _next(update if changed else "", then)
    else:
        yield _SYNC[made.sync or Sync.EQUAL].format(**names)
        yield from _readers(made)
        if made.sync is Sync.DIVERGED:
            yield f"Put the right value into {made.new}, then into {made.old}: docs/move.md"
        else:
            yield f"Once the readers use {made.new}: {again} --finish"
            yield f"When {made.old} changes until then: {again}"
    if options.dry_run:
        yield "Dry run: nothing was changed."


def _next(command: str, then: str) -> Iterator[str]:
    yield f"Next: {command}" if command else "With the next update:"
    yield f"  {then}."


def _readers(made: Renaming) -> Iterator[str]:
    for place in made.references:
        yield f"  {place} still reads {made.old}"
    if made.last_read:
        day = f"{made.last_read:%Y-%m-%d}"
        yield f"  {made.old} was last read on {day}, perhaps by the function that copies it"
    if made.reads:
        for reader, time in made.reads.readers.items():
            yield f"  {reader} read {made.old} at {time:%Y-%m-%d %H:%M} UTC"
        if made.reads.problem:
            yield f"  {made.reads.problem}, so it is unknown who read {made.old} in the last {HOURS} hours"


def _write(made: Renaming, options: argparse.Namespace, *, changed: bool) -> None:
    if options.json:
        print_json(_as_json(made, options, changed=changed))
    else:
        lines = _lines(made, options, changed=changed)
        sys.stdout.write("".join(f"{visible(line)}\n" for line in lines))


def _as_json(made: Renaming, options: argparse.Namespace, *, changed: bool) -> dict[str, Any]:
    reads = made.reads
    return {
        "version": 1,
        "old": made.old,
        "new": made.new,
        "stack": options.stack,
        "stage": made.stage,
        "changed": changed,
        "values": made.sync,
        "references": list(made.references),
        "lastRead": made.last_read.isoformat() if made.last_read else None,
        "readers": {arn: time.isoformat() for arn, time in reads.readers.items()} if reads else {},
        "readersUnknown": reads.problem if reads else "",
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operations rename",
        description=__doc__,
        epilog=epilogue(*CODES) + "\nMore: docs/move.md\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("old", metavar="OLD", help="name of a secret in the stack file")
    parser.add_argument("new", metavar="NEW", help="its new name")
    add_stack_argument(parser)
    parser.add_argument("--finish", action="store_true", help="remove OLD from the stack file")
    parser.add_argument(
        "--readers-have-moved",
        action="store_true",
        help="with --finish: nobody reads OLD, whatever CloudTrail says or cannot say",
    )
    add_arguments(parser)
    return parser
