"""Which stack makes what: a stack file divided into groups. Nothing is asked and nothing written."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

import settings
from settings import Configuration, Mistake, StackFile
from settings.checking import STRUCTURE
from settings.fleet import LONGEST_STACK_NAME, Fleet
from settings.mistakes import from_validation, path_of
from settings.size import too_large
from settings.stack_secrets import stack_secrets
from settings.workloads import Workload

KEY = "fleet"
# What of the structure belongs to one group; the rest is for all.
DIVIDED = ("secrets", "databases", "workloads")


@dataclass(frozen=True, kw_only=True)
class Group:
    """What one stack makes.

    Attributes:
        name: of the group.
        stack: of its stack, as in its URNs.
        secrets: names in AWS of all its secrets, those of logins and administrators included.
        parts: `secrets`, `databases` and `workloads` to the names below them that belong here.
        references: config keys that a `config:` in these names.
    """

    name: str
    stack: str
    secrets: frozenset[str]
    parts: Mapping[str, frozenset[str]]
    references: frozenset[str]

    def config(self, whole: Mapping[str, Any], namespace: str) -> dict[str, Any]:
        """What of the whole configuration, full key to value, is for this stack; values stay as they are."""
        kept = {}
        for key, value in whole.items():
            own = key.removeprefix(f"{namespace}:") if key.startswith(f"{namespace}:") else None
            if own in DIVIDED:
                below = json.loads(value) if isinstance(value, str) else value
                mine = {name: about for name, about in below.items() if name in self.parts[own]}
                if mine:
                    kept[key] = mine
            elif own == KEY or (own and own not in STRUCTURE and not self.references & {own, key}):
                continue  # a config value that another group names, or none
            else:
                kept[key] = value
        return kept


@dataclass(frozen=True, kw_only=True)
class Division:
    """A whole file, divided.

    Attributes:
        groups: in the order of the file.
        idle: encrypted config keys that nothing reads.
    """

    groups: tuple[Group, ...]
    idle: tuple[str, ...] = ()

    def group_of(self, secret: str) -> Group | None:
        """The group that a secret, by its name in AWS, belongs to."""
        return next((group for group in self.groups if secret in group.secrets), None)


def divide(configuration: Configuration) -> Division:
    """Checks the whole file as if one stack had it, divides it, and checks each part.

    Raises:
        SettingsError: with every mistake there is.
    """
    namespace = configuration.project
    mistakes: list[Mistake] = []
    fleet = _fleet(configuration, mistakes)
    whole = replace(
        configuration,
        values={key: value for key, value in configuration.values.items() if key != f"{namespace}:{KEY}"},
    )
    try:
        checked = settings.check(whole)
    except settings.SettingsError as error:
        mistakes += error.mistakes
    if mistakes or fleet is None:
        raise settings.SettingsError(configuration.stack, mistakes)
    division = _divided(namespace, configuration.stack, checked.stack_file, fleet, mistakes)
    if mistakes:
        raise settings.SettingsError(configuration.stack, mistakes)
    # each with all values: which of them it names is known when it is checked
    groups = tuple(_with_references(whole, group) for group in division)
    for group in groups:
        place = (KEY, "groups", group.name) if fleet.groups else (KEY, "parts")
        part = replace(whole, values=group.config(whole.values, namespace))
        mistakes += too_large(part, place)
    if mistakes:
        raise settings.SettingsError(configuration.stack, list(dict.fromkeys(mistakes)))
    return Division(groups=groups, idle=checked.idle)


def _fleet(configuration: Configuration, mistakes: list[Mistake]) -> Fleet | None:
    namespace = configuration.project
    if f"{namespace}:{KEY}" not in configuration.values:
        mistakes.append(
            Mistake(
                path_of(namespace, (KEY,)),
                "it is missing",
                "It is not said how the secrets are divided over stacks",
                "Write fleet: {groups: {NAME: [PREFIX*]}} or fleet: {parts: NUMBER} (docs/fleet.md)",
            )
        )
        return None
    try:
        # as a whole stack file's, so that places of mistakes are those of the file
        told = json.dumps({KEY: configuration.values[f"{namespace}:{KEY}"]})
        return StackFile.model_validate_json(told).fleet
    except ValidationError as error:
        mistakes += from_validation(namespace, StackFile, error)
        return None


def _with_references(whole: Configuration, group: Group) -> Group:
    every = frozenset(key.removeprefix(f"{whole.project}:") for key in whole.values) | frozenset(whole.values)
    of_part = replace(group, references=every).config(whole.values, whole.project)
    return replace(group, references=settings.check(replace(whole, values=of_part)).references)


def _divided(
    namespace: str, stack: str, file: StackFile, fleet: Fleet, mistakes: list[Mistake]
) -> list[Group]:
    if file.pipeline:
        mistakes.append(_of_a_pipeline(namespace))
        return []
    names = list(fleet.groups) if fleet.groups else _parts(fleet.parts or 1)
    place = _by_pattern(fleet.groups) if fleet.groups else _by_hash(names)
    placed: dict[str, str] = {}
    databases: dict[str, str] = {}
    for unit in _units(file):
        found = {secret: place(unit.hashed if fleet.parts else secret) for secret in unit.secrets}
        known = {secret: group for secret, group in found.items() if group is not None}
        if known.keys() != found.keys():
            mistakes.append(_of_no_group(namespace, unit, sorted(found.keys() - known.keys()), names))
        elif len(set(known.values())) > 1:
            mistakes.append(_torn_database(namespace, unit, known))
        placed |= known
        databases |= dict.fromkeys([unit.database] if unit.database else [], next(iter(known.values()), ""))
    workloads: dict[str, str] = {}
    for name, workload in file.workloads.items():
        reads = {read.secret for read in workload.reads} | set(workload.environment_from)
        groups = {secret: placed[secret] for secret in reads if secret in placed}
        if len(set(groups.values())) > 1:
            mistakes.append(_torn_workload(namespace, name, groups))
        if not reads:  # it reads secrets alone that no stack of the fleet makes
            groups = {name: _home(workload, names, place)}
        workloads |= dict.fromkeys([name], next(iter(groups.values()), ""))
    filled = [name for name in names if name in placed.values() or name in workloads.values()]
    if fleet.groups and not mistakes:
        mistakes += [_empty(namespace, name, stack) for name in names if name not in filled]
    mistakes += [_long(namespace, f"{stack}.{name}") for name in names if _is_long(f"{stack}.{name}")]
    own = {name: name_of for name, name_of in placed.items() if name in file.secrets}
    return [
        Group(
            name=name,
            stack=f"{stack}.{name}",
            secrets=_of(name, placed),
            parts={
                key: _of(name, found)
                for key, found in (("secrets", own), ("databases", databases), ("workloads", workloads))
            },
            references=frozenset(),
        )
        for name in filled
    ]


def _home(workload: Workload, names: Sequence[str], place: Callable[[str], str | None]) -> str:
    """Return the group whose patterns fit the first existing secret that a workload reads, else the first."""
    read = sorted({read.secret.rpartition(":")[2] for read in workload.existing_reads})
    return (place(read[0]) if read else None) or names[0]


def _of(group: str, placed: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name for name, found in placed.items() if found == group)


@dataclass(frozen=True, kw_only=True)
class _Unit:
    """What cannot be torn apart: a secret, or a database with the secrets of all its logins."""

    place: tuple[str | int, ...]
    secrets: tuple[str, ...]
    database: str = ""

    @property
    def hashed(self) -> str:
        """What its part follows from: it stays when a login is added. A secret's name has no colon."""
        return f"database:{self.database}" if self.database else self.secrets[0]


