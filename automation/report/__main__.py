"""`python -m automation.report`: what a preview's event log means, for people and programs."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from automation.exit_codes import ExitCode, epilogue
from automation.report.as_json import as_json
from automation.report.events import parsed
from automation.report.markdown import GITHUB_LIMIT, LEAST_LIMIT, markdown
from automation.report.model import Danger, Report, Text
from automation.report.names import visible
from automation.report.origin import Comparison, ComparisonError, dangers
from automation.report.reporting import combined, report
from automation.report.terminal import terminal

CODES = frozenset({ExitCode.DONE, ExitCode.USAGE, ExitCode.DANGEROUS, ExitCode.INCOMPLETE_REPORT})
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
    parser.add_argument("--base", metavar="COMMIT", help="the commit that the change is compared with")
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
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the report to standard output; returns the exit code."""
    options = _arguments(arguments)
    match options.events or [_STANDARD_INPUT]:
        case [one]:
            made = _made(one, options.stack, *_origin(options))
        case several:
            made = combined([_made(one, "") for one in several], options.stack)
    sys.stdout.write(_written(made, options))
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


def _made(events: str, stack: str, origin: Sequence[Danger] = (), doubts: Sequence[Text] = ()) -> Report:
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
        return report(parsed(_readable(log)), stack, origin, doubts)


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
