"""A local cloud for measurements: empty, in a folder of its own, apart from the checkout's `.local`."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcloud import postgres_process
from localcloud.database import is_wanted, register, start_database
from localcloud.emulator_control import Emulator, start_emulator, stop_emulator
from localcloud.environment import STACK, local_environment
from localcloud.layout import Layout, checkout
from localcloud.tools import provide_tools

# What a project and its local cloud are made of; linked, so the code measured is the checkout's.
_LINKED = (
    "__main__.py",
    "automation",
    "program",
    "settings",
    "components",
    "functions",
    "workloads",
    "localcloud",
    ".venv",
)


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """`layout.root` is a project's folder; `environment` leads commands to the emulator, state and engine.

    `stand_ins` are the plugins that are not the official ones.
    """

    layout: Layout
    emulator: Emulator
    environment: Mapping[str, str]
    stand_ins: tuple[str, ...]

    @property
    def endpoint(self) -> str:
        """The emulator's URL."""
        return f"http://127.0.0.1:{self.emulator.port}"


@contextmanager
def cloud(*, example: bool) -> Iterator[Cloud]:
    """A running emulator; with `example`, the example's stack file and PostgreSQL too. Gone afterwards.

    Raises:
        SetupError: a part of it could not be had.
    """
    # "0" takes any free port: the user's local cloud may be running
    os.environ["LOCALCLOUD_PORT"] = "0"
    root = Path(tempfile.mkdtemp(prefix="benchmark-"))
    root.chmod(0o755)  # PostgreSQL runs as another user where we are root
    layout = Layout(root)
    try:
        yield _started(layout, example=example)
    finally:
        # the emulator first: a function of its may be at work in the database
        stop_emulator(layout)
        postgres_process.remove(layout.postgres)
        shutil.rmtree(root, ignore_errors=True)


def _started(layout: Layout, *, example: bool) -> Cloud:
    source = checkout().root
    for name in _LINKED:
        (layout.root / name).symlink_to(source / name)
    shutil.copy(source / "Pulumi.yaml", layout.root)
    if example:
        shutil.copy(source / f"Pulumi.{STACK}.yaml", layout.root)
    stand_ins = provide_tools(layout)
    emulator = start_emulator(layout)
    if is_wanted(layout):
        register(emulator, start_database(layout))
    layout.state.mkdir(parents=True, exist_ok=True)
    return Cloud(
        layout=layout,
        emulator=emulator,
        environment=local_environment(layout, emulator.port),
        stand_ins=stand_ins,
    )
