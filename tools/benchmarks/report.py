"""Write results into the docs, as tables and a plot: `python -m tools.benchmarks.report [RESULTS]`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.benchmarks.results import Results, read, write
from tools.benchmarks.table import markdown
from tools.localcloud.files import write_if_changed
from tools.localcloud.layout import checkout

BEGIN = "<!-- figures: rewritten by `python -m tools.benchmarks.report` -->"
END = "<!-- end of figures -->"


def rewritten(text: str, figures: str) -> str:
    """Return the page with these figures between its markers.

    Raises:
        ValueError: the markers are missing, repeated, or out of order.
    """
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended or BEGIN in after or END in after:
        raise ValueError(
            f"the page has no place for figures: it needs the lines {BEGIN} and {END}, each once"
        )
    return f"{before}{BEGIN}\n\n{figures.strip()}\n\n{END}{after}"


def publish(results: Results, docs: Path) -> None:
    """Write figures and data into `docs`, and the plot if matplotlib is installed.

    Raises:
        ValueError: benchmarks.md has no markers for them.
    """
    page = docs / "benchmarks.md"
    picture = "![Wall time by number of secrets, on logarithmic scales](benchmarks.svg)"
    text = rewritten(page.read_text(), f"{picture}\n\n{markdown(results)}")
    write_if_changed(page, text)
    write(results, docs / "benchmarks.json")
    from tools.benchmarks.plot import draw  # noqa: PLC0415  only this needs matplotlib

    draw(results, docs / "benchmarks.svg")


def main(arguments: Sequence[str]) -> int:
    """Publish results; return the exit code."""
    root = checkout()
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.report", description=__doc__)
    parser.add_argument(
        "results",
        type=Path,
        nargs="?",
        default=root.root / "docs" / "benchmarks.json",
        help="results.json of a run",
    )
    given = parser.parse_args(arguments)
    try:
        publish(read(given.results), root.root / "docs")
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        print(
            "error: the plot needs matplotlib: make bench installs it. The tables are written.",
            file=sys.stderr,
        )
        return 1
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
