"""A stack of this program in its own folder, driven by the real Pulumi CLI on its own local cloud."""

import atexit
import functools
import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import boto3
import yaml

from tests.support.example_project import PROJECT_FILE, config
from tests.support.key_service import secrets_provider
from tests.support.local_engine import stack_environment

ROOT = Path(__file__).parents[2]
PROGRAM = ("__main__.py", "program", "stack_file", "components", ".venv")
CONFIGURED = "configured-value-7a31"


@dataclass(frozen=True)
class Stack:
    """`folder` holds Pulumi.yaml, the program (linked) and the stack file of stack `test`."""

    folder: Path
    environment: Mapping[str, str]
    endpoint: str

    @property
    def file(self) -> Path:
        return self.folder / "Pulumi.test.yaml"

    def pulumi(
        self, *arguments: str, check: bool = True, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the CLI without a terminal; with `check`, a failure shows its output."""
        done = subprocess.run(
            ["pulumi", "--non-interactive", "--color=never", *arguments],
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done

    def up(self, *arguments: str) -> list[str]:
        """Update; return `op name` of each step that changed something."""
        return self._steps("up", "--yes", "--skip-preview", *arguments)

    def preview(self, *arguments: str) -> list[str]:
        return self._steps("preview", *arguments)

    def refresh(self) -> list[str]:
        return self._steps("refresh", "--yes", "--skip-preview")

    def _steps(self, *arguments: str) -> list[str]:
        log = self.folder / "events.json"
        log.unlink(missing_ok=True)
        self.pulumi(*arguments, "--event-log", str(log))
        return steps(log)

    def configure(self, secrets: Mapping[str, Any], **stack_wide: object) -> None:
        """Write the stack file, keeping the salt and the encrypted config value."""
        written = yaml.safe_load(self.file.read_text())
        kept = {
            key: value
            for key, value in written.get("config", {}).items()
            if key.startswith("aws:") or key == "aws-secrets:stripeKey"
        }
        structure = {"secrets": secrets, **stack_wide}
        written["config"] = kept | {f"aws-secrets:{key}": value for key, value in structure.items()}
        self.file.write_text(yaml.safe_dump(written))

    def configure_secretly(self, key: str, value: str) -> None:
        """Set an encrypted config value."""
        subprocess.run(  # on standard input: other tests watch every command line on the machine
            ["pulumi", "--non-interactive", "config", "set", "--secret", key],
            cwd=self.folder,
            env=dict(self.environment),
            input=value,
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def client(
        self,
        service: str = "secretsmanager",
        region: str = "us-east-1",
        credentials: Mapping[str, str] | None = None,
    ) -> Any:
        """Return a client with the administrator's credentials, or with those of an STS session."""
        given = credentials or {"AccessKeyId": "test", "SecretAccessKey": "test"}
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given.get("SessionToken"),
        )

    def value(self, secret: str) -> dict[str, str]:
        """Return a secret's live JSON."""
        found: dict[str, str] = json.loads(self.client().get_secret_value(SecretId=secret)["SecretString"])
        return found

    def edit(self, secret: str, **changes: str) -> dict[str, str]:
        """Edit a secret in AWS by hand; return the new JSON."""
        edited = {**self.value(secret), **changes}
        self.client().put_secret_value(SecretId=secret, SecretString=json.dumps(edited))
        return edited

    def collect_versions(self) -> None:
        """Remove the versions without a staging label now, which AWS does in its own time."""
        request = urllib.request.Request(f"{self.endpoint}/_localcloud/collect-versions", data=b"{}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == HTTPStatus.OK

    def function_log(self) -> str:
        """Return everything the stack's functions logged."""
        logs = self.client("logs")
        lines = []
        for group in logs.describe_log_groups()["logGroups"]:
            name = group["logGroupName"]
            for stream in logs.describe_log_streams(logGroupName=name)["logStreams"]:
                events = logs.get_log_events(logGroupName=name, logStreamName=stream["logStreamName"])
                lines += [event["message"] for event in events["events"]]
        return "\n".join(lines)

    def state(self) -> dict[str, Any]:
        """Return the deployment from the backend: what `pulumi stack export` prints, without an engine."""
        [file] = _state(self.environment).glob(".pulumi/stacks/*/test.json")
        found: dict[str, Any] = json.loads(file.read_text())["checkpoint"]["latest"] or {}
        return found

    def version_count(self, secret: str) -> int:
        listed = self.client().list_secret_version_ids(SecretId=secret, IncludeDeprecated=True)
        return len(listed["Versions"])


def steps(event_log: Path) -> list[str]:
    """Return `op name` of each changing step in an event log, without components."""
    events = [json.loads(line) for line in event_log.read_text().splitlines() if line.strip()]
    metadata = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
    return [
        f"{step['op']} {step['urn'].rpartition('::')[2]}"
        for step in metadata
        if step["op"] not in {"same", "refresh"} and not step["type"].startswith(("pulumi:", "aws-secrets:"))
    ]


def new_stack(
    folder: Path, environment: Mapping[str, str], endpoint: str, *, provider: str | None = None
) -> Stack:
    """Create the folder and the stack `test`, with the example's stack file.

    Args:
        folder: project's folder.
        environment: of the engine's commands.
        endpoint: address of the emulator.
        provider: what encrypts the stack's secrets (default: a key service that ends with this process).
    """
    made = _made_once(provider or secrets_provider())
    shutil.copytree(made / "state", _state(environment), dirs_exist_ok=True)
    stack = _project(folder, environment, endpoint)
    stack.file.write_text((made / "project" / stack.file.name).read_text())
    return stack


@functools.cache
def _made_once(provider: str) -> Path:
    """Return a folder with the state and stack file of a new stack, which take the engine a second."""
    folder = Path(tempfile.mkdtemp(prefix="engine-stack-"))
    atexit.register(shutil.rmtree, folder)
    stack = _project(folder / "project", stack_environment(folder, "http://127.0.0.1:1"), "")
    stack.pulumi("stack", "init", "test", f"--secrets-provider={provider}")
    local = config("local")
    local.pop("aws-secrets:stripeKey", None)
    local.pop("aws-secrets:databases")  # tests of databases have their own server
    local.pop("aws-secrets:workloads")
    made = yaml.safe_load(stack.file.read_text()) if stack.file.exists() else {}
    stack.file.write_text(yaml.safe_dump({**made, "config": local}))
    stack.configure_secretly("stripeKey", CONFIGURED)
    return folder


def _project(folder: Path, environment: Mapping[str, str], endpoint: str) -> Stack:
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAM:
        (folder / name).symlink_to(ROOT / name)
    (folder / "Pulumi.yaml").write_text(PROJECT_FILE)
    # PULUMI_DEBUG_COMMANDS is for --event-log
    return Stack(folder, {**environment, "PULUMI_STACK": "test", "PULUMI_DEBUG_COMMANDS": "true"}, endpoint)


def _state(environment: Mapping[str, str]) -> Path:
    return Path(environment["PULUMI_BACKEND_URL"].removeprefix("file://"))


def start(stack: Stack, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start the CLI in the background in its own process group, with its output in `background.log`."""
    with (stack.folder / "background.log").open("wb") as log:
        return subprocess.Popen(
            ["pulumi", "--non-interactive", "--color=never", *arguments],
            cwd=stack.folder,
            env=dict(stack.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
