"""`python -m tools.localcloud.plugins NAME [ENGINE]`: what the engine runs as pulumi-resource-NAME."""

import gc
import sys
import types
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def _import_protocol_only() -> None:
    """Let `pulumi.runtime.proto` be imported without the rest of the SDK, as language_host.py does.

    Every command starts every plugin, and the rest takes a third of a second.
    """
    spec = find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("the pulumi package is not installed for this interpreter")
    folder = Path(spec.submodule_search_locations[0])
    for name in ("pulumi", "pulumi.runtime", "pulumi.runtime.proto"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package


if __name__ == "__main__":
    gc.disable()  # imports make many objects and no garbage
    _import_protocol_only()
    plugin = import_module(f"tools.localcloud.plugins.{sys.argv.pop(1)}.plugin").PLUGIN
    serve = import_module("tools.localcloud.plugins.serve").serve
    gc.freeze()
    gc.enable()
    serve(plugin)
