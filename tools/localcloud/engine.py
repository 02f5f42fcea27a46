"""Put the engine into `.local/bin`: the user's, else an official download, else one built from source."""

import os
import re
import shlex
import subprocess
from functools import partial
from pathlib import Path

from tools.localcloud.engine_build import EXECUTOR, build_engine, built_engine, engine_version
from tools.localcloud.files import link_or_copy, place, write_if_changed
from tools.localcloud.layout import Layout, SetupError
from tools.localcloud.official import official_engine

LANGUAGE_HOST = "pulumi-language-python"
OWN_LANGUAGE_HOST = "language_host.py"
LONGEST_LAUNCHER = 20_000
OLDEST = (3, 259, 0)


def provide_engine(layout: Layout) -> Path:
    """Put pulumi and its Python language host into `.local/bin`, and return the path of that pulumi.

    Raises:
        SetupError: LOCALCLOUD_PULUMI names an unsuitable program, or the build failed.
    """
    official = _named_engine() or _engine_on_path(layout) or _downloaded_engine(layout)
    if official is not None:
        _link_official(layout, official)
    else:
        _install_built(layout, build_engine(layout))
    return layout.pulumi


def _named_engine() -> Path | None:
    named = os.environ.get("LOCALCLOUD_PULUMI")
    if not named:
        return None
    path = Path(named).expanduser().absolute()
    problem = _unsuitable(path)
    if problem:
        raise SetupError(
            f"LOCALCLOUD_PULUMI names {path}, which {problem}. Name the pulumi of an official installation, "
            f"version {_dotted(OLDEST)} or later, or unset LOCALCLOUD_PULUMI."
        )
    return path


def _engine_on_path(layout: Layout) -> Path | None:
    """Return the first suitable pulumi on PATH, except our own."""
    for folder in os.get_exec_path():
        path = Path(folder, "pulumi").absolute()
        if path.parent != layout.bin and path.is_file() and not _unsuitable(path):
            return path
    return None


def _downloaded_engine(layout: Layout) -> Path | None:
    """Return the official pulumi of the pinned version; None where one is built already, or has to be."""
    if built_engine(layout).is_dir():
        return None
    folder = official_engine(layout, engine_version(layout.engine_module))
    if folder is None:
        return None
    problem = _unsuitable(folder / "pulumi")
    if problem:
        print(f"The official pulumi {problem}: building it from source instead.", flush=True)
        return None
    return folder / "pulumi"


def _unsuitable(path: Path) -> str:
    """Return why a pulumi is not suitable, as the end of a sentence; empty if it is."""
    if not path.is_file() or not os.access(path, os.X_OK):
        return "is not an executable file"
    language_host = path.resolve().parent / LANGUAGE_HOST
    if not language_host.is_file():
        return f"has no {LANGUAGE_HOST} next to it"
    if OWN_LANGUAGE_HOST.encode() in language_host.read_bytes()[:LONGEST_LAUNCHER]:
        return "belongs to the local cloud of another checkout"
    # Away from the user's home: even `version` reads settings and may look for updates.
    try:
        asked = subprocess.run(
            [path, "version"],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
    except OSError as error:  # of another processor, or without its interpreter
        return f"cannot be run ({error.strerror})"
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", asked.stdout.strip())
    if not found:
        return "does not report its version"
    version = (int(found[1]), int(found[2]), int(found[3]))
    return f"is version {_dotted(version)}, which is too old" if version < OLDEST else ""


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(str(part) for part in version)


def _link_official(layout: Layout, engine: Path) -> None:
    """Link the official programs: pulumi resolves its link, and so finds its own language host."""
    folder = engine.resolve().parent
    wanted = {"pulumi": engine.resolve(), LANGUAGE_HOST: folder / LANGUAGE_HOST, EXECUTOR: folder / EXECUTOR}
    for name, target in wanted.items():
        link = layout.bin / name
        if not link.is_symlink() or link.readlink() != target:
            place(link, partial(_symbolic_link, target))


def _symbolic_link(target: Path, link: Path) -> None:
    link.symlink_to(target)


def _install_built(layout: Layout, built: Path) -> None:
    """Link the engine next to our language host, where it looks first and without a warning."""
    for name in ("pulumi", EXECUTOR):
        source, target = built / name, layout.bin / name
        if target.is_symlink() or not target.exists() or not _same_file(source, target):
            place(target, partial(link_or_copy, source))
    host = layout.root / "tools" / "localcloud" / OWN_LANGUAGE_HOST
    command = shlex.join([str(layout.python), "-P", str(host), str(layout.bin / EXECUTOR)])
    launcher = layout.bin / LANGUAGE_HOST
    if launcher.is_symlink():
        launcher.unlink()
    write_if_changed(launcher, f'#!/bin/sh\nexec {command} "$@"\n', 0o755)


def _same_file(one: Path, other: Path) -> bool:
    """Return whether both are the same file, or a copy of it (copied with its time)."""
    first, second = one.stat(), other.stat()
    return one.samefile(other) or (first.st_size, first.st_mtime) == (second.st_size, second.st_mtime)
