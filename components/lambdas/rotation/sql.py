"""Quote what goes into SQL text: identifiers, literals, and verifiers in place of passwords.

`ALTER ROLE ... PASSWORD` and similar statements take no parameters, so names and values are quoted, and only
here.
"""

import base64

import scramp

from .errors import OperatorError

LONGEST_NAME = 63  # bytes; PostgreSQL truncates longer names without an error, and would change another role
_ITERATIONS = 4096  # PostgreSQL's default; more would only protect weak passwords, and slow every login down


def check_name(name: str, what: str) -> None:
    """Raise OperatorError if `name` is not a valid PostgreSQL name; the message begins with `what`."""
    size = len(name.encode())
    if not name or "\0" in name:
        raise OperatorError(
            f"{what} is not a valid PostgreSQL name: it is empty or contains a NUL character."
        )
    if size > LONGEST_NAME:
        raise OperatorError(
            f"{what} is {name!r}, which has {size} bytes. A PostgreSQL name has at most {LONGEST_NAME}."
        )


def identifier(name: str) -> str:
    """Quote a name as an SQL identifier."""
    check_name(name, "A name")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a string, correctly for either setting of standard_conforming_strings."""
    if "\0" in text:
        raise OperatorError("A string for PostgreSQL contains a NUL character, which it does not support.")
    escaped = text.replace("'", "''")
    return " E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def scram_verifier(password: str) -> str:
    """Return the verifier that PostgreSQL stores for a password (RFC 5803).

    The server and its log never see the password itself.

    Raises:
        OperatorError: the password has characters that clients encode differently.
    """
    try:
        mechanism = scramp.ScramMechanism("SCRAM-SHA-256")
        salt, stored_key, server_key, iterations = mechanism.make_auth_info(password, _ITERATIONS)
    except scramp.ScramException:
        raise OperatorError(
            "The password contains control characters or characters newer than Unicode 3.2, which PostgreSQL "
            "clients encode differently. Choose a password without them."
        ) from None
    keys = ":".join(base64.b64encode(key).decode() for key in (stored_key, server_key))
    return f"SCRAM-SHA-256${iterations}:{base64.b64encode(salt).decode()}${keys}"
