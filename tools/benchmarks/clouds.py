"""An empty local cloud for measurements, in its own folder, separate from the checkout's `.local`."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.localcloud import postgres_process
from tools.localcloud.database import register, start_database
from tools.localcloud.emulator_control import Emulator, start_emulator, stop_emulator
from tools.localcloud.environment import local_environment
from tools.localcloud.layout import Layout, checkout
from tools.localcloud.tools import provide_tools
from tools.localcloud.wanted import wanted

# The parts of a project and its local cloud; linked, so that the checkout's code is measured.
_LINKED = (
    "__main__.py",
    "operations",
    "program",
    "stack_file",
    "components",
    "tools",
    ".venv",
)


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """`layout.root` is a project's folder; `environment` points commands at emulator, state, and engine.

    `stand_ins` are the plugins that are not official.
    """

    layout: Layout
    emulator: Emulator
    environment: Mapping[str, str]
    stand_ins: tuple[str, ...]

    @property
    def endpoint(self) -> str:
        """Return the emulator's URL."""
        return f"http://127.0.0.1:{self.emulator.port}"


@contextmanager
def cloud(*, example: bool) -> Iterator[Cloud]:
    """Run an emulator for the block; with `example`, with the example's stack file and PostgreSQL.

    Raises:
        SetupError: a part of it could not be started.
    """
    # "0" means any free port: the user's local cloud may be running
    os.environ["LOCALCLOUD_PORT"] = "0"
    root = Path(tempfile.mkdtemp(prefix="benchmark-"))
    root.chmod(0o755)  # PostgreSQL runs as another user if we are root
    layout = Layout(root)
    try:
        yield _started(layout, example=example)
    finally:
        # the emulator first: one of its functions may be using the database
        stop_emulator(layout)
        postgres_process.remove(layout.postgres)
        shutil.rmtree(root, ignore_errors=True)


def _started(layout: Layout, *, example: bool) -> Cloud:
    source = checkout().root
    for name in _LINKED:
        (layout.root / name).symlink_to(source / name)
    shutil.copy(source / "Pulumi.yaml", layout.root)
    if example:
        shutil.copy(source / layout.stack_file.name, layout.root)
    stand_ins = provide_tools(layout)
    emulator = start_emulator(layout)
    if wanted(layout):
        register(emulator, start_database(layout))
    layout.state.mkdir(parents=True, exist_ok=True)
    return Cloud(
        layout=layout,
        emulator=emulator,
        environment=local_environment(layout, emulator.port),
        stand_ins=stand_ins,
    )
