"""`python -m tools.localcloud.down`, without any installed package, to clear a half-made checkout too."""

import shutil
import sys

from tools.localcloud.emulator_control import stop_emulator
from tools.localcloud.files import exclusive
from tools.localcloud.layout import Layout, SetupError, checkout
from tools.localcloud.postgres_process import remove
from tools.localcloud.servers.process import remove as remove_server


def down(layout: Layout) -> int:
    """Stop the emulator and all servers, and remove all data, the stacks' state and plugins."""
    # The emulator first: one of its functions may be using the database.
    stop_emulator(layout)
    remove(layout.postgres)
    for directory in (layout.mariadb, layout.mysql, layout.redis):
        remove_server(directory)
    shutil.rmtree(layout.local, ignore_errors=True)
    if layout.local.exists():
        raise SetupError(
            f"{layout.local} could not be removed completely. Stop any program that writes into it, then run "
            "this again."
        )
    print("Removed the local cloud. The virtual environment and the Pulumi CLI stay, so `make up` is quick;")
    print("`make clean` removes those too.")
    return 0


def main() -> int:
    """Run the command once any other in this checkout has finished, and return its exit code."""
    layout = checkout()
    try:
        with exclusive(
            layout.lock, lambda: print("Waiting for another make command in this checkout to finish.")
        ):
            return down(layout)
    except SetupError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
