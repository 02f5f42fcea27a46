"""Download files by their SHA-256 checksums: resumed where they broke off, with deadlines, verified."""

import hashlib
import http.client
import re
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

# How long a host may take to accept a connection, its name's resolution included.
CONNECT_SECONDS = 2.5
# A server must send at least this much in each period of this length, its first answer included.
STALL_SECONDS = 15.0
STALL_BYTES = 50_000
_BLOCK = 1 << 18


class DownloadError(Exception):
    """A file could not be downloaded. The message is the reason, as the end of a sentence."""


class ChecksumError(DownloadError):
    """A complete file differs from its pinned checksum; it has been deleted."""


class _BrokenOffError(Exception):
    """A connection ended or stalled before the end of the file."""


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file on a server, and the SHA-256 checksum that it must have."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]


def connection_problem(url: str) -> str:
    """Return why the server of `url`, or the proxy in front of it, accepts no connection; empty if it does.

    Takes `CONNECT_SECONDS` at most: resolving a name has no timeout of its own, so it runs in a thread.
    """
    host, port = _first_hop(url)
    problem = [f"no answer from {host} within {CONNECT_SECONDS:g} s"]

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
        except TimeoutError:
            return
        except OSError as error:
            problem[0] = f"{host}: {error.strerror or error}"
        else:
            problem[0] = ""

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return problem[0]


def _first_hop(url: str) -> tuple[str, int]:
    """Return the host and port that a request for `url` connects to."""
    target = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(target.scheme)
    if proxy and not urllib.request.proxy_bypass(target.hostname or ""):
        target = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return target.hostname or "", target.port or (443 if target.scheme == "https" else 80)


def download(remote: RemoteFile, folder: Path, progress: Callable[[int, int], None]) -> Path:
    """Download a file into `folder`, unless it is there, and return its path.

    An interrupted download leaves `NAME.part`, from which the next one goes on.

    Args:
        remote: The file, with its checksum.
        folder: Folder that only one process at a time downloads into.
        progress: Called with the bytes so far and the size in bytes (0 if the server does not say).

    Raises:
        ChecksumError: The complete file has another checksum.
        DownloadError: The server refuses, is not reachable, or stalls.
    """
    target = folder / remote.name
    if target.is_file() and _sha256(target) == remote.sha256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{remote.name}.part"
    resumed = _size(partial) > 0
    _fetch_whole(remote.url, partial, progress)
    if resumed and _sha256(partial) != remote.sha256:
        # What an earlier process left may be damaged, or of another file.
        partial.unlink()
        _fetch_whole(remote.url, partial, progress)
    found = _sha256(partial)
    if found != remote.sha256:
        partial.unlink()
        raise ChecksumError(
            f"{remote.url} has the SHA-256 checksum {found}, not the pinned {remote.sha256}. It was deleted. "
            "A proxy or mirror that alters files is the usual reason"
        )
    partial.replace(target)
    return target


def checksum_of(url: str, folder: Path) -> str:
    """Download a file into `folder` and return its SHA-256 checksum, which nothing has verified.

    Raises:
        DownloadError: The server refuses, is not reachable, or stalls.
    """
    partial = folder / "unverified"
    _fetch_whole(url, partial, lambda _done, _size: None)
    return _sha256(partial)


def _fetch_whole(url: str, partial: Path, progress: Callable[[int, int], None]) -> None:
    """Append to `partial` until the file is complete, over several connections if they break off."""
    while True:
        before = _size(partial)
        try:
            _fetch(url, partial, progress)
        except _BrokenOffError as error:
            if _size(partial) < before + STALL_BYTES:
                raise DownloadError(f"{url}: {error}") from None
        else:
            return


def _fetch(url: str, partial: Path, progress: Callable[[int, int], None]) -> None:
    """Fetch what `partial` lacks over one connection."""
    done = _size(partial)
    request = urllib.request.Request(url)  # noqa: S310 -- an address that this project or its user set
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        with (
            urllib.request.urlopen(request, timeout=STALL_SECONDS) as answer,  # noqa: S310 -- as above
            partial.open("ab") as file,
        ):
            if done and _continued_at(answer) != done:
                file.truncate(0)
                done = 0
            _copy(answer, file, done, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            _end_at_the_size(partial, error)
            return
        raise DownloadError(f"{url}: HTTP status {error.code} {error.reason}") from None
    except TimeoutError:
        raise _BrokenOffError(f"nothing received for {STALL_SECONDS:g} s") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _BrokenOffError(f"no answer within {STALL_SECONDS:g} s") from None
        raise DownloadError(f"{url}: {error.reason}") from None
    except (ConnectionError, http.client.HTTPException) as error:
        raise _BrokenOffError(f"the connection broke off ({type(error).__name__})") from None


def _continued_at(answer: http.client.HTTPResponse) -> int:
    """Return the offset at which an answer begins: 0 where the server sends the whole file."""
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if answer.status == HTTPStatus.PARTIAL_CONTENT and found else 0


def _end_at_the_size(partial: Path, error: urllib.error.HTTPError) -> None:
    """Keep a partial file that is complete already, and empty one that is longer than the server's."""
    found = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
    if not found or int(found[1]) != partial.stat().st_size:
        partial.unlink()
        raise _BrokenOffError("the server does not resume the download")


def _copy(
    answer: http.client.HTTPResponse, file: BinaryIO, done: int, progress: Callable[[int, int], None]
) -> None:
    """Copy the answer's body, as long as it arrives fast enough."""
    size = int(answer.headers.get("Content-Length") or 0) + done
    begun, enough = time.monotonic(), done + STALL_BYTES
    for block in _blocks(answer):
        file.write(block)
        done += len(block)
        progress(done, max(done, size))
        now = time.monotonic()
        if done >= enough:
            begun, enough = now, done + STALL_BYTES
        elif now - begun > STALL_SECONDS:
            raise _BrokenOffError(f"fewer than {STALL_BYTES} bytes within {STALL_SECONDS:g} s")
    if done < size:
        raise _BrokenOffError("the connection broke off")


def _blocks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    # read1 returns what has arrived: read would wait for a whole block, however slowly it comes
    while block := answer.read1(_BLOCK):
        yield block


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
