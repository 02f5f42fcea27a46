"""Command-line arguments that several commands share."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from operations.exit_codes import ExitCode
from operations.report import Report


def add_common_arguments(command: argparse.ArgumentParser, stack: str) -> None:
    """Add --stack, --backend, --cwd and --json.

    Args:
        command: the command's parser.
        stack: help text of --stack.
    """
    command.add_argument("--stack", "-s", metavar="NAME", required=True, help=stack)
    command.add_argument(
        "--backend", metavar="URL", help="URL of the state backend (default: PULUMI_BACKEND_URL)"
    )
    command.add_argument(
        "--cwd",
        "-C",
        metavar="DIR",
        type=Path,
        default=Path(),
        help="folder of Pulumi.yaml (default: the current one)",
    )
    command.add_argument("--json", action="store_true", help="print only one JSON document, to stdout")


def add_stack_argument(command: argparse.ArgumentParser) -> None:
    """Add --stack, which PULUMI_STACK replaces; see `lacks_stack`."""
    command.add_argument(
        "--stack",
        "-s",
        metavar="NAME",
        default=os.environ.get("PULUMI_STACK"),
        help="name of the stack (default: PULUMI_STACK)",
    )


def lacks_stack(options: argparse.Namespace) -> bool:
    """Return whether no stack is named, by --stack or the environment, and say so."""
    if options.stack:
        return False
    sys.stderr.write("error: Name the stack: --stack NAME, or PULUMI_STACK\n")
    return True


def add_fail_on_danger_argument(command: argparse.ArgumentParser) -> None:
    """Add --fail-on-danger; see `preview_exit_code`."""
    command.add_argument(
        "--fail-on-danger",
        action="store_true",
        help=f"exit with {ExitCode.DANGEROUS} if the preview has dangers",
    )


def preview_exit_code(report: Report, *, fail_on_danger: bool) -> ExitCode:
    """Return the exit code of a successful preview."""
    return ExitCode.DANGEROUS if report.dangers and fail_on_danger else ExitCode.DONE


def add_live_argument(command: argparse.ArgumentParser) -> None:
    """Add --live and --no-live. A preview has credentials, so its report queries AWS by default."""
    command.add_argument(
        "--live",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare the report with AWS; reads no secret value",
    )


def add_reviewed_argument(command: argparse.ArgumentParser) -> None:
    """Add --reviewed, which limits an update to what was reviewed, and --live."""
    command.add_argument(
        "--reviewed",
        metavar="DIGEST",
        help="update only if the update still matches the report with this digest, or `nothing` for one "
        f"without changes; otherwise print the current report and exit with {ExitCode.NOT_REVIEWED}",
    )
    add_live_argument(command)


def moment(text: str) -> datetime:
    """Return a time that an argument gives, in UTC without an offset."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the first or last day of all, with an offset
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: write 2026-11-29T03:12:45 (UTC without an offset)"
        ) from None


def seconds(text: str) -> float:
    """Return a number of seconds that an argument gives: at most a day."""
    try:
        found = float(text)
    except ValueError:
        found = 0
    if not 1 <= found <= 86_400:  # noqa: PLR2004  a day
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 86400")
    return found
