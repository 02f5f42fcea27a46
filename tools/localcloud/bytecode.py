"""Compile the installed packages that commands import: `python -m tools.localcloud.bytecode`.

Python does it at the first import, but not where PYTHONDONTWRITEBYTECODE is set, as in many container images:
there every command, and every plugin that it starts, would compile the same packages again.
"""

import compileall
import re
import sysconfig
from pathlib import Path

from tools.localcloud.layout import Layout, checkout

_USE_OF_SERVICE = re.compile(r"\baws\.([a-z0-9_]+)\.")
_WITH_RESOURCES = ("components", "program")
# A third of all that is installed, for checks of templates that moto makes and we do not.
_NEVER_IMPORTED = ("mpmath", "networkx", "sympy")


def services(layout: Layout) -> list[str]:
    """Return the modules of pulumi_aws that this checkout's resources come from."""
    sources = (
        path.read_text() for folder in _WITH_RESOURCES for path in (layout.root / folder).rglob("*.py")
    )
    return sorted({name for source in sources for name in _USE_OF_SERVICE.findall(source)})


def compile_installed(layout: Layout, packages: Path) -> None:
    """Compile the folder `packages`, and of pulumi_aws's services those that are used.

    There are some two hundred of those, and compiling them takes longer than all the rest.
    """
    used = "|".join(services(layout))
    unused = re.compile(
        rf"[/\\](?:pulumi_aws[/\\](?!(?:{used})[/\\])[^/\\]+|{'|'.join(_NEVER_IMPORTED)})[/\\]"
    )
    # some packages have files of other Python versions, which nobody imports
    compileall.compile_dir(packages, maxlevels=50, quiet=2, workers=0, rx=unused)


if __name__ == "__main__":
    compile_installed(checkout(), Path(sysconfig.get_path("purelib")))
