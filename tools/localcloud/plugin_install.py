"""Put the resource plugins into our PULUMI_HOME: the user's, else official downloads, else stand-ins."""

import os
import shlex
import shutil
import subprocess
import tempfile
from enum import Enum
from importlib.metadata import version
from pathlib import Path

from tools.localcloud.download import ChecksumError, DownloadError
from tools.localcloud.environment import PLUGINS_VARIABLE, cleaned, pulumi_variables
from tools.localcloud.failures import failure
from tools.localcloud.files import link_or_copy
from tools.localcloud.layout import Layout, SetupError
from tools.localcloud.official import fetch, plugin_archive, refusal

PLUGINS = ("aws", "random")

# Every stand-in has it, also those that an earlier checkout installed.
_MARK = "# Stands in for the official plugin"


class Choice(Enum):
    """The plugins to install, as PULUMI_PLUGINS names them."""

    OFFICIAL_IF_POSSIBLE = ""
    OFFICIAL = "official"
    STAND_INS = "stand-ins"


class UnavailablePluginError(SetupError):
    """An official plugin cannot be downloaded here; nothing is wrong with the machine's setup."""


def provide_plugins(layout: Layout) -> tuple[str, ...]:
    """Install what is missing, and return the names of the plugins that are stand-ins.

    Raises:
        UnavailablePluginError: PULUMI_PLUGINS asks for an official plugin that cannot be downloaded.
        SetupError: PULUMI_PLUGINS is not valid, or a plugin cannot be installed.
    """
    choice = _choice()
    return tuple(name for name in PLUGINS if _provide(layout, name, choice))


def _choice() -> Choice:
    value = os.environ.get(PLUGINS_VARIABLE, "")
    try:
        return Choice(value)
    except ValueError:
        names = " or ".join(choice.value for choice in Choice if choice.value)
        raise SetupError(
            f"{PLUGINS_VARIABLE} is {value!r}, which is not valid: use {names}, or unset it."
        ) from None


def _provide(layout: Layout, name: str, choice: Choice) -> bool:
    """Install a plugin unless it is installed, and return whether it is a stand-in."""
    installed = _folder(layout.pulumi_home, name)
    program = installed / f"pulumi-resource-{name}"
    present = program.is_file()
    official = present and not _is_stand_in(program)
    if choice is not Choice.STAND_INS:
        if official:
            return False
        users = _folder(Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi"), name)
        if users != installed and (users / program.name).is_file() and not _is_stand_in(users / program.name):
            _take_over(users, installed)
            return False
        if choice is Choice.OFFICIAL:
            _download(layout, name)
            return False
        # A stand-in stays: only the first command asks the network.
        if not present and _download_if_possible(layout, name):
            return False
    text = _stand_in(layout, name)
    if not present or official or program.read_text() != text:
        with tempfile.TemporaryDirectory() as folder:
            launcher = Path(folder, program.name)
            launcher.write_text(text)
            launcher.chmod(0o755)
            _install(layout, name, "--reinstall", "--file", folder)
    return True


def _download(layout: Layout, name: str) -> None:
    """Install the official plugin.

    Raises:
        UnavailablePluginError: It cannot be downloaded, or no checksum is pinned for this machine.
        SetupError: It is not the pinned one, or cannot be installed.
    """
    archive = plugin_archive(layout, name, _version(name))
    what = f"the {name} plugin {_version(name)}"
    if archive is None:
        raise UnavailablePluginError(
            f"No checksum is pinned for {what} on this platform, or LOCALCLOUD_DOWNLOADS is `none`. "
            f"`python -m tools.localcloud.pin` adds checksums to {layout.checksums}. To use the stand-in, "
            f"unset {PLUGINS_VARIABLE}."
        )
    try:
        path = fetch(layout, archive, what)
    except ChecksumError as error:
        raise SetupError(str(error)) from None
    except DownloadError as error:
        raise UnavailablePluginError(
            f"Could not fetch {what}: {error}. Check the network and the settings of a proxy or mirror "
            f"(HTTPS_PROXY, LOCALCLOUD_DOWNLOADS), or unset {PLUGINS_VARIABLE} to use the stand-in."
        ) from None
    _install(layout, name, "--reinstall", "--file", str(path))
    path.unlink()


def _download_if_possible(layout: Layout, name: str) -> bool:
    """Install the official plugin if its checksum is pinned and the network allows; return whether it is."""
    archive = plugin_archive(layout, name, _version(name))
    if archive is None:
        return False
    try:
        path = fetch(layout, archive, f"the {name} plugin {_version(name)}")
    except DownloadError as error:
        print(f"{refusal(error)} Using the stand-in for the {name} plugin.", flush=True)
        return False
    _install(layout, name, "--reinstall", "--file", str(path))
    path.unlink()
    return True


def _folder(home: Path, name: str) -> Path:
    return home / "plugins" / f"resource-{name}-v{_version(name)}"


def _version(name: str) -> str:
    """Return the version that the installed Python package asks the engine for."""
    return version(f"pulumi-{name}")


def _stand_in(layout: Layout, name: str) -> str:
    command = shlex.join([str(layout.python), "-P", "-m", "tools.localcloud.plugins", name])
    comment = f"{_MARK}: see tools/localcloud/plugins."
    return f'#!/bin/sh\n{comment}\nPYTHONPATH={shlex.quote(str(layout.root))} exec {command} "$@"\n'


def _is_stand_in(program: Path) -> bool:
    with program.open("rb") as file:
        return _MARK.encode() in file.read(1000)


def _take_over(users: Path, installed: Path) -> None:
    """Link the user's installed plugin: no download, and the user's is not changed."""
    unfinished = installed.with_name(f"{installed.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(users, unfinished, copy_function=lambda one, two: link_or_copy(Path(one), Path(two)))
    shutil.rmtree(installed, ignore_errors=True)
    unfinished.replace(installed)


def _install(layout: Layout, name: str, *options: str) -> None:
    command = [str(layout.pulumi), "plugin", "install", "resource", name, _version(name), *options]
    environment = cleaned(os.environ) | pulumi_variables(layout.pulumi_home, layout.state)
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise failure(f"the {name} plugin {_version(name)}", ran.stdout + ran.stderr)
