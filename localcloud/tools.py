"""The tools that everything else needs: the engine and its plugins."""

import sys

from localcloud.engine import provide_engine
from localcloud.files import exclusive
from localcloud.layout import Layout
from localcloud.plugin_install import provide_plugins


def provide_tools(layout: Layout) -> tuple[str, ...]:
    """Engine, language host and plugins, made once however many ask at a time; the names of the stand-ins.

    Raises:
        SetupError: something could not be had.
    """
    with exclusive(layout.engines / "lock", _say_waiting):
        provide_engine(layout)
        return provide_plugins(layout)


def _say_waiting() -> None:
    print("Waiting for another set-up of this checkout to end.", file=sys.stderr, flush=True)
