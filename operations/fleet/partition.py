"""Partitions a stack file into groups, one for each stack; pure, without files or AWS."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from program.desired import SERVERS, Desired, DesiredWorkload, resolve
from stack_file import Configuration, Mistake, SettingsError, StackFile, check
from stack_file.checking import STRUCTURE
from stack_file.fleet import LONGEST_STACK_NAME, Fleet
from stack_file.mistakes import from_validation, located, path_of
from stack_file.size import too_large

KEY = "fleet"
INCLUDE = "include"  # each group gets its entries of the included files
# Keys of the structure whose entries each belong to one group; the other keys apply to all groups.
PARTITIONED = ("secrets", *SERVERS, "workloads")


@dataclass(frozen=True, kw_only=True)
class Group:
    """A group of a fleet: the part of the stack file that belongs to one stack.

    Attributes:
        name: name of the group.
        stack: name of its stack, as in URNs.
        secrets: names in AWS of all its secrets, including those of logins and administrators.
        parts: names of its entries below each key of PARTITIONED.
        references: config keys that its entries refer to with `config:`.
    """

    name: str
    stack: str
    secrets: frozenset[str]
    parts: Mapping[str, frozenset[str]]
    references: frozenset[str]

    def config(self, whole: Mapping[str, Any], namespace: str) -> dict[str, Any]:
        """Return the subset of a configuration that belongs to this group's stack.

        Args:
            whole: values of the whole configuration, by full key.
            namespace: namespace of the project.
        """
        subset = {}
        for key, value in whole.items():
            own = key.removeprefix(f"{namespace}:") if key.startswith(f"{namespace}:") else None
            if own in PARTITIONED:
                below = json.loads(value) if isinstance(value, str) else value
                part = {name: entry for name, entry in below.items() if name in self.parts[own]}
                if part:
                    subset[key] = part
            elif own in {KEY, INCLUDE} or (own and own not in STRUCTURE and not self.references & {own, key}):
                continue  # a config value of other groups, or an unused one
            else:
                subset[key] = value
        return subset


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A partitioned stack file.

    Attributes:
        groups: the groups, in the order of the file.
        idle: encrypted config keys that are not used.
    """

    groups: tuple[Group, ...]
    idle: tuple[str, ...] = ()

    def group_of(self, secret: str) -> Group | None:
        """Return the group of a secret, by its name in AWS; None if it has none."""
        return next((group for group in self.groups if secret in group.secrets), None)


def split(configuration: Configuration) -> Partition:
    """Check a whole configuration as a single stack's, partition it, and check each group.

    Raises:
        SettingsError: the configuration has mistakes.
    """
    try:
        # a group's stack file has all of its entries
        return _split(replace(configuration, included={}))
    except SettingsError as error:
        raise SettingsError(configuration.stack, located(error.mistakes, configuration.included)) from None


def _split(configuration: Configuration) -> Partition:
    namespace = configuration.project
    mistakes: list[Mistake] = []
    fleet = _fleet(configuration, mistakes)
    whole = replace(
        configuration,
        values={key: value for key, value in configuration.values.items() if key != f"{namespace}:{KEY}"},
    )
    try:
        checked = check(whole)
    except SettingsError as error:
        mistakes += error.mistakes
    if mistakes or fleet is None:
        raise SettingsError(configuration.stack, mistakes)
    desired = resolve(checked.stack_file, namespace, configuration.stack)
    partition = _groups(desired, fleet, mistakes)
    if mistakes:
        raise SettingsError(configuration.stack, mistakes)
    groups = tuple(_with_references(whole, group) for group in partition)
    for group in groups:
        location = (KEY, "groups", group.name) if fleet.groups else (KEY, "parts")
        part = replace(whole, values=group.config(whole.values, namespace))
        mistakes += too_large(part, location)
    if mistakes:
        raise SettingsError(configuration.stack, list(dict.fromkeys(mistakes)))
    return Partition(groups=groups, idle=checked.idle)


def _fleet(configuration: Configuration, mistakes: list[Mistake]) -> Fleet | None:
    namespace = configuration.project
    if f"{namespace}:{KEY}" not in configuration.values:
        mistakes.append(
            Mistake(
                path_of(namespace, (KEY,)),
                "this key is missing",
                "The secrets could not be partitioned into stacks",
                "Write fleet: {groups: {NAME: [PREFIX*]}} or fleet: {parts: NUMBER} (docs/fleet.md)",
            )
        )
        return None
    try:
        # validate a whole stack file, so that mistakes have their paths in the file
        document = json.dumps({KEY: configuration.values[f"{namespace}:{KEY}"]})
        return StackFile.model_validate_json(document).fleet
    except ValidationError as error:
        mistakes += from_validation(namespace, StackFile, error)
        return None


