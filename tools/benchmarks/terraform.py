"""The same secrets in Terraform, in the shapes of two published modules, if Terraform is installed.

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

from tools.benchmarks.clouds import Cloud
from tools.benchmarks.operations import CHANGE, DESTROY, FIRST_UP, PREVIEW, REFRESH, UP, Subject

TERRAFORM_AWS_MODULES = "terraform-aws-modules"
THOUGHTBOT = "thoughtbot"
SHAPES = {TERRAFORM_AWS_MODULES: "terraform_aws_modules.tf", THOUGHTBOT: "thoughtbot.tf"}

PLUGIN_FOLDER_VARIABLE = "BENCHMARK_TERRAFORM_PLUGINS"

_PROGRAMS = ("terraform", "tofu")


@dataclass(frozen=True, kw_only=True)
class Terraform:
    """A terraform or tofu that initialises with its AWS provider.

    Attributes:
        program: its path.
        version: its name and version.
        provider: version of its AWS provider.
        plugins: the folder of its providers; None for the program's own settings.
    """

    program: str
    version: str
    provider: str
    plugins: str | None


def find(folder: Path) -> tuple[Terraform | None, str]:
    """Return the first of terraform and tofu with an AWS provider; otherwise the reason why there is none.

    `folder` is empty, for the trial. Nothing is downloaded: the provider must be in the folder that
    BENCHMARK_TERRAFORM_PLUGINS names, or where the program's own settings look for providers.
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
    # without a folder, use a registry that never answers: measurements include no download
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
    """Return whether a CLI configuration file, found by Terraform's rules, configures providers."""
    named = os.environ.get("TF_CLI_CONFIG_FILE") or "~/.terraformrc"
    return Path(named).expanduser().is_file()


def _init(plugins: str | None) -> list[str]:
    folder = [] if plugins is None else [f"-plugin-dir={plugins}"]
    return ["init", "-input=false", "-no-color", *folder]


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without telemetry, and without a configuration file that does not exist."""
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
    shapes = files("tools.benchmarks") / "shapes"
    return (shapes / "provider.tf").read_text() + "\n" + (shapes / SHAPES[shape]).read_text()


def shaped_stack(terraform: Terraform, cloud: Cloud, shape: str, secrets: int) -> Subject:
    """Return a new, initialised stack of this many secrets in a shape.

    Raises:
        RuntimeError: initialisation failed.
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
