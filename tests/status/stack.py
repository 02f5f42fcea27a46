"""The stack that the tests of the status deploy, and ways to ask for its status."""

import io
import os
import subprocess
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from unittest.mock import patch

from automation.status import Status, status
from automation.status.__main__ import main
from automation.status.model import Secret
from tests.engine.stacks import ROOT, Stack

ACCOUNT = "123456789012"
READER = "arn:aws:iam::210987654321:role/reader"
POLICY = {
    "Statement": {
        "Effect": "Allow",
        "Principal": {"AWS": READER},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
}
ROTATING = ("off", "schedule", "function")
DRIFTING = ("description", "tags", "key", "policy", "replica", "allowed")
_RANDOM = {"KEY": {"random": {"length": 24, "special": False}}}
_ROTATION = {"keys": ["KEY"], "length": 32, "format": "hex", "automaticallyAfterDays": 90}

SECRETS: dict[str, dict[str, Any]] = {
    "app": {
        "description": "Secrets for the application",
        "tags": {"owner": "web"},
        "policy": POLICY,
        "replicas": [{"region": "eu-west-1"}],
        "values": {**_RANDOM, "STRIPE": {"config": "stripeKey"}},
    },
    "vendor/prismic": {"values": {"TOKEN": {"filledByHand": "Prismic > Settings > API & Security"}}},
    "vendor/filled": {"values": {"TOKEN": {"filledByHand": "Vendor > Settings"}}},
    "vendor/rotated": {
        "values": {**_RANDOM, "TOKEN": {"filledByHand": "Vendor > Settings"}},
        "rotation": _ROTATION,
    },
    "sessions": {"values": _RANDOM, "rotation": {**_ROTATION, "scheduleExpression": "cron(0 3 1 * ? *)"}},
    "pending": {"values": _RANDOM, "rotation": _ROTATION},
    "deleted": {"values": _RANDOM},
    "lost": {"values": _RANDOM},
    "forbidden": {"values": _RANDOM, "encryption": "aws-managed"},
    **{f"drift/{kind}": {"values": _RANDOM, "policy": POLICY} for kind in DRIFTING},
    **{f"drift/{kind}": {"values": _RANDOM, "rotation": _ROTATION} for kind in ROTATING},
}
del SECRETS["sessions"]["rotation"]["automaticallyAfterDays"]

WORKLOADS: dict[str, dict[str, Any]] = {
    "rails": {
        "kubernetes": {
            "operator": "external-secrets",
            "namespace": "shop",
            "serviceAccount": "rails",
            "oidcProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/X",
        },
        "environment": {
            "STRIPE": {"secret": "app"},
            "KEY": {"secret": "sessions"},
            "TOKEN": {"secret": "vendor/prismic", "required": True},
        },
    },
    "worker": {"ecs": {}, "environmentFrom": ["app"]},
}


def configure(stack: Stack) -> None:
    """Writes the stack file."""
    stack.configure(SECRETS, workloads=WORKLOADS, tags={"team": "web"}, recoveryWindowDays=7)


@dataclass(frozen=True)
class Done:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Asked:
    """A deployed stack of which the status can be had."""

    stack: Stack

    def status(self, now: datetime | None = None, **more: Any) -> Status:  # noqa: ANN401  what `status` takes
        """In this process."""
        return status("test", folder=self.stack.folder, now=now, **more)

    def secret(self, name: str, now: datetime | None = None) -> Secret:
        """Of one secret."""
        return next(secret for secret in self.status(now).secrets if secret.name == name)

    def command(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Done:
        """The command line, in this process: the imports alone take a second."""
        output, errors = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, {**self.stack.environment, **(environment or {})}, clear=True),
            chdir(self.stack.folder),
            redirect_stdout(output),
            redirect_stderr(errors),
        ):
            try:
                code = main(list(arguments))
            except SystemExit as ended:  # argparse
                code = int(str(ended.code))
        return Done(code, output.getvalue(), errors.getvalue())

    def process(self, command: str) -> Done:
        """A command in a shell, without a terminal."""
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=self.stack.folder,
            env={
                **self.stack.environment,
                "PYTHONPATH": str(ROOT),
                "PATH": f"{ROOT / '.venv' / 'bin'}:{self.stack.environment['PATH']}",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def values(self) -> list[str]:
        """Every value that the stack's secrets hold or held."""
        client, found = self.stack.client(), []
        for secret in SECRETS:
            try:
                versions = client.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True)["Versions"]
                for version in versions:
                    known = client.get_secret_value(SecretId=secret, VersionId=version["VersionId"])
                    found.append(known["SecretString"])
            except client.exceptions.ClientError:  # deleted by another test
                continue
        return found
