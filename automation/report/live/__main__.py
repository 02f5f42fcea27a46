"""`python -m automation.report.live`: ask AWS about the secrets in a preview's event log.

That AWS could not be asked is an answer, too: the file says so, and the exit code is 0.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from automation.exit_codes import ExitCode, epilogue
from automation.report.events import parsed
from automation.report.live.asking import snapshot
from automation.report.live.model import written
from automation.report.names import visible

CODES = frozenset({ExitCode.DONE, ExitCode.USAGE, ExitCode.BAD_SETTINGS})


def main(arguments: Sequence[str] | None = None) -> int:
    """Write AWS's answers to a file or to standard output; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m automation.report.live",
        description="Ask AWS, with the credentials of the environment, for the metadata of the secrets that "
        "a preview touches, and write the answers for the report's --live. Reads no value.",
        epilog=epilogue(*CODES) + "\nMore: docs/preview.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--events", metavar="FILE", type=Path, required=True, help="the event log of the preview"
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="where the answers go; standard output otherwise"
    )
    options = parser.parse_args(arguments)
    try:
        with options.events.open("rb") as log:
            text = written(snapshot(parsed(log)))
        if options.output:
            options.output.write_text(text)
        else:
            sys.stdout.write(text)
    except OSError as error:
        sys.stderr.write(f"error: {visible(str(error.filename or 'the event log'))}: {error.strerror}\n")
        return ExitCode.BAD_SETTINGS
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
