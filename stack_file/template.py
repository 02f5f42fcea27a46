"""Parse templates, which combine several keys: `redis://:${password|url}@cache:6379`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PIECE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})(?P<url>\|url)?\}|(?P<wrong>\$)|[^$]+")


class TemplateError(ValueError):
    """A text is not a valid template. The message has the position."""


@dataclass(frozen=True)
class Placeholder:
    """A placeholder for a key's value; `url` percent-encodes all but RFC 3986's unreserved characters."""

    name: str
    url: bool = False


def parse(text: str) -> tuple[str | Placeholder, ...]:
    """Return the texts and placeholders of a template, in order; `$$` is a dollar sign.

    Raises:
        TemplateError: a dollar sign begins neither a placeholder nor `$$`.
    """
    pieces: list[str | Placeholder] = []
    for found in _PIECE.finditer(text):
        if found["wrong"]:
            raise TemplateError(f'the "$" at character {found.start() + 1}')
        piece = Placeholder(found["name"], bool(found["url"])) if found["name"] else found[0]
        if isinstance(piece, Placeholder):
            pieces.append(piece)
            continue
        piece = "$" if piece == "$$" else piece
        if pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return tuple(pieces)


def names(pieces: Iterable[str | Placeholder]) -> set[str]:
    """Return the names of the placeholders."""
    return {piece.name for piece in pieces if isinstance(piece, Placeholder)}
