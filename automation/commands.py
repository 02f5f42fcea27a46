"""The command line: arguments in, exit code out."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from automation import documents, errors, terminal
from automation.exit_codes import ExitCode, epilogue
from automation.operation import Operation
from automation.report import Report, report
from automation.report.as_json import as_json
from automation.report.markdown import markdown
from automation.report.terminal import terminal as report_as_text
from automation.results import Result
from automation.stack import Stack, live_side
from automation.workspace import checkout
from components.visible import visible_lines

_EXIT_CODES: dict[type[errors.AutomationError], ExitCode] = {
    errors.BadSettings: ExitCode.BAD_SETTINGS,
    errors.UnknownStack: ExitCode.STACK_NOT_FOUND,
    errors.Conflict: ExitCode.CONFLICT,
    errors.WrongPassphrase: ExitCode.WRONG_PASSPHRASE,
    errors.CredentialsRefused: ExitCode.CREDENTIALS,
    errors.BackendUnreachable: ExitCode.BACKEND,
    errors.EngineKilled: ExitCode.ENGINE_KILLED,
    errors.EventsTruncated: ExitCode.EVENTS_TRUNCATED,
    errors.NotReviewed: ExitCode.NOT_REVIEWED,
    errors.Cancelled: ExitCode.CANCELLED,
}
CODES = frozenset({ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE, ExitCode.DANGEROUS, *_EXIT_CODES.values()})

_COMMANDS = {
    "preview": "what an up would do",
    "up": "create and update what the stack file says",
    "refresh": "read what there is in AWS into the state",
    "destroy": "delete everything that the stack has made",
    "outputs": "the outputs of the last up",
    "history": "what was done to the stack, the last first",
    "cancel": "take away the lock that a killed update left",
}
_CHANGES = ("up", "refresh", "destroy")
REPORTS = {"markdown": markdown, "json": as_json, "terminal": report_as_text}


def main(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit code, as `--help` lists them."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    asks = chosen.command in _CHANGES and not chosen.yes
    if asks and (chosen.json or not sys.stdin.isatty()):
        parser.error(f"{chosen.command} needs --yes, because nobody can be asked here")
    if chosen.command == "preview" and chosen.report and chosen.json:
        parser.error("--report json and --json are two documents: choose one")
    try:
        workspace = checkout(chosen.cwd, backend=chosen.backend)
        told, code = _run(workspace.stack(chosen.stack), chosen, asks=asks)
    except errors.AutomationError as error:
        tell_error(error, for_programs=chosen.json)
        return exit_code(error)
    except KeyboardInterrupt:
        return ExitCode.CANCELLED
    if chosen.json:
        print_document(told)
    return code


def exit_code(error: errors.AutomationError) -> ExitCode:
    """As `--help` lists them."""
    return _EXIT_CODES.get(type(error), ExitCode.FAILED)


def tell_error(error: errors.AutomationError, *, for_programs: bool) -> None:
    """As a JSON document on standard output, or in words on standard error."""
    if for_programs:
        print_document(documents.of_error(error))
    else:
        if isinstance(error, errors.NotReviewed):
            sys.stdout.write(report_as_text(error.report))
        sys.stderr.write(f"error: {visible_lines(str(error))}\n")


def print_document(document: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(documents.written(document) + "\n")


def add_common_arguments(command: argparse.ArgumentParser, stack: str) -> None:
    """What every command has; `stack` says what --stack is."""
    command.add_argument("--stack", "-s", required=True, help=stack)
    command.add_argument("--backend", help="URL of the state's backend; PULUMI_BACKEND_URL otherwise")
    command.add_argument("--cwd", "-C", type=Path, default=Path(), help="folder of Pulumi.yaml; . otherwise")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout, and nothing else")


def add_fail_on_danger_argument(command: argparse.ArgumentParser) -> None:
    """Add --fail-on-danger, which `danger_code` takes."""
    command.add_argument(
        "--fail-on-danger",
        action="store_true",
        help=f"end with {ExitCode.DANGEROUS} if something is dangerous",
    )


def danger_code(made: Report, *, fail: bool) -> ExitCode:
    """Return the exit code of a preview that succeeded, by its report."""
    return ExitCode.DANGEROUS if made.dangers and fail else ExitCode.DONE


def add_live_argument(command: argparse.ArgumentParser) -> None:
    """Add --no-live: a preview has credentials, so its report asks AWS unless it is told not to."""
    command.add_argument(
        "--live",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let the report compare with what AWS has now; reads no value",
    )


def add_reviewed_argument(command: argparse.ArgumentParser) -> None:
    """Add --reviewed, with which an update does what was reviewed or nothing."""
    command.add_argument(
        "--reviewed",
        metavar="DIGEST",
        help="update only if that does what the report with this digest says (nothing: if nothing changes); "
        f"print the report and end with {ExitCode.NOT_REVIEWED} otherwise",
    )
    add_live_argument(command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m automation",
        description="Drives a stack of this program without parsing text and without showing a secret.",
        epilog=epilogue(*CODES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in _COMMANDS.items():
        command = commands.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
        add_common_arguments(command, "the stack's name")
        if name in _CHANGES:
            command.add_argument("--yes", "-y", action="store_true", help="do not ask")
        if name == "preview":
            command.add_argument(
                "--report",
                choices=tuple(REPORTS),
                help="what it does to live secrets, in place of the summary: docs/preview.md",
            )
            add_fail_on_danger_argument(command)
            add_live_argument(command)
        if name == "up":
            add_reviewed_argument(command)
        if name == "refresh":
            command.add_argument(
                "--clear-pending-creates",
                action="store_true",
                help="forget what a killed update was creating",
            )
        if name == "history":
            command.add_argument("--limit", type=int, help="at most so many entries")
    return parser


def _run(stack: Stack, chosen: argparse.Namespace, *, asks: bool) -> tuple[object, int]:
    """What `--json` prints, otherwise printed here already; and the exit code."""
    if chosen.command == "preview":
        return _previewed(stack, chosen)
    return _done(stack, chosen, asks=asks), 0


def _previewed(stack: Stack, chosen: argparse.Namespace) -> tuple[object, int]:
    quiet = chosen.json or chosen.report in {"markdown", "json"}
    result = _followed(stack.preview(), quiet=quiet, total=None)
    reports = chosen.report or chosen.fail_on_danger
    live = live_side(result.engine_events) if reports and chosen.live else None
    made = report(result.engine_events, stack.name, live=live)
    if chosen.report:
        sys.stdout.write(REPORTS[chosen.report](made))
    else:
        _shown(chosen, None, terminal.summary(result))
    return documents.of_result(result), danger_code(made, fail=chosen.fail_on_danger)


def _done(stack: Stack, chosen: argparse.Namespace, *, asks: bool) -> object:
    command: str = chosen.command
    if command == "cancel":
        stack.cancel()
        return _shown(chosen, {"stack": stack.name, "cancelled": True}, f"Stack {stack.name} is not locked.")
    if command == "outputs":
        outputs = documents.of_outputs(stack.outputs())
        return _shown(chosen, outputs, documents.written(outputs))
    if command == "history":
        records = stack.history(limit=chosen.limit)
        return _shown(chosen, [documents.of_record(record) for record in records], terminal.history(records))
    total = None
    if command == "up" and chosen.reviewed is not None:
        total = sum(stack.require_reviewed(chosen.reviewed, live=chosen.live).counts.values())
    if asks:
        total = _ask(stack, command)
    operation = {
        "up": stack.up,
        "refresh": lambda: stack.refresh(clear_pending_creates=chosen.clear_pending_creates),
        "destroy": stack.destroy,
    }[command]()
    result = _followed(operation, quiet=chosen.json, total=total)
    return _shown(chosen, documents.of_result(result), terminal.summary(result))


def _ask(stack: Stack, command: str) -> int | None:
    """Asks on the terminal; for an up, after a preview, of which it returns the number of resources."""
    total = None
    if command == "up":
        previewed = _followed(stack.preview(), quiet=False, total=None)
        sys.stdout.write(f"{terminal.summary(previewed)}\n")
        total = sum(previewed.counts.values())
    sys.stderr.write(f"{command.capitalize()} stack {stack.name} now? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise errors.Cancelled(stack.name, command, at_once=False)
    return total


def _followed(operation: Operation, *, quiet: bool, total: int | None) -> Result:
    with cancelled_by_signals(operation.cancel, quiet=quiet), operation:
        if not quiet:
            terminal.follow(operation, total)
        result = operation.result()
        if not quiet:
            terminal.survived(result)
        return result


@contextmanager
def cancelled_by_signals(cancels: Callable[[], None], *, quiet: bool) -> Iterator[None]:
    """Ctrl-C, or a SIGTERM, asks the engine to end; a second one does not wait for what is under way."""

    def cancel(_number: int, _frame: FrameType | None) -> None:
        cancels()
        if not quiet:
            sys.stderr.write("\nCancelling: what is under way is finished first. Again: end at once.\n")

    before = {number: signal.signal(number, cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _shown(chosen: argparse.Namespace, document: object, text: str) -> object:
    if not chosen.json:
        sys.stdout.write(f"{text}\n")
    return document
