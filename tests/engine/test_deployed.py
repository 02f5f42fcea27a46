"""Stacks deployed by an earlier release preview without a change: a renamed resource replaces a live secret.

An intended change is a line of `intended.txt` next to the state: the step, a colon, and the reason.
"""

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.emulator_process import Emulator, running_emulator
from tests.support.local_engine import stack_environment
from tests.support.record_deployed import FOLDER
from tests.support.stacks import Stack, new_stack, steps

STATES = sorted(FOLDER.glob("*/*/*.json.gz"))


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


@pytest.fixture
def deployed(request: pytest.FixtureRequest, emulator: Emulator, tmp_path: Path) -> Stack:
    """Return the stack as it was deployed; AWS itself is empty."""
    kept: Path = request.param
    stack = new_stack(tmp_path / "project", stack_environment(tmp_path, emulator.endpoint), emulator.endpoint)
    name = kept.name.removesuffix(".json.gz")
    for file in kept.parent.iterdir():
        if file != kept:
            shutil.copyfile(file, stack.folder / file.name)
    state = Path(stack.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    [empty] = state.glob(".pulumi/stacks/*/test.json")
    empty.with_name(f"{name}.json").write_bytes(gzip.decompress(kept.read_bytes()))
    return Stack(stack.folder, {**stack.environment, "PULUMI_STACK": name}, stack.endpoint)


@pytest.mark.parametrize(
    "deployed",
    STATES,
    ids=["-".join(path.parts[-3:]).removesuffix(".json.gz") for path in STATES],
    indirect=True,
)
def test_an_earlier_deployment_previews_without_a_change(deployed: Stack) -> None:
    log, intended = deployed.folder / "events.json", deployed.folder / "intended.txt"
    deployed.pulumi("preview", "--event-log", str(log))
    changed = {step for step in steps(log) if step not in code_updates(log)}
    lines = intended.read_text().splitlines() if intended.exists() else []
    assert changed == {line.partition(":")[0] for line in lines}


def code_updates(log: Path) -> set[str]:
    """Return the steps that only update a function's code, which any release may change."""
    found = set()
    for line in log.read_text().splitlines():
        step = json.loads(line).get("resourcePreEvent", {}).get("metadata", {})
        if step.get("type") != "aws:lambda/function:Function" or step["op"] != "update":
            continue
        if {path.partition(".")[0] for path in step["detailedDiff"]} <= {
            "code",
            "lastModified",
            "sourceCodeHash",
        }:
            found.add(f"update {step['urn'].rpartition('::')[2]}")
    return found
