"""`python -m automation.report`: what a preview's event log means, for people and programs."""

import argparse
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from automation.exit_codes import ExitCode, epilogue
from automation.report.as_json import as_json
from automation.report.events import Event, parsed
from automation.report.live import Snapshot, parse
from automation.report.markdown import GITHUB_LIMIT, LEAST_LIMIT, markdown
from automation.report.model import Danger, Report, Text
from automation.report.names import visible
from automation.report.origin import Comparison, ComparisonError, dangers
from automation.report.reporting import combined, report
from automation.report.since import since
from automation.report.terminal import terminal

CODES = frozenset(
    {
        ExitCode.DONE,
        ExitCode.USAGE,
        ExitCode.BAD_SETTINGS,
        ExitCode.DANGEROUS,
        ExitCode.INCOMPLETE_REPORT,
    }
)
_STANDARD_INPUT = "-"


def _limit(text: str) -> int:
    limit = int(text)
    if limit < LEAST_LIMIT:
        raise argparse.ArgumentTypeError(f"{limit} is too short for any report: give {LEAST_LIMIT} or more")
    return limit


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m automation.report",
        description="Say what a preview does to live secrets, from its event log "
        "(pulumi preview --event-log FILE).",
        epilog=epilogue(*CODES) + "\nMore: docs/preview.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--events",
        metavar="FILE",
        action="append",
        help="the event log; - reads standard input. Several, of one stack each, make one report",
    )
    parser.add_argument("--format", choices=("markdown", "json", "terminal"), default="terminal")
    parser.add_argument(
        "--stack",
        default="",
        help="the stack's name, for a log that ends before it is named; of several stacks, what they are "
        "together",
    )
    parser.add_argument(
        "--max-chars",
        metavar="N",
        type=_limit,
        default=GITHUB_LIMIT,
        help=f"limit of the Markdown, {GITHUB_LIMIT} if left out",
    )
    parser.add_argument(
        "--checkout",
        metavar="DIR",
        type=Path,
        help="a clone whose HEAD is the change that was previewed: files that a preview runs make the report "
        "doubtful where they differ from --base",
    )
    parser.add_argument(
        "--live",
        metavar="FILE",
        action="append",
        type=Path,
        default=[],
        help="what AWS has now, from python -m automation.report.live; one for each log, in their order",
    )
    parser.add_argument("--base", metavar="COMMIT", help="the commit that the change is compared with")
    parser.add_argument(
        "--previous",
        metavar="FILE",
        type=Path,
        help="the comment that the report before this one made: what is new since is marked",
    )
    parser.add_argument(
        "--revision", metavar="COMMIT", default="", help="the commit that was previewed, for --previous"
    )
    parser.add_argument("--also-json", metavar="FILE", type=Path, help="write the JSON there as well")
    parser.add_argument(
        "--fail-on-danger",
        action="store_true",
        help=f"exit with {ExitCode.DANGEROUS} if something is dangerous",
    )
    options = parser.parse_args(arguments)
    if (options.checkout is None) is not (options.base is None):
        parser.error("--checkout and --base go together")
    if options.checkout is not None and not options.stack:
        parser.error("--checkout needs --stack, to know the stack file")
    if options.checkout is not None and len(options.events or []) > 1:
        parser.error("--checkout takes the event log of one stack")
    if len(options.live) not in {0, len(options.events or [_STANDARD_INPUT])}:
        parser.error("--live goes with each --events, or with none")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the report to standard output; returns the exit code."""
    options = _arguments(arguments)
    match options.events or [_STANDARD_INPUT]:
        case [one]:
            origin, doubts = _origin(options)
            live = _live(options.live[0]) if options.live else None
            made = report(_log(one), options.stack, origin, doubts, live=live)
        case several:
            snapshots = map(_live, options.live) if options.live else itertools.repeat(None)
            reports = [report(_log(one), live=live) for one, live in zip(several, snapshots, strict=False)]
            made = combined(reports, options.stack)
    if options.previous:
        made = since(made, _previous(options.previous), options.revision)
    sys.stdout.write(_written(made, options))
    if options.also_json:
        try:
            options.also_json.write_text(as_json(made))
        except OSError as error:
            sys.stderr.write(f"error: {visible(str(options.also_json))}: {error.strerror}\n")
            return ExitCode.BAD_SETTINGS
    if not made.complete:
        return ExitCode.INCOMPLETE_REPORT
    return ExitCode.DANGEROUS if made.dangers and options.fail_on_danger else ExitCode.DONE


def _origin(options: argparse.Namespace) -> tuple[Sequence[Danger], Sequence[Text]]:
    """Dangers and problems of what made the log."""
    if options.checkout is None:
        return (), ()
    try:
        return dangers(Comparison(options.checkout, options.base), options.stack), ()
    except ComparisonError as error:
        sys.stderr.write(f"error: {error}\n")
        return (), (("nobody knows which program made the log: the commits cannot be compared",),)


def _previous(file: Path) -> str:
    """Return the comment; empty where there is none yet."""
    try:
        return file.read_text("utf-8", "replace")
    except OSError as error:
        sys.stderr.write(f"error: {visible(str(file))} cannot be read: {error.strerror}\n")
        return ""


def _live(file: Path) -> Snapshot:
    """Return AWS's answers; without them the report says so."""
    try:
        return parse(file.read_bytes())
    except OSError as error:
        sys.stderr.write(f"error: {visible(str(file))} cannot be read: {error.strerror}\n")
        return Snapshot(unavailable="there is no file with AWS's answers")


def _log(events: str) -> Iterator[Event | None]:
    with ExitStack() as files:
        try:
            log: Iterable[bytes] = (
                sys.stdin.buffer
                if events == _STANDARD_INPUT
                else files.enter_context(Path(events).open("rb"))
            )
        except OSError as error:
            sys.stderr.write(f"error: {visible(events)} cannot be read: {error.strerror}\n")
            log = ()
        yield from parsed(_readable(log))


def _readable(log: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from log
    except OSError:  # a folder, or a disk that fails: what was read counts, and is not all
        yield b"unreadable"


def _written(made: Report, options: argparse.Namespace) -> str:
    match options.format:
        case "markdown":
            return markdown(made, options.max_chars)
        case "json":
            return as_json(made)
        case _:
            return terminal(made)


if __name__ == "__main__":
    sys.exit(main())
