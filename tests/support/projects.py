"""Projects and stacks for the tests."""

import itertools
import os
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

import operations
from tests.support.emulator_process import Emulator
from tests.support.example_project import PROJECT_FILE

ROOT = Path(__file__).parents[2]
# Nothing needs a KMS key here, and what is deleted is gone at once.
QUICK = {"encryption": "aws-managed", "recoveryWindowDays": 0}
AWS = {"region": "us-east-1"}
_numbers = itertools.count(1)

EMPTY = "pass"
# Waits in the middle of an update until the test makes the file `go`.
WAITING = """
import pathlib, time, pulumi
if not pulumi.runtime.is_dry_run():
    pathlib.Path("reached").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
pulumi.export("done", True)
"""


@dataclass(frozen=True)
class Project:
    """`folder` is a checkout with a program of the test's."""

    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def program(self, text: str) -> None:
        (self.folder / "__main__.py").write_text(text)

    def workspace(self, **changes: str) -> operations.Workspace:
        return operations.checkout(self.folder, environment={**self.environment, **changes})

    def stack(self, name: str = "test") -> operations.Stack:
        """A stack that is there."""
        return self.workspace().open(name)

    def waits(self) -> None:
        """Returns when the waiting program has been reached."""
        wait_for(self.folder / "reached")

    def goes_on(self) -> None:
        (self.folder / "go").touch()


def new_project(folder: Path, environment: Mapping[str, str]) -> Project:
    (folder / "Pulumi.yaml").write_text(PROJECT_FILE)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    state = folder / "state"
    state.mkdir()
    made = Project(folder, {**environment, "PULUMI_BACKEND_URL": f"file://{state}"})
    made.program(EMPTY)
    return made


def client(emulator: Emulator) -> Any:
    return boto3.client(
        "secretsmanager",
        endpoint_url=emulator.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def new_name() -> str:
    """Return a name for a stack and its secrets that no other worker uses."""
    return f"tenant-{os.getpid()}-{next(_numbers)}"


def structure(*secrets: str, **more: object) -> dict[str, Any]:
    """Return a structure in which each secret (`app` by default) holds one plain value."""
    declared = {name: {"values": {"KEY": {"value": "x"}}} for name in secrets or ("app",)}
    return {**QUICK, "secrets": declared, **more}


def tenant(workspace: operations.Workspace, name: str, *secrets: str) -> operations.Stack:
    """A configured stack with these secrets."""
    stack = workspace.open(name)
    stack.configure(structure(*secrets), aws=AWS)
    return stack


def wait_for(file: Path) -> None:
    """Returns when the file is there."""
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} did not come"
        time.sleep(0.01)


def wait_for_end(process: int) -> None:
    """Returns when the process, which need not be our child, has ended."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 60)[0], f"process {process} did not end"
    finally:
        os.close(descriptor)
