"""Render names that others chose, such as those of a pull request, as harmless text."""

import functools

from components import visible as harmless

_MOST_CHARACTERS = 120
_TAIL = 30


@functools.lru_cache(maxsize=4_096)
def visible(text: str) -> str:
    r"""Return the text in printable ASCII, with backticks, backslashes and other characters as `\u{1f511}`.

    It cannot leave a code span, reverse the writing direction or control a terminal. The middle of a long
    text is omitted.
    """
    pieces = [
        character if " " <= character <= "~" and character not in "`\\" else f"\\u{{{ord(character):x}}}"
        for character in text
    ]
    if harmless.visible(text) != text:  # a workflow would run it as a command
        pieces = [*harmless.visible("".join(pieces))]
    if sum(map(len, pieces)) > _MOST_CHARACTERS:
        pieces = [*_first(pieces, _MOST_CHARACTERS - _TAIL), "...", *reversed(_first(pieces[::-1], _TAIL))]
    return "".join(pieces) or "(empty)"


def code_lines(text: str) -> list[str]:
    """Return all lines of a text, each in printable characters."""
    return harmless.visible_lines(text).split("\n")


def _first(pieces: list[str], size: int) -> list[str]:
    taken, left = [], size
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        taken.append(piece)
    return taken
