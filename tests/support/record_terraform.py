"""Record states of a real terraform, and its plans for leaving it, in tests/adopt/data.

Usage: TEST_TERRAFORM_PLUGINS=FOLDER python -m tests.support.record_terraform
It takes some two minutes; tests/support/terraform.py says what the folder has.
"""

import gzip
import hashlib
import json
import shlex
import subprocess
import sys
import tempfile
from base64 import b64encode, urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations.adopt import terraform_state
from operations.adopt.leaving_terraform import Leaving, leaving, plain
from tests.adopt.live import ROTATION, allow_invocation
from tests.adopt.recorded import DATA
from tests.support.emulator_functions import client, deploy, zipped
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.terraform import Terraform, Work, find, new_work

PREFIX = "recorded"
_SECRET = "aws_secretsmanager_secret"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A configuration to record: its files in `roots`, and whether its state is large."""

    roots: tuple[str, ...]
    is_compressed: bool = False


SHAPES = {
    "thoughtbot": Shape(roots=("thoughtbot",)),
    "thoughtbot_40": Shape(roots=("thoughtbot_apps", "thoughtbot_tokens"), is_compressed=True),
    "terraform_aws_modules": Shape(roots=("terraform_aws_modules",)),
    "terraform_aws_modules_40": Shape(roots=("terraform_aws_modules_many",), is_compressed=True),
}
WORKSPACES = ("default", "staging")


def replacements(state: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands for each value, random id and ARN of a state: made-up ones and marks."""
    instances = [
        (resource, one["attributes"]) for resource in state["resources"] for one in resource["instances"]
    ]
    found = {state["lineage"]: "00000000-0000-0000-0000-000000000000"}
    for resource, _ in instances:
        found[resource["provider"].removeprefix('provider["').partition("/")[0]] = "example.org"
    labels: dict[str, str] = {}
    for resource, given in instances:
        if resource["type"] == _SECRET:
            label = given["name"].removeprefix(PREFIX).lstrip("-/")
            labels[given["arn"]] = label
            found[given["arn"]] = _mark("ARN", label)
            if given["kms_key_id"]:
                found[given["kms_key_id"]] = _mark("KEY", label)
                found[given["kms_key_id"].rpartition("/")[2]] = _mark("KEYID", label)
    for number, (resource, given) in enumerate(instances):
        if resource["type"] == f"{_SECRET}_version":
            found[given["version_id"]] = _mark("VERSION", labels[given["secret_id"]])
        elif resource["type"] == f"{_SECRET}_rotation":
            found[given["rotation_lambda_arn"]] = "@FUNCTION@"
        elif resource["type"] == "aws_caller_identity":
            found[given["user_id"]] = "made-up"
        found |= _generated(resource["type"], given, number)
    return found


def _generated(kind: str, given: Mapping[str, Any], number: int) -> dict[str, str]:
    if kind == "random_password":
        value = f"made-up-{number:03}-".ljust(given["length"], "x")
        return {given["result"]: value, given["bcrypt_hash"]: "made-up-hash"}
    if kind == "random_id":
        return dict(zip(_encodings(given), _encodings(_made_up_id(given["byte_length"])), strict=True))
    return {}


def _mark(kind: str, label: str) -> str:
    return f"@{kind} {label}@" if label else f"@{kind}@"


def _made_up_id(length: int) -> dict[str, str]:
    value = hashlib.sha256(b"made-up").digest()[:length]
    return {
        "hex": value.hex(),
        "dec": str(int.from_bytes(value)),
        "b64_std": b64encode(value).decode(),
        "b64_url": urlsafe_b64encode(value).decode().rstrip("="),
    }


def _encodings(attributes: Mapping[str, str]) -> list[str]:
    return [attributes[name] for name in ("b64_std", "b64_url", "dec", "hex")]


def masked(text: str, known: Mapping[str, str]) -> str:
    """Return a text with everything replaced, and the prefix of names by @NAME@.

    What is replaced consists of characters that JSON writes as they are, so it is found in nested JSON too.
    """
    for value in sorted(known, key=len, reverse=True):
        text = text.replace(value, known[value])
    return text.replace(PREFIX, "@NAME@")


@dataclass(frozen=True)
class Recorder:
    """Writes the files of a terraform."""

    terraform: Terraform

    def about(self) -> str:
        return (
            f"Recorded with make record-terraform from {self.terraform.about()} on the local cloud's "
            "emulator. Values and random ids are replaced by made-up ones and marks such as @ARN@, and the "
            "providers' host by example.org. Nothing else was changed."
        )

    def write(self, name: str, text: str, *, is_compressed: bool) -> None:
        document = {"//": self.about(), **json.loads(text)}
        written = json.dumps(document, indent=None if is_compressed else 2) + "\n"
        if is_compressed:
            (DATA / f"{name}.json.gz").write_bytes(gzip.compress(written.encode(), mtime=0))
        else:
            (DATA / f"{name}.json").write_text(written)


