"""The example's Pulumi.yaml and stack files for tests; operators may edit the shipped ones."""

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
PROJECT_FILE = (FOLDER / "Pulumi.yaml").read_text()


def stack_file(name: str) -> dict[str, Any]:
    """Return the example's stack file `dev` or `local`."""
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / f"Pulumi.{name}.yaml").read_text())
    return loaded


def config(name: str) -> dict[str, Any]:
    """Return its `config:` section."""
    found: dict[str, Any] = stack_file(name)["config"]
    return found
