"""Results as Markdown."""

from collections.abc import Iterable, Iterator, Sequence

from tools.benchmarks.operations import FIRST_UP, OPERATIONS, PREVIEW
from tools.benchmarks.processes import PARTS, PROGRAM
from tools.benchmarks.pulumi_stacks import ADOPTION, EXAMPLE, FLEET, PRODUCT
from tools.benchmarks.results import Results, Row, Spread, spread
from tools.benchmarks.terraform import SHAPES

LIGHTER = (
    "The aws and random plugins of this run were this repository's **stand-ins, which are lighter than "
    "the official ones**: figures of the program's stacks are lower than with those, start-up and memory "
    "above all."
)
OFFICIAL = "The plugins of this run were the official ones."

_MIB = 1024 * 1024


def markdown(results: Results) -> str:
    """Return the whole report: machine, figures, profile, ratios, and skipped measurements."""
    return "\n\n".join([_where(results), _figures(results), _parts(results), *_ratios(results)]) + "\n"


def note(results: Results) -> str:
    """Return the sentence next to every table of figures."""
    return OFFICIAL if results.official else LIGHTER


def _where(results: Results) -> str:
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    measured = (
        f"Measured {results.date} on {machine.cores} cores ({machine.processor}, {machine.system}), "
        f"{machine.memory_bytes / 1024**3:.0f} GiB; load before it began {machine.load}. "
        f"{versions}; plugins: {results.plugins}."
    )
    return "\n\n".join([measured, *results.skipped])


def _figures(results: Results) -> str:
    cells = [
        (
            row.subject,
            str(row.secrets),
            row.operation,
            _seconds(spread(row, lambda sample: sample.wall)),
            _mebibytes(spread(row, lambda sample: sample.peak_memory)),
            str(row.resources),
            f"{row.state_bytes / 1024:.0f}",
            str(len(row.samples)),
        )
        for row in _ordered(results.rows)
    ]
    head = ("stack", "secrets", "operation", "wall, s", "peak memory, MiB", "resources", "state, KiB", "runs")
    return f"{note(results)} Median (lowest to highest).\n\n{_table(head, cells)}"


def _parts(results: Results) -> str:
    """Return a table of CPU seconds by role, as medians."""
    cells = [
        (
            row.subject,
            str(row.secrets),
            row.operation,
            *(f"{_cpu(row, part):.2f}" for part in PARTS),
        )
        for row in _ordered(results.rows)
    ]
    return (
        "### CPU seconds by part\n\n"
        "The engine is the command itself: `pulumi`, or `terraform`, whose plugins are its providers. "
        f"{note(results)}\n\n" + _table(("stack", "secrets", "operation", *PARTS), cells)
    )


def _ratios(results: Results) -> Iterator[str]:
    """Return the ratios within this run: to Terraform's shapes, and of the program to itself."""
    found = {(row.subject, row.secrets, row.operation): row for row in results.rows}
    sizes = sorted({row.secrets for row in results.rows if row.subject == PRODUCT})
    cells = []
    for shape in SHAPES:
        for secrets in sizes:
            for operation in OPERATIONS:
                theirs = found.get((shape, secrets, operation))
                ours = found.get((PRODUCT, secrets, operation))
                if theirs and ours:
                    ratio = _wall(theirs) / _wall(ours)
                    cells.append((shape, str(secrets), operation, f"{ratio:.1f}"))
    if cells:
        yield (
            "### Terraform against this program\n\n"
            "Terraform's wall time divided by the program's: above 1, the program is faster. A `terraform "
            f"plan` asks AWS for every object, a `pulumi preview` does not. {note(results)}\n\n"
            + _table(("shape", "secrets", "operation", "ratio"), cells)
        )
    previews = [row for secrets in sizes if (row := found.get((PRODUCT, secrets, PREVIEW)))]
    if previews:
        shares = [
            (
                str(row.secrets),
                f"{_cpu(row, PROGRAM) / _wall(row):.2f}",
                f"{_wall(row) / _wall(previews[0]):.2f}",
                _milliseconds_a_secret(previews[0], row),
            )
            for row in previews
        ]
        yield (
            "### The program's own share of a no-change preview\n\n"
            "Its CPU seconds divided by the preview's wall time; its CPU milliseconds for each secret more. "
            f"{note(results)}\n\n"
            + _table(
                (
                    "secrets",
                    "program / preview",
                    f"preview / preview of {previews[0].secrets}",
                    "program, ms a secret",
                ),
                shares,
            )
        )


def _milliseconds_a_secret(fewest: Row, row: Row) -> str:
    more = row.secrets - fewest.secrets
    return f"{1000 * (_cpu(row, PROGRAM) - _cpu(fewest, PROGRAM)) / more:.1f}" if more else ""


def _ordered(rows: Iterable[Row]) -> list[Row]:
    """Sort the program's stacks first, by size, and operations in their order."""
    subjects = [PRODUCT, FLEET, ADOPTION, EXAMPLE, *SHAPES]
    return sorted(
        rows, key=lambda row: (subjects.index(row.subject), row.secrets, OPERATIONS.index(row.operation))
    )


def walls(results: Results, subject: str, operation: str = FIRST_UP) -> list[tuple[int, Spread]]:
    """Return wall seconds by number of secrets, for a plot."""
    return [
        (row.secrets, spread(row, lambda sample: sample.wall))
        for row in _ordered(results.rows)
        if row.subject == subject and row.operation == operation
    ]


def _wall(row: Row) -> float:
    return spread(row, lambda sample: sample.wall).median


def _cpu(row: Row, part: str) -> float:
    return spread(row, lambda sample: sample.cpu.get(part, 0.0)).median


def _seconds(found: Spread) -> str:
    if found.lowest == found.highest:
        return f"{found.median:.1f}"
    return f"{found.median:.1f} ({found.lowest:.1f} to {found.highest:.1f})"


def _mebibytes(found: Spread) -> str:
    return f"{found.median / _MIB:.0f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
