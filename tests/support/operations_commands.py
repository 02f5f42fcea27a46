"""Run a command of `operations` as an operator does, against a stack of the engine tests."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.command_nursery import operations_launcher
from tests.support.stacks import ROOT, Stack

_OPERATIONS = (sys.executable, "-m", "operations")


def command_line(stack: Stack, name: str, *arguments: str) -> list[str]:
    return [*_OPERATIONS, name, *arguments, "--cwd", str(stack.folder)]


def environment(stack: Stack) -> Mapping[str, str]:
    return {**stack.environment, "PYTHONPATH": str(ROOT)}


def run_command(command: list[str], stack: Stack, code: int) -> str:
    """Run a command to its end, in a fork of a process with its imports; return what it printed."""
    done = subprocess.run(
        [operations_launcher(Path(sys.executable)), *command[len(_OPERATIONS) :]],
        cwd=ROOT,
        env=environment(stack),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == code, printed
    assert "Traceback" not in printed
    return printed


def spoil_state(stack: Stack, secret: str) -> None:
    """Give a secret another name in the state: a wrong import whose command was killed before the proof."""
    exported = json.loads(stack.pulumi("stack", "export").stdout)
    for resource in exported["deployment"]["resources"]:
        if resource["urn"].endswith(f"::{secret}-secret"):
            resource["inputs"]["name"] = resource["outputs"]["name"] = f"not-{secret}"
    file = stack.folder / "spoiled.json"
    file.write_text(json.dumps(exported))
    stack.pulumi("stack", "import", "--file", str(file))
    file.unlink()
