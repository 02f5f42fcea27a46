"""The stack that the status tests deploy, and ways to query its status."""

import io
import os
import subprocess
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from unittest.mock import patch

from operations.status import Status, status
from operations.status.command import main
from operations.status.model import Secret
from tests.support.stacks import ROOT, Stack

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
    "aged": {
        "values": {"KEY": {"config": "stripeKey", "expires": "2199-01-31"}},
        "maxAgeDays": 3650,
    },
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
    """Write the stack file."""
    stack.configure(SECRETS, workloads=WORKLOADS, tags={"team": "web"}, recoveryWindowDays=7)


@dataclass(frozen=True)
class CommandResult:
    """The result of a command."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class StatusStack:
    """A deployed stack whose status can be queried."""

    stack: Stack

    def status(self, now: datetime | None = None, **more: Any) -> Status:
        """Return the status, queried in this process."""
        return status("test", folder=self.stack.folder, now=now, **more)

    def secret(self, name: str, now: datetime | None = None) -> Secret:
        """Return the status of one secret."""
        return next(secret for secret in self.status(now).secrets if secret.name == name)

    def command(self, *arguments: str, environment: Mapping[str, str] | None = None) -> CommandResult:
        """Run the command line in this process: the imports alone take a second."""
        output, errors = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, {**self.stack.environment, **(environment or {})}, clear=True),
            chdir(self.stack.folder),
            redirect_stdout(output),
            redirect_stderr(errors),
        ):
            try:
                code = main(list(arguments))
            except SystemExit as exited:  # argparse
                code = int(str(exited.code))
        return CommandResult(code, output.getvalue(), errors.getvalue())

    def process(self, command: str) -> CommandResult:
        """Run a shell command without a terminal."""
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
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def values(self) -> list[str]:
        """Return every value that the stack's secrets hold or held."""
        client, values = self.stack.client(), []
        for secret in SECRETS:
            try:
                versions = client.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True)["Versions"]
                for version in versions:
                    response = client.get_secret_value(SecretId=secret, VersionId=version["VersionId"])
                    values.append(response["SecretString"])
            except client.exceptions.ClientError:  # deleted by another test
                continue
        return values
