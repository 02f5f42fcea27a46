"""The only reader of a stack's configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi.runtime import config as runtime_config

from settings.checking import Checked, Configuration, check, parsed
from settings.configured import wrong_values
from settings.files import written_otherwise
from settings.mistakes import Mistake, SettingsError
from settings.secrets import Secret
from settings.size import nearly_too_large
from settings.stack_file import StackFile

__all__ = [
    "Checked",
    "Configuration",
    "Mistake",
    "Secret",
    "Settings",
    "SettingsError",
    "StackFile",
    "check",
    "load",
    "parsed",
]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A stack's checked configuration.

    Attributes:
        stack_file: its structure.
        region: the region of the stack.
        configured: config key to value, a secret Output, for every `config:` in the structure.
    """

    stack_file: StackFile
    region: str
    configured: Mapping[str, pulumi.Output[str]]


def load() -> Settings:
    """Reads and checks the configuration of the current stack.

    Raises:
        SettingsError: with every mistake there is.
    """
    texts = runtime_config.CONFIG.get()
    values = {key: parsed(value) for key, value in texts.items()}
    stack = pulumi.get_stack()
    checked = check(
        Configuration(
            project=pulumi.get_project(),
            stack=stack,
            values=values,
            encrypted=frozenset(key for key in texts if runtime_config.is_config_secret(key)),
            mistakes=tuple(written_otherwise(Path(), stack, values)),
        )
    )
    for warning in checked.warnings:
        pulumi.log.warn(warning)
    for key in checked.idle:
        # its secret may have left the stack file for a while; losing the value would be worse
        pulumi.log.warn(f"Nothing reads the config value {key}. Remove it with: pulumi config rm {key}")
    wrong = list(wrong_values(pulumi.get_project(), checked.stack_file, texts))
    if wrong:
        raise SettingsError(stack, wrong)
    near = nearly_too_large(texts)
    if near:
        pulumi.log.warn(near)
    return Settings(
        stack_file=checked.stack_file,
        region=checked.region,
        configured={name: _reader(name).require_secret(_key(name)) for name in checked.references},
    )


def _reader(name: str) -> pulumi.Config:
    return pulumi.Config(name.rpartition(":")[0] or None)


def _key(name: str) -> str:
    return name.rpartition(":")[2]
