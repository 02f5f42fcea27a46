"""Many secrets, throttling, and overdue rotations, without the engine."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from operations.status import Status, status
from tests.support.emulator_functions import client, deploy, until, zipped
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.example_project import PROJECT_FILE
from tests.support.stacks import ROOT

MANY = 300

# Moves every date in the emulator's data 40 days back, as if no rotation had worked since.
AGE = """
import sys
from contextlib import nullcontext
from pathlib import Path
from tools.localcloud.emulator import secrets_service, state
path, day = Path(sys.argv[1]), 86_400
restored = state.load(path)
assert restored.restored
for secret in secrets_service.all_secrets():
    secret.created -= 40 * day
    if secret.name == "late-by-its-date":
        secret.rotation.closes -= 40 * day
    if secret.rotation.last:
        secret.rotation.last -= 40 * day
    for version in secret.versions.values():
        version.created -= 40 * day
state.save(path, restored.instance, nullcontext())
"""


def project(folder: Path, secrets: dict[str, Any], **more: object) -> Path:
    """Write a project whose stack `many` declares these secrets; `__` in `more` stands for a colon."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Pulumi.yaml").write_text(PROJECT_FILE)
    config: dict[str, object] = {
        "aws:region": "us-east-1",
        "aws-secrets:encryption": "aws-managed",
        "aws-secrets:secrets": secrets,
    }
    config |= {key.replace("__", ":"): value for key, value in more.items()}
    (folder / "Pulumi.many.yaml").write_text(yaml.safe_dump({"config": config}))
    return folder


def use_emulator(emulator: Emulator, patch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment.items():
        patch.setenv(name, value)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, Path]]:
    """An emulator with MANY secrets, and the project that declares them."""
    names = [f"app-{number:03d}" for number in range(MANY)]
    hand = {"values": {"TOKEN": {"filledByHand": "Vendor > Settings"}}}
    with running_emulator(None) as emulator:
        secrets = client(emulator, "secretsmanager")

        def create(name: str) -> None:
            created = secrets.create_secret(Name=name, SecretString='{"TOKEN": ""}')
            secrets.update_secret_version_stage(
                SecretId=name, VersionStage="aws-secrets-initial", MoveToVersionId=created["VersionId"]
            )

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(create, names))
        yield emulator, project(tmp_path_factory.mktemp("crowd"), dict.fromkeys(names, hand))


