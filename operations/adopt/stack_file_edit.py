"""Add secrets and logins to a stack file, or remove them; what else is in it stays as it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from operations.adopt.model import SourceError
from operations.configuration import content_of
from operations.files import locked, replace_text
from operations.stack_file_text import with_config
from stack_file.documents import full_key, project_file
from stack_file.yaml_text import YamlError, read, write

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Database:
    """Logins of a database server.

    Attributes:
        server: the settings of its entry, for a stack file that does not have it.
        logins: the logins, by the names of their secrets.
    """

    server: Mapping[str, Any]
    logins: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Entries:
    """Entries of a stack file: secrets by name, and databases with logins by name."""

    secrets: Mapping[str, Any] = field(default_factory=dict)
    databases: Mapping[str, Database] = field(default_factory=dict)


def add_entries(folder: Path, project: str, stack: str, added: Entries) -> None:
    """Add entries to a stack file, at one stroke; those that it has already stay as they are.

    Raises:
        SourceError: it cannot be written.
        InvalidConfigurationError: it cannot be read.
    """
    _edit(folder, project, stack, added=added, removed=Entries())


def remove_entries(folder: Path, project: str, stack: str, removed: Entries) -> None:
    """Remove entries from a stack file, at one stroke; an entry that differs is a person's, and stays.

    Raises:
        SourceError: it cannot be written.
        InvalidConfigurationError: it cannot be read.
    """
    _edit(folder, project, stack, added=Entries(), removed=removed)


def add_secrets(folder: Path, project: str, stack: str, secrets: Mapping[str, Any]) -> None:
    """Add secrets to a stack file, as `add_entries`."""
    add_entries(folder, project, stack, Entries(secrets=secrets))


def remove_secrets(folder: Path, project: str, stack: str, secrets: Mapping[str, Any]) -> None:
    """Remove secrets from a stack file, as `remove_entries`."""
    remove_entries(folder, project, stack, Entries(secrets=secrets))


def entries_text(entries: Entries) -> str:
    """Return the entries as they are in a stack file, below `config:`."""
    wanted: dict[str, Any] = {}
    if entries.secrets:
        wanted["aws-secrets:secrets"] = dict(entries.secrets)
    if entries.databases:
        wanted["aws-secrets:databases"] = with_logins({}, entries.databases)
    return write(wanted) if wanted else ""


def with_logins(before: Mapping[str, Any], added: Mapping[str, Database]) -> dict[str, Any]:
    """Return `databases` with more logins; a login that it has already stays as it is."""
    after = dict(before)
    for name, database in added.items():
        known = after.get(name) or dict(database.server)
        present = known.get("logins") or {}
        new = {login: declared for login, declared in database.logins.items() if login not in present}
        after[name] = {**known, "logins": {**present, **new}}
    return after


def _without_logins(before: Mapping[str, Any], removed: Mapping[str, Database]) -> dict[str, Any]:
    """Return `databases` without some logins, and without servers that have none then."""
    after = dict(before)
    for name, database in removed.items():
        known = after.get(name)
        if not isinstance(known, dict):
            continue
        logins = {
            login: declared
            for login, declared in (known.get("logins") or {}).items()
            if database.logins.get(login) != declared
        }
        if logins:
            after[name] = {**known, "logins": logins}
        else:
            after.pop(name)
    return after


def _edit(folder: Path, project: str, stack: str, *, added: Entries, removed: Entries) -> None:
    # a link is followed: replacing it would leave the file behind it as it was
    file = project_file(folder).stack_file(stack).resolve()
    with locked(folder / "Pulumi.yaml"):
        content = content_of(stack, file)
        config = dict(content.get("config") or {})
        key, before = _below_config(config, project, "secrets")
        new = {name: declared for name, declared in added.secrets.items() if name not in before}
        after = {
            name: declared
            for name, declared in {**before, **new}.items()
            if removed.secrets.get(name) != declared
        }
        databases_key, databases = _below_config(config, project, "databases")
        changed = _without_logins(with_logins(databases, added.databases), removed.databases)
        if after == before and changed == databases:
            return
        wanted = dict(config)
        for one, value, previous in ((key, after, before), (databases_key, changed, databases)):
            if value:
                wanted[one] = value
            elif previous:
                wanted.pop(one, None)
        text = file.read_text("utf-8") if file.exists() else ""
        try:
            is_simple = not removed.secrets and changed == databases
            edited = _with_entries(text, key, new) if is_simple else None
            if edited is None or not _holds(edited, {**content, "config": wanted}):
                edited = with_config(text, content, wanted)
        except YamlError as error:
            raise SourceError(f"{file.name} cannot be written: {error}") from None
        _replace(file, edited)


def _below_config(config: Mapping[str, Any], project: str, name: str) -> tuple[str, dict[str, Any]]:
    """Return the key of a setting as the file writes it, and its value."""
    full = f"{project}:{name}"
    key = next((one for one in config if full_key(one, project) == full), full)
    return key, dict(config.get(key) or {})


def _with_entries(text: str, key: str, new: Mapping[str, Any]) -> str | None:
    """Return the text with entries behind the last one of `secrets`; None where that is not possible."""
    root = yaml.compose(text, Loader=_LOADER) if text else None
    secrets = _below(_below(root, "config"), key)
    lines = text.splitlines(keepends=True)
    if secrets is None or not lines[-1].endswith("\n"):
        return None
    end = min(secrets.end_mark.line, len(lines))
    while end > 0 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    indentation = " " * secrets.value[0][0].start_mark.column
    written = [f"{indentation}{line}" for line in write(new).splitlines(keepends=True)]
    return "".join([*lines[:end], *written, *lines[end:]])


def _below(node: "yaml.Node | None", key: str) -> "yaml.MappingNode | None":
    """Return the map in block style below a key; None if there is none."""
    if not isinstance(node, yaml.MappingNode):
        return None
    for name, value in node.value:
        if name.value == key and isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
            return value
    return None


def _holds(text: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return bool(read(text).value == wanted)
    except YamlError:
        return False


def _replace(file: Path, text: str) -> None:
    try:
        replace_text(file, text)
    except OSError as error:
        raise SourceError(f"{file} cannot be written: {error.strerror}.") from None
