"""Put the resource plugins into our PULUMI_HOME: official ones where they are at hand, else the stand-ins."""

import os
import shlex
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from localcloud.environment import cleaned, official_plugins_wanted, pulumi_variables
from localcloud.failures import failure
from localcloud.files import link_or_copy
from localcloud.layout import Layout

PLUGINS = ("aws", "random")

_MARK = "# Stands in for the official plugin: see localcloud/plugins."


def provide_plugins(layout: Layout) -> tuple[str, ...]:
    """Install what is missing; the names of the plugins that are stand-ins.

    Raises:
        SetupError: an official plugin was asked for and could not be downloaded.
    """
    return tuple(name for name in PLUGINS if _provide(layout, name))


def _provide(layout: Layout, name: str) -> bool:
    """Whether the plugin is a stand-in."""
    installed = _folder(layout.pulumi_home, name)
    program = installed / f"pulumi-resource-{name}"
    official = program.is_file() and not _is_stand_in(program)
    if official_plugins_wanted(os.environ):
        if not official:
            shutil.rmtree(installed, ignore_errors=True)
            print(f"Downloading the official plugin {name} {_version(name)}", flush=True)
            _install(layout, name)
        return False
    if official:
        return False
    users = _folder(Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi"), name)
    if users != installed and (users / program.name).is_file() and not _is_stand_in(users / program.name):
        _take_over(users, installed)
        return False
    text = _stand_in(layout, name)
    if not program.is_file() or program.read_text() != text:
        with tempfile.TemporaryDirectory() as folder:
            launcher = Path(folder, program.name)
            launcher.write_text(text)
            launcher.chmod(0o755)
            _install(layout, name, "--reinstall", "--file", folder)
    return True


def _folder(home: Path, name: str) -> Path:
    return home / "plugins" / f"resource-{name}-v{_version(name)}"


def _version(name: str) -> str:
    """The version that the installed Python package asks the engine for."""
    return version(f"pulumi-{name}")


def _stand_in(layout: Layout, name: str) -> str:
    command = shlex.join([str(layout.python), "-P", "-m", "localcloud.plugins", name])
    return f'#!/bin/sh\n{_MARK}\nPYTHONPATH={shlex.quote(str(layout.root))} exec {command} "$@"\n'


def _is_stand_in(program: Path) -> bool:
    with program.open("rb") as file:
        return _MARK.encode() in file.read(1000)


def _take_over(users: Path, installed: Path) -> None:
    """The user's installed plugin under a second name: no download, and the user's is left as it is."""
    unfinished = installed.with_name(f"{installed.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(users, unfinished, copy_function=lambda one, two: link_or_copy(Path(one), Path(two)))
    shutil.rmtree(installed, ignore_errors=True)
    unfinished.replace(installed)


def _install(layout: Layout, name: str, *options: str) -> None:
    command = [str(layout.pulumi), "plugin", "install", "resource", name, _version(name), *options]
    environment = cleaned(os.environ) | pulumi_variables(layout.pulumi_home, layout.state, official=True)
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise failure(f"the {name} plugin {_version(name)}", ran.stdout + ran.stderr)
