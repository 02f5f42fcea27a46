"""Write the library's API reference as HTML: `python -m tools.api_reference FOLDER`.

The components are documented by the name under which other programs import them.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pdoc
import pulumi
import pulumi_aws

PACKAGE = "pulumi_aws_secrets"
_NAMES = {"Input": pulumi.Input, "Output": pulumi.Output, "T": TypeVar("T")}
_COMPONENTS = Path(__file__).parents[1] / "components"


def write(folder: Path) -> None:
    """Write the reference into a folder."""
    package = _package()
    for name in package.__all__:
        # annotations of pulumi.Input are texts in terms of these names, and of this module
        namespace = vars(sys.modules[getattr(package, name).__module__])
        namespace.update({**_NAMES, "aws": pulumi_aws, "pulumi": pulumi})
    vars(pulumi.resource).update(_NAMES)
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc(PACKAGE, output_directory=folder)


def _package() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        PACKAGE, _COMPONENTS / "__init__.py", submodule_search_locations=[str(_COMPONENTS)]
    )
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{_COMPONENTS} is not a package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return package


if __name__ == "__main__":
    write(Path(sys.argv[1]))
