"""A stack's configuration: checked by the models of the stack file, then written atomically."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from operations import errors
from operations.files import locked, replace_file
from operations.pulumi_cli import Cli
from operations.stack_file_text import with_config
from stack_file import Configuration, Mistake, SettingsError, StackFile, parsed
from stack_file import check as check_configuration
from stack_file.documents import FileError, has_encrypted, is_encrypted, map_in
from stack_file.files import written_otherwise
from stack_file.included import with_included
from stack_file.size import too_large

# Placeholder for an encrypted value: the checks need to know only that it exists.
_ENCRYPTED = "encrypted"


def check(cli: Cli, stack: str) -> StackFile:
    """Check the configuration that the engine would pass to the program; decrypts nothing.

    Raises:
        InvalidConfigurationError: the configuration has mistakes.
    """
    config: dict[str, dict[str, Any]] = json.loads(cli.run(stack, "config", "--json") or "{}")
    values = {key: str(entry.get("value", _ENCRYPTED)) for key, entry in config.items()}
    secret_keys = {key for key, entry in config.items() if entry["secret"]}
    mistakes = written_otherwise(cli.folder, stack, {key: parsed(value) for key, value in values.items()})
    return _checked(cli, stack, values, secret_keys, mistakes)


def configure(
    cli: Cli,
    stack: str,
    structure: Mapping[str, Any],
    secrets: Mapping[str, str],
    aws: Mapping[str, Any],
) -> StackFile:
    """Check a configuration, then write it to the stack file; see `Stack.configure`.

    Raises:
        InvalidConfigurationError: the configuration has mistakes; nothing was written.
    """
    cli.redactor.know(secrets.values())
    file = stack_file(cli.folder, stack)
    with locked(cli.folder / "Pulumi.yaml"):
        content = content_of(stack, file)
        config = {
            **{
                key: value
                for key, value in _config(content).items()
                if not key.startswith(f"{cli.project}:") or is_encrypted(value)
            },
            **{f"aws:{key}": value for key, value in aws.items()},
            **{f"{cli.project}:{key}": value for key, value in structure.items()},
        }
        new_secrets = {name if ":" in name else f"{cli.project}:{name}" for name in secrets}
        model = _checked(
            cli,
            stack,
            {key: _as_text(value) for key, value in config.items()} | dict.fromkeys(new_secrets, _ENCRYPTED),
            new_secrets | {key for key, value in config.items() if has_encrypted(value)},
        )

        def write(temporary: Path) -> None:
            text = file.read_text("utf-8") if file.exists() else ""
            temporary.write_text(with_config(text, content, config), "utf-8")
            for name, value in secrets.items():
                # Any user of the machine could read a value on the command line, where the SDK's set_config
                # puts it. --raw keeps a trailing newline.
                arguments = ("config", "set", "--secret", "--raw", name, "--config-file", str(temporary))
                cli.run(stack, *arguments, standard_input=value)

        replace_file(file, write)
    return model


def stack_file(folder: Path, stack: str) -> Path:
    """Return the path of a stack file. Only the last part of ORGANIZATION/PROJECT/STACK counts."""
    return folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"


def content_of(stack: str, file: Path) -> dict[str, Any]:
    """Return the content of a stack file, with encrypted values as they are; empty if it does not exist.

    Raises:
        InvalidConfigurationError: the file cannot be read, or contains a key twice.
    """
    if not file.exists():
        return {}
    try:
        return dict(map_in(file).value)
    except FileError as error:
        mistake = Mistake(
            file.name,
            f"the stack file cannot be read: {str(error).removesuffix('.')}",
            "Its content would be lost",
            "Fix it by hand, or delete it if you do not need its content",
        )
        raise errors.InvalidConfigurationError(stack, [mistake]) from None


def _checked(
    cli: Cli,
    stack: str,
    values: Mapping[str, str],
    encrypted: Iterable[str],
    mistakes: Iterable[Mistake] = (),
) -> StackFile:
    region = cli.environment.get("AWS_REGION") or cli.environment.get("AWS_DEFAULT_REGION")
    with_region = {"aws:region": region, **values} if region else values
    passed = Configuration(
        project=cli.project,
        stack=stack,
        values={key: parsed(value) for key, value in with_region.items()},
        encrypted=frozenset(encrypted),
        mistakes=tuple(mistakes),
    )
    configuration = with_included(passed, cli.folder)
    try:
        checked = check_configuration(configuration)
    except SettingsError as error:
        raise errors.InvalidConfigurationError(stack, error.mistakes) from None
    if not cli.runs_inline and (oversized := list(too_large(configuration))):
        raise errors.InvalidConfigurationError(stack, oversized)
    return checked.stack_file


def _config(content: Mapping[str, Any]) -> dict[str, Any]:
    return content.get("config") or {}


def _as_text(value: object) -> str:
    """Return a stack file's value as the engine passes it to a program."""
    return value if isinstance(value, str) else json.dumps(value)
