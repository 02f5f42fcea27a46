"""Files that several processes read and write: locks and atomic writes."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold an exclusive lock on an existing file, against other threads and processes.

    The lock ends with the block, or with the process.
    """
    with file.open("rb") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def replace_file(file: Path, write: Callable[[Path], object]) -> None:
    """Replace a file atomically: readers see the old content or the new one. Its permissions stay.

    Args:
        file: the file to replace; it need not exist.
        write: writes the new content to the temporary path that it is given, in the same folder and with the
            same suffix. If it raises, the file stays as it was.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}{file.suffix}")
    try:
        write(temporary)
        if file.exists():
            temporary.chmod(file.stat().st_mode & 0o777)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def replace_text(file: Path, text: str) -> None:
    """Replace a file's content atomically by UTF-8 text."""
    replace_file(file, lambda temporary: temporary.write_text(text, "utf-8"))
