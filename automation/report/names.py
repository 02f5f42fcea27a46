"""Names that others chose, made harmless: in a pull request they are whatever its author likes."""

import functools

from components import visible as harmless

_MOST_CHARACTERS = 120
_TAIL = 30


@functools.lru_cache(maxsize=4_096)
def visible(text: str) -> str:
    r"""The text in printable ASCII without backticks and backslashes; others as `\u{1f511}`.

    So it cannot leave a code span, reverse the direction of writing or steer a terminal. A long one is cut in
    its middle.
    """
    pieces = [
        character if " " <= character <= "~" and character not in "`\\" else f"\\u{{{ord(character):x}}}"
        for character in text
    ]
    if harmless.visible(text) != text:  # what a workflow takes for a command
        pieces = [*harmless.visible("".join(pieces))]
    if sum(map(len, pieces)) > _MOST_CHARACTERS:
        pieces = [*_most(pieces, _MOST_CHARACTERS - _TAIL), "...", *reversed(_most(pieces[::-1], _TAIL))]
    return "".join(pieces) or "(empty)"


def code_lines(text: str) -> list[str]:
    """Return a text in full for people to read: its lines, each in printable characters."""
    return harmless.visible_lines(text).split("\n")


def _most(pieces: list[str], size: int) -> list[str]:
    taken, left = [], size
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        taken.append(piece)
    return taken
