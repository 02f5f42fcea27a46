"""Commands that operate a fleet."""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from components.visible import visible, visible_lines
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
from operations.fleet.parallel import FleetOperation, Outcome, combined_outputs, follow_all
from operations.fleet.partition import Group
from operations.fleet.stacks import Fleet, available_cpus, fleet
from operations.report import Report, combined, report
from operations.report.digest import is_reviewed
from operations.stack import query_aws
from operations.stack_cli import CODES as STACK_CODES

CODES = STACK_CODES | {ExitCode.FLEET_NOT_READY}
_COMMANDS = {
    "check": "check the stack file and list the secrets of each group",
    "write": "write the groups' stack files, as preview and up also do",
    "preview": "show what an update of all groups would do, in one report",
    "up": "create or update the resources of all groups",
    "refresh": "refresh the states of all groups from AWS",
    "destroy": "delete every resource of all groups",
    "outputs": "print the outputs of all groups, combined",
}
_CHANGES = ("up", "refresh", "destroy")


def main(arguments: Sequence[str]) -> int:
    """Run a command.

    Returns:
        The exit code, as listed by `--help`.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command in _CHANGES and not options.yes:
        parser.error(f"{options.command} needs --yes; run the preview first")
    try:
        opened = fleet(options.stack, options.cwd, backend=options.backend, limit=options.at_once)
        return _run(opened, options, _groups(parser, opened, options.group))
    except errors.OperationError as error:
        print_error(error, for_programs=options.json)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operations fleet",
        description="Operate all stacks of a partitioned stack file together.",
        epilog=f"{epilogue(*CODES)}\nIf groups fail with different codes, the exit code is "
        f"{ExitCode.FAILED:d}.\nMore: docs/fleet.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subcommands = parser.add_subparsers(dest="command", required=True, title="commands", metavar="COMMAND")
    for name, line in _COMMANDS.items():
        command = subcommands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        add_common_arguments(command, "name of the fleet, whose file is Pulumi.NAME.yaml")
        command.add_argument(
            "--at-once",
            type=_positive,
            default=available_cpus(),
            metavar="N",
            help="maximum number of stacks at a time (default: the number of CPUs, here %(default)s)",
        )
        command.add_argument(
            "--group",
            action="append",
            default=[],
            metavar="NAME",
            help="only this group; repeatable (default: all groups)",
        )
        if name == "write":
            command.add_argument(
                "--check",
                action="store_true",
                help=f"write nothing; exit with {ExitCode.FLEET_NOT_READY} if a file is out of date",
            )
        if name in _CHANGES:
            command.add_argument("--yes", "-y", action="store_true", help="confirm; required")
        if name == "up":
            add_reviewed_argument(command)
        if name == "preview":
            command.add_argument("--report", choices=tuple(REPORT_FORMATS), default="terminal")
            add_fail_on_danger_argument(command)
            add_live_argument(command)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _groups(parser: argparse.ArgumentParser, opened: Fleet, names: Sequence[str]) -> list[Group]:
    known = {group.name: group for group in opened.groups}
    for name in names:
        if name not in known:
            parser.error(f'"{name}" is not a group of this fleet; its groups are {", ".join(known)}')
    return [group for group in opened.groups if not names or group.name in names]


def _run(opened: Fleet, options: argparse.Namespace, groups: Sequence[Group]) -> int:
    match options.command:
        case "check":
            _print_partition(opened, groups, for_programs=options.json)
        case "write":
            _write(opened, options)
        case "outputs":
            print_json(json_output.outputs_document(opened.outputs()))
        case "preview":
            opened.prepare()
            return _preview(opened, options, groups)
        case "destroy":
            with_stack = opened.with_stack(groups)
            return _change(opened, options, partial(opened.destroy, with_stack, all_exist=True))
        case _:
            opened.prepare()
            if options.command == "up" and options.reviewed is not None:
                code = _require_reviewed(opened, options, groups)
                if code != ExitCode.DONE:
                    return code
            start = opened.up if options.command == "up" else opened.refresh
            return _change(opened, options, partial(start, groups))
    return ExitCode.DONE


def _print_partition(opened: Fleet, groups: Sequence[Group], *, for_programs: bool) -> None:
    if for_programs:
        print_json(
            {
                "fleet": opened.file.name,
                "groups": [
                    {
                        "group": group.name,
                        "stack": group.stack,
                        "secrets": sorted(group.secrets),
                        "databases": sorted(group.parts["databases"]),
                        "caches": sorted(group.parts["caches"]),
                        "smtp": sorted(group.parts["smtp"]),
                        "workloads": sorted(group.parts["workloads"]),
                    }
                    for group in groups
                ],
                "idle": list(opened.file.partition.idle),
            }
        )
        return
    for group in groups:
        count = len(group.secrets)
        sys.stdout.write(f"{group.stack}: {count} secret{'' if count == 1 else 's'}\n")
        sys.stdout.writelines(f"  {visible(secret)}\n" for secret in sorted(group.secrets))
    for key in opened.file.partition.idle:
        sys.stderr.write(f"warning: the config value {visible(key)} is not used.\n")


def _write(opened: Fleet, options: argparse.Namespace) -> None:
    if options.check:
        opened.check_files()
    written = [] if options.check else opened.write()
    if options.json:
        print_json({"written": [file.name for file in written]})
    else:
        sys.stdout.writelines(f"wrote {visible(file.name)}\n" for file in written)


def _preview(opened: Fleet, options: argparse.Namespace, groups: Sequence[Group]) -> int:
    quiet = options.json or options.report in {"markdown", "json"}
    outcomes, findings = _report_preview(opened, options, groups, quiet=quiet)
    if options.json:
        print_json(_document(opened, outcomes))
    else:
        sys.stdout.write(REPORT_FORMATS[options.report](findings))
    _print_failures(outcomes, quiet=options.json)
    if code := _exit_code(outcomes):
        return code
    return preview_exit_code(findings, fail_on_danger=options.fail_on_danger)


def _report_preview(
    opened: Fleet, options: argparse.Namespace, groups: Sequence[Group], *, quiet: bool
) -> tuple[list[Outcome], Report]:
    outcomes = _follow(partial(opened.preview, groups), quiet=quiet)
    reports = [_report(outcome, live=options.live) for outcome in outcomes]
    return outcomes, combined(reports, opened.file.name)


def _require_reviewed(opened: Fleet, options: argparse.Namespace, groups: Sequence[Group]) -> int:
    """Check that an update of these groups would do exactly what was reviewed.

    Returns:
        DONE, or the exit code of a preview that failed or was cancelled.

    Raises:
        NotReviewedError: an update would do something else.
    """
    outcomes, findings = _report_preview(opened, options, groups, quiet=True)
    if code := _exit_code(outcomes):
        if options.json:
            print_json(_document(opened, outcomes))
        _print_failures(outcomes, quiet=options.json, rest="Nothing was changed.")
        return code
    if not is_reviewed(findings, options.reviewed):
        raise errors.NotReviewedError(opened.file.name, findings)
    return ExitCode.DONE


def _report(outcome: Outcome, *, live: bool) -> Report:
    """Return the report of a group's preview; marked as incomplete if the preview failed."""
    events = outcome.done.engine_events if outcome.done else ()
    return report(events, outcome.stack, live=query_aws(events) if live else None)


