"""Send a payload to a webhook: HTTPS with a verified certificate, no redirect, and a limited time.

No error has the URL, the answer or the payload: the URL of most webhooks is their only protection.
"""

import http.client
import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from .errors import NoticeError

SECONDS = 15.0
"""How long a request may take in all."""
PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
_LONGEST_URL = 4_096
_REDIRECTS = range(300, 400)
_SUCCESS = range(200, 300)


def send(url: str, payload: Mapping[str, object], about: str, seconds: float = SECONDS) -> None:
    """Send a payload.

    Args:
        url: the webhook's URL.
        payload: sent as JSON.
        about: names the secret that has the URL, for errors.
        seconds: how long it may take; SECONDS by default.

    Raises:
        NoticeError: the webhook did not accept it, or the URL cannot be used.
    """
    host, port, path = _parts(url, about)
    body, result = json.dumps(payload).encode(), _Result()
    # A socket's timeout counts from each byte, and none covers the lookup of the name: a thread that is
    # waited for does. It ends with its socket's timeout, or with the environment.
    thread = threading.Thread(target=_post, args=(result, host, port, path, body, seconds), daemon=True)
    thread.start()
    thread.join(seconds)
    if result.status in _SUCCESS:
        return
    if result.status is not None:
        why = "a redirect, which is not followed" if result.status in _REDIRECTS else "check the secret"
        raise NoticeError(f"The webhook of {about} answered with HTTP {result.status}: {why}.")
    why = result.error or f"it did not answer within {seconds:.0f} seconds"
    raise NoticeError(f"The webhook of {about} got no message: {why}.")


@dataclass
class _Result:
    """The status of the answer, or why there is none."""

    status: int | None = None
    error: str | None = None


def _post(result: _Result, host: str, port: int | None, path: str, body: bytes, seconds: float) -> None:  # noqa: PLR0913, PLR0917  a request
    connection = http.client.HTTPSConnection(
        host, port, timeout=seconds, context=ssl.create_default_context()
    )
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json; charset=utf-8"})
        result.status = connection.getresponse().status
    except ssl.SSLCertVerificationError:
        result.error = "its certificate is not valid for its host, or not trusted"
    except (OSError, http.client.HTTPException, ValueError) as error:
        result.error = f"the request failed with {type(error).__name__}"
    finally:
        connection.close()


def _parts(url: str, about: str) -> tuple[str, int | None, str]:
    """Return host, port and path of a URL."""
    try:
        found = urlsplit(url)
        host, port = found.hostname, found.port
    except ValueError:
        host, port = None, None
    if (
        not host
        or found.scheme != "https"
        or "@" in found.netloc
        or len(url) > _LONGEST_URL
        or not all("!" <= one <= "~" for one in url)
    ):
        raise NoticeError(
            f"The value of {about} is not a URL of a webhook: write one that begins with https://, without a "
            "user name, spaces or line breaks."
        )
    path = found.path or "/"
    return host, port, f"{path}?{found.query}" if found.query else path
