"""The real engine for tests: the one that `make` builds, with a backend and a home of each test's own."""

import functools
import os
from dataclasses import dataclass
from pathlib import Path

from localcloud.environment import aws_variables, cleaned, pulumi_variables
from localcloud.layout import checkout
from localcloud.tools import provide_tools
from tests.command_nursery import launchers


@dataclass(frozen=True)
class LocalEngine:
    """Where the engine is. `bin` comes first on PATH; `python` is the virtual environment's interpreter."""

    root: Path
    pulumi: Path
    bin: Path
    plugins: Path
    python: Path


@functools.cache
def local_engine() -> LocalEngine:
    """The engine and the plugins of this checkout, built and installed if they are not yet.

    Raises:
        SetupError: they could not be had.
    """
    layout = checkout()
    provide_tools(layout)
    return LocalEngine(
        root=layout.root,
        pulumi=layout.pulumi,
        bin=layout.bin,
        plugins=layout.pulumi_home / "plugins",
        python=layout.python,
    )


def stack_environment(tmp: Path, endpoint: str, *, forked: bool = True) -> dict[str, str]:
    """Return a whole environment for commands: state and PULUMI_HOME below `tmp`, AWS at `endpoint`.

    Only the plugins are shared with the checkout, so tests run beside each other and beside `make up`.

    Args:
        tmp: a folder of the caller's.
        endpoint: address of the emulator.
        forked: let the engine's Python processes be forks (command_nursery.py); otherwise they are as an
            operator has them.
    """
    engine = local_engine()
    commands, plugins = engine.bin, engine.plugins
    if forked:
        commands, plugins = launchers(engine.pulumi, engine.plugins, engine.python)
    home, state, empty = tmp / "pulumi-home", tmp / "state", tmp / "empty-aws-config"
    home.mkdir(parents=True, exist_ok=True)
    state.mkdir(parents=True, exist_ok=True)
    empty.touch()
    if not (home / "plugins").is_symlink():
        (home / "plugins").symlink_to(plugins)
    return (
        cleaned(os.environ)
        | aws_variables(endpoint, empty)
        | pulumi_variables(home, state, official=False)
        | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    )
