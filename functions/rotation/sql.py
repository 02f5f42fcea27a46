"""Text that goes into SQL: identifiers, literals, and passwords that are none.

`ALTER ROLE ... PASSWORD` and its like take no parameters, so names and values are quoted here and nowhere
else.
"""

import base64

import scramp

from .errors import OperatorError

LONGEST_NAME = 63  # bytes; PostgreSQL cuts longer names without an error, and would act on another role
_ITERATIONS = 4096  # PostgreSQL's default; more protects weak passwords, at the cost of every login


def check_name(name: str, what: str) -> None:
    """Raise OperatorError if PostgreSQL cannot have an object of that name."""
    size = len(name.encode())
    if not name or "\0" in name:
        raise OperatorError(f"{what} is empty or holds a NUL character, which no PostgreSQL name may.")
    if size > LONGEST_NAME:
        raise OperatorError(
            f"{what} is {name!r}, {size} bytes long; PostgreSQL names have at most {LONGEST_NAME}."
        )


def identifier(name: str) -> str:
    """Quote a name."""
    check_name(name, "A name")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a string, whatever standard_conforming_strings says."""
    if "\0" in text:
        raise OperatorError("A text for PostgreSQL holds a NUL character.")
    escaped = text.replace("'", "''")
    return " E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def scram_verifier(password: str) -> str:
    """Return what PostgreSQL stores for a password (RFC 5803), so that the server and its log never see it.

    Raises:
        OperatorError: the password has characters that clients would not agree on how to send.
    """
    try:
        mechanism = scramp.ScramMechanism("SCRAM-SHA-256")
        salt, stored_key, server_key, iterations = mechanism.make_auth_info(password, _ITERATIONS)
    except scramp.ScramException:
        raise OperatorError(
            "The password holds control characters or characters newer than Unicode 3.2, which PostgreSQL "
            "clients do not all send alike. Choose one without them."
        ) from None
    keys = ":".join(base64.b64encode(key).decode() for key in (stored_key, server_key))
    return f"SCRAM-SHA-256${iterations}:{base64.b64encode(salt).decode()}${keys}"
