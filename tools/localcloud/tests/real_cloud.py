"""A checkout of its own with a real emulator and a real PostgreSQL."""

from pathlib import Path

from tests.support.emulator_process import Emulator
from tools.localcloud.emulator_control import running_emulator
from tools.localcloud.layout import Layout, checkout

STACK_FILE = "config:\n  aws-secrets:databases:\n    example: {rdsInstance: example-db}\n"


def checkout_with_databases(root: Path, stack_file: str = STACK_FILE) -> Layout:
    """Return a played checkout whose stack file has databases; its programs are this one's."""
    root.mkdir(parents=True)
    for name in ("tools", ".venv"):
        (root / name).symlink_to(checkout().root / name)
    (root / "Pulumi.yaml").write_text("name: small\nruntime: python\n")
    (root / "Pulumi.local.yaml").write_text(stack_file)
    return Layout(root)


def emulator_of(layout: Layout) -> Emulator:
    """Return the running emulator, for the tests' clients."""
    found = running_emulator(layout)
    assert found is not None
    return Emulator(found.port, f"http://127.0.0.1:{found.port}", {}, layout.emulator / "log", found.pid)
