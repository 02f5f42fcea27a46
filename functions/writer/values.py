"""New values, from the kernel's random generator."""

import base64
import secrets
from urllib.parse import quote

from .request import Encoding, Random, RandomBytes, Reference


def random_text(wanted: Random) -> str:
    """A text with the least number of every class, and the rest of any allowed character, in any order."""
    chosen = [secrets.choice(kind.characters) for kind in wanted.classes for _ in range(kind.minimum)]
    alphabet = "".join(kind.characters for kind in wanted.classes if kind.allowed)
    chosen += [secrets.choice(alphabet) for _ in range(wanted.length - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


def random_bytes(wanted: RandomBytes) -> str:
    """Random bytes in the encoding that is wanted."""
    return encoded(secrets.token_bytes(wanted.length), wanted.encoding)


def encoded(raw: bytes, encoding: Encoding) -> str:
    """Bytes as text; base64 is RFC 4648 section 4, base64url section 5 without padding."""
    match encoding:
        case "hex":
            return raw.hex()
        case "base64":
            return base64.b64encode(raw).decode()
        case "base64url":
            return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def joined(pieces: list[tuple[str | Reference, str]]) -> str:
    """One text of pieces, each with its text; a reference may ask for it to be quoted for a URL."""
    return "".join(
        quote(text, safe="") if isinstance(piece, Reference) and piece.quoted else text
        for piece, text in pieces
    )