def _units(file: StackFile) -> Iterator[_Unit]:
    of_databases: dict[str, list[str]] = {}
    for secret in stack_secrets(file):
        if secret.place[0] == "databases":
            of_databases.setdefault(str(secret.place[1]), []).append(secret.name)
        else:
            yield _Unit(place=secret.place, secrets=(secret.name,))
    for database, secrets in of_databases.items():
        yield _Unit(place=("databases", database), secrets=tuple(secrets), database=database)


def _by_pattern(groups: Mapping[str, Iterable[str]]) -> Callable[[str], str | None]:
    """The group of the most specific pattern: a name before a beginning, a longer one before a shorter."""
    named = {pattern: group for group, patterns in groups.items() for pattern in patterns}
    beginnings = sorted((pattern for pattern in named if pattern.endswith("*")), key=len, reverse=True)

    def place(secret: str) -> str | None:
        found = [pattern for pattern in beginnings if secret.startswith(pattern[:-1])]
        return named.get(secret) or (named[found[0]] if found else None)

    return place


def _parts(number: int) -> list[str]:
    return [str(part + 1) for part in range(number)]


def _by_hash(parts: Sequence[str]) -> Callable[[str], str | None]:
    """The part with the highest hash of its number and the name: one part more takes from the others alone.

    Source of the method: Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998).
    """
    return lambda name: max(parts, key=lambda part: hashlib.sha256(f"{part}:{name}".encode()).digest())


def _of_a_pipeline(namespace: str) -> Mistake:
    return Mistake(
        path_of(namespace, (KEY,)),
        "a pipeline's stack makes no secrets",
        "There is nothing to divide",
        "Take fleet out of this file, and write it where the secrets are",
    )


def _of_no_group(namespace: str, unit: _Unit, missing: Sequence[str], names: Sequence[str]) -> Mistake:
    return Mistake(
        path_of(namespace, unit.place),
        f"{', '.join(missing)}: no group of fleet has such a name",
        "No stack would make it",
        f'Add the name, or what it begins with and a "*", to one of {", ".join(names)}, or to a new group',
    )


def _torn_database(namespace: str, unit: _Unit, groups: Mapping[str, str]) -> Mistake:
    return Mistake(
        path_of(namespace, unit.place),
        f"its secrets belong to several groups: {_listed(groups)}",
        "They have a rotation function in common, which one stack makes",
        "Name them all in one group of fleet",
    )


def _torn_workload(namespace: str, workload: str, groups: Mapping[str, str]) -> Mistake:
    return Mistake(
        path_of(namespace, ("workloads", workload)),
        f"it reads secrets of several groups: {_listed(groups)}",
        "Its role and manifests are made by one stack, which knows its own secrets",
        "Name these secrets in one group of fleet, or make it one workload for each group",
    )


def _empty(namespace: str, group: str, stack: str) -> Mistake:
    return Mistake(
        path_of(namespace, (KEY, "groups", group)),
        "no secret belongs to it",
        "Its stack, if there is one, would keep what it has",
        f"Take the group out, after: pulumi destroy --stack {stack}.{group}",
    )


def _is_long(stack: str) -> bool:
    return len(stack) > LONGEST_STACK_NAME


def _long(namespace: str, stack: str) -> Mistake:
    return Mistake(
        path_of(namespace, (KEY,)),
        f"the stack {stack} has a name of {len(stack)} characters",
        f"Pulumi takes {LONGEST_STACK_NAME}",
        "Use shorter names for the file or the group",
    )


def _listed(groups: Mapping[str, str]) -> str:
    return ", ".join(f"{secret} to {group}" for secret, group in sorted(groups.items())[:8]) + (
        f" and {len(groups) - 8} more" if len(groups) > 8 else ""  # noqa: PLR2004  as many as can be read
    )