def record_shape(recorder: Recorder, name: str, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Record a shape's state, and yield how it leaves Terraform."""
    shape = SHAPES[name]
    with running_emulator(None) as emulator:
        work = new_work(recorder.terraform, folder, emulator.environment)
        work.declare(*shape.roots)
        work.set(prefix=PREFIX, function=_function(emulator))
        work.apply()
        assert set(map(tuple, work.plan().values())) == {("no-op",)}
        text, shown = work.state(), work.shown()
        state = terraform_state.read(text)
        assert state.origins == terraform_state.read(shown).origins
        known = replacements(json.loads(text))
        recorder.write(f"{name}.tfstate", masked(text, known), is_compressed=shape.is_compressed)
        if not shape.is_compressed:
            recorder.write(f"{name}.show", masked(shown, known), is_compressed=False)
        taken = [address for origin in state.origins.secrets.values() for address in origin.addresses]
        yield name, _masked(_left(work, leaving(state.instances, taken), ()), known)
        if name == "thoughtbot_40":
            # restore the state, and leave with all but the first of the apps
            work.state_put(text)
            part = [address for address in taken if f"{PREFIX}-app-00" not in address]
            work.set(prefix=PREFIX, each=1)
            yield (
                f"{name}_but_one",
                _masked(_left(work, leaving(state.instances, part), ("thoughtbot_apps",)), known),
            )


def _left(work: Work, found: Leaving, rest: tuple[str, ...]) -> dict[str, Any]:
    """Return the lines with which secrets leave, and plans before and with them."""
    before = work.state()
    work.declare(*rest)
    plans = {"nothing": counted(work.plan())}
    lines = [*found.commands, *found.kept]
    # blocks where there are blocks, and lines for what they do not cover
    (work.folder / "removed.tf").write_text(found.removed)
    work.state_rm([line for line in lines if not _is_in(line, found.removed)])
    plans["removed blocks"] = counted(work.plan())
    (work.folder / "removed.tf").unlink()
    work.state_put(before)
    work.state_rm(lines)
    plans["state rm"] = counted(work.plan())
    return {"removed": found.removed, "commands": found.commands, "kept": found.kept, "plans": plans}


def _is_in(line: str, removed: str) -> bool:
    """Return whether removed blocks cover what a `terraform state rm` line is about."""
    return f"from = {plain(shlex.split(line)[-1])}\n" in removed


def counted(plan: Mapping[str, list[str]]) -> dict[str, dict[str, int]]:
    """Return the numbers of each action by resource."""
    found: dict[str, Counter[str]] = {}
    for address, actions in plan.items():
        found.setdefault(plain(address), Counter())[" ".join(actions)] += 1
    return {resource: dict(found[resource]) for resource in sorted(found)}


def _masked(document: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(masked(json.dumps(document), known))
    return made


def record_workspaces(recorder: Recorder, folder: Path) -> None:
    """Record the states of two workspaces of one configuration."""
    with running_emulator(None) as emulator:
        work = new_work(recorder.terraform, folder, emulator.environment)
        work.declare("workspaces")
        work.set(prefix=PREFIX)
        known: dict[str, str] = {}
        for workspace in WORKSPACES:
            if workspace != "default":
                work.run("workspace", "new", workspace)
            work.apply()
            text = work.state()
            known |= replacements(json.loads(text))
            recorder.write(f"workspace_{workspace}.tfstate", masked(text, known), is_compressed=False)


def _function(emulator: Emulator) -> str:
    function = deploy(emulator, f"{PREFIX}-rotation", zipped(ROTATION))
    allow_invocation(client(emulator, "lambda"), function)
    return function


def main() -> int:
    terraform = find()
    if isinstance(terraform, str):
        sys.stderr.write(f"error: {terraform}\n")
        return 2
    recorder = Recorder(terraform)
    left: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name in SHAPES:
                left |= dict(record_shape(recorder, name, Path(folder, name)))
                sys.stdout.write(f"recorded {name}\n")
                sys.stdout.flush()
            record_workspaces(recorder, Path(folder, "workspaces"))
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"error: {error}\n{error.output}\n")
            return 1
    recorder.write("leaving", json.dumps(left), is_compressed=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
