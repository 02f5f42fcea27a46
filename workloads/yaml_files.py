"""YAML that reviewers can compare: the same text for the same content, read alike by every reader."""

import re
from collections.abc import Sequence
from typing import Any

import yaml

# kubectl and the API server mix YAML 1.1 and 1.2 and know more numbers and truths than PyYAML does (y, 1e3):
# without quotes stands only what none of them takes for anything but text.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.:@+=-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})


class _Dumper(yaml.SafeDumper):
    """No anchors: each place says what it holds."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _style(value: str) -> str | None:
    if not (value.isascii() and value.replace("\n", "").isprintable()):
        return '"'  # other line breaks would be lost
    if "\n" in value:
        return "|"
    return None if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else "'"


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=_style(value))


_Dumper.add_representer(str, _text)


def render(documents: Sequence[Any]) -> str:
    """The documents in their order, keys in theirs, several lines as a block."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=1_000, allow_unicode=True)
