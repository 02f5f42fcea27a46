"""`python -m automation.report.live`: ask AWS about the secrets in a preview's event log.

Exit codes: 0 the answers were written, also where AWS could not be asked: they say so; 1 the event log cannot
be read, or the answers cannot be written; 2 wrong arguments.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from automation.report.events import parsed
from automation.report.live.asking import snapshot
from automation.report.live.model import written
from automation.report.names import visible

_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Write AWS's answers to a file or to standard output; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m automation.report.live",
        description="Ask AWS, with the credentials of the environment, for the metadata of the secrets that "
        "a preview touches, and write the answers for the report's --live. Reads no value.",
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
        return _FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
