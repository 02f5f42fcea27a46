"""`python -m tools.localcloud.pin`: rewrites the checksums of the official archives that `make up` downloads.

For whoever changes the version of pulumi, pulumi-aws or pulumi-random. It downloads each archive for each
platform (about 1.5 GB) and records its SHA-256 checksum; nothing is unpacked or run. A checksum that changes
for a version that was pinned before is an error: a published archive never changes.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from tools.localcloud.download import DownloadError, checksum_of
from tools.localcloud.engine_build import engine_version
from tools.localcloud.files import write_if_changed
from tools.localcloud.layout import Layout, SetupError, checkout
from tools.localcloud.official import PLATFORMS, address, pinned_checksums, plugin_path, program_path
from tools.localcloud.plugin_install import PLUGINS


def archives(layout: Layout) -> Iterator[str]:
    """Yield the path, below the service's address, of every archive of the pinned versions."""
    program = engine_version(layout.engine_module)
    yield from (program_path(program, names[0]) for names in PLATFORMS.values())
    for plugin in PLUGINS:
        yield from (
            plugin_path(plugin, version(f"pulumi-{plugin}"), names[1]) for names in PLATFORMS.values()
        )


def pin(layout: Layout) -> None:
    """Record the checksums of all archives of the pinned versions.

    Raises:
        SetupError: An archive cannot be downloaded, or differs from its pinned checksum.
    """
    base, known, lines = address(), pinned_checksums(layout), []
    if base is None:
        raise SetupError("LOCALCLOUD_DOWNLOADS switches downloads off: unset it to pin checksums.")
    for path in archives(layout):
        name = PurePosixPath(path).name
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                digest = checksum_of(f"{base}/{path}", Path(folder))
            except DownloadError as error:
                raise SetupError(f"{error}.") from None
        if digest != known.get(name, digest):
            raise SetupError(f"{name} has the checksum {digest}, but {known[name]} is pinned.")
        lines.append(f"{digest}  {name}\n")
    text = layout.checksums.read_text()
    comment = "".join(re.findall(r"^#.*\n", text, re.MULTILINE))
    write_if_changed(layout.checksums, comment + "".join(lines))


if __name__ == "__main__":
    try:
        pin(checkout())
    except SetupError as error:
        sys.exit(f"error: {error}")
