"""Check a stack's configuration, whether it comes from the engine or from files."""

import difflib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from stack_file.cross_checks import mistakes_between, replicas_of
from stack_file.documents import FileError, encrypted_places, keyed, map_in, project_file
from stack_file.mistakes import (
    Mistake,
    SettingsError,
    from_validation,
    located,
    nearest,
    path_of,
)
from stack_file.pipeline import AUTONAMING
from stack_file.regions import check_region, is_listed, unlisted_region
from stack_file.top_level import StackFile

STRUCTURE = tuple(field.alias or name for name, field in StackFile.model_fields.items())

# Namespaces of the providers and of Pulumi itself.
_OTHER_NAMESPACES = ("aws", "pulumi", "random")
_NEAR_NAMESPACE = 0.8
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A stack's configuration before it is checked.

    Attributes:
        project, stack: their names.
        values: full key, such as `aws:region`, to value, parsed if it is JSON.
        encrypted: full keys whose value is encrypted, in whole or in part.
        mistakes: mistakes that only the files show.
        included: section and name of each entry of an included file, to that file.
    """

    project: str
    stack: str
    values: Mapping[str, Any]
    encrypted: frozenset[str]
    mistakes: tuple[Mistake, ...] = ()
    included: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def passed(self) -> Mapping[str, Any]:
        """The values that the engine passes to the program: those without the entries of included files."""
        own = {}
        for section in {section for section, _ in self.included}:
            entries = self.values[f"{self.project}:{section}"]
            own[f"{self.project}:{section}"] = {
                name: entry for name, entry in entries.items() if (section, name) not in self.included
            }
        return {**self.values, **own}


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A configuration without mistakes.

    Attributes:
        stack_file: its structure.
        region: the stack's region.
        references: config keys that the structure reads by `config:`.
        idle: encrypted keys that nothing reads.
        warnings: sentences about what may be wrong.
    """

    stack_file: StackFile
    region: str
    references: frozenset[str]
    idle: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def check(configuration: Configuration) -> Checked:
    """Check a configuration.

    Raises:
        SettingsError: with every mistake in it.
    """
    try:
        return _checked(configuration)
    except SettingsError as error:
        mistakes = located(error.mistakes, configuration.included)
        raise SettingsError(configuration.stack, sorted(mistakes, key=lambda one: one.path)) from None


def _checked(configuration: Configuration) -> Checked:
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
        raise SettingsError(configuration.stack, [*mistakes, *unwritable])
    try:
        # strict JSON mode takes a list where the model has a tuple
        stack_file = StackFile.model_validate_json(json.dumps(structure))
    except ValidationError as error:
        mistakes += from_validation(namespace, StackFile, error)
    else:
        mistakes += mistakes_between(namespace, stack_file, region, configuration.stack)
        mistakes += _outside_pipeline_permissions(configuration, stack_file)
        mistakes += _of_a_fleet(configuration, stack_file)
    if mistakes:
        raise SettingsError(configuration.stack, mistakes)
    return Checked(
        stack_file=stack_file,
        region=region or "",
        references=frozenset(references.values()),
        idle=tuple(unread),
        warnings=tuple(_unlisted_regions(configuration, stack_file, region or "")),
    )


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _references(structure: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every `config:` with its place, wherever the structure is well-formed enough."""
    for place, value in _values(structure):
        name = _map(value).get("config")
        if isinstance(name, str) and name:
            yield (*place, "config"), name


def _values(structure: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield everything that may be a `{config: ...}`, with its place."""
    for secret, declared in _map(structure.get("secrets")).items():
        yield from _below(("secrets", secret), declared)
        for content in ("text", "binary"):
            yield ("secrets", secret, content), _map(declared).get(content)
    for database, declared in _map(structure.get("databases")).items():
        place = ("databases", database)
        yield (*place, "admin", "password"), _map(_map(declared).get("admin")).get("password")
        for login, about in _map(_map(declared).get("logins")).items():
            yield (*place, "logins", login, "password"), _map(about).get("password")
            yield from _below((*place, "logins", login), about)
    for cache, declared in _map(structure.get("caches")).items():
        for login, about in _map(_map(declared).get("logins")).items():
            yield from _below(("caches", cache, "logins", login), about)
    for secret, declared in _map(structure.get("smtp")).items():
        yield from _below(("smtp", secret), declared)


def _below(place: tuple[str, ...], declared: object) -> Iterator[tuple[tuple[str, ...], object]]:
    for key, value in _map(_map(declared).get("values")).items():
        yield (*place, "values", key), value


def _secrets_in_structure(configuration: Configuration, structure: Mapping[str, Any]) -> Iterator[Mistake]:
    namespace = configuration.project
    for key in structure:
        full_key = f"{namespace}:{key}"
        if full_key in configuration.encrypted:
            # the engine hands over decrypted values; only the file shows which ones were encrypted
            text = _stack_file_text(configuration.stack, full_key) or configuration.values[full_key]
            for place in list(encrypted_places(text, (key,))) or [(key,)]:
                yield Mistake(
                    path_of(namespace, place),
                    'an encrypted value ("secure:") is nested in the structure',
                    "Pulumi would pass the whole structure to the program in plain text",
                    "Store the value under its own key with: pulumi config set --secret NAME; "
                    "then use {config: NAME} here",
                )


def _stack_file_text(stack: str, full_key: str) -> object:
    """Return the stack file's value of a key, still encrypted; None if the file is missing."""
    try:
        project = project_file(Path())
        content = map_in(project.stack_file(stack)).value
    except FileError:
        return None
    return keyed(content.get("config"), project.name).get(full_key)


def _unwritable(namespace: str, value: object, place: tuple[str | int, ...]) -> Iterator[Mistake]:
    """Yield values that YAML can hold and JSON cannot."""
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
            "not a valid JSON number",
            "Readers of the secret could not parse it",
            "Use a finite number, or a text in quotes",
        )
    elif isinstance(value, str) and _SURROGATE.search(value):
        yield Mistake(
            path_of(namespace, place),
            "half of a surrogate pair, which is not a character",
            "AWS would reject the text",
            r"Write the whole character, such as \U0001F511 in double quotes",
        )


