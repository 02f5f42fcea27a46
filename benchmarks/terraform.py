"""The same secrets by Terraform, in the shapes of two published modules, where it and its provider are here.

The declarations are ours; they have the resources of each module, not its code (docs/benchmarks.md).
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from benchmarks.clouds import Cloud
from benchmarks.operations import CHANGE, DESTROY, FIRST_UP, PREVIEW, REFRESH, UP, Subject

TERRAFORM_AWS_MODULES = "terraform-aws-modules"
THOUGHTBOT = "thoughtbot"
SHAPES = {TERRAFORM_AWS_MODULES: "terraform_aws_modules.tf", THOUGHTBOT: "thoughtbot.tf"}

PLUGIN_FOLDER_VARIABLE = "BENCHMARK_TERRAFORM_PLUGINS"

_PROGRAMS = ("terraform", "tofu")


@dataclass(frozen=True, kw_only=True)
class Terraform:
    """A program that has been seen to initialise with its AWS provider.

    Attributes:
        program: its path.
        version: as it says, with its name.
        provider: version of its AWS provider.
        plugins: the folder that providers are taken from; None leaves it to the program's own settings.
    """

    program: str
    version: str
    provider: str
    plugins: str | None


def find(folder: Path) -> tuple[Terraform | None, str]:
    """The first of terraform and tofu that has its AWS provider at hand; else why there is none.

    `folder` is an empty one, to try in. Nothing is downloaded: the provider must be in the folder that
    BENCHMARK_TERRAFORM_PLUGINS names, or where the program's own settings look for providers on this machine.
    """
    reasons = []
    for name in _PROGRAMS:
        program = shutil.which(name)
        if program is None:
            continue
        found = _tried(program, folder / name)
        if isinstance(found, Terraform):
            return found, ""
        reasons.append(f"{name}: {found}")
    return None, "; ".join(reasons) or "neither terraform nor tofu is on PATH"


def _tried(program: str, folder: Path) -> Terraform | str:
    folder.mkdir(parents=True)
    environment = _environment(os.environ)
    asked = _ran(program, folder, environment, "version", "-json")
    try:
        version = json.loads(asked.stdout)["terraform_version"]
    except (ValueError, KeyError, TypeError):
        return "does not say its version"
    (folder / "main.tf").write_text(_declaration(TERRAFORM_AWS_MODULES))
    plugins = os.environ.get(PLUGIN_FOLDER_VARIABLE)
    # without a folder, a registry that answers nothing: what is measured is never downloaded on the way
    if plugins is None and not _has_own_settings():
        return f"no AWS provider is known: name its folder in {PLUGIN_FOLDER_VARIABLE}"
    initialised = _ran(program, folder, environment, *_init(plugins))
    if initialised.returncode:
        return f"it has no AWS provider here (its folder can be named in {PLUGIN_FOLDER_VARIABLE})"
    asked = _ran(program, folder, environment, "version", "-json")
    providers = json.loads(asked.stdout).get("provider_selections", {})
    provider = next((providers[name] for name in providers if name.endswith("/hashicorp/aws")), "unknown")
    return Terraform(
        program=program,
        version=f"{Path(program).name} {version}",
        provider=provider,
        plugins=plugins,
    )


def _has_own_settings() -> bool:
    """Whether a settings file says where providers are; Terraform's rule for the file's place."""
    named = os.environ.get("TF_CLI_CONFIG_FILE") or "~/.terraformrc"
    return Path(named).expanduser().is_file()


def _init(plugins: str | None) -> list[str]:
    folder = [] if plugins is None else [f"-plugin-dir={plugins}"]
    return ["init", "-input=false", "-no-color", *folder]


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    """Without a call home, and without a settings file that is named and not there."""
    made = {**base, "CHECKPOINT_DISABLE": "1"}
    named = made.get("TF_CLI_CONFIG_FILE")
    if named and not Path(named).expanduser().is_file():
        del made["TF_CLI_CONFIG_FILE"]
    return made


def _ran(
    program: str, folder: Path, environment: Mapping[str, str], *arguments: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _declaration(shape: str) -> str:
    shapes = files("benchmarks") / "shapes"
    return (shapes / "provider.tf").read_text() + "\n" + (shapes / SHAPES[shape]).read_text()


def shaped_stack(terraform: Terraform, cloud: Cloud, shape: str, secrets: int) -> Subject:
    """A new stack of this many secrets in a shape, initialised.

    Raises:
        RuntimeError: it could not be initialised.
    """
    folder = cloud.layout.root / f"terraform-{shape}"
    folder.mkdir()
    (folder / "main.tf").write_text(_declaration(shape))
    settings = folder / "terraform.tfvars.json"
    settings.write_text(json.dumps({"secrets": secrets, "description": "A benchmark"}))
    environment = _environment(cloud.environment)
    initialised = _ran(terraform.program, folder, environment, *_init(terraform.plugins))
    if initialised.returncode:
        raise RuntimeError(f"{terraform.version} could not be initialised:\n{initialised.stderr}")
    common = ("-input=false", "-no-color")
    apply = [terraform.program, "apply", "-auto-approve", *common]

    def change() -> None:
        settings.write_text(
            json.dumps({"secrets": secrets, "description": "A benchmark", "first": "Changed"})
        )

    return Subject(
        name=shape,
        secrets=secrets,
        folder=folder,
        environment=environment,
        commands={
            FIRST_UP: apply,
            PREVIEW: [terraform.program, "plan", *common],
            UP: apply,
            CHANGE: apply,
            REFRESH: [terraform.program, "apply", "-refresh-only", "-auto-approve", *common],
            DESTROY: [terraform.program, "destroy", "-auto-approve", *common],
        },
        change=change,
        states=lambda: [folder / "terraform.tfstate"],
        resources=_resources,
    )


def _resources(state: Path) -> int:
    return sum(
        len(resource["instances"])
        for resource in json.loads(state.read_text())["resources"]
        if resource["mode"] == "managed"
    )
