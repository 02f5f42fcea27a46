"""A stack's configuration: checked by the models of the stack file, then written, all of it or nothing."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

import settings
from automation import errors
from automation.command import Cli
from automation.locks import locked
from settings.size import too_large

# Stands for an encrypted value where only its being there counts.
_ENCRYPTED = "encrypted"


def check(cli: Cli, stack: str) -> settings.StackFile:
    """Checks what the engine would hand to the program; decrypts nothing.

    Raises:
        BadSettings: with every mistake there is.
    """
    told: dict[str, dict[str, Any]] = json.loads(cli.run(stack, "config", "--json") or "{}")
    values = {key: str(about.get("value", _ENCRYPTED)) for key, about in told.items()}
    return _checked(cli, stack, values, {key for key, about in told.items() if about["secret"]})


def configure(
    cli: Cli,
    stack: str,
    structure: Mapping[str, Any],
    secrets: Mapping[str, str],
    aws: Mapping[str, Any],
) -> settings.StackFile:
    """Checks, then writes the stack file at one stroke: see `Stack.configure`.

    Raises:
        BadSettings: with every mistake there is; nothing was written.
    """
    cli.redactor.know(secrets.values())
    file = stack_file(cli.folder, stack)
    with locked(cli.folder / "Pulumi.yaml"):
        written = content_of(stack, file)
        kept = {
            key: value
            for key, value in _config(written).items()
            if not key.startswith(f"{cli.project}:") or _is_encrypted(value)
        }
        config = {
            **kept,
            **{f"aws:{key}": value for key, value in aws.items()},
            **{f"{cli.project}:{key}": value for key, value in structure.items()},
        }
        encrypted = {name if ":" in name else f"{cli.project}:{name}" for name in secrets}
        stack_file_model = _checked(
            cli,
            stack,
            {key: _as_text(value) for key, value in config.items()} | dict.fromkeys(encrypted, _ENCRYPTED),
            encrypted | {key for key, value in config.items() if _holds_encrypted(value)},
        )
        _write(cli, stack, file, {**written, "config": config}, secrets)
    return stack_file_model


def stack_file(folder: Path, stack: str) -> Path:
    """Pulumi's name of it; of an organization's or project's stack only the last part counts."""
    return folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"


def _checked(cli: Cli, stack: str, values: Mapping[str, str], encrypted: Iterable[str]) -> settings.StackFile:
    region = cli.environment.get("AWS_REGION") or cli.environment.get("AWS_DEFAULT_REGION")
    with_region = {"aws:region": region, **values} if region else values
    configuration = settings.Configuration(
        project=cli.project,
        stack=stack,
        values={key: settings.parsed(value) for key, value in with_region.items()},
        encrypted=frozenset(encrypted),
    )
    try:
        checked = settings.check(configuration)
    except settings.SettingsError as error:
        raise errors.BadSettings(stack, error.mistakes) from None
    if found := list(too_large(configuration)):
        raise errors.BadSettings(stack, found)
    return checked.stack_file


def _as_text(value: object) -> str:
    """As the engine hands a stack file's value to a program."""
    return value if isinstance(value, str) else json.dumps(value)


def _is_encrypted(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"secure"}


def _holds_encrypted(value: object) -> bool:
    if isinstance(value, dict):
        return _is_encrypted(value) or any(map(_holds_encrypted, value.values()))
    return isinstance(value, list) and any(map(_holds_encrypted, value))


class _Loader(yaml.SafeLoader):
    """Takes no key twice: what stood first would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT002
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise yaml.YAMLError(f'the key "{key}" is there twice')
        return super().construct_mapping(node, deep)


def content_of(stack: str, file: Path) -> dict[str, Any]:
    """What a stack file holds, encrypted values as they are; empty if there is none.

    Raises:
        BadSettings: it cannot be read, or has a key twice.
    """

    def unreadable(cause: object) -> errors.BadSettings:
        mistake = settings.Mistake(
            file.name,
            f"the stack file cannot be read: {cause}",
            "What it holds would be lost",
            "Put it right by hand, or take it away if nothing in it is needed",
        )
        return errors.BadSettings(stack, [mistake])

    if not file.exists():
        return {}
    try:
        content = yaml.load(file.read_text("utf-8"), _Loader) or {}  # noqa: S506  a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise unreadable(error) from None
    if not isinstance(content, dict) or not isinstance(content.get("config") or {}, dict):
        raise unreadable("it is no map, or its config is none")
    return content


def _config(written: Mapping[str, Any]) -> dict[str, Any]:
    return written.get("config") or {}


def _write(cli: Cli, stack: str, file: Path, content: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    """Beside the file first: whatever happens, the file is the old one or the new one."""
    heading = _heading(file)
    new = file.with_name(f".{file.name}.{os.getpid()}.yaml")
    try:
        new.write_text(heading + yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True), "utf-8")
        for name, value in secrets.items():
            # On the command line, where the SDK's set_config puts it, every user of the machine could read
            # it. --raw keeps a newline at its end.
            arguments = ("config", "set", "--secret", "--raw", name, "--config-file", str(new))
            cli.run(stack, *arguments, standard_input=value)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def _heading(file: Path) -> str:
    """The comments above the first key: an editor's schema, a person's words."""
    lines = file.read_text("utf-8").splitlines(keepends=True) if file.exists() else []
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[:first])
