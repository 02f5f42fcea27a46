"""Explain in an operator's words why a download or a build failed."""

import re

from tools.localcloud.layout import SetupError

_LINES_SHOWN = 6

_NETWORK = re.compile(
    r"dial tcp|no such host|connection refused|connection reset|network is unreachable|i/o timeout|"
    r"TLS handshake|x509|proxyconnect|name resolution|NewConnectionError|ConnectTimeout|Read timed out|"
    r"Max retries|No matching distribution|Bad Gateway|Service Unavailable|Gateway Time-?out|"
    r"40[347] |50[0-4] |unexpected EOF|module lookup disabled|failed to download|error downloading",
    re.IGNORECASE,
)
_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_CHANGED = re.compile(r"checksum mismatch|DO NOT MATCH THE HASHES|SECURITY ERROR")


def failure(what: str, output: str) -> SetupError:
    """Return the error for a command that could not get `what`; `output` is what that command said."""
    said = "".join(f"\n    {line}" for line in output.strip().splitlines()[-_LINES_SHOWN:])
    if _SPACE.search(output):
        return SetupError(
            f"The disk is full, so {what} could not be stored. Free some space, then run it again.{said}"
        )
    if _CHANGED.search(output):
        return SetupError(
            f"What was downloaded as {what} differs from the hash pinned in this repository and was not "
            f"used. A mirror or proxy that alters files is the usual reason.{said}"
        )
    if _NETWORK.search(output):
        return SetupError(
            f"Could not fetch {what}. Check the network and the settings of any proxy or mirror "
            f"(HTTPS_PROXY, GOPROXY, PIP_INDEX_URL), then run it again: it continues from here.{said}"
        )
    return SetupError(f"{what} is not available:{said}")
