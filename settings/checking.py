"""Checks a stack's configuration, wherever it comes from; needs no engine."""

import difflib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from settings.cross_checks import mistakes_between, replicas_of
from settings.documents import FileError, keyed, map_in, project_file
from settings.mistakes import Mistake, SettingsError, from_validation, nearest, path_of
from settings.pipeline import AUTONAMING
from settings.secrets import check_region, region_is_known, unlisted_region
from settings.stack_file import StackFile

STRUCTURE = tuple(field.alias or name for name, field in StackFile.model_fields.items())

# Namespaces of the providers and of Pulumi itself.
_OTHER_NAMESPACES = ("aws", "pulumi", "random")
_NEAR_NAMESPACE = 0.8
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A stack's configuration before it is checked, wherever it comes from.

    Attributes:
        project, stack: their names.
        values: full key, such as `aws:region`, to value, parsed where it is JSON.
        encrypted: those keys whose value, or a part of it, is encrypted.
        mistakes: found where it was read.
    """

    project: str
    stack: str
    values: Mapping[str, Any]
    encrypted: frozenset[str]
    mistakes: tuple[Mistake, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A configuration without mistakes.

    Attributes:
        stack_file: its structure.
        region: the region of the stack.
        references: config keys that a `config:` in the structure names.
        idle: encrypted keys that nothing reads.
        warnings: sentences about what may be wrong.
    """

    stack_file: StackFile
    region: str
    references: frozenset[str]
    idle: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def check(configuration: Configuration) -> Checked:
    """Checks a configuration.

    Raises:
        SettingsError: with every mistake there is.
    """
    namespace = configuration.project
    raw = {
        key.removeprefix(f"{namespace}:"): value
        for key, value in configuration.values.items()
        if key.startswith(f"{namespace}:")
    }
    structure = {key: value for key, value in raw.items() if key in STRUCTURE}
    references = dict(_references(structure))
    unread = _unread(namespace, raw, set(references.values()))
    found = _region(configuration)
    region = found if isinstance(found, str) else None
    mistakes = [
        *configuration.mistakes,
        *_foreign_settings(configuration, set(references.values())),
        *_secrets_in_structure(configuration, structure),
        *_unknown_keys(configuration, unread, set(references.values())),
        *_wrong_references(configuration, references),
        *_wrong_region(found),
    ]
    unwritable = list(_unwritable(namespace, structure, ()))
    if unwritable:
        raise SettingsError(configuration.stack, sorted([*mistakes, *unwritable], key=lambda one: one.path))
    try:
        # strict JSON mode takes a list where the model has a tuple
        stack_file = StackFile.model_validate_json(json.dumps(structure))
    except ValidationError as error:
        mistakes += from_validation(namespace, StackFile, error)
    else:
        mistakes += mistakes_between(namespace, stack_file, region, configuration.stack)
        mistakes += _out_of_a_pipelines_reach(configuration, stack_file)
        mistakes += _of_a_fleet(configuration, stack_file)
    if mistakes:
        raise SettingsError(configuration.stack, sorted(mistakes, key=lambda mistake: mistake.path))
    return Checked(
        stack_file=stack_file,
        region=region or "",
        references=frozenset(references.values()),
        idle=tuple(unread),
        warnings=tuple(_unlisted_regions(namespace, stack_file, region or "")),
    )


def parsed(text: str) -> Any:  # noqa: ANN401  whatever JSON holds
    """A config value as it is meant: Pulumi keeps structures, numbers and booleans as JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _references(structure: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every `config:` with its place, as far as the structure is sound enough to hold it."""
    for place, value in _values(structure):
        name = _map(value).get("config")
        if isinstance(name, str) and name:
            yield (*place, "config"), name


