"""GetRandomPassword. Source: AWS Secrets Manager API Reference, GetRandomPassword."""

import secrets
import string
from collections.abc import Mapping
from typing import Any

from tools.localcloud.emulator.secrets_rules import invalid_parameter

_TYPES = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}


def random_password(asked: Mapping[str, Any]) -> str:
    """Return a password of the character types not excluded, each included unless the request disables it.

    Raises:
        ServiceError: InvalidParameterException, when nothing is left to choose from or it is too short.
    """
    excluded = set(asked.get("ExcludeCharacters") or "")
    chosen = [characters for option, characters in _TYPES.items() if not asked.get(option)]
    chosen += [" "] if asked.get("IncludeSpace") else []
    types = [kept for characters in chosen if (kept := [c for c in characters if c not in excluded])]
    required = types if asked.get("RequireEachIncludedType", True) else []
    length = asked.get("PasswordLength", 32)
    if not types:
        raise invalid_parameter("There are no characters to choose from: every one of them is excluded.")
    if length < len(required):
        raise invalid_parameter("Password length is too short based on the required types.")
    everything = [character for characters in types for character in characters]
    password = [secrets.choice(characters) for characters in required]
    password += [secrets.choice(everything) for _ in range(length - len(required))]
    secrets.SystemRandom().shuffle(password)
    return "".join(password)
