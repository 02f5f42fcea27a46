"""Secrets Manager for these tests: `python -m tests.support.secrets_manager` prints its port and serves.

It is moto, corrected to move labels as AWS does, with only the first half of RotateSecret: it creates the
pending version, still without a value, and the test invokes the function.
"""

import sys
import time
from typing import Any

from moto.secretsmanager.exceptions import InvalidRequestException
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend
from moto.server import ThreadedMotoServer


def _rotate(
    backend: SecretsManagerBackend, secret_id: str, client_request_token: str, **_others: object
) -> str:
    secret = backend.secrets[secret_id]
    assert isinstance(secret, FakeSecret)
    for version in secret.versions.values():
        if "AWSPENDING" in version["version_stages"]:
            if "AWSCURRENT" not in version["version_stages"]:
                raise InvalidRequestException(
                    "A previous rotation isn't complete. That rotation will be reattempted."
                )
            version["version_stages"].remove("AWSPENDING")
    secret.versions[client_request_token] = {
        "createdate": int(time.time()),
        "version_id": client_request_token,
        "version_stages": ["AWSPENDING"],
    }
    secret.rotation_lambda_arn = "arn:aws:lambda:us-east-1:123456789012:function:rotation"
    secret.rotation_enabled = secret.rotation_requested = True
    return secret.to_short_dict()


def _make_current(secret: FakeSecret, secret_version: dict[str, Any], version_id: str) -> None:
    for version in secret.versions.values():
        stages = version["version_stages"]
        if "AWSPREVIOUS" in stages:
            stages.remove("AWSPREVIOUS")
    for version in secret.versions.values():
        stages = version["version_stages"]
        if "AWSCURRENT" in stages:
            stages[stages.index("AWSCURRENT")] = "AWSPREVIOUS"
    secret.versions[version_id] = secret_version
    secret.default_version_id = version_id


def main() -> None:
    SecretsManagerBackend.rotate_secret = _rotate  # type: ignore[assignment] # moto calls it with keywords
    setattr(FakeSecret, "reset_default_version", _make_current)  # noqa: B010  see above
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()  # until the parent process closes the pipe or ends


if __name__ == "__main__":
    main()
