"""Measurements with their machine and versions: as JSON, and as median and spread."""

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tools.benchmarks.operations import Round
from tools.benchmarks.processes import Sample


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The measured machine. `load` is the load average of the minute before: other programs' work."""

    cores: int
    memory_bytes: int
    processor: str
    system: str
    load: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One operation of one subject, run several times; bytes and resources are from after the first `up`."""

    subject: str
    secrets: int
    operation: str
    resources: int
    state_bytes: int
    samples: Sequence[Sample]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median and spread of several runs."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True)
class Results:
    """One run of the benchmark.

    Attributes:
        date: its start, in UTC.
        versions: versions of the measured parts, by name.
        plugins: `official`, or the plugins that were stand-ins.
        skipped: sentences with what was not measured, and why.
    """

    date: str
    machine: Machine
    versions: Mapping[str, str]
    plugins: str
    skipped: Sequence[str]
    rows: Sequence[Row]

    @property
    def official(self) -> bool:
        """Return whether the measured plugins are official."""
        return self.plugins == "official"


def spread(row: Row, figure: Callable[[Sample], float]) -> Spread:
    """Return median, lowest, and highest of the runs' figures."""
    values = [figure(sample) for sample in row.samples]
    return Spread(median=statistics.median(values), lowest=min(values), highest=max(values))


def rows(subject: str, secrets: int, rounds: Sequence[Round]) -> list[Row]:
    """Return one subject's rounds, transposed: a row for each operation."""
    first = rounds[0]
    return [
        Row(
            subject=subject,
            secrets=secrets,
            operation=operation,
            resources=first.resources,
            state_bytes=first.state_bytes,
            samples=[done.samples[operation] for done in rounds],
        )
        for operation in first.samples
    ]


def machine() -> Machine:
    """Return a description of this machine."""
    described = Path("/proc/cpuinfo").read_text()
    models = [
        line.partition(":")[2].strip() for line in described.splitlines() if line.startswith("model name")
    ]
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        processor=models[0] if models else platform.machine(),
        system=f"{platform.system()} {platform.machine()}",
        load=round(os.getloadavg()[0], 2),
    )


def versions(engine: str, terraform: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of Python, engine, packages, the emulator's moto, and Terraform if measured."""
    packages = {name: version(name) for name in ("pulumi", "pulumi-aws", "pulumi-random", "moto")}
    return {"Python": platform.python_version(), "pulumi CLI": engine, **packages, **terraform}


def now() -> str:
    """Return the current day and minute, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def write(results: Results, path: Path) -> None:
    """Write results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(results), indent=1) + "\n")


def read(path: Path) -> Results:
    """Return the results that `write` wrote."""
    given: dict[str, Any] = json.loads(path.read_text())
    return Results(
        **{
            **given,
            "machine": Machine(**given["machine"]),
            "rows": [
                Row(**{**row, "samples": [Sample(**sample) for sample in row["samples"]]})
                for row in given["rows"]
            ],
        }
    )
