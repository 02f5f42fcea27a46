"""Provide the tools that everything else needs: the engine and its plugins."""

import sys

from tools.localcloud.engine import provide_engine
from tools.localcloud.files import exclusive
from tools.localcloud.layout import Layout
from tools.localcloud.plugin_install import provide_plugins


def provide_tools(layout: Layout) -> tuple[str, ...]:
    """Provide engine, language host and plugins, once for all processes; return the names of the stand-ins.

    Raises:
        SetupError: A tool could not be installed.
    """
    with exclusive(layout.engines / "lock", _say_waiting):
        provide_engine(layout)
        return provide_plugins(layout)


def _say_waiting() -> None:
    print("Waiting for another setup of this checkout to finish.", file=sys.stderr, flush=True)
