"""YAML for review: the same text for the same content, which every parser reads alike."""

import re
from collections.abc import Sequence
from typing import Any

import yaml

# kubectl and the API server mix YAML 1.1 and 1.2, and read more plain scalars as numbers and booleans than
# PyYAML does (y, 1e3). Only what all of them read as text is written without quotes.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.:@+=-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: each value is written out wherever it occurs."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _style(value: str) -> str | None:
    if not (value.isascii() and value.replace("\n", "").isprintable()):
        return '"'  # other styles would lose the other line breaks
    if "\n" in value:
        return "|"
    return None if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else "'"


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=_style(value))


_Dumper.add_representer(str, _text)


def render(documents: Sequence[Any]) -> str:
    """Return the documents as YAML, in their order and with keys in theirs; several lines as a block."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=1_000, allow_unicode=True)