def test_each_secret_takes_one_request_and_one_for_its_policy(
    crowd: tuple[Emulator, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator, folder = crowd
    use_emulator(emulator, monkeypatch)
    before = emulator.log.read_text()
    found = status("many", folder=folder)
    requests = emulator.log.read_text()[len(before) :]
    assert (found.summary.secrets, found.summary.waiting, found.summary.drift) == (MANY, MANY, 0)
    assert requests.count("secretsmanager DescribeSecret") == MANY
    assert requests.count("secretsmanager GetResourcePolicy") == MANY
    assert requests.count("secretsmanager") == 2 * MANY
    assert len(requests.splitlines()) == 2 * MANY + 1  # the last is GetCallerIdentity


def test_skipping_policies_halves_the_requests(
    crowd: tuple[Emulator, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator, folder = crowd
    use_emulator(emulator, monkeypatch)
    before = emulator.log.read_text()
    assert status("many", folder=folder, policies=False).summary.waiting == MANY
    assert emulator.log.read_text()[len(before) :].count("secretsmanager") == MANY


def test_tags_are_compared_as_by_the_provider(
    crowd: tuple[Emulator, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    emulator, _ = crowd
    use_emulator(emulator, monkeypatch)
    tags = {"team": "web", "owner": "me", "cost": "12", "kubernetes.io/cluster": "blue"}
    client(emulator, "secretsmanager").create_secret(
        Name="tagged", SecretString="{}", Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )
    declared = {"tagged": {"values": {"KEY": {"random": {}}}, "tags": {"owner": "me"}}}
    for more, differing in (
        ({}, ["no cost", "no kubernetes.io/cluster", "no team"]),
        ({"aws__defaultTags": {"tags": {"team": "web"}}}, ["no cost", "no kubernetes.io/cluster"]),
        (
            {
                "aws__defaultTags": {"tags": {"team": "web"}},
                "aws__ignoreTags": {"keys": ["cost"], "keyPrefixes": ["kubernetes.io/"]},
            },
            [],
        ),
    ):
        [secret] = status("many", folder=project(tmp_path, declared, **more)).secrets
        assert [one.declared for one in secret.drift] == differing


class Throttling(ThreadingHTTPServer):
    """A proxy for an emulator that throttles every third request."""

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Throttled)
        self.endpoint, self.lock, self.number, self.throttled = endpoint, Lock(), 0, 0


class _Throttled(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Throttling

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.number += 1
            throttle = self.server.number % 3 == 0
            self.server.throttled += throttle
        if throttle:
            code, answer = HTTPStatus.BAD_REQUEST, b'{"__type": "ThrottlingException", "message": "slower"}'
        else:
            request = Request(self.server.endpoint, data=body, headers=dict(self.headers), method="POST")
            with urlopen(request, timeout=20) as answered:
                code, answer = HTTPStatus(answered.status), answered.read()
        self.send_response(code)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def test_throttled_status_is_complete(
    crowd: tuple[Emulator, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    emulator, folder = crowd
    use_emulator(emulator, monkeypatch)
    few = yaml.safe_load((folder / "Pulumi.many.yaml").read_text())["config"]["aws-secrets:secrets"]
    small = project(tmp_path, dict(list(few.items())[:5]))
    with Throttling(emulator.endpoint) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        try:
            found = status("many", folder=small)
        finally:
            server.shutdown()
    assert server.throttled >= 3
    assert (found.summary.waiting, found.summary.unknown) == (5, 0)


def test_rotation_with_past_dates_is_overdue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data, names = tmp_path / "data", ("late-by-its-date", "late-by-its-schedule")
    with running_emulator(data) as emulator:
        function = deploy(emulator, "rotate", zipped(ROTATE))
        client(emulator, "lambda").add_permission(
            FunctionName="rotate",
            StatementId="sm",
            Action="lambda:InvokeFunction",
            Principal="secretsmanager.amazonaws.com",
        )
        for name in names:
            create_rotated(emulator, name, function)
        declared = {
            "values": {"KEY": {"random": {}}},
            "rotation": {"functionArn": function, "automaticallyAfterDays": 30},
        }
        folder = project(tmp_path / "project", dict.fromkeys(names, declared))
        use_emulator(emulator, monkeypatch)
        assert states(status("many", folder=folder)) == ["on-schedule", "on-schedule"]
    subprocess.run([sys.executable, "-c", AGE, str(data)], cwd=ROOT, check=True)
    with running_emulator(data) as emulator:
        use_emulator(emulator, monkeypatch)
        found = status("many", folder=folder)
        assert states(found) == ["overdue", "overdue"]
        assert [secret.problems[0].text.partition(":")[0] for secret in found.secrets] == [
            "The rotation is overdue",
            "The rotation is overdue",
        ]
        secrets = client(emulator, "secretsmanager")
        for name in names:
            secrets.put_secret_value(SecretId=name, SecretString='{"KEY": "by hand"}')
        # an edit counts as a rotation, as on AWS, but does not move NextRotationDate
        assert states(status("many", folder=folder)) == ["overdue", "on-schedule"]


def create_rotated(emulator: Emulator, name: str, function: str) -> None:
    """Create a secret that has rotated once."""
    secrets = client(emulator, "secretsmanager")
    secrets.create_secret(Name=name, SecretString='{"KEY": "first"}')
    rules = {"AutomaticallyAfterDays": 30}
    secrets.rotate_secret(SecretId=name, RotationLambdaARN=function, RotationRules=rules)
    until(lambda: secrets.describe_secret(SecretId=name).get("LastRotatedDate"))


def states(found: Status) -> list[str]:
    return [secret.rotation.state for secret in found.secrets if secret.rotation]


ROTATE = """
import boto3
def handle(event, context):
    step, secret, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    manager = boto3.client("secretsmanager")
    if step == "createSecret":
        manager.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString='{"KEY": "next"}',
                                 VersionStages=["AWSPENDING"])
    if step == "finishSecret":
        stages = manager.describe_secret(SecretId=secret)["VersionIdsToStages"]
        current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        manager.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token,
                                            RemoveFromVersionId=current)
"""
