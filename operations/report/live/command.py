"""`python -m operations report live`: query AWS for the secrets in a preview's event log.

If AWS cannot be queried, the file says so, and the exit code is still 0.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from operations.exit_codes import ExitCode, epilogue
from operations.report.events import parse_log
from operations.report.live.model import written
from operations.report.live.query import snapshot
from operations.report.names import visible

CODES = frozenset({ExitCode.DONE, ExitCode.USAGE, ExitCode.BAD_SETTINGS, ExitCode.CANCELLED})


def main(arguments: Sequence[str]) -> int:
    """Write AWS's answers to a file or to standard output; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m operations report live",
        description="Query AWS, with credentials from the environment, for the metadata of the secrets that "
        "a preview touches, and write it to a file for the report's --live. Never reads a secret value.",
        epilog=epilogue(*CODES) + "\nMore: docs/preview.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", metavar="FILE", type=Path, required=True, help="event log of the preview")
    parser.add_argument("--output", metavar="FILE", type=Path, help="output file (default: standard output)")
    options = parser.parse_args(arguments)
    try:
        with options.events.open("rb") as log:
            text = written(snapshot(parse_log(log)))
        if options.output:
            options.output.write_text(text)
        else:
            sys.stdout.write(text)
    except OSError as error:
        sys.stderr.write(f"error: {visible(str(error.filename or 'the event log'))}: {error.strerror}\n")
        return ExitCode.BAD_SETTINGS
    return ExitCode.DONE