def _with_references(whole: Configuration, group: Group) -> Group:
    """Return a group with the config keys that it refers to, which checking it with all keys finds."""
    every = frozenset(key.removeprefix(f"{whole.project}:") for key in whole.values) | frozenset(whole.values)
    of_part = replace(group, references=every).config(whole.values, whole.project)
    return replace(group, references=check(replace(whole, values=of_part)).references)


def _groups(desired: Desired, fleet: Fleet, mistakes: list[Mistake]) -> list[Group]:
    namespace, stack, file = desired.project, desired.stack, desired.stack_file
    impossible = _impossible(namespace, file)
    if impossible:
        mistakes.append(impossible)
        return []
    names = list(fleet.groups) if fleet.groups else _parts(fleet.parts or 1)
    assign = _by_pattern(fleet.groups) if fleet.groups else _by_hash(names)
    group_of_secret: dict[str, str] = {}
    servers: dict[str, dict[str, str]] = {section: {} for section in SERVERS}
    for unit in _units(desired):
        groups = {secret: assign(unit.hash_key if fleet.parts else secret) for secret in unit.secrets}
        known = {secret: group for secret, group in groups.items() if group is not None}
        if known.keys() != groups.keys():
            mistakes.append(_without_group(namespace, unit, sorted(groups.keys() - known.keys()), names))
        elif len(set(known.values())) > 1:
            mistakes.append(_split_server(namespace, unit, known))
        group_of_secret |= known
        if unit.server:
            section, server = unit.server
            servers[section][server] = next(iter(known.values()), "")
    workloads: dict[str, str] = {}
    for name, workload in desired.workloads.items():
        reads = workload.secrets
        read_groups = {secret: group_of_secret[secret] for secret in reads if secret in group_of_secret}
        if len(set(read_groups.values())) > 1:
            mistakes.append(_split_workload(namespace, name, read_groups))
        if not reads:  # it reads only existing secrets, which no stack of the fleet creates
            read_groups = {name: _home(workload, names, assign)}
        workloads |= dict.fromkeys([name], next(iter(read_groups.values()), ""))
    mistakes += _split_renames(desired, group_of_secret)
    mistakes += _split_restarts(desired, workloads)
    used = [name for name in names if name in group_of_secret.values() or name in workloads.values()]
    if fleet.groups and not mistakes:
        mistakes += [_empty(namespace, name, stack) for name in names if name not in used]
    mistakes += [_too_long(namespace, f"{stack}.{name}") for name in names if _is_long(f"{stack}.{name}")]
    own = {secret: group for secret, group in group_of_secret.items() if secret in file.secrets}
    return [
        Group(
            name=name,
            stack=f"{stack}.{name}",
            secrets=_members(name, group_of_secret),
            parts={
                key: _members(name, assigned)
                for key, assigned in {"secrets": own, **servers, "workloads": workloads}.items()
            },
            references=frozenset(),
        )
        for name in used
    ]


def _home(workload: DesiredWorkload, names: Sequence[str], assign: Callable[[str], str | None]) -> str:
    """Return the group whose patterns match the first existing secret of a workload, or the first group."""
    read = sorted({reference.rpartition(":")[2] for reference in workload.existing_secrets})
    return (assign(read[0]) if read else None) or names[0]


def _members(group: str, assigned: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name for name, its_group in assigned.items() if its_group == group)


@dataclass(frozen=True, kw_only=True)
class _Unit:
    """Secrets that must stay in one group: a single secret, or those of a database or cache.

    Attributes:
        path: location in the stack file.
        secrets: names in AWS.
        server: key of SERVERS and name of the entry; None for a single secret.
    """

    path: tuple[str | int, ...]
    secrets: tuple[str, ...]
    server: tuple[str, str] | None = None

    @property
    def hash_key(self) -> str:
        """The text that determines its part. It stays the same when a login is added."""
        # the name of a secret contains no colon
        return f"{self.server[0].removesuffix('s')}:{self.server[1]}" if self.server else self.secrets[0]


def _units(desired: Desired) -> Iterator[_Unit]:
    by_server: dict[tuple[str, str], list[str]] = {}
    for secret in desired.secrets.values():
        if secret.server is None:
            yield _Unit(path=secret.place, secrets=(secret.name,))
        else:
            by_server.setdefault(secret.server, []).append(secret.name)
    for server, secrets in by_server.items():
        yield _Unit(path=server, secrets=tuple(secrets), server=server)


def _by_pattern(groups: Mapping[str, Iterable[str]]) -> Callable[[str], str | None]:
    """Return a function from a secret to the group whose pattern is its name, or its longest prefix."""
    by_pattern = {pattern: group for group, patterns in groups.items() for pattern in patterns}
    prefixes = sorted((pattern for pattern in by_pattern if pattern.endswith("*")), key=len, reverse=True)

    def assign(secret: str) -> str | None:
        matches = [pattern for pattern in prefixes if secret.startswith(pattern[:-1])]
        return by_pattern.get(secret) or (by_pattern[matches[0]] if matches else None)

    return assign


