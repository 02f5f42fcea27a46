"""Log in to the SMTP endpoint of Amazon SES, over TLS with a verified host name from the first byte."""

import smtplib
import ssl
import time
from dataclasses import dataclass, field

from . import deadline, tls
from .errors import LoginRefusedError, OperatorError

PORT = 465
"""TLS from the first byte. Source: Amazon SES Developer Guide, "Connecting to an SMTP endpoint"."""

_TIMEOUT_SECONDS = 15
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 10.0
_REFUSED, _TRY_LATER = 535, range(400, 500)


@dataclass(frozen=True, kw_only=True)
class SmtpLogin:
    """Credentials, and the endpoint that they are for."""

    host: str
    username: str
    password: str = field(repr=False)


class _TryLaterError(OperatorError):
    """The server cannot answer now."""


def log_in(login: SmtpLogin) -> None:
    """Log in, and send nothing; repeat it for a while, because a new access key is not known everywhere.

    Raises:
        LoginRefusedError: the server still rejects the credentials.
        OperatorError: it cannot be reached, is not trusted, or does not answer as expected.
    """
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            _attempt(login)
        except (LoginRefusedError, _TryLaterError):
            if deadline.seconds_left() < pause:
                raise
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        else:
            return


def _attempt(login: SmtpLogin) -> None:
    server = f"{login.host}:{PORT}"
    try:
        with smtplib.SMTP_SSL(login.host, PORT, timeout=_TIMEOUT_SECONDS, context=tls.context()) as session:
            session.login(login.username, login.password, initial_response_ok=True)
    except ssl.SSLCertVerificationError as error:
        raise OperatorError(f"The server at {server} {tls.explanation(error)}") from None
    except smtplib.SMTPResponseException as error:
        # no text of the server: it may repeat what it was sent
        code = error.smtp_code
        if code == _REFUSED:
            raise LoginRefusedError(
                f"The server at {server} rejects the credentials of access key {login.username!r}."
            ) from None
        kind = _TryLaterError if code in _TRY_LATER else OperatorError
        raise kind(f"The server at {server} answered the login with the code {code}.") from None
    except (smtplib.SMTPException, OSError) as error:
        raise OperatorError(
            f"Cannot log in at {server} ({type(error).__name__}). Check that the function has a route to it; "
            "in a VPC, that is a NAT gateway or the interface endpoint email-smtp."
        ) from None
