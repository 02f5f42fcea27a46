"""YAML that reviewers can compare: the same text for the same content."""

from collections.abc import Sequence
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """No anchors: each place says what it holds."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def render(documents: Sequence[Any]) -> str:
    """The documents in their order, keys in theirs, several lines as a block."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=1_000, allow_unicode=True)
