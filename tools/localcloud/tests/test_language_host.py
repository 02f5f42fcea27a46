"""The language host under the real engine: what programs may rely on, and that it leaves nothing behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.local_engine import local_engine, stack_environment

Pulumi = Callable[..., "subprocess.CompletedProcess[str]"]

SLEEPING = """
import os, pathlib, time
pathlib.Path("pids").write_text(f"{os.getpid()} {os.getppid()}")
time.sleep(300)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project without a program."""
    project = tmp_path / "a project"
    project.mkdir()
    venv = local_engine().root / ".venv"
    (project / "Pulumi.yaml").write_text(
        "name: small\nruntime: {name: python, options: {virtualenv: " + json.dumps(str(venv)) + "}}\n"
    )
    return project


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return stack_environment(tmp_path, "http://127.0.0.1:1", forked=False)


@pytest.fixture
def pulumi(folder: Path, environment: dict[str, str]) -> Pulumi:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["pulumi", "--non-interactive", "--color=never", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )

    created = run("stack", "select", "--create", "dev")
    assert created.returncode == 0, created.stdout
    return run


@pytest.fixture
def started(
    folder: Path,
    environment: dict[str, str],
    pulumi: Pulumi,  # noqa: ARG001 -- creates the stack
) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Start an update in the background; what is left of it is killed afterwards."""
    processes = []

    def start() -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            ["pulumi", "--non-interactive", "--color=never", "up", "--yes", "--skip-preview"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def noted_pids(folder: Path) -> tuple[int, int]:
    """Return the pids of the program and of its language host, once the program runs."""
    note = folder / "pids"
    assert wait_until(lambda: note.exists() and len(note.read_text().split()) == 2)
    program, host = note.read_text().split()
    return int(program), int(host)


def test_config_reaches_the_program_and_outputs_reach_the_state(folder: Path, pulumi: Pulumi) -> None:
    (folder / "__main__.py").write_text(
        """
import pulumi

class Parent(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("small:index:Parent", name)
        self.register_outputs({})

config = pulumi.Config()
parent = Parent("parent")
Parent("child-of-" + pulumi.get_stack())
pulumi.export("plain", config.require("plain"))
pulumi.export("hidden", config.require_secret("hidden"))
pulumi.export("names", [pulumi.get_project(), pulumi.get_organization()])
"""
    )
    assert pulumi("config", "set", "plain", "a b'c\"d").returncode == 0
    assert pulumi("config", "set", "--secret", "hidden", "secret-4711").returncode == 0
    done = pulumi("up", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout
    assert "secret-4711" not in done.stdout
    assert pulumi("stack", "output", "plain").stdout == "a b'c\"d\n"
    assert pulumi("stack", "output", "--show-secrets", "hidden").stdout == "secret-4711\n"
    assert pulumi("stack", "output", "names").stdout == '["small","organization"]\n'
    assert "small:index:Parent::child-of-dev" in pulumi("stack", "--show-urns").stdout
    preview = pulumi("preview", "--expect-no-changes")
    assert preview.returncode == 0, preview.stdout


def test_what_a_program_prints_is_shown_while_it_runs(
    folder: Path, started: Callable[[], "subprocess.Popen[str]"]
) -> None:
    (folder / "__main__.py").write_text(
        """
import pathlib, sys, time
print("to standard output")
print("to standard error", file=sys.stderr)
while not pathlib.Path("seen").exists():
    time.sleep(0.02)
"""
    )
    update = started()
    awaited = {"to standard output", "to standard error"}
    for line in update.stdout or ():
        awaited -= {text for text in awaited if text in line}
        if not awaited:
            break
    (folder / "seen").touch()
    rest = update.stdout.read() if update.stdout else ""
    assert update.wait(timeout=30) == 0, rest
    assert not awaited


def test_a_failing_program_is_reported_once_with_its_own_traceback(folder: Path, pulumi: Pulumi) -> None:
    (folder / "__main__.py").write_text("def declare():\n    raise ValueError('wrong value')\n\ndeclare()\n")
    done = pulumi("up", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert done.stdout.count("ValueError: wrong value") == 1
    assert "exit code" not in done.stdout


def test_a_program_that_exits_by_itself_fails_the_update(folder: Path, pulumi: Pulumi) -> None:
    (folder / "__main__.py").write_text("import os\nos._exit(3)\n")
    done = pulumi("up", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "non-zero exit code: 3" in done.stdout


def test_a_missing_virtual_environment_is_named_with_the_remedy(folder: Path, pulumi: Pulumi) -> None:
    (folder / "__main__.py").write_text("")
    (folder / "Pulumi.yaml").write_text(
        "name: small\nruntime: {name: python, options: {virtualenv: not-there}}\n"
    )
    done = pulumi("up", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "not-there" in done.stdout
    assert "make up" in done.stdout


def test_a_killed_engine_leaves_neither_language_host_nor_program(
    folder: Path, started: Callable[[], "subprocess.Popen[str]"]
) -> None:
    (folder / "__main__.py").write_text(SLEEPING)
    update = started()
    program, host = noted_pids(folder)
    update.kill()
    assert wait_until(lambda: not is_running(program) and not is_running(host))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_update_ends_with_its_program(
    folder: Path, started: Callable[[], "subprocess.Popen[str]"], number: signal.Signals
) -> None:
    (folder / "__main__.py").write_text(SLEEPING)
    update = started()
    program, host = noted_pids(folder)
    os.kill(update.pid, number)
    # A language host that does not heed the engine's signal costs five seconds or more.
    output, _ = update.communicate(timeout=4)
    assert update.returncode != 0
    assert "Traceback" not in output
    assert not is_running(program)
    assert not is_running(host)
