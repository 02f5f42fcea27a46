"""Generate values with the kernel's random generator."""

import base64
import secrets
from urllib.parse import quote

from .protocol import Encoding
from .request import Random, RandomBytes, Reference


def random_text(source: Random) -> str:
    """Return a text with the minimum of every class, filled up with any allowed characters, shuffled."""
    characters = [secrets.choice(kind.characters) for kind in source.classes for _ in range(kind.minimum)]
    alphabet = "".join(kind.characters for kind in source.classes if kind.allowed)
    characters += [secrets.choice(alphabet) for _ in range(source.length - len(characters))]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


def random_bytes(source: RandomBytes) -> str:
    """Return random bytes as encoded text."""
    return encoded(secrets.token_bytes(source.length), source.encoding)


def encoded(raw: bytes, encoding: Encoding) -> str:
    """Encode bytes; base64 is RFC 4648 section 4, base64url section 5 without padding."""
    match encoding:
        case "hex":
            return raw.hex()
        case "base64":
            return base64.b64encode(raw).decode()
        case "base64url":
            return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def joined(pieces: list[tuple[str | Reference, str]]) -> str:
    """Join pieces, each given with its text, which is percent-encoded if the reference is quoted."""
    return "".join(
        quote(text, safe="") if isinstance(piece, Reference) and piece.quoted else text
        for piece, text in pieces
    )
