"""The archives of the Lambda functions, built from this package's own files."""

import base64
import os
import tempfile
from pathlib import Path

import pulumi

from .lambdas import build
from .lambdas.notices import protocol
from .lambdas.rehearsal import declared as rehearsed


class ArchiveError(pulumi.RunError):
    """The rotation function's archive could not be built."""


def rotation_archive(folder: Path | None = None) -> str:
    """Return the path of the rotation function's archive, and build it unless it is there.

    The first build downloads the function's dependencies with pip, pinned by hash.

    Args:
        folder: where archives and dependencies are kept; `pulumi-aws-secrets` in the user's cache folder
            ($XDG_CACHE_HOME, or ~/.cache) if left out.

    Raises:
        ArchiveError: the dependencies could not be downloaded.
    """
    place = folder or _cache_folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".build-") as temporary:
            built = build.build(Path(temporary, "rotation.zip"), place / "dependencies")
            # named by its content: another version of this package may be at work with the same folder
            digest = base64.b64decode(built.sha256).hex()[:16]
            archive = place / f"rotation-{digest}.zip"
            if not archive.is_file():
                built.path.replace(archive)
    except (build.BuildError, OSError) as error:
        raise ArchiveError(
            f"{error}\nWhere packages cannot be downloaded, build the archive on another machine with "
            f"`python -m {build.__name__} --output rotation.zip`, and write archive='rotation.zip'."
        ) from None
    return str(archive)


def writer_code() -> pulumi.Archive:
    """Return the code of the function that writes values."""
    return _files(build.WRITER_FILES)


def copier_code() -> pulumi.Archive:
    """Return the code of the function that copies a secret's value to its new name."""
    return _files(build.COPIER_FILES)


def redeployment_code() -> pulumi.Archive:
    """Return the code of the function that redeploys a service."""
    return _files(build.REDEPLOY_FILES)


def notices_code(declared: str) -> pulumi.Archive:
    """Return the code of the function that sends notices, with the file of what the stack declares."""
    return _with_file(build.NOTICES_FILES, f"notices/{protocol.DECLARED_FILE}", declared)


def rehearsal_code(declared: str) -> pulumi.Archive:
    """Return the code of the function that rehearses on a schedule, with the file of what it rehearses."""
    return _with_file(build.REHEARSAL_FILES, f"rehearsal/{rehearsed.DECLARED_FILE}", declared)


def _with_file(files: dict[str, Path], name: str, text: str) -> pulumi.Archive:
    code = {place: pulumi.FileAsset(str(path)) for place, path in files.items()}
    return pulumi.AssetArchive({**code, name: pulumi.StringAsset(text)})


def _files(files: dict[str, Path]) -> pulumi.Archive:
    return pulumi.AssetArchive({name: pulumi.FileAsset(str(path)) for name, path in files.items()})


def _cache_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache, "pulumi-aws-secrets")
