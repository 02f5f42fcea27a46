"""The SMTP password that Amazon SES derives from an access key.

Source: Amazon SES Developer Guide, "Obtaining Amazon SES SMTP credentials by converting existing AWS
credentials": a Signature Version 4 signature with a fixed date, which is different in every region.
"""

import base64
import hashlib
import hmac

_SCOPE = ("11111111", "{region}", "ses", "aws4_request", "SendRawEmail")
_VERSION = b"\x04"


def smtp_password(secret_access_key: str, region: str) -> str:
    """Return the SMTP password of an access key in a region; the key cannot be computed from it."""
    signature = f"AWS4{secret_access_key}".encode()
    for part in _SCOPE:
        signature = hmac.new(signature, part.format(region=region).encode(), hashlib.sha256).digest()
    return base64.b64encode(_VERSION + signature).decode()
