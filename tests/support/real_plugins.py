"""Run the engine, report and automation suites on the official plugins.

    python -m tests.support.real_plugins [PYTEST'S ARGUMENTS]

A test that fails here and passes in `make test` shows a difference between the official plugins and the
stand-ins, by its name. Where the official plugins cannot be downloaded, nothing runs: the reason is printed,
and the exit code is 0, or 77 with REAL_PLUGINS=required. Any other failure to install them is an error.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from tools.localcloud.environment import PLUGINS_VARIABLE
from tools.localcloud.layout import SetupError, checkout
from tools.localcloud.plugin_install import Choice, UnavailablePluginError
from tools.localcloud.tools import provide_tools

SUITES = ("tests/engine", "tests/report", "tests/operations", "tests/fleet")
REQUIRED_VARIABLE = "REAL_PLUGINS"
REQUIRED = "required"
# the exit code by which build tools know a skipped test
NOT_RUN = 77


def main(
    arguments: Sequence[str], provide: Callable[[], Sequence[str]] = lambda: provide_tools(checkout())
) -> int:
    """Install the official plugins, and run the suites on them.

    Args:
        arguments: for pytest.
        provide: installs engine and plugins, and returns the names of stand-ins.

    Returns:
        pytest's exit code; 0 or NOT_RUN if the plugins cannot be downloaded.
    """
    required = os.environ.get(REQUIRED_VARIABLE, "")
    if required not in {"", REQUIRED}:
        return _failed(
            f"{REQUIRED_VARIABLE} is {required!r}, which is not valid: use {REQUIRED}, or unset it."
        )
    os.environ[PLUGINS_VARIABLE] = Choice.OFFICIAL.value
    try:
        stand_ins = provide()
    except UnavailablePluginError as error:
        sys.stdout.write(f"NOT RUN: the official plugins are not available here. {error}\n")
        return NOT_RUN if required else 0
    except SetupError as error:
        return _failed(str(error))
    if stand_ins:
        return _failed(f"These plugins are stand-ins: {', '.join(stand_ins)}.")
    command = [sys.executable, "-m", "pytest", "--quiet", "-rf", *SUITES, *arguments]
    return subprocess.run(command, check=False).returncode


def _failed(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
