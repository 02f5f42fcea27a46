"""Measure operations on secrets on the local cloud: `python -m tools.benchmarks` (docs/benchmarks.md)."""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tools.benchmarks import results as recorded
from tools.benchmarks import terraform as terraforms
from tools.benchmarks.clouds import Cloud, cloud
from tools.benchmarks.operations import OPERATIONS, Round, Subject, run_all
from tools.benchmarks.processes import CommandError
from tools.benchmarks.pulumi_stacks import (
    ADOPTION,
    EXAMPLE,
    FLEET,
    PRODUCT,
    adopting_stack,
    example_stack,
    made_fleet,
    made_stack,
)
from tools.benchmarks.results import Results, Row
from tools.benchmarks.table import markdown
from tools.benchmarks.terraform import Terraform
from tools.localcloud.layout import SetupError, checkout

DEFAULT_SIZES = (1, 10, 100)
DEFAULT_RUNS = 3
# From this many secrets or KMS keys on, every stack runs once: a single run takes minutes.
RUN_ONCE_FROM = 1000
# Fewer secrets need no fleet.
FLEET_FROM = 100
KEYS_RUN_ONCE_FROM = 100

# Roughly, on two cores. The engine writes the whole state after each step, so updates are quadratic.
_SECONDS = {
    PRODUCT: (8.0, 0.1, 1.2e-3),
    FLEET: (60.0, 0.3, 0.0),
    EXAMPLE: (14.0, 0.0, 0.0),
    ADOPTION: (10.0, 0.1, 0.0),
    terraforms.TERRAFORM_AWS_MODULES: (14.0, 0.15, 0.0),
    terraforms.THOUGHTBOT: (23.0, 1.7, 0.0),
}

Say = Callable[[str], None]


def estimate(subject: str, secrets: int) -> float:
    """Return roughly how many seconds one run of all operations takes."""
    fixed, linear, square = _SECONDS[subject]
    return fixed + linear * secrets + square * secrets**2


def runs_of(subject: str, secrets: int, runs: int) -> int:
    """Return how often a stack is run; large ones once."""
    large = secrets >= RUN_ONCE_FROM or (subject == terraforms.THOUGHTBOT and secrets >= KEYS_RUN_ONCE_FROM)
    return 1 if large else runs


