"""The operations that are measured, in the order in which they are run, and what is measured by them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clouds import Cloud
from benchmarks.processes import Sample, measured

FIRST_UP = "first up"
PREVIEW = "no-change preview"
UP = "no-change up"
CHANGE = "one-secret change"
REFRESH = "refresh"
DESTROY = "destroy"
OPERATIONS = (FIRST_UP, PREVIEW, UP, CHANGE, REFRESH, DESTROY)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A stack that can be measured, ready for its first operation.

    Attributes:
        name: of the product and its shape.
        secrets: how many it has.
        folder, environment: where commands run.
        commands: operation to command.
        change: edits the description of one secret in the declaration.
        states: the files that its state is in.
        resources: counts the resources in one of them.
    """

    name: str
    secrets: int
    folder: Path
    environment: Mapping[str, str]
    commands: Mapping[str, Sequence[str]]
    change: Callable[[], None]
    states: Callable[[], Sequence[Path]]
    resources: Callable[[Path], int]

    def size(self) -> tuple[int, int]:
        """Resources and bytes of its state."""
        files = self.states()
        return sum(map(self.resources, files)), sum(file.stat().st_size for file in files)


@dataclass(frozen=True, kw_only=True)
class Round:
    """One run of every operation; resources and state bytes are those after the first `up`."""

    samples: Mapping[str, Sample]
    resources: int
    state_bytes: int


def run_all(subject: Subject, cloud: Cloud, say: Callable[[str], None]) -> Round:
    """Runs every operation once.

    Raises:
        CommandError: one failed.
    """
    samples: dict[str, Sample] = {}
    resources = state_bytes = 0
    for operation in OPERATIONS:
        if operation not in subject.commands:
            continue
        if operation == CHANGE:
            subject.change()
        samples[operation] = run(subject, cloud, operation)
        say(f"  {subject.name}, {subject.secrets}: {operation} {samples[operation].wall:.1f} s")
        if operation == FIRST_UP:
            resources, state_bytes = subject.size()
    return Round(samples=samples, resources=resources, state_bytes=state_bytes)


def run(subject: Subject, cloud: Cloud, operation: str, **more: str) -> Sample:
    """Runs one operation, with more variables in its environment.

    Raises:
        CommandError: it failed.
    """
    return measured(
        subject.commands[operation],
        subject.folder,
        {**subject.environment, **more},
        subject.folder / "benchmark.log",
        cloud.emulator.pid,
    )