def _values(structure: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Everything that may be a `{config: ...}`, with its place."""
    for secret, declared in _map(structure.get("secrets")).items():
        for key, value in _map(_map(declared).get("values")).items():
            yield ("secrets", secret, "values", key), value
        for content in ("text", "binary"):
            yield ("secrets", secret, content), _map(declared).get(content)
    for database, declared in _map(structure.get("databases")).items():
        place = ("databases", database)
        yield (*place, "admin", "password"), _map(_map(declared).get("admin")).get("password")
        for login, about in _map(_map(declared).get("logins")).items():
            yield (*place, "logins", login, "password"), _map(about).get("password")
            for key, value in _map(_map(about).get("values")).items():
                yield (*place, "logins", login, "values", key), value


def _secrets_in_structure(configuration: Configuration, structure: Mapping[str, Any]) -> Iterator[Mistake]:
    namespace = configuration.project
    for key in structure:
        full_key = f"{namespace}:{key}"
        if full_key in configuration.encrypted:
            # the engine hands over decrypted values; only the file itself shows where they were encrypted
            text = _stack_file_text(configuration.stack, full_key) or configuration.values[full_key]
            for place in list(_encrypted_places(text, (key,))) or [(key,)]:
                yield Mistake(
                    path_of(namespace, place),
                    'an encrypted value ("secure:") is nested in the structure',
                    "Pulumi would hand the whole structure to the program in plain text",
                    "Give the value a key of its own with: pulumi config set --secret NAME; "
                    "then write {config: NAME} here",
                )


def _stack_file_text(stack: str, full_key: str) -> object:
    """Return what the stack file has under this key, still encrypted; None where there is no such file."""
    try:
        project = project_file(Path())
        content = map_in(project.stack_file(stack)).value
    except FileError:
        return None
    return keyed(content.get("config"), project.name).get(full_key)


def _encrypted_places(value: object, place: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        if value.keys() == {"secure"}:
            yield place
            return
        for key, item in value.items():
            yield from _encrypted_places(item, (*place, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _encrypted_places(item, (*place, index))


def _unwritable(namespace: str, value: object, place: tuple[str | int, ...]) -> Iterator[Mistake]:
    """Yield what YAML can hold and JSON cannot."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _unwritable(namespace, str(key), (*place, str(key)))
            yield from _unwritable(namespace, item, (*place, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unwritable(namespace, item, (*place, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield Mistake(
            path_of(namespace, place),
            "not a number that JSON has",
            "Whoever reads the secret could not parse it",
            "Write a finite number, or a text in quotes",
        )
    elif isinstance(value, str) and _SURROGATE.search(value):
        yield Mistake(
            path_of(namespace, place),
            "half of a surrogate pair, which is not a character",
            "AWS would refuse the text",
            r"Write the whole character, such as \U0001F511 in double quotes",
        )


def _foreign_settings(configuration: Configuration, referenced: set[str]) -> Iterator[Mistake]:
    """Yield settings of this program under a namespace that nothing reads, such as one that is misspelt."""
    project = configuration.project
    for key in configuration.values:
        namespace, _, name = key.rpartition(":")
        if namespace == project or key in referenced:
            continue
        near = difflib.SequenceMatcher(None, namespace.lower(), project.lower()).ratio() >= _NEAR_NAMESPACE
        if name in STRUCTURE or (near and namespace not in _OTHER_NAMESPACES):
            yield Mistake(
                key,
                f'the namespace "{namespace}" is not this project\'s, which is "{project}"',
                "Nothing would read it",
                f"Write {project}:{name}{nearest(name, STRUCTURE) if name not in STRUCTURE else ''}",
            )


def _unread(namespace: str, raw: Mapping[str, Any], referenced: set[str]) -> list[str]:
    known = {*STRUCTURE, *referenced}
    return [key for key in raw if key not in known and f"{namespace}:{key}" not in known]


def _unknown_keys(
    configuration: Configuration, unread: Iterable[str], referenced: set[str]
) -> Iterator[Mistake]:
    namespace = configuration.project
    for key in unread:
        if f"{namespace}:{key}" in configuration.encrypted:
            continue
        yield Mistake(
            path_of(namespace, (key,)),
            f'unknown key "{key}"{nearest(key, [*STRUCTURE, *referenced])}',
            "Nothing would read it",
            f"Known keys here: {', '.join(STRUCTURE)}, and those that a {{config: ...}} names. "
            f"Remove it with: pulumi config rm {key}",
        )


def _wrong_references(
    configuration: Configuration, references: Mapping[tuple[str, ...], str]
) -> Iterator[Mistake]:
    namespace = configuration.project
    for place, name in references.items():
        path = path_of(namespace, place)
        full_name = name if ":" in name else f"{namespace}:{name}"
        if full_name.removeprefix(f"{namespace}:") in STRUCTURE:
            yield Mistake(
                path,
                f'"{name}" is part of the structure',
                "The secret would hold the stack file's own text",
                "Name a config key of its own",
            )
        elif full_name not in configuration.values:
            yield Mistake(
                path,
                f'the config value "{name}" is not set',
                "The secret would have nothing to hold",
                f"Set it with: pulumi config set --secret {name}",
            )
        elif full_name not in configuration.encrypted:
            yield Mistake(
                path,
                f'the config value "{name}" is stored in plain text',
                "Everyone who reads the stack file would know it",
                f"Encrypt it with: pulumi config set --secret {name}; what is no secret is a {{value: ...}}",
            )


def _region(configuration: Configuration) -> object:
    configured = configuration.values.get("aws:region")
    return configured or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def _wrong_region(region: object) -> Iterator[Mistake]:
    if region is not None and not isinstance(region, str):
        yield Mistake(
            "aws:region",
            "expected text, found something else",
            "Pulumi would not know where to create the secrets",
            "Write one region, for example us-east-1",
        )
        return
    if region is None:
        yield Mistake(
            "aws:region",
            "no AWS region is set",
            "Pulumi would not know where to create the secrets",
            "Set it with: pulumi config set aws:region us-east-1",
        )
        return
    try:
        check_region(region)
    except PydanticCustomError as error:
        context = error.context or {}
        yield Mistake("aws:region", context["wrong"], context["consequence"], context["remedy"])


def _unlisted_regions(namespace: str, stack_file: StackFile, region: str) -> Iterator[str]:
    places = {"aws:region": region}
    for place, replicas in replicas_of(stack_file).items():
        places |= {
            path_of(namespace, (*place, index, "region")): replica.region
            for index, replica in enumerate(replicas)
        }
    for path, found in places.items():
        if not region_is_known(found):
            yield unlisted_region(path, found)


def _out_of_a_pipelines_reach(configuration: Configuration, stack_file: StackFile) -> Iterator[Mistake]:
    if stack_file.update_role is None:
        return
    naming = _map(configuration.values.get("pulumi:autonaming"))
    if naming.get("pattern") != AUTONAMING:
        yield Mistake(
            "pulumi:autonaming",
            "names in AWS would not begin with the stack's",
            "The role in updateRole may keep nothing that has another name",
            f'Write pulumi:autonaming: {{pattern: "{AUTONAMING}"}}',
        )
    if stack_file.permissions_boundary is None:
        yield Mistake(
            path_of(configuration.project, ("permissionsBoundary",)),
            "it is missing beside updateRole",
            "The role in updateRole may make no role without its boundary",
            "Write the ARN that the pipeline's stack shows",
        )


def _of_a_fleet(configuration: Configuration, stack_file: StackFile) -> Iterator[Mistake]:
    if stack_file.fleet is not None:
        yield Mistake(
            path_of(configuration.project, ("fleet",)),
            "this file is for several stacks, and not for one",
            "This stack would make every secret that theirs make",
            f"Run: python -m automation.fleet preview --stack {configuration.stack} (docs/fleet.md); or take "
            "fleet out of the file to have everything in this stack",
        )