def plan(sizes: Sequence[int], runs: int, shapes: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return subject, number of secrets, and number of runs of each measurement."""
    made = [
        (subject, secrets, runs_of(subject, secrets, runs))
        for secrets in sizes
        for subject in (*shapes, FLEET, ADOPTION, PRODUCT)
        # a key for each of a thousand secrets takes most of an hour, and shows nothing new
        if not (subject == terraforms.THOUGHTBOT and secrets >= RUN_ONCE_FROM)
        if not (subject == FLEET and secrets < FLEET_FROM)
        # the stack file of a thousand adopted secrets is larger than a program can be given
        if not (subject == ADOPTION and secrets >= RUN_ONCE_FROM)
    ]
    return [*made, (EXAMPLE, 0, runs)]


def measure(sizes: Sequence[int], runs: int, say: Say, keep: Callable[[Results], None]) -> None:
    """Run everything, each round on an empty cloud that all subjects of one size share.

    `keep` gets the results after each round: a thousand secrets take long, and may be interrupted.

    Raises:
        CommandError, SetupError: a command failed, or the cloud could not be set up.
    """
    date, machine = recorded.now(), recorded.machine()
    with tempfile.TemporaryDirectory() as folder:
        terraform, why = terraforms.find(Path(folder))
    shapes = tuple(terraforms.SHAPES) if terraform else ()
    planned = plan(sizes, runs, shapes)
    skipped = [] if terraform else [f"Terraform's shapes were not measured: {why}."]
    skipped += [
        f"{terraforms.THOUGHTBOT} at {secrets} secrets was not measured: its {secrets} keys take too long."
        for secrets in sizes
        if terraform and secrets >= RUN_ONCE_FROM
    ]
    seconds = sum(estimate(subject, secrets) * times for subject, secrets, times in planned)
    say(f"To be measured, in about {max(1, round(seconds / 60))} min:")
    for subject, secrets, times in planned:
        say(f"  {subject}{f', {secrets} secrets' if secrets else ''}: {', '.join(OPERATIONS)}; {times} times")
    for sentence in skipped:
        say(sentence)
    results = Results(
        date=date,
        machine=machine,
        versions={},
        plugins="official",
        skipped=skipped,
        rows=[],
    )
    keep(results)
    example_rounds: list[Round] = []
    count = 0
    for _ in range(runs):
        with cloud(example=True) as here:
            results = replace(
                results,
                versions=recorded.versions(_engine_version(here), _versions_of(terraform)),
                plugins=f"stand-ins: {', '.join(here.stand_ins)}" if here.stand_ins else "official",
            )
            example = example_stack(here)
            count = example.secrets
            example_rounds.append(run_all(example, here, say))
    done = recorded.rows(EXAMPLE, count, example_rounds)
    keep(replace(results, rows=done))
    for secrets in sizes:
        by_subject: dict[str, list[Round]] = {}
        for number in range(runs):
            wanted = [subject for subject, size, times in planned if size == secrets and number < times]
            if not wanted:
                break
            with cloud(example=False) as here:
                for name in wanted:
                    try:
                        made = _made(name, here, secrets, terraform)
                        finished = run_all(made, here, say)
                    except CommandError as error:
                        if name not in shapes:
                            raise
                        say(f"  {name}, {secrets}: {error}")
                        skipped.append(f"A run of {name} at {secrets} secrets failed and is left out.")
                        continue
                    by_subject.setdefault(name, []).append(finished)
                    keep(replace(results, rows=[*done, *_rows(by_subject, secrets)]))
        done += _rows(by_subject, secrets)
    # again for what was skipped last
    keep(replace(results, rows=done))


def _rows(by_subject: Mapping[str, Sequence[Round]], secrets: int) -> list[Row]:
    return [row for name, rounds in by_subject.items() for row in recorded.rows(name, secrets, rounds)]


def _made(name: str, here: Cloud, secrets: int, terraform: Terraform | None) -> Subject:
    if name == FLEET:
        return made_fleet(here, secrets)
    if name == ADOPTION:
        return adopting_stack(here, secrets)
    if name == PRODUCT or terraform is None:
        return made_stack(here, secrets)
    return terraforms.shaped_stack(terraform, here, name, secrets)


def _engine_version(here: Cloud) -> str:
    asked = subprocess.run([here.layout.pulumi, "version"], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def _versions_of(terraform: Terraform | None) -> dict[str, str]:
    if terraform is None:
        return {}
    name, version = terraform.version.split()[:2]
    return {name: version, "AWS provider": terraform.provider}


def _sizes(text: str) -> list[int]:
    sizes = [int(part) if part.isascii() and part.isdigit() else 0 for part in text.split(",")]
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: write numbers of secrets with commas, such as 1,10,100")
    return sorted(set(sizes))


def _runs(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r}: write a number of 1 or more")
    return int(text)


def main(arguments: Sequence[str]) -> int:
    """Measure, print the tables, and write the results; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks", description=__doc__)
    parser.add_argument(
        "--sizes", type=_sizes, default=list(DEFAULT_SIZES), help="numbers of secrets: 1,10,100"
    )
    parser.add_argument("--runs", type=_runs, default=DEFAULT_RUNS, help="how often each is run")
    parser.add_argument(
        "--output", type=Path, default=checkout().local / "benchmarks", help="folder of results.json"
    )
    given = parser.parse_args(arguments)
    if not Path("/proc/self/task").exists():
        print(
            "error: processes are measured from Linux's /proc, which is not here: run it on Linux.",
            file=sys.stderr,
        )
        return 1
    file = given.output / "results.json"
    try:
        measure(
            given.sizes,
            given.runs,
            lambda line: print(line, flush=True),
            lambda results: recorded.write(results, file),
        )
    except (CommandError, SetupError, RuntimeError) as error:
        print(f"\nerror: {error}\nWhat was measured before is in {file}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. What was measured before is in {file}.", file=sys.stderr)
        return 130
    print(f"\n{markdown(recorded.read(file))}\nWritten to {file}.")
    print(f"To put it into the docs: python -m tools.benchmarks.report {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
