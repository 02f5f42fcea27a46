"""A checkout of its own for tests of the commands: real tools, a played emulator."""

from pathlib import Path

from tools.localcloud.layout import Layout, checkout
from tools.localcloud.tests import played_emulator


def checkout_with_played_emulator(root: Path) -> Layout:
    """Return a folder that looks like a checkout; its virtual environment and engine are this one's."""
    real = checkout().root
    package = root / "tools" / "localcloud"
    emulator = package / "emulator"
    emulator.mkdir(parents=True)
    for path in (package / "__init__.py", emulator / "__init__.py"):
        path.touch()
    (emulator / "__main__.py").symlink_to(played_emulator.__file__)
    for name in ("engine", "plugins", "language_host.py"):
        (package / name).symlink_to(real / "tools" / "localcloud" / name)
    (root / ".venv").symlink_to(real / ".venv")
    return Layout(root)
