"""The servers that the function trusts: those with a certificate for their host name from a known authority.

Environment:
    DATABASE_CA_PEM    certificates of additional certificate authorities, as PEM text
    DATABASE_CA_FILE   the same as a file, of a Lambda layer for example

Both add to the authorities of Amazon RDS, which are in the archive (`ca/rds.pem`).
"""

import os
import ssl
from functools import cache
from pathlib import Path

from .errors import OperatorError
from .protocol import CA_FILE_VARIABLE, CA_PEM_VARIABLE, HOST


def context() -> ssl.SSLContext:
    """Return the context that verifies chain and host name.

    Raises:
        OperatorError: an environment variable does not contain certificates.
    """
    return _context(os.environ.get(CA_PEM_VARIABLE), os.environ.get(CA_FILE_VARIABLE))


def explanation(error: ssl.SSLCertVerificationError) -> str:
    """Return why a server is not trusted, as the rest of a sentence that begins with its name."""
    return (
        f"is not trusted: {error.verify_message}. The function trusts the certificate authorities of "
        f"Amazon RDS and those in {CA_PEM_VARIABLE} or {CA_FILE_VARIABLE}. The key {HOST!r} must be "
        "a name in the certificate."
    )


@cache
def _context(pem: str | None, file: str | None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and host name
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_verify_locations(Path(__file__).with_name("ca") / "rds.pem")
    try:
        if pem:
            made.load_verify_locations(cadata=pem)
        if file:
            made.load_verify_locations(file)
    except (OSError, ValueError):
        raise OperatorError(
            f"Environment variable {CA_PEM_VARIABLE if pem else CA_FILE_VARIABLE} of the function does not "
            "contain valid PEM certificates. Correct it."
        ) from None
    return made
