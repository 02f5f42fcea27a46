"""Read declarations from the files that a stack file includes.

The engine passes a configuration to the program in one environment variable, whose size the operating system
limits. The program reads these files itself, so they have no limit. They are not sections of the stack file
outside `config`: the engine drops keys that it does not know whenever it writes the file, as for
`pulumi config set` (pulumi/sdk, go/common/util/yamlutil/edit.go).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stack_file.checking import Configuration
from stack_file.documents import (
    UnreadableError,
    any_map_in,
    as_engine_passes_it,
    encrypted_places,
    is_encrypted,
    not_as_written_at,
)
from stack_file.include import PATTERN, SECTIONS
from stack_file.included_paths import CONSEQUENCE, matching_files
from stack_file.mistakes import Mistake, nearest, path_of, place_text


@dataclass
class _Found:
    """Entries of all included files.

    Attributes:
        entries: section to name to entry.
        files: section and name to the file that declares it.
        mistakes: what is wrong with the files themselves.
    """

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[tuple[str, str], str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


def with_included(configuration: Configuration, folder: Path) -> Configuration:
    """Return a configuration with the declarations of the files that it includes.

    Args:
        configuration: as the engine passes it.
        folder: the project's folder.
    """
    project = configuration.project
    patterns = configuration.values.get(f"{project}:include")
    if not isinstance(patterns, list):
        return configuration
    found = _Found()
    for name in _names(project, patterns, folder, found):
        _read(folder, name, found)
    values = dict(configuration.values)
    for section, entries in found.entries.items():
        own = values.get(f"{project}:{section}") or {}
        if not isinstance(own, dict):  # a mistake of the stack file, which the models report
            continue
        for name in sorted(own.keys() & entries.keys()):
            file = found.files.pop((section, name))
            found.mistakes.append(
                _twice(file, section, name, f"in Pulumi.{configuration.stack}.yaml or Pulumi.yaml")
            )
        values[f"{project}:{section}"] = own | {
            name: entry for name, entry in entries.items() if name not in own
        }
    return replace(
        configuration,
        values=values,
        included=found.files,
        mistakes=(*configuration.mistakes, *found.mistakes),
    )


def _names(project: str, patterns: list[object], folder: Path, found: _Found) -> dict[str, None]:
    """Return the names of all files, relative to the folder, each once and in a stable order."""
    names: dict[str, None] = {}
    unread: dict[Mistake, None] = {}  # each once, whatever number of patterns it matches
    for index, pattern in enumerate(patterns):
        if not isinstance(pattern, str) or not re.fullmatch(PATTERN, pattern):
            continue  # the models report it
        matches = list(matching_files(folder, pattern))
        if not matches:
            found.mistakes.append(_without_match(project, index, pattern))
        names |= dict.fromkeys(sorted(one for one in matches if isinstance(one, str)))
        unread |= dict.fromkeys(one for one in matches if isinstance(one, Mistake))
    found.mistakes += unread
    return names


def _read(folder: Path, name: str, found: _Found) -> None:
    try:
        document = any_map_in(folder / name, "Correct its permissions")
    except UnreadableError as error:
        found.mistakes.append(Mistake(name, error.wrong, CONSEQUENCE, error.remedy))
        return
    found.mistakes += [not_as_written_at(f"{name}: {place_text(one.place)}", one) for one in document.altered]
    for section, declared in document.value.items():
        if section not in SECTIONS:
            found.mistakes.append(_unknown(name, section))
        elif isinstance(declared, dict):
            found.mistakes += _encrypted(name, section, declared)
            if not is_encrypted(declared):
                _add(name, section, as_engine_passes_it(declared), found)
        elif declared is not None:
            found.mistakes.append(
                Mistake(
                    f"{name}: {section}",
                    "expected a map",
                    CONSEQUENCE,
                    "Write one entry a name, indented below it",
                )
            )


def _add(file: str, section: str, declared: Mapping[str, Any], found: _Found) -> None:
    entries = found.entries.setdefault(section, {})
    for name, entry in declared.items():
        if name in entries:
            other = found.files[section, name]
            found.mistakes.append(_twice(file, section, name, f"in {other}"))
            continue
        entries[name] = entry
        found.files[section, name] = file


def _encrypted(file: str, section: str, declared: Mapping[str, Any]) -> Iterator[Mistake]:
    for place in encrypted_places(declared, (section,)):
        yield Mistake(
            f"{file}: {place_text(place)}",
            'an encrypted value ("secure:") is in an included file',
            "Pulumi decrypts only the values of the stack file",
            "Store the value in the stack file with: pulumi config set --secret NAME; then use "
            "{config: NAME} here",
        )


def _twice(file: str, section: str, name: str, other: str) -> Mistake:
    return Mistake(
        f"{file}: {place_text((section, name))}",
        f"it is declared {other} as well",
        "Only one of them could apply",
        "Keep one",
    )


def _unknown(file: str, key: str) -> Mistake:
    bare = key.rpartition(":")[2]
    remedy = (
        f"Write {bare}: without a namespace"
        if bare in SECTIONS
        else "All other settings stay in the stack file, below config:"
    )
    return Mistake(
        f"{file}: {place_text((key,))}",
        f'unknown key "{key}"{nearest(bare, SECTIONS) if bare not in SECTIONS else ""}',
        "It would be ignored",
        f"Known keys here: {', '.join(SECTIONS)}. {remedy}",
    )


def _without_match(project: str, index: int, pattern: str) -> Mistake:
    return Mistake(
        path_of(project, ("include", index)),
        f"no file matches {pattern}",
        "The secrets that it declared would be deleted",
        "Correct the pattern, which is relative to the folder of Pulumi.yaml, or remove it",
    )
