"""Load the current stack's configuration from the engine. Only this module of the package imports Pulumi."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
from pulumi.runtime import config as runtime_config

from stack_file.checking import Configuration, check
from stack_file.config_secrets import wrong_values
from stack_file.documents import parsed
from stack_file.files import written_otherwise
from stack_file.included import with_included
from stack_file.mistakes import SettingsError, located
from stack_file.size import VARIABLE, nearly_too_large
from stack_file.top_level import StackFile


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A stack's checked configuration.

    Attributes:
        stack_file: its structure.
        region: the stack's region.
        config_secrets: config key to value, as a secret Output, for every `config:` in the structure.
        included: section and name of each entry of an included file, to that file.
    """

    stack_file: StackFile
    region: str
    config_secrets: Mapping[str, pulumi.Output[str]]
    included: Mapping[tuple[str, str], str] = field(default_factory=dict)


def load() -> Settings:
    """Read and check the configuration of the current stack; log its warnings.

    Raises:
        SettingsError: with every mistake in it.
    """
    texts = runtime_config.CONFIG.get()
    values = {key: parsed(value) for key, value in texts.items()}
    project, stack = pulumi.get_project(), pulumi.get_stack()
    passed = Configuration(
        project=project,
        stack=stack,
        values=values,
        encrypted=frozenset(key for key in texts if runtime_config.is_config_secret(key)),
        mistakes=tuple(written_otherwise(Path(), stack, values)),
    )
    configuration = with_included(passed, Path())
    checked = check(configuration)
    for warning in checked.warnings:
        pulumi.log.warn(warning)
    for key in checked.idle:
        # a warning only: its secret may have left the stack file for a while, and the value would be lost
        pulumi.log.warn(f"Nothing reads the config value {key}. Remove it with: pulumi config rm {key}")
    wrong = list(wrong_values(project, checked.stack_file, texts))
    if wrong:
        raise SettingsError(stack, located(wrong, configuration.included))
    # an inline program gets its configuration without the variable
    near = nearly_too_large(texts) if VARIABLE in os.environ else None
    if near:
        pulumi.log.warn(near)
    return Settings(
        stack_file=checked.stack_file,
        region=checked.region,
        config_secrets={name: _config_secret(name) for name in checked.references},
        included=configuration.included,
    )


def _config_secret(name: str) -> pulumi.Output[str]:
    namespace, _, key = name.rpartition(":")
    return pulumi.Config(namespace or None).require_secret(key)
