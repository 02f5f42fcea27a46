"""Commands that operate a single stack."""

import argparse
import sys
from collections.abc import Callable, Sequence

from operations import errors, json_output, terminal
from operations.arguments import (
    add_common_arguments,
    add_fail_on_danger_argument,
    add_live_argument,
    add_reviewed_argument,
    preview_exit_code,
)
from operations.console import REPORT_FORMATS, cancel_on_signals, print_error, print_json
from operations.exit_codes import ExitCode, epilogue
from operations.operation import Operation
from operations.report import report
from operations.results import Result
from operations.stack import Stack, query_aws
from operations.workspace import checkout

CODES = frozenset(
    {
        ExitCode.DONE,
        ExitCode.FAILED,
        ExitCode.USAGE,
        ExitCode.BAD_SETTINGS,
        ExitCode.STACK_NOT_FOUND,
        ExitCode.CONFLICT,
        ExitCode.WRONG_PASSPHRASE,
        ExitCode.CREDENTIALS,
        ExitCode.BACKEND,
        ExitCode.ENGINE_KILLED,
        ExitCode.EVENTS_TRUNCATED,
        ExitCode.DANGEROUS,
        ExitCode.NOT_REVIEWED,
        ExitCode.CANCELLED,
    }
)

_COMMANDS = {
    "preview": "Show what an update would do; changes nothing.",
    "up": "Create or update the resources of the stack.",
    "refresh": "Refresh the state of the stack from AWS.",
    "destroy": "Delete every resource of the stack.",
    "outputs": "Print the outputs of the last update.",
    "history": "List the updates of the stack, latest first.",
    "cancel": "Release the lock left by an interrupted update.",
}
_CHANGES = ("up", "refresh", "destroy")


def main(arguments: Sequence[str]) -> int:
    """Run a command.

    Returns:
        The exit code, as listed by `--help`.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    interactive = options.command in _CHANGES and not options.yes
    if interactive and (options.json or not sys.stdin.isatty()):
        parser.error(f"{options.command} needs --yes when it cannot ask for confirmation")
    if options.command == "preview" and options.report and options.json:
        parser.error("--report json and --json each print a document: choose one")
    try:
        stack = checkout(options.cwd, backend=options.backend).stack(options.stack)
        if options.command == "preview":
            return _preview(stack, options)
        document, text = _run(stack, options, confirm=interactive)
    except errors.OperationError as error:
        print_error(error, for_programs=options.json)
        return error.exit_code
    _print(options, document, text)
    return ExitCode.DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operations")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, description in _COMMANDS.items():
        command = commands.add_parser(
            name,
            description=description,
            epilog=epilogue(*CODES) + "\nMore: docs/automation.md",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_common_arguments(command, "name of the stack")
        if name in _CHANGES:
            command.add_argument("--yes", "-y", action="store_true", help="skip the confirmation")
        if name == "preview":
            command.add_argument(
                "--report",
                choices=tuple(REPORT_FORMATS),
                help="print what the preview does to live secrets instead of a summary (docs/preview.md)",
            )
            add_fail_on_danger_argument(command)
            add_live_argument(command)
        if name == "up":
            add_reviewed_argument(command)
        if name == "refresh":
            command.add_argument(
                "--clear-pending-creates",
                action="store_true",
                help="drop creations that an interrupted update left pending (docs/recovery.md)",
            )
        if name == "history":
            command.add_argument("--limit", type=_entries, help="maximum number of entries (default: all)")
    return parser


def _entries(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of entries from 1 on")
    return int(text)


def _preview(stack: Stack, options: argparse.Namespace) -> int:
    quiet = options.json or options.report in {"markdown", "json"}
    result = _follow(stack.preview, quiet=quiet, total=None)
    needs_report = options.report or options.fail_on_danger
    live = query_aws(result.engine_events) if needs_report and options.live else None
    findings = report(result.engine_events, stack.name, live=live)
    if options.report:
        sys.stdout.write(REPORT_FORMATS[options.report](findings))
    else:
        _print(options, json_output.result_document(result), terminal.summary(result))
    return preview_exit_code(findings, fail_on_danger=options.fail_on_danger)


def _run(stack: Stack, options: argparse.Namespace, *, confirm: bool) -> tuple[object, str]:
    """Return the result as a JSON document, and as text."""
    match options.command:
        case "cancel":
            stack.cancel()
            return {"stack": stack.name, "cancelled": True}, f"Stack {stack.name} is not locked."
        case "outputs":
            outputs = json_output.outputs_document(stack.outputs())
            return outputs, json_output.render(outputs)
        case "history":
            records = stack.history(limit=options.limit)
            return [json_output.record_document(record) for record in records], terminal.history(records)
        case _:
            result = _change(stack, options, confirm=confirm)
            return json_output.result_document(result), terminal.summary(result)


def _change(stack: Stack, options: argparse.Namespace, *, confirm: bool) -> Result:
    command: str = options.command
    total = None
    if command == "up" and options.reviewed is not None:
        total = sum(stack.require_reviewed(options.reviewed, live=options.live).counts.values())
    if confirm:
        total = _confirm(stack, command)
    start = {
        "up": stack.up,
        "refresh": lambda: stack.refresh(clear_pending_creates=options.clear_pending_creates),
        "destroy": stack.destroy,
    }[command]
    return _follow(start, quiet=options.json, total=total)


def _confirm(stack: Stack, command: str) -> int | None:
    """Ask for confirmation on the terminal; show a preview before an up.

    Returns:
        The number of resources in the preview; None without one.

    Raises:
        OperationCancelledError: the answer is not yes.
    """
    total = None
    if command == "up":
        preview = _follow(stack.preview, quiet=False, total=None)
        sys.stdout.write(f"{terminal.summary(preview)}\n")
        total = sum(preview.counts.values())
    sys.stderr.write(f"{command.capitalize()} stack {stack.name} now? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise errors.OperationCancelledError(stack.name, command, at_once=False, has_begun=False)
    return total


def _follow(start: Callable[[], Operation], *, quiet: bool, total: int | None) -> Result:
    with cancel_on_signals(start, quiet=quiet) as operation:
        if not quiet:
            terminal.follow(operation, total)
        result = operation.result()
        if not quiet:
            terminal.print_non_fatal_errors(result)
        return result


def _print(options: argparse.Namespace, document: object, text: str) -> None:
    if options.json:
        print_json(document)
    else:
        sys.stdout.write(f"{text}\n")
