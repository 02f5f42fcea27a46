"""Write files so that an interruption leaves them complete or absent."""

import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_if_changed(path: Path, text: str, mode: int = 0o644) -> bool:
    """Write `text` to `path` in one step, and return whether that changed it."""
    if path.is_file() and not path.is_symlink() and path.read_text() == text:
        path.chmod(mode)
        return False

    def make(temporary: Path) -> None:
        temporary.touch(0o600)
        temporary.write_text(text)
        temporary.chmod(mode)

    place(path, make)
    return True


def place(path: Path, make: Callable[[Path], None]) -> None:
    """Replace `path` in one step by what `make` puts at the temporary path that it is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, make)


def replace_file(path: Path, make: Callable[[Path], None]) -> None:
    """Like `place`, in a folder that must exist."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    temporary.unlink(missing_ok=True)
    try:
        make(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link `source`, or copy it where the file system has no hard links."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file `path`; call `waiting` once if another process holds it. The lock dies with us."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