def _foreign_settings(configuration: Configuration, referenced: set[str]) -> Iterator[Mistake]:
    """Yield settings of this program under another namespace, such as a misspelt one."""
    project = configuration.project
    for key in configuration.values:
        namespace, _, name = key.rpartition(":")
        if namespace == project or key in referenced:
            continue
        near = difflib.SequenceMatcher(None, namespace.lower(), project.lower()).ratio() >= _NEAR_NAMESPACE
        if name in STRUCTURE or (near and namespace not in _OTHER_NAMESPACES):
            yield Mistake(
                key,
                f'the namespace is "{namespace}", not the project\'s name, "{project}"',
                "It would be ignored",
                f"Use {project}:{name}{nearest(name, STRUCTURE) if name not in STRUCTURE else ''}",
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
            "It would be ignored",
            f"Known keys here: {', '.join(STRUCTURE)}, and those that a {{config: ...}} reads. "
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
                f'"{name}" is a setting of the stack, not a secret config value',
                "The secret would hold the stack file's text",
                "Use a config key of its own",
            )
        elif full_name not in configuration.values:
            yield Mistake(
                path,
                f'the config value "{name}" is not set',
                "The secret would have no value",
                f"Set it with: pulumi config set --secret {name}",
            )
        elif full_name not in configuration.encrypted:
            yield Mistake(
                path,
                f'the config value "{name}" is stored in plain text',
                "Everyone who reads the stack file would know it",
                f"Encrypt it with: pulumi config set --secret {name}; if it is not secret, use "
                f"{{value: ...}}",
            )


def _region(configuration: Configuration) -> object:
    configured = configuration.values.get("aws:region")
    return configured or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def _wrong_region(region: object) -> Iterator[Mistake]:
    if region is not None and not isinstance(region, str):
        yield Mistake(
            "aws:region",
            "expected text, found something else",
            "",
            "Set one region, such as us-east-1",
        )
        return
    if region is None:
        yield Mistake(
            "aws:region",
            "no AWS region is set",
            "",
            "Set it with: pulumi config set aws:region us-east-1",
        )
        return
    try:
        check_region(region)
    except PydanticCustomError as error:
        context = error.context or {}
        yield Mistake("aws:region", context["wrong"], context["consequence"], context["remedy"])


def _unlisted_regions(configuration: Configuration, stack_file: StackFile, region: str) -> Iterator[str]:
    places = {"aws:region": region}
    for place, replicas in replicas_of(stack_file).items():
        places |= {
            path_of(configuration.project, (*place, index, "region")): replica.region
            for index, replica in enumerate(replicas)
        }
    unlisted = {path: found for path, found in places.items() if not is_listed(found)}
    shown = located((Mistake(path, "", "", "") for path in unlisted), configuration.included)
    for one, found in zip(shown, unlisted.values(), strict=True):
        yield unlisted_region(one.path, found)


def _outside_pipeline_permissions(configuration: Configuration, stack_file: StackFile) -> Iterator[Mistake]:
    if stack_file.update_role is None:
        return
    naming = _map(configuration.values.get("pulumi:autonaming"))
    if naming.get("pattern") != AUTONAMING:
        yield Mistake(
            "pulumi:autonaming",
            "resource names would not begin with the names of project and stack",
            "The role in updateRole has no access to resources with other names",
            f'Set pulumi:autonaming: {{pattern: "{AUTONAMING}"}}',
        )
    if stack_file.permissions_boundary is None:
        yield Mistake(
            path_of(configuration.project, ("permissionsBoundary",)),
            "updateRole is set without permissionsBoundary",
            "The role in updateRole cannot create a role without it",
            "Set the ARN from the pipeline stack's outputs",
        )


def _of_a_fleet(configuration: Configuration, stack_file: StackFile) -> Iterator[Mistake]:
    if stack_file.fleet is not None:
        yield Mistake(
            path_of(configuration.project, ("fleet",)),
            "this file is for a fleet of several stacks",
            "This stack would create every secret of theirs",
            f"Run: python -m operations fleet preview --stack {configuration.stack} (docs/fleet.md); or "
            "remove "
            "fleet to create everything in this stack",
        )
