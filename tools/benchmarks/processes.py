"""Run a command and measure its process tree from /proc, each process by its role."""

import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

ENGINE, PROGRAM, PLUGINS, LANGUAGE_HOST, EMULATOR = (
    "engine",
    "program",
    "plugins",
    "language host",
    "emulator",
)
PARTS = (ENGINE, PROGRAM, PLUGINS, LANGUAGE_HOST, EMULATOR)

_SAMPLE_SECONDS = 0.02
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOG_LINES = 15


class CommandError(Exception):
    """A measured command failed; the message has the end of its output."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one command: seconds of wall time, CPU seconds by role, bytes.

    `peak_memory` is the highest sum of resident memory of the command's processes, the emulator not counted.
    Shared pages count for each process.
    """

    wall: float
    cpu: Mapping[str, float]
    peak_memory: int


@dataclass(frozen=True)
class _Seen:
    """A process at one moment: its role, its own CPU seconds, and those of children it waited for."""

    part: str
    own: float
    reaped: float
    memory: int
    ended: bool = False


@dataclass
class _Watched:
    """Measurements of a tree: the last of each process, and the highest sum of memory."""

    last: dict[int, _Seen] = field(default_factory=dict)
    peak: int = 0

    def look(self, root: int) -> None:
        # a zombie has no command line: its role is the last known one
        now = {
            pid: replace(seen, part=self.last[pid].part) if seen.ended and pid in self.last else seen
            for pid, seen in _tree(root, ENGINE)
        }
        self.last.update(now)
        self.peak = max(self.peak, sum(seen.memory for seen in now.values()))


def measured(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    emulator: int | None = None,
) -> Sample:
    """Run a command with its output in `log`; `emulator` is a pid whose CPU time counts as a role.

    Raises:
        CommandError: it failed.
    """
    watched = _Watched()
    emulator_before = tree_cpu(emulator)
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        descriptor = os.pidfd_open(process.pid)
        try:
            while not select.select([descriptor], [], [], _SAMPLE_SECONDS)[0]:
                watched.look(process.pid)
        finally:
            os.close(descriptor)
        wall = time.perf_counter() - start
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        raise CommandError(f"`{' '.join(command)}` failed with exit code {process.returncode}:\n{said}")
    cpu = by_part(watched.last, used.ru_utime + used.ru_stime)
    if emulator is not None:
        cpu[EMULATOR] = max(0.0, tree_cpu(emulator) - emulator_before)
    return Sample(wall=wall, cpu=cpu, peak_memory=watched.peak)


def by_part(last: Mapping[int, _Seen], total: float) -> dict[str, float]:
    """Return CPU seconds by role; the engine has the rest of `total`, which counts every process to its end.

    The language host waits for the program, so its reaped children include the program's last moments.
    """
    own = {part: sum(seen.own for seen in last.values() if seen.part == part) for part in PARTS}
    reaped = sum(seen.reaped for seen in last.values() if seen.part == LANGUAGE_HOST)
    others = {
        PROGRAM: max(own[PROGRAM], reaped),
        PLUGINS: own[PLUGINS],
        LANGUAGE_HOST: own[LANGUAGE_HOST],
    }
    return {ENGINE: max(0.0, total - sum(others.values())), **others}


def tree_cpu(root: int | None) -> float:
    """Return the CPU seconds of a running process and its children, reaped ones included; 0 for None."""
    if root is None:
        return 0.0
    return sum(seen.own + seen.reaped for _, seen in _tree(root, EMULATOR))


def part_of(arguments: Sequence[str], inherited: str) -> str:
    """Return a process's role by its command line; by default its parent's."""
    names = [argument.rpartition("/")[2] for argument in arguments]
    # the language host comes first: the program's script is among its arguments
    if any(name in {"language_host.py", "pulumi-language-python"} for name in names):
        return LANGUAGE_HOST
    if "pulumi-language-python-exec" in names:
        return PROGRAM
    if "tools.localcloud.plugins" in names or any(
        name.startswith(("pulumi-resource-", "terraform-provider-")) for name in names
    ):
        return PLUGINS
    return inherited


def _tree(root: int, inherited: str) -> Iterator[tuple[int, _Seen]]:
    """Yield every process of a tree, without those that end in the meantime."""
    try:
        arguments = os.fsdecode(Path(f"/proc/{root}/cmdline").read_bytes()).split("\0")
        fields = Path(f"/proc/{root}/stat").read_text().rpartition(")")[2].split()
        pages = int(Path(f"/proc/{root}/statm").read_text().split()[1])
        tasks = [task.name for task in Path(f"/proc/{root}/task").iterdir()]
    except OSError:
        return
    part = part_of(arguments, inherited)
    # utime, stime, cutime, cstime: fields 14 to 17 of proc(5), counted from the state, which is the third
    user, system, user_reaped, system_reaped = (int(value) / _TICK for value in fields[11:15])
    yield (
        root,
        _Seen(part, user + system, user_reaped + system_reaped, pages * _PAGE, ended=fields[0] in "ZX"),
    )
    for task in tasks:
        try:
            children = Path(f"/proc/{root}/task/{task}/children").read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child), part)
