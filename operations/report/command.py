"""`python -m operations report`: report what a preview would do to live secrets, from its event log."""

import argparse
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from operations.exit_codes import ExitCode, epilogue
from operations.report.as_json import as_json
from operations.report.events import Event, parse_log
from operations.report.live import Snapshot, parse
from operations.report.markdown import GITHUB_LIMIT, LEAST_LIMIT, markdown
from operations.report.model import Danger, Report, Text
from operations.report.names import visible
from operations.report.origin import Comparison, ComparisonError, dangers
from operations.report.reporting import combined, report
from operations.report.since import since
from operations.report.terminal import terminal

CODES = frozenset(
    {
        ExitCode.DONE,
        ExitCode.USAGE,
        ExitCode.BAD_SETTINGS,
        ExitCode.DANGEROUS,
        ExitCode.INCOMPLETE_REPORT,
        ExitCode.CANCELLED,
    }
)
_STANDARD_INPUT = "-"


def _limit(text: str) -> int:
    limit = int(text)
    if limit < LEAST_LIMIT:
        raise argparse.ArgumentTypeError(f"{limit} is too short for a report: use at least {LEAST_LIMIT}")
    return limit


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m operations report",
        description="Report what a preview would do to live secrets, from its event log "
        "(PULUMI_DEBUG_COMMANDS=true pulumi preview --event-log FILE).",
        epilog=epilogue(*CODES) + "\nMore: docs/preview.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--events",
        metavar="FILE",
        action="append",
        help="event log to read, or - for standard input (default). Repeat it, once for each stack, for one "
        "report on several stacks",
    )
    parser.add_argument(
        "--format",
        choices=("markdown", "json", "terminal"),
        default="terminal",
        help="output format (default: terminal)",
    )
    parser.add_argument(
        "--stack",
        default="",
        help="name of the stack, for a log that ends before the engine names it; with several logs, the "
        "name of the whole group",
    )
    parser.add_argument(
        "--max-chars",
        metavar="N",
        type=_limit,
        default=GITHUB_LIMIT,
        help=f"maximum length of the Markdown (default: {GITHUB_LIMIT})",
    )
    parser.add_argument(
        "--checkout",
        metavar="DIR",
        type=Path,
        help="git clone whose HEAD is the change that was previewed. A file that a preview runs and that "
        "differs from --base is reported as a danger",
    )
    parser.add_argument(
        "--live",
        metavar="FILE",
        action="append",
        type=Path,
        default=[],
        help="current settings in AWS, from python -m operations report live; one for each --events, in the "
        "same order",
    )
    parser.add_argument("--base", metavar="COMMIT", help="commit that the change is compared with")
    parser.add_argument(
        "--previous",
        metavar="FILE",
        type=Path,
        help="the previous report's comment; findings that it does not have are marked as new",
    )
    parser.add_argument(
        "--revision", metavar="COMMIT", default="", help="commit that was previewed, for --previous"
    )
    parser.add_argument(
        "--also-json", metavar="FILE", type=Path, help="write the report as JSON to this file too"
    )
    parser.add_argument(
        "--fail-on-danger",
        action="store_true",
        help=f"exit with {ExitCode.DANGEROUS} if the report has a danger",
    )
    options = parser.parse_args(arguments)
    if (options.checkout is None) is not (options.base is None):
        parser.error("--checkout and --base must be used together")
    if options.checkout is not None and not options.stack:
        parser.error("--checkout requires --stack, to find the stack file")
    if options.checkout is not None and len(options.events or []) > 1:
        parser.error("--checkout accepts the event log of one stack only")
    if len(options.live) not in {0, len(options.events or [_STANDARD_INPUT])}:
        parser.error("--live must be given once for each --events, or not at all")
    return options


def main(arguments: Sequence[str]) -> int:
    """Write the report to standard output and return the exit code."""
    options = _arguments(arguments)
    match options.events or [_STANDARD_INPUT]:
        case [one]:
            origin, doubts = _origin(options)
            live = _live(options.live[0]) if options.live else None
            result = report(_log(one), options.stack, origin, doubts, live=live)
        case several:
            snapshots = map(_live, options.live) if options.live else itertools.repeat(None)
            reports = [report(_log(one), live=live) for one, live in zip(several, snapshots, strict=False)]
            result = combined(reports, options.stack)
    if options.previous:
        result = since(result, _previous(options.previous), options.revision)
    sys.stdout.write(_render(result, options))
    if options.also_json:
        try:
            options.also_json.write_text(as_json(result))
        except OSError as error:
            sys.stderr.write(f"error: cannot write {visible(str(options.also_json))}: {error.strerror}\n")
            return ExitCode.BAD_SETTINGS
    if not result.complete:
        return ExitCode.INCOMPLETE_REPORT
    return ExitCode.DANGEROUS if result.dangers and options.fail_on_danger else ExitCode.DONE


def _origin(options: argparse.Namespace) -> tuple[Sequence[Danger], Sequence[Text]]:
    """Return the dangers and problems of the program that wrote the log."""
    if options.checkout is None:
        return (), ()
    try:
        return dangers(Comparison(options.checkout, options.base), options.stack), ()
    except ComparisonError as error:
        sys.stderr.write(f"error: {error}\n")
        return (), (("the program that wrote the log is unknown, because the commits cannot be compared",),)


def _previous(file: Path) -> str:
    """Return the previous comment; empty if there is none yet."""
    try:
        return file.read_text("utf-8", "replace")
    except OSError as error:
        sys.stderr.write(f"error: cannot read {visible(str(file))}: {error.strerror}\n")
        return ""


def _live(file: Path) -> Snapshot:
    """Return AWS's answers; an unavailable snapshot if the file cannot be read."""
    try:
        return parse(file.read_bytes())
    except OSError as error:
        sys.stderr.write(f"error: cannot read {visible(str(file))}: {error.strerror}\n")
        return Snapshot(unavailable="the file with AWS's answers cannot be read")


def _log(events: str) -> Iterator[Event | None]:
    with ExitStack() as files:
        try:
            log: Iterable[bytes] = (
                sys.stdin.buffer
                if events == _STANDARD_INPUT
                else files.enter_context(Path(events).open("rb"))
            )
        except OSError as error:
            sys.stderr.write(f"error: cannot read {visible(events)}: {error.strerror}\n")
            log = ()
        yield from parse_log(_readable(log))


def _readable(log: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from log
    except OSError:  # a directory or a failing disk: keep what was read, and mark the log as incomplete
        yield b"unreadable"


def _render(result: Report, options: argparse.Namespace) -> str:
    match options.format:
        case "markdown":
            return markdown(result, options.max_chars)
        case "json":
            return as_json(result)
        case _:
            return terminal(result)
