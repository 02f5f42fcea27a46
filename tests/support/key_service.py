"""A key service that encrypts the tests' stacks, by the protocol that the engine speaks to AWS KMS.

A passphrase costs each engine command a third of a second: a million rounds of PBKDF2. Nobody keeps a secret
with this key, so what it encrypts is marked, not hidden: the engine encrypts with a data key of its own.
"""

import atexit
import base64
import functools
import json
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus

from tests.support.loopback_server import Answer, Handler, serving

_ARN = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
_MARK = b"data key: "
_JSON = (("Content-Type", "application/x-amz-json-1.1"),)


class _KeyService(Handler):
    def do_POST(self) -> None:  # noqa: N802  the base class's name
        asked = json.loads(self.body())
        action = self.headers["X-Amz-Target"].rpartition(".")[2]
        content = {"KeyId": _ARN, **_ACTIONS[action](asked)}
        self.reply(Answer(HTTPStatus.OK, _JSON, json.dumps(content).encode()))


def _encrypt(asked: dict[str, str]) -> dict[str, str]:
    marked = _MARK + base64.b64decode(asked["Plaintext"])
    return {"CiphertextBlob": base64.b64encode(marked).decode()}


def _decrypt(asked: dict[str, str]) -> dict[str, str]:
    data_key = base64.b64decode(asked["CiphertextBlob"]).removeprefix(_MARK)
    return {"Plaintext": base64.b64encode(data_key).decode()}


_ACTIONS: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {"Encrypt": _encrypt, "Decrypt": _decrypt}


@functools.cache
def secrets_provider() -> str:
    """Return the URL for `pulumi stack init --secrets-provider`; the service ends with this process."""
    service = ExitStack()
    atexit.register(service.close)
    endpoint = service.enter_context(serving(_KeyService))
    return f"awskms:///{_ARN}?region=us-east-1&endpoint={endpoint}"
