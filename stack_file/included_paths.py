"""Find the files that a stack file includes.

`Path.glob` leaves out what it cannot read and links without a target. An update would then delete the secrets
that they declare, so here they are mistakes.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from stack_file.include import ANY_FOLDERS, FOLDER
from stack_file.mistakes import Mistake

CONSEQUENCE = "Its declarations would be missing"
_CORRECT = "Correct it, or remove it from the folder"


def matching_files(folder: Path, pattern: str) -> Iterator[str | Mistake]:
    """Yield the files that match a pattern, relative to the project's folder, and what cannot be read.

    Hidden files and folders, such as those of editors, match no pattern.

    Args:
        folder: the project's folder.
        pattern: a valid one (`stack_file.include.PATTERN`).
    """
    wanted = pattern.split("/")
    unread: list[Mistake] = []

    def keep(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            name = Path(os.fsdecode(error.filename)).relative_to(folder).as_posix()
            unread.append(
                Mistake(name, f"the folder cannot be read: {error.strerror}", CONSEQUENCE, _CORRECT)
            )

    if (folder / FOLDER).is_symlink():
        yield _is_link_to_folder(FOLDER)
        return
    for place, below, files in os.walk(folder / FOLDER, onerror=keep):
        parts = Path(place).relative_to(folder).parts
        reached = [name for name in below if _is_reached((*parts, name), wanted)]
        named = [name for name in below if _matches((*parts, name), wanted)]  # as a file is
        links = {name for name in (*reached, *named) if (Path(place) / name).is_symlink()}
        below[:] = [name for name in reached if name not in links]
        yield from (_is_link_to_folder("/".join((*parts, name))) for name in sorted(links))
        for name in (*files, *(name for name in named if name not in links)):
            if _matches((*parts, name), wanted):
                relative = "/".join((*parts, name))
                yield _wrong(folder, relative) or relative
    yield from unread


def _matches(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether a path matches a pattern, both divided at each `/`."""
    return len(wanted) in _places(parts, wanted)


def _is_reached(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether a file below a folder can match a pattern."""
    return any(place < len(wanted) for place in _places(parts, wanted))


def _places(parts: Sequence[str], wanted: Sequence[str]) -> set[int]:
    """Return the places in a pattern to which a path can lead, all at once: one by one could take hours."""
    places = _with_next({0}, wanted)
    for part in parts:
        after = {
            place if wanted[place] == ANY_FOLDERS else place + 1
            for place in places - {len(wanted)}
            if not _is_hidden(part) and fnmatchcase(part, wanted[place])
        }
        places = _with_next(after, wanted)
    return places


def _with_next(places: set[int], wanted: Sequence[str]) -> set[int]:
    """Return places in a pattern, and those after folders of any number: it can be none."""
    found = set(places)
    for place in range(len(wanted)):
        if place in found and wanted[place] == ANY_FOLDERS:
            found.add(place + 1)
    return found


def _is_hidden(part: str) -> bool:
    return part.startswith(".")


def _wrong(folder: Path, name: str) -> Mistake | None:
    path = folder / name
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be read forever
            return Mistake(name, "it is not a regular file", CONSEQUENCE, _CORRECT)
        outside = path.is_symlink() and not path.resolve().is_relative_to(folder.resolve() / FOLDER)
    except OSError as error:
        return Mistake(name, f"it cannot be read: {error.strerror}", CONSEQUENCE, _CORRECT)
    if not outside:
        return None
    return Mistake(
        name,
        f"it is a link to a file outside {FOLDER}/",
        "A review of this folder would not show its changes",
        "Copy the file, or write a link to another file of the folder",
    )


def _is_link_to_folder(name: str) -> Mistake:
    return Mistake(
        name,
        "it is a link to a folder",
        "Links to folders are not followed, so the declarations there would be missing",
        "Copy the folder, or include its files where they are",
    )
