"""Compute what MySQL and MariaDB store for a password, so that no statement contains the password itself.

mysql_native_password stores a double SHA-1. caching_sha2_password stores SHA-256 crypt, of the password with
a random salt of 20 characters, as `$A$ROUNDS$SALT` and 43 characters of base 64; ROUNDS is a hexadecimal
number of thousands.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field

from .random_key import alphanumeric

NATIVE = "mysql_native_password"
CACHING_SHA2 = "caching_sha2_password"

_SALT_LENGTH = 20
_THOUSANDS = 5  # the default of MySQL 8.0; more would only protect weak passwords
_STORED = re.compile(r"\$A\$([0-9A-Fa-f]{3})\$(.{20})(.{43})", re.DOTALL)
_BASE64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Verifier:
    """A server's data for one password of an account. Its `repr` does not contain it.

    Attributes:
        plugin: the authentication plugin.
        stored: the plugin's data; empty if the account has no password.
    """

    plugin: str
    stored: str = field(repr=False)

    def matches(self, password: str) -> bool:
        """Return whether it is of `password`; False for a plugin that this module does not know."""
        if self.plugin == NATIVE:
            return hmac.compare_digest(self.stored.upper(), native(password).stored)
        known = _STORED.fullmatch(self.stored) if self.plugin == CACHING_SHA2 else None
        if known is None:
            return False
        digest = _sha256_crypt(password.encode(), known[2].encode(), int(known[1], 16) * 1000)
        return hmac.compare_digest(digest.encode(), known[3].encode())


def native(password: str) -> Verifier:
    """Return the verifier of mysql_native_password."""
    twice = hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest()  # noqa: S324 - the plugin's own
    return Verifier(NATIVE, f"*{twice.upper()}")


def caching_sha2(password: str) -> Verifier:
    """Return a verifier of caching_sha2_password, with a new salt."""
    salt = alphanumeric(_SALT_LENGTH)
    digest = _sha256_crypt(password.encode(), salt.encode(), _THOUSANDS * 1000)
    return Verifier(CACHING_SHA2, f"$A${_THOUSANDS:03X}${salt}{digest}")


def _sha256_crypt(password: bytes, salt: bytes, rounds: int) -> str:
    """Return the 43 characters of SHA-256 crypt (Drepper, "Unix crypt using SHA-256 and SHA-512")."""
    start = hashlib.sha256(password + salt + _repeated(_digest(password + salt + password), len(password)))
    alternate = _digest(password + salt + password)
    length = len(password)
    while length:
        start.update(alternate if length & 1 else password)
        length >>= 1
    digest = start.digest()
    p = _repeated(_digest(password * len(password)), len(password))
    s = _repeated(_digest(salt * (16 + digest[0])), len(salt))
    for number in range(rounds):
        odd = number % 2
        data = p if odd else digest
        if number % 3:
            data += s
        if number % 7:
            data += p
        digest = _digest(data + (digest if odd else p))
    return _encoded(digest)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _repeated(data: bytes, length: int) -> bytes:
    return (data * (length // len(data) + 1))[:length]


def _encoded(digest: bytes) -> str:
    """Encode a digest in the order of bytes and the alphabet of crypt."""
    order = [(0, 10, 20), (21, 1, 11), (12, 22, 2), (3, 13, 23), (24, 4, 14)]
    order += [(15, 25, 5), (6, 16, 26), (27, 7, 17), (18, 28, 8), (9, 19, 29)]
    text = "".join(_characters((digest[a] << 16) | (digest[b] << 8) | digest[c], 4) for a, b, c in order)
    return text + _characters((digest[31] << 8) | digest[30], 3)


def _characters(number: int, count: int) -> str:
    return "".join(_BASE64[number >> 6 * position & 63] for position in range(count))
