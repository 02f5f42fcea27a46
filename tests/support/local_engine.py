"""The real engine for tests: the one that `make` provides, with a backend and home for each test."""

import functools
import os
from dataclasses import dataclass
from pathlib import Path

from tests.support.command_nursery import launchers
from tools.localcloud.environment import aws_variables, cleaned, pulumi_variables
from tools.localcloud.layout import checkout
from tools.localcloud.tools import provide_tools

# Engine processes end before a garbage collection would pay off; it takes a sixth of their time.
_LAZY_COLLECTOR = {"GOGC": "off", "GOMEMLIMIT": "1GiB"}


@dataclass(frozen=True)
class LocalEngine:
    """The engine's location. `bin` comes first on PATH; `python` is the virtual environment's interpreter."""

    root: Path
    pulumi: Path
    bin: Path
    plugins: Path
    python: Path


@functools.cache
def local_engine() -> LocalEngine:
    """Return the engine and plugins of this checkout; install them first if necessary.

    Raises:
        SetupError: they could not be installed.
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
    """Return a complete environment for commands: state and PULUMI_HOME below `tmp`, AWS at `endpoint`.

    Only the plugins are shared with the checkout, so tests and `make up` can run at the same time.

    Args:
        tmp: a folder that the caller owns.
        endpoint: address of the emulator.
        forked: start the engine's Python processes as forks (command_nursery.py); otherwise as for an
            operator.
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
        | pulumi_variables(home, state)
        | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", **_LAZY_COLLECTOR}
    )
