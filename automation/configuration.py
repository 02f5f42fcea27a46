"""A stack's configuration: checked by the models of the stack file, then written, all of it or nothing."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import settings
from automation import errors
from automation.command import Cli
from automation.locks import locked
from automation.stack_file_text import with_config
from settings.documents import FileError, map_in
from settings.files import written_otherwise
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
    parsed = {key: settings.parsed(value) for key, value in values.items()}
    mistakes = written_otherwise(cli.folder, stack, parsed)
    return _checked(cli, stack, values, {key for key, about in told.items() if about["secret"]}, mistakes)


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
        _write(cli, stack, file, written, config, secrets)
    return stack_file_model


def stack_file(folder: Path, stack: str) -> Path:
    """Pulumi's name of it; of an organization's or project's stack only the last part counts."""
    return folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"


def _checked(
    cli: Cli,
    stack: str,
    values: Mapping[str, str],
    encrypted: Iterable[str],
    mistakes: Iterable[settings.Mistake] = (),
) -> settings.StackFile:
    region = cli.environment.get("AWS_REGION") or cli.environment.get("AWS_DEFAULT_REGION")
    with_region = {"aws:region": region, **values} if region else values
    configuration = settings.Configuration(
        project=cli.project,
        stack=stack,
        values={key: settings.parsed(value) for key, value in with_region.items()},
        encrypted=frozenset(encrypted),
        mistakes=tuple(mistakes),
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


def content_of(stack: str, file: Path) -> dict[str, Any]:
    """Return what a stack file holds, encrypted values as they are; empty if there is none.

    Raises:
        BadSettings: it cannot be read, or has a key twice.
    """
    if not file.exists():
        return {}
    try:
        return dict(map_in(file).value)
    except FileError as error:
        mistake = settings.Mistake(
            file.name,
            f"the stack file cannot be read: {str(error).removesuffix('.')}",
            "What it holds would be lost",
            "Correct it by hand, or remove it if nothing in it is needed",
        )
        raise errors.BadSettings(stack, [mistake]) from None


def _config(written: Mapping[str, Any]) -> dict[str, Any]:
    return written.get("config") or {}


def _write(  # noqa: PLR0913, PLR0917  what is written, where, and for whom
    cli: Cli,
    stack: str,
    file: Path,
    content: Mapping[str, Any],
    config: Mapping[str, Any],
    secrets: Mapping[str, str],
) -> None:
    """Write next to the file first: whatever happens, the file is the old one or the new one."""
    text = file.read_text("utf-8") if file.exists() else ""
    new = file.with_name(f".{file.name}.{os.getpid()}.yaml")
    try:
        new.write_text(with_config(text, content, config), "utf-8")
        for name, value in secrets.items():
            # On the command line, where the SDK's set_config puts it, every user of the machine could read
            # it. --raw keeps a newline at its end.
            arguments = ("config", "set", "--secret", "--raw", name, "--config-file", str(new))
            cli.run(stack, *arguments, standard_input=value)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
