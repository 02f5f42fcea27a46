"""Show in half a minute whether a change doubles a cost: `python -m tools.benchmarks.quick`.

Counts depend little on the machine: function calls of the program's own thread, requests between engine,
program and plugins, requests to AWS, resources, bytes of state, and how often and how much of it the engine
writes. Times are ratios within the run. All are compared with `tools/benchmarks/expected.json`, which
`--write` rewrites; a difference fails nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.benchmarks import counted_main
from tools.benchmarks.clouds import Cloud, cloud
from tools.benchmarks.operations import ADOPT, DESTROY, FIRST_UP, PREVIEW, STATUS, Subject, run
from tools.benchmarks.processes import PROGRAM, CommandError, Sample, measured
from tools.benchmarks.pulumi_stacks import adopting_stack, made_stack
from tools.localcloud.files import write_if_changed
from tools.localcloud.layout import SetupError

SIZES = (1, 50)
PREVIEWS = 3
# Report changes by these factors. Counts vary by a hundredth between runs, ratios of times by a third.
NOTEWORTHY_COUNT, NOTEWORTHY_TIME = 1.25, 2.0
EXPECTED = Path(__file__).parent / "expected.json"

Figures = Mapping[str, float]


@dataclass(frozen=True)
class _Measured:
    counts: Mapping[str, int]
    previews: Sequence[Sample]
    adoption: Sample

    @property
    def wall(self) -> float:
        return statistics.median(sample.wall for sample in self.previews)

    @property
    def program(self) -> float:
        """Return CPU seconds."""
        return statistics.median(sample.cpu[PROGRAM] for sample in self.previews)


def figures() -> Figures:
    """Return all figures by name.

    Raises:
        CommandError, SetupError: a command failed, or the cloud could not be set up.
    """
    by_size = {}
    for secrets in SIZES:
        with cloud(example=False) as here:
            by_size[secrets] = _measure(here, secrets)
    importing = _importing_the_sdk()
    few, many = (by_size[secrets] for secrets in SIZES)
    return {
        **{
            f"{name}, {secrets} secret{'s' * (secrets > 1)}": count
            for name in few.counts
            for secrets in SIZES
            for count in [by_size[secrets].counts[name]]
        },
        f"no-change preview of {SIZES[1]} secrets / of {SIZES[0]}": many.wall / few.wall,
        f"adoption of {SIZES[1]} secrets / no-change preview": many.adoption.wall / many.wall,
        f"the program's CPU seconds / the preview's seconds, {SIZES[1]} secrets": many.program / many.wall,
        f"the program's CPU seconds / `import pulumi`, {SIZES[0]} secret": few.program / importing,
        "the program's CPU seconds for 100 more secrets / `import pulumi`": 100
        * (many.program - few.program)
        / (SIZES[1] - SIZES[0])
        / importing,
    }


def _measure(here: Cloud, secrets: int) -> _Measured:
    subject = made_stack(here, secrets)
    before = len(_requests_to_aws(here))
    creation = _counted_writes(subject, here, FIRST_UP)
    to_aws = len(_requests_to_aws(here)) - before
    resources, state_bytes = subject.size()
    previews = [run(subject, here, PREVIEW) for _ in range(PREVIEWS)]
    before = len(_requests_to_aws(here))
    run(subject, here, STATUS)
    to_status = len(_requests_to_aws(here)) - before
    adopting = adopting_stack(here, secrets)
    before = len(_requests_to_aws(here))
    adoption = run(adopting, here, ADOPT)
    to_adopt = len(_requests_to_aws(here)) - before
    counts = {
        "resources": resources,
        "bytes of state": state_bytes,
        "requests to AWS of a first up": to_aws,
        "requests to AWS of a status": to_status,
        "requests to AWS of an adoption": to_adopt,
        **_counted_preview(subject, here),
        **creation,
        **_counted_writes(subject, here, DESTROY),
    }
    return _Measured(counts, previews, adoption)


def _counted_writes(subject: Subject, here: Cloud, operation: str) -> dict[str, int]:
    """Run an operation, and count the engine's writes of the state: each is kept as a file of its own."""
    run(subject, here, operation, PULUMI_DIY_BACKEND_RETAIN_CHECKPOINTS="true")
    [state] = subject.states()
    kept = [file for file in state.parent.glob(f"{state.name}.*") if file.suffix[1:].isdigit()]
    written = sum(file.stat().st_size for file in kept)
    for file in kept:
        file.unlink()
    return {
        f"writes of the state, {operation}": len(kept),
        f"bytes of state written, {operation}": written,
    }


