"""`python -m localcloud.down`, which needs no installed package: a half-made checkout can be cleared too."""

import shutil
import sys

from localcloud.emulator_control import stop_emulator
from localcloud.files import exclusive
from localcloud.layout import Layout, SetupError, checkout
from localcloud.postgres_process import remove


def down(layout: Layout) -> int:
    """Stop the emulator and PostgreSQL and remove all data, the stack's state and plugins."""
    # The emulator first: a function of its may be at work in the database.
    stop_emulator(layout)
    remove(layout.postgres)
    shutil.rmtree(layout.local, ignore_errors=True)
    if layout.local.exists():
        raise SetupError(f"{layout.local} could not be removed wholly: does another program write into it?")
    print(
        "The local cloud is gone. The virtual environment and the built engine stay, so `make up` is quick;"
    )
    print("`make clean` removes those too.")
    return 0


def main() -> int:
    """Run it after any other command on this checkout; its exit code."""
    layout = checkout()
    try:
        with exclusive(
            layout.lock, lambda: print("Waiting for another make command on this checkout to end.")
        ):
            return down(layout)
    except SetupError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
