"""Escape text that others chose before it is shown: names from stack files, states, databases and AWS.

A JSON key may contain any character. Unescaped, a line break in it can start a GitHub workflow command
(`::warning::`), an escape sequence can steer a terminal, and a bidirectional override can reverse a sentence.
"""

import re

# GitHub's runner takes "::name" at the beginning of a line and "##[name]" anywhere in one; Azure's "##vso[".
_COMMAND = re.compile(r"^(\s*):(?=:)|##")


def visible(text: str) -> str:
    r"""Return the text as one printable line that no terminal or workflow interprets as a command.

    Args:
        text: any text.

    Returns:
        The same text if it is harmless; every other character as `\u{1b}`, its code point in hexadecimal.
    """
    shown = text
    if not text.isprintable():
        shown = "".join(one if one.isprintable() else f"\\u{{{ord(one):x}}}" for one in text)
    return _COMMAND.sub(_broken, shown)


def visible_lines(text: str) -> str:
    """Return the text with each line escaped, and tabs as four spaces."""
    return "\n".join(visible(line.removesuffix("\r").replace("\t", "    ")) for line in text.split("\n"))


def _broken(command: re.Match[str]) -> str:
    return "#\\u{23}" if command[0] == "##" else f"{command[1]}\\u{{3a}}"
