"""A real terraform, where the machine has one: it applies and plans what tests/adopt/terraform declares.

Nothing is downloaded: the AWS and random providers are in the folder that TEST_TERRAFORM_PLUGINS names, laid
out as `terraform init -plugin-dir` wants it. AWS is an emulator.
"""

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PLUGINS = "TEST_TERRAFORM_PLUGINS"
DECLARATIONS = Path(__file__).parents[1] / "adopt" / "terraform"
_OLDEST = (1, 11)  # ephemeral resources and write-only arguments
_NONE = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True, kw_only=True)
class Terraform:
    """A terraform with its providers."""

    program: str
    plugins: str
    version: str
    providers: Mapping[str, str]

    def about(self) -> str:
        """Return the versions, in words."""
        providers = (f"{name} {version}" for name, version in sorted(self.providers.items()))
        return f"Terraform {self.version} with the providers {' and '.join(providers)}"


@cache
def find() -> Terraform | str:
    """Return the machine's terraform, or why there is none to test with."""
    program, plugins = shutil.which("terraform"), os.environ.get(PLUGINS)
    if program is None:
        return "terraform is not on PATH"
    if not plugins:
        return f"{PLUGINS} names no folder of Terraform's AWS and random providers"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(DECLARATIONS / "provider.tf", folder)
        found = Terraform(program=program, plugins=plugins, version="", providers={})
        work = Work(terraform=found, folder=Path(folder), environment=_NONE)
        try:
            work.run("init", f"-plugin-dir={plugins}")
            about = json.loads(work.run("version", "-json"))
        except subprocess.CalledProcessError as error:
            return f"terraform does not start with the providers of {PLUGINS}: {error.output}"
    if tuple(int(part) for part in about["terraform_version"].split(".")[:2]) < _OLDEST:
        return f"terraform {about['terraform_version']} is older than 1.11"
    providers = {name.rpartition("/")[2]: version for name, version in about["provider_selections"].items()}
    return Terraform(
        program=program, plugins=plugins, version=about["terraform_version"], providers=providers
    )


@dataclass(frozen=True, kw_only=True)
class Work:
    """A folder with a configuration and its state."""

    terraform: Terraform
    folder: Path
    environment: Mapping[str, str]

    def run(self, command: str, *arguments: str) -> str:
        """Run a command to its end; return its standard output.

        Raises:
            subprocess.CalledProcessError: it failed; its `output` is what it printed.
        """
        of_machine = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        done = subprocess.run(
            [self.terraform.program, command, *arguments],
            cwd=self.folder,
            env={**of_machine, **self.environment, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        if done.returncode:
            raise subprocess.CalledProcessError(
                done.returncode, [command, *arguments], output=done.stdout + done.stderr
            )
        return done.stdout

    def declare(self, *roots: str) -> None:
        """Declare what these files of `roots` do, and nothing else."""
        texts = [(DECLARATIONS / "roots" / f"{root}.tf").read_text() for root in roots]
        (self.folder / "main.tf").write_text("\n".join(texts))
        self.run("get")

    def set(self, **variables: object) -> None:
        """Set variables of the configuration."""
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(variables))

    def apply(self) -> None:
        self.run("apply", "-auto-approve", "-input=false", "-no-color", "-parallelism=40")

    def plan(self) -> dict[str, list[str]]:
        """Return the actions that a plan has for each managed resource instance, by address."""
        self.run("plan", "-input=false", "-no-color", "-parallelism=40", "-out=plan")
        changes = json.loads(self.run("show", "-json", "plan")).get("resource_changes", [])
        return {one["address"]: one["change"]["actions"] for one in changes if one["mode"] == "managed"}

    def state(self) -> str:
        """Return the state, as `terraform state pull` prints it."""
        return self.run("state", "pull")

    def state_put(self, text: str) -> None:
        """Put a state back."""
        file = self.folder / "back.tfstate"
        file.write_text(text)
        self.run("state", "push", "-force", str(file))

    def state_rm(self, lines: Iterable[str]) -> None:
        """Run `terraform state rm` lines that a report shows, all in one command."""
        addresses = []
        for line in lines:
            *command, address = shlex.split(line)
            assert command == ["terraform", "state", "rm"]
            addresses.append(address)
        if addresses:
            self.run("state", "rm", *addresses)

    def shown(self) -> str:
        """Return the state as `terraform show -json` prints it."""
        return self.run("show", "-json")


def new_work(terraform: Terraform, folder: Path, environment: Mapping[str, str]) -> Work:
    """Return a new, initialized folder with the modules, which declares nothing yet.

    Args:
        terraform: the program.
        folder: where to make it.
        environment: leads to an emulator.
    """
    shutil.copytree(DECLARATIONS, folder, ignore=shutil.ignore_patterns("roots"))
    work = Work(terraform=terraform, folder=folder, environment=environment)
    work.run("init", f"-plugin-dir={terraform.plugins}")
    return work
