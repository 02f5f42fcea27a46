"""The measured operations, in the order in which they run, and their measurements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.benchmarks.clouds import Cloud
from tools.benchmarks.processes import Sample, measured

FIRST_UP = "first up"
ADOPT = "adopt"
PREVIEW = "no-change preview"
UP = "no-change up"
CHANGE = "one-secret change"
REFRESH = "refresh"
DESTROY = "destroy"
STATUS = "status"  # counted by quick.py, not measured
OPERATIONS = (FIRST_UP, ADOPT, PREVIEW, UP, CHANGE, REFRESH, DESTROY)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A stack that can be measured, ready for its first operation.

    Attributes:
        name: of the product and its shape.
        secrets: number of secrets.
        folder, environment: of the commands.
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
        """Return the number of resources and the bytes of its state."""
        files = self.states()
        return sum(map(self.resources, files)), sum(file.stat().st_size for file in files)


@dataclass(frozen=True, kw_only=True)
class Round:
    """One run of every operation; resources and state bytes are from after the first operation."""

    samples: Mapping[str, Sample]
    resources: int
    state_bytes: int


def run_all(subject: Subject, cloud: Cloud, say: Callable[[str], None]) -> Round:
    """Run every operation once.

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
        if operation in {FIRST_UP, ADOPT}:
            resources, state_bytes = subject.size()
    return Round(samples=samples, resources=resources, state_bytes=state_bytes)


def run(subject: Subject, cloud: Cloud, operation: str, **more: str) -> Sample:
    """Run one operation, with additional environment variables.

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
