"""The outcome of ECS deployments, and the health checks after them."""

import http.server
import itertools
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from operations.renewal import services
from operations.renewal.model import Failure
from operations.rotate import health
from operations.status.aws import AwsSession
from stack_file.workloads import Redeploy, Restart
from tools.localcloud.certificates import make_authority, write_server_certificate

SERVICE = Redeploy(cluster="shop", service="web")
NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
ROLLBACK = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1."


def deployment(name: str, state: str = "COMPLETED", minutes: int = 0, **more: Any) -> dict[str, Any]:  # noqa: ANN401  as ECS answers
    return {
        "id": name,
        "status": "PRIMARY",
        "rolloutState": state,
        "createdAt": NOW + timedelta(minutes=minutes),
        "runningCount": 2,
        **more,
    }


def described(*deployments: dict[str, Any]) -> dict[str, Any]:
    return {"status": "ACTIVE", "desiredCount": 2, "runningCount": 2, "deployments": [*deployments]}


OLD = deployment("old", status="ACTIVE", minutes=-60)
FAILED = deployment("ours", "FAILED", status="ACTIVE", runningCount=0)


@pytest.mark.parametrize(
    ("deployments", "state"),
    [
        ((deployment("ours"),), "done"),
        ((deployment("ours", "IN_PROGRESS"), OLD), "running"),
        ((deployment("ours", runningCount=1),), "running"),
        ((deployment("ours", "FAILED"), OLD), "failed"),
        # the circuit breaker's rollback is primary and complete
        ((deployment("back", minutes=1, rolloutStateReason=ROLLBACK), FAILED), "failed"),
        ((deployment("back", minutes=1, rolloutStateReason=ROLLBACK),), "failed"),
        ((deployment("other", minutes=1),), "replaced"),
        ((deployment("other", minutes=1), deployment("ours", status="ACTIVE")), "replaced"),
        # the tasks of a deployment that has failed earlier are gone
        ((deployment("ours"), deployment("bad", "FAILED", status="ACTIVE", runningCount=0)), "done"),
        ((), "running"),
    ],
)
def test_a_deployment_is_done_only_if_it_is_the_primary_one(
    deployments: tuple[dict[str, Any], ...], state: str
) -> None:
    assert services.progress(described(*deployments), "ours").state == state


@pytest.mark.parametrize(
    ("newest", "is_adopted"),
    [
        (deployment("newer", minutes=1), True),
        (deployment("newer", "IN_PROGRESS", minutes=1), True),
        (deployment("newer", minutes=-1), False),
        (deployment("newer", "FAILED", minutes=1), False),
        (deployment("newer", minutes=1, rolloutStateReason=ROLLBACK), False),
    ],
)
def test_only_a_deployment_since_the_change_makes_another_superfluous(
    newest: dict[str, Any], is_adopted: bool
) -> None:
    ecs = MagicMock()
    ecs.describe_services.return_value = {"services": [described(newest)]}
    ecs.update_service.return_value = {"service": described(deployment("ours", minutes=2), newest)}
    assert services.deploy(ecs, SERVICE, NOW) == ("newer" if is_adopted else "ours")
    assert ecs.update_service.called is not is_adopted


def test_a_service_that_begins_no_deployment_is_a_failure() -> None:
    ecs = MagicMock()
    ecs.describe_services.return_value = {"services": [described(OLD)]}
    ecs.update_service.return_value = {"service": described(OLD)}
    with pytest.raises(Failure, match="began no deployment of service shop/web"):
        services.deploy(ecs, SERVICE, NOW)


@pytest.mark.parametrize(
    ("looks", "is_healthy"),
    [
        ([[]] * 9, True),
        ([["bad"]] * 3 + [[]] * 9, True),
        # good, but not for long enough without a break
        ([[], [], ["bad"]] * 9, False),
        ([["bad"]] * 30, False),
    ],
)
def test_a_reader_is_healthy_once_it_stays_so(looks: list[list[str]], is_healthy: bool) -> None:
    checks = MagicMock()
    checks.restart = Restart.model_validate({"alarms": ("slow",), "timeoutSeconds": 10, "watchSeconds": 3})
    checks.problems.side_effect = looks
    stop, seconds = MagicMock(), itertools.count()
    stop.wait.return_value = False
    if is_healthy:
        health.wait(checks, "", stop, lambda: float(next(seconds)))
        return
    with pytest.raises(Failure, match="Not healthy after 10 seconds"):
        health.wait(checks, "", stop, lambda: float(next(seconds)))


DRIPPING = 0
"""The status of a server that never finishes its first line."""


@contextmanager
def serving(folder: Path, status: int, host: str = "localhost") -> Iterator[str]:
    authority = make_authority("test")
    write_server_certificate(authority, host, folder / "server.crt", folder / "server.key")
    (folder / "ca.pem").write_bytes(authority.pem())
    stopped = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            while status == DRIPPING:
                self.wfile.write(b"H")
                if stopped.wait(0.05):
                    return
            self.send_response(status)
            self.send_header("Location", "https://localhost/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"https://localhost:{server.server_address[1]}/health"
    stopped.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "host", "is_trusted", "words"),
    [
        (204, "localhost", True, ""),
        (503, "localhost", True, "answers with status 503"),
        (302, "localhost", True, "answers with status 302"),
        (200, "localhost", False, "certificate"),
        (200, "other.example", True, "ostname mismatch"),
    ],
)
def test_a_url_must_answer_with_success_over_verified_tls(  # noqa: PLR0913, PLR0917  pytest's parameters
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, host: str, is_trusted: bool, words: str
) -> None:
    with serving(tmp_path, status, host) as url:
        if is_trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        checks = health.Checks(aws=AwsSession("us-east-1", None), restart=Restart(url=url), service=None)
        problems = checks.problems()
    assert [words in problem for problem in problems] == ([True] if words else []), problems


def test_a_url_that_answers_byte_by_byte_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_URL_SECONDS", 0.5)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with serving(tmp_path, DRIPPING) as url:
        checks = health.Checks(aws=AwsSession("us-east-1", None), restart=Restart(url=url), service=None)
        assert checks.problems() == [f"{url} does not answer: timed out"]


def test_a_host_that_no_server_can_have_does_not_answer() -> None:
    restart = Restart(url=f"https://{'a' * 64}.example")
    [problem] = health.Checks(aws=AwsSession("us-east-1", None), restart=restart, service=None).problems()
    assert "does not answer" in problem


@pytest.mark.parametrize(
    "url", ["http://shop.example", "https://u:p@shop.example", "https://s.example/#x", "shop"]
)
def test_a_url_without_tls_or_with_credentials_is_rejected(url: str) -> None:
    with pytest.raises(ValueError, match="refusal"):
        Restart.model_validate_json(json.dumps({"url": url}))
