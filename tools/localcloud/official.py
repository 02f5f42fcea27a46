"""Download Pulumi's own builds of its command-line program and plugins, by pinned checksums."""

import functools
import os
import platform
import re
import shutil
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tools.localcloud.download import ChecksumError, DownloadError, RemoteFile, connection_problem, download
from tools.localcloud.layout import Layout
from tools.localcloud.progress import shown_progress

ADDRESS = "https://get.pulumi.com/releases"
ADDRESS_VARIABLE = "LOCALCLOUD_DOWNLOADS"
# The value of the variable that switches downloads off.
NO_DOWNLOADS = "none"

# Of this project's platforms, by the names that Pulumi's archives carry: the program's, and the plugins'.
PLATFORMS = {
    ("linux", "x86_64"): ("linux-x64", "linux-amd64"),
    ("linux", "aarch64"): ("linux-arm64", "linux-arm64"),
    ("darwin", "x86_64"): ("darwin-x64", "darwin-amd64"),
    ("darwin", "arm64"): ("darwin-arm64", "darwin-arm64"),
}


def address() -> str | None:
    """Return the address of Pulumi's download service or of a mirror; None if downloads are switched off."""
    wanted = os.environ.get(ADDRESS_VARIABLE) or ADDRESS
    return None if wanted == NO_DOWNLOADS else wanted.rstrip("/")


def program_path(version: str, platform_name: str) -> str:
    """Return the program's archive below the service's address."""
    return f"sdk/pulumi-v{version}-{platform_name}.tar.gz"


def plugin_path(name: str, version: str, platform_name: str) -> str:
    """Return a resource plugin's archive below the service's address."""
    return f"plugins/pulumi-resource-{name}-v{version}-{platform_name}.tar.gz"


def pinned_checksums(layout: Layout) -> Mapping[str, str]:
    """Return the SHA-256 checksum of each pinned archive, by its file name."""
    text = layout.checksums.read_text()
    return {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", text, re.MULTILINE)}


def program_archive(layout: Layout, version: str) -> RemoteFile | None:
    """Return the program's archive for this machine; None if downloads are off or no checksum is pinned."""
    names = _platform_names()
    return _pinned(layout, program_path(version, names[0])) if names else None


def plugin_archive(layout: Layout, name: str, version: str) -> RemoteFile | None:
    """Return a plugin's archive for this machine; None if downloads are off or no checksum is pinned."""
    names = _platform_names()
    return _pinned(layout, plugin_path(name, version, names[1])) if names else None


def _platform_names() -> tuple[str, str] | None:
    return PLATFORMS.get((sys.platform, platform.machine()))


def _pinned(layout: Layout, path: str) -> RemoteFile | None:
    base, digest = address(), pinned_checksums(layout).get(PurePosixPath(path).name)
    return RemoteFile(url=f"{base}/{path}", sha256=digest) if base and digest else None


def fetch(layout: Layout, archive: RemoteFile, what: str) -> Path:
    """Download an archive, showing progress, and return its path once its checksum is verified.

    Raises:
        DownloadError: The service is not reachable or refuses, or the archive is not the pinned one.
    """
    problem = _problem_of(archive.url)
    if problem:
        raise DownloadError(problem)
    print(f"Downloading {what} from {archive.url.partition('://')[2].partition('/')[0]}", flush=True)
    started, size = time.monotonic(), 0
    with shown_progress() as show:

        def progress(done: int, whole: int) -> None:
            nonlocal size
            size = done
            speed = done / max(time.monotonic() - started, 0.001)
            show(f"{done / 1e6:.0f} of {whole / 1e6:.0f} MB, {speed / 1e6:.1f} MB/s")

        path = download(archive, layout.downloads, progress)
    print(f"  {size / 1e6:.0f} MB in {time.monotonic() - started:.0f} s, checksum verified", flush=True)
    return path


@functools.cache
def _problem_of(url: str) -> str:
    """Return `connection_problem` of a server, which is tried once in a command."""
    return connection_problem(url)


def official_engine(layout: Layout, version: str) -> Path | None:
    """Return the folder of the official program of this version, downloaded before or now.

    Returns:
        None where it cannot be downloaded; the reason has been printed in one line.
    """
    archive = program_archive(layout, version)
    if archive is None:
        return None
    folder = layout.engines / f"official-{version}-{archive.sha256[:12]}"
    if (folder / "pulumi").is_file():
        return folder
    try:
        path = fetch(layout, archive, f"pulumi {version}")
    except DownloadError as error:
        print(refusal(error), flush=True)
        return None
    _unpack(path, folder)
    path.unlink()
    for other in layout.engines.glob("official-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder


def refusal(error: DownloadError) -> str:
    """Return the line that says why there is no official archive."""
    return f"warning: {error}." if isinstance(error, ChecksumError) else f"No official download: {error}."


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the programs of a verified archive into `folder`, in one step.

    All of them are in one folder of the archive. Only base names are used, so nothing lands elsewhere.
    """
    unfinished = folder.with_name(f".unfinished-{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        with tarfile.open(archive) as contents:
            for member in contents:
                source = contents.extractfile(member) if member.isfile() else None
                if source is None:
                    continue
                target = unfinished / PurePosixPath(member.name).name
                with source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
                target.chmod(0o755 if member.mode & 0o100 else 0o644)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