def _parts(number: int) -> list[str]:
    return [str(part + 1) for part in range(number)]


def _by_hash(parts: Sequence[str]) -> Callable[[str], str | None]:
    """Return a function from a name to its part, by rendezvous hashing.

    Adding a part moves names to the new part only. Source: Thaler and Ravishankar, "Using name-based mappings
    to increase hit rates" (1998).
    """
    return lambda name: max(parts, key=lambda part: hashlib.sha256(f"{part}:{name}".encode()).digest())


def _impossible(namespace: str, file: StackFile) -> Mistake | None:
    """Return what keeps a stack file from being split."""
    if file.pipeline:
        return _in_pipeline(namespace)
    return _with_webhook(namespace) if file.notices and file.notices.webhook else None


def _with_webhook(namespace: str) -> Mistake:
    return Mistake(
        path_of(namespace, ("notices", "webhook")),
        "the stack file of a fleet has a webhook",
        "Its secret would be in one stack, where the functions of the others cannot read it",
        "Use topicArn, to which every stack of the fleet publishes",
    )


def _in_pipeline(namespace: str) -> Mistake:
    return Mistake(
        path_of(namespace, (KEY,)),
        "the stack of a pipeline has no secrets",
        "There would be nothing to partition",
        "Remove fleet here, and write it in the stack file that has the secrets",
    )


def _without_group(namespace: str, unit: _Unit, missing: Sequence[str], names: Sequence[str]) -> Mistake:
    return Mistake(
        path_of(namespace, unit.path),
        f"{', '.join(missing)}: no group of fleet matches",
        "No stack would create it",
        f'Add the name, or a prefix followed by "*", to one of {", ".join(names)}, or to a new group',
    )


def _split_server(namespace: str, unit: _Unit, groups: Mapping[str, str]) -> Mistake:
    return Mistake(
        path_of(namespace, unit.path),
        f"its secrets belong to several groups: {_listed(groups)}",
        "They share a rotation function, which only one stack can create",
        "Put all of them into one group of fleet",
    )


def _split_renames(desired: Desired, groups: Mapping[str, str]) -> Iterator[Mistake]:
    for secret in desired.secrets.values():
        both = {name: groups[name] for name in (secret.name, secret.renamed_from or "") if name in groups}
        if len({*both.values()}) > 1:
            yield Mistake(
                path_of(desired.project, (*secret.place, "renamedFrom")),
                f"the two names belong to several groups: {_listed(both)}",
                "The function that copies the value is in one stack, and knows only that stack's secrets",
                "Add the new name to the old one's group, and move the secret once the rename is finished",
            )


def _split_restarts(desired: Desired, groups: Mapping[str, str]) -> Iterator[Mistake]:
    """Yield workloads that wait for one of another group: one stack does not know those of another."""
    for name, workload in desired.workloads.items():
        elsewhere = {
            other: groups[other] for other in workload.declared.after if groups[other] != groups[name]
        }
        if elsewhere:
            yield Mistake(
                desired.path("workloads", name, "restart", "after"),
                f"it waits for workloads of other groups: {_listed(elsewhere)}",
                "Each stack restarts its own workloads only",
                "Put the secrets that they read into one group of fleet, or remove them from the list",
            )


def _split_workload(namespace: str, workload: str, groups: Mapping[str, str]) -> Mistake:
    return Mistake(
        path_of(namespace, ("workloads", workload)),
        f"it reads secrets of several groups: {_listed(groups)}",
        "One stack creates its role and manifests, and knows only its own secrets",
        "Put these secrets into one group of fleet, or split the workload by group",
    )


def _empty(namespace: str, group: str, stack: str) -> Mistake:
    return Mistake(
        path_of(namespace, (KEY, "groups", group)),
        "it has no secrets",
        "If its stack exists, its resources would be orphaned",
        f"Run pulumi destroy --stack {stack}.{group}, then remove the group",
    )


def _is_long(stack: str) -> bool:
    return len(stack) > LONGEST_STACK_NAME


def _too_long(namespace: str, stack: str) -> Mistake:
    return Mistake(
        path_of(namespace, (KEY,)),
        f"the stack name {stack} has {len(stack)} characters",
        f"Pulumi allows {LONGEST_STACK_NAME}",
        "Shorten the name of the file or of the group",
    )


def _listed(groups: Mapping[str, str]) -> str:
    return ", ".join(f"{secret} in {group}" for secret, group in sorted(groups.items())[:8]) + (
        f" and {len(groups) - 8} more" if len(groups) > 8 else ""  # noqa: PLR2004  a readable number
    )