def _change(opened: Fleet, options: argparse.Namespace, start: Callable[[], FleetOperation]) -> int:
    outcomes = _follow(start, quiet=options.json)
    if options.json:
        print_json(_document(opened, outcomes))
    else:
        sys.stdout.writelines(f"{visible(_summary(outcome))}\n" for outcome in outcomes)
    _print_failures(outcomes, quiet=options.json)
    return _exit_code(outcomes)


def _follow(start: Callable[[], FleetOperation], *, quiet: bool) -> list[Outcome]:
    with cancel_on_signals(start, quiet=quiet) as operation:
        if not quiet:
            follow_all(operation, terminal.follow_named)
        outcomes = operation.outcomes()
        for outcome in outcomes if not quiet else ():
            if outcome.result:
                terminal.print_non_fatal_errors(outcome.result)
        return outcomes


def _summary(outcome: Outcome) -> str:
    """Return the outcome of a group in one line."""
    if outcome.result:
        return f"{outcome.group}: {terminal.summary(outcome.result)}"
    state = "cancelled" if isinstance(outcome.error, errors.OperationCancelledError) else "FAILED"
    before = f"before that, {terminal.summary(outcome.done)}" if outcome.done else "nothing had begun"
    return f"{outcome.group}: {state}; {before}"


def _print_failures(
    outcomes: Sequence[Outcome],
    *,
    quiet: bool,
    rest: str = "Run the command again to continue.",
) -> None:
    failed = [outcome for outcome in outcomes if outcome.error]
    if quiet or not failed:
        return
    for outcome in failed:
        sys.stderr.write(f"\nerror in {visible(outcome.group)}: {visible_lines(str(outcome.error))}\n")
    others = "" if len(failed) == len(outcomes) else "The others succeeded. "
    sys.stderr.write(
        f"\n{len(failed)} of {len(outcomes)} groups failed or were cancelled: "
        f"{', '.join(outcome.group for outcome in failed)}. {others}{rest}\n"
    )


def _document(opened: Fleet, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for outcome in outcomes:
        for operation, number in (outcome.done.counts if outcome.done else {}).items():
            counts[operation] = counts.get(operation, 0) + number
    outputs = {outcome.stack: outcome.result.outputs for outcome in outcomes if outcome.result}
    return {
        "fleet": opened.file.name,
        "counts": counts,
        "failed": [outcome.group for outcome in outcomes if outcome.error],
        "groups": {outcome.group: _outcome_document(outcome) for outcome in outcomes},
        "outputs": json_output.outputs_document(combined_outputs(outputs)),
    }


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    if outcome.result:
        return json_output.result_document(outcome.result)
    error = outcome.error or errors.EngineError(outcome.stack, "it returned no result")
    return json_output.error_document(error)


def _exit_code(outcomes: Sequence[Outcome]) -> int:
    codes = {outcome.error.exit_code for outcome in outcomes if outcome.error}
    if ExitCode.CANCELLED in codes:
        return ExitCode.CANCELLED
    return codes.pop() if len(codes) == 1 else ExitCode.FAILED if codes else ExitCode.DONE