def _counted_preview(subject: Subject, here: Cloud) -> dict[str, int]:
    """Count the program's calls in a preview without changes, and the requests in the engine's own log."""
    program = subject.folder / "__main__.py"
    real = program.resolve()
    program.unlink()
    program.symlink_to(Path(counted_main.__file__))
    counts, log = subject.folder / "counts.json", subject.folder / "grpc.json"
    variables = {
        counted_main.PROGRAM_VARIABLE: str(real),
        counted_main.COUNTS_VARIABLE: str(counts),
        "PULUMI_DEBUG_GRPC": str(log),
    }
    run(subject, here, PREVIEW, **variables)
    done = (json.loads(line) for line in log.read_text().splitlines())
    services = Counter(
        entry["method"].split("/")[1] for entry in done if entry["progress"] == "response_completed"
    )
    of_program: dict[str, int] = json.loads(counts.read_text())
    return {
        **{f"the program's {name}": count for name, count in of_program.items()},
        "requests to the engine": services["pulumirpc.ResourceMonitor"],
        "requests to plugins": services["pulumirpc.ResourceProvider"],
    }


def _requests_to_aws(here: Cloud) -> list[str]:
    return (here.layout.emulator / "log").read_text().splitlines()


def _importing_the_sdk() -> float:
    """Return the CPU seconds of Python importing the SDK: a measure of this machine's speed."""
    command = [sys.executable, "-c", "import pulumi"]
    samples = [measured(command, Path.cwd(), os.environ, Path(os.devnull)) for _ in range(PREVIEWS)]
    return statistics.median(sum(sample.cpu.values()) for sample in samples)


def compared(found: Figures, expected: Figures) -> Iterator[str]:
    """Return a line for each figure, with changed ones marked."""
    width = max(map(len, found))
    for name, figure in found.items():
        known = expected.get(name)
        line = f"  {name:<{width}}  {_shown(figure):>9}"
        if known is None:
            yield f"{line}  (new)"
            continue
        ratio = figure / known if known else float("inf") if figure else 1.0
        noteworthy = NOTEWORTHY_COUNT if isinstance(figure, int) else NOTEWORTHY_TIME
        mark = ""
        if ratio >= noteworthy:
            mark = "  <-- WARNING: it costs more than it did"
        elif ratio <= 1 / noteworthy:
            mark = "  <-- it costs less than it did: record it with --write"
        yield f"{line}  expected {_shown(known):>9}  x{ratio:.2f}{mark}"
    for name in expected.keys() - found.keys():
        yield f"  {name}: no longer counted"


def _shown(figure: float) -> str:
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.2f}"


def main(arguments: Sequence[str]) -> int:
    """Print the figures; return 0 unless they could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.quick", description=__doc__)
    parser.add_argument("--write", action="store_true", help="record the figures as the expected ones")
    given = parser.parse_args(arguments)
    if not Path("/proc/self/task").exists():
        print("Not measured: processes are told apart by Linux's /proc, which is not here.")
        return 0
    try:
        found = figures()
    except (CommandError, SetupError, RuntimeError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    expected: dict[str, float] = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    print("What a stack costs, on stand-in plugins where the official ones are not installed:")
    for line in compared(found, expected):
        print(line)
    if given.write:
        rounded = {
            name: figure if isinstance(figure, int) else round(figure, 2) for name, figure in found.items()
        }
        write_if_changed(EXPECTED, json.dumps(rounded, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
