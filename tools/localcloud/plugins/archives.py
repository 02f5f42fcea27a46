"""Archives of a program, as zip files.

A `.zip` or `.jar` file is taken as it is, byte by byte. A folder and an archive of assets are zipped so that
the same content gives the same bytes on every machine: names in order, one date, modes reduced to whether a
file is executable.
"""

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.localcloud.plugins.serve import ProviderError
from tools.localcloud.plugins.values import Asset

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip file can hold
_KINDS = {".jar", ".zip"}


def zipped(archive: Asset) -> bytes:
    """Return the archive as a zip file.

    Raises:
        ProviderError: a file cannot be read, or it is of a kind that is not supported.
    """
    try:
        path = archive.source.get("path")
        if path is not None and Path(path).is_file():
            return _file(Path(path)).read_bytes()
        members = sorted(_members(archive, ""))
        if not members:
            raise ProviderError("reading archive: it has no files")
    except OSError as error:
        raise ProviderError(f"reading archive ({error.filename}): {error.strerror}") from None
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, executable, content in members:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, of which Lambda reads the mode
            entry.external_attr = (0o755 if executable else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(entry, content)
    return buffer.getvalue()


def _file(path: Path) -> Path:
    if path.suffix not in _KINDS:
        raise ProviderError(
            f"reading archive ({path}): the local stand-in reads only folders and .zip files; give one"
        )
    return path


def _members(asset: Asset, name: str) -> Iterator[tuple[str, bool, bytes]]:
    """Yield name, whether executable, and content of all files; `name` is the asset's own."""
    source: Mapping[str, Any] = asset.source
    if "assets" in source:
        for below, member in source["assets"].items():
            yield from _members(member, f"{name}/{below}" if name else below)
    elif "text" in source:
        yield name, False, source["text"].encode()
    elif "path" in source:
        yield from _members_of(Path(source["path"]), name, is_archive=asset.is_archive)
    else:
        kind = "an address" if "uri" in source else "no content"
        raise ProviderError(f"reading archive ({name}): it has {kind}; give a file or a folder")


def _members_of(path: Path, name: str, *, is_archive: bool) -> Iterator[tuple[str, bool, bytes]]:
    if is_archive and path.is_dir():
        for file in path.rglob("*"):
            if file.is_file():
                below = file.relative_to(path).as_posix()
                yield f"{name}/{below}" if name else below, os.access(file, os.X_OK), file.read_bytes()
    elif is_archive:
        with zipfile.ZipFile(_file(path)) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    executable = bool(entry.external_attr >> 16 & 0o100)
                    yield (
                        f"{name}/{entry.filename}" if name else entry.filename,
                        executable,
                        archive.read(entry),
                    )
    else:
        yield name, os.access(path, os.X_OK), path.read_bytes()
