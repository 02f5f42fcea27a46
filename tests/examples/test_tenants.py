"""The example service in its own process, over HTTP, on the local cloud."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from examples.tenants.streams import MAX_STREAMS_PER_CLIENT
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.gate_proxy import gate
from tests.support.local_engine import stack_environment
from tests.support.projects import client, wait_for_end

ROOT = Path(__file__).parents[2]
TOKEN = "token-of-the-tests"
GIVEN = "sk_live_given-by-the-client"
RANDOM = {"keys": {"API_KEY": {"random": {"length": 24}}}}


@dataclass(frozen=True)
class Service:
    """A running service and its clients' requests."""

    process: "subprocess.Popen[bytes]" = field(repr=False)
    port: int
    log: Path

    def request(
        self, method: str, path: str, body: object = None, token: str = TOKEN
    ) -> tuple[int, dict[str, Any]]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        result: dict[str, Any] = json.loads(response.read())
        return response.status, result

    def put(self, name: str, tenant: object) -> None:
        status, response = self.request("PUT", f"/tenants/{name}", tenant)
        assert status == HTTPStatus.ACCEPTED, response

    @contextmanager
    def watching(self, name: str) -> Iterator[Iterator[dict[str, Any]]]:
        """Yield the progress of a tenant's update; disconnect at the end of the block."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", f"/tenants/{name}/progress", headers={"Authorization": f"Bearer {TOKEN}"})
        response = connection.getresponse()
        try:
            yield (json.loads(line) for line in response)
        finally:
            connection.close()

    def ready(self, name: str) -> dict[str, Any]:
        """Return the tenant once its update is over."""
        with self.watching(name) as progress:
            for _ in progress:
                pass
        for _ in range(2000):
            status, tenant = self.request("GET", f"/tenants/{name}")
            if status != HTTPStatus.OK or tenant["state"] != "updating":
                return tenant
            select.select([], [], [], 0.05)
        raise AssertionError(tenant)


@contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Iterator[Service]:
    """Run the service on a free port; send SIGTERM at the end unless it has exited."""
    log = folder.parent / f"service-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "examples.tenants"],
            cwd=ROOT,
            env={
                **environment,
                "AWS_REGION": "us-east-1",
                "TENANTS_FOLDER": str(folder),
                "TENANTS_PORT": "0",
                "TENANTS_TOKEN": TOKEN,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Service(process, _port(process, log), log)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    while process.poll() is None:
        if match := re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text()):
            return int(match[1])
        select.select([], [], [], 0.02)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def environment(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return stack_environment(tmp_path_factory.mktemp("cloud"), emulator.endpoint)


@pytest.fixture(scope="module")
def service(environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service") / "tenants", environment) as running_service:
        yield running_service


def value(emulator: Emulator, name: str) -> dict[str, str]:
    response = client(emulator).get_secret_value(SecretId=f"tenants/{name}")
    live: dict[str, str] = json.loads(response["SecretString"])
    return live


def test_a_tenant_is_created_changed_and_deleted_without_showing_values(
    service: Service, emulator: Emulator
) -> None:
    service.put("acme", {**RANDOM, "given": {"STRIPE": GIVEN}})
    tenant = service.ready("acme")
    assert tenant["state"] == "ready", tenant
    assert sorted(tenant["secret"]["keys"]) == ["API_KEY", "STRIPE"]
    live = value(emulator, "acme")
    assert live["STRIPE"] == GIVEN
    assert len(live["API_KEY"]) == 24
    service.put("acme", {"keys": {**RANDOM["keys"], "TOKEN": {"filledByHand": "the vendor"}}})
    tenant = service.ready("acme")
    assert tenant["secret"]["filledByHand"] == {"TOKEN": "the vendor"}
    assert value(emulator, "acme") == live
    folder = service.log.parent
    texts = [json.dumps(tenant), service.log.read_text()]
    texts += [path.read_text() for path in folder.rglob("*") if path.is_file()]
    for secret in (*live.values(), TOKEN):
        shows = [text for text in texts if secret in text]
        assert not shows
    assert service.request("DELETE", "/tenants/acme")[0] == HTTPStatus.ACCEPTED
    service.ready("acme")
    assert service.request("GET", "/tenants/acme")[0] == HTTPStatus.NOT_FOUND
    assert client(emulator).describe_secret(SecretId="tenants/acme")["DeletedDate"]


def test_tenants_can_be_created_concurrently(service: Service, emulator: Emulator) -> None:
    names = ("first", "second")
    for name in names:
        service.put(name, {"keys": {"NAME": {"value": name}}})
    assert [service.ready(name)["state"] for name in names] == ["ready", "ready"]
    assert [value(emulator, name) for name in names] == [{"NAME": name} for name in names]


def test_a_client_that_disconnects_does_not_stop_the_update(service: Service, emulator: Emulator) -> None:
    service.put("disconnected", RANDOM)
    with service.watching("disconnected") as progress:
        assert next(progress)["event"]
    assert service.ready("disconnected")["state"] == "ready"
    assert value(emulator, "disconnected").keys() == {"API_KEY"}


def test_a_tenant_with_a_running_update_is_busy(
    emulator: Emulator, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with (
        gate(emulator.endpoint, "CreateSecret") as held,
        running(tmp_path / "tenants", {**environment, "AWS_ENDPOINT_URL": held.address}) as service,
    ):
        service.put("busy", RANDOM)
        assert held.reached.wait(timeout=60)
        for method in ("PUT", "DELETE"):
            status, response = service.request(method, "/tenants/busy", RANDOM)
            assert status == HTTPStatus.CONFLICT
            assert "is being updated" in response["detail"]
        held.opened.set()
        assert service.ready("busy")["state"] == "ready"


def test_streams_need_no_threads_and_are_limited_per_client(
    emulator: Emulator, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with (
        gate(emulator.endpoint, "CreateSecret") as held,
        running(tmp_path / "tenants", {**environment, "AWS_ENDPOINT_URL": held.address}) as service,
        ExitStack() as watchers,
    ):
        service.put("watched", RANDOM)
        assert held.reached.wait(timeout=60)
        threads = _threads(service.process.pid)
        watched = [watchers.enter_context(service.watching("watched")) for _ in range(MAX_STREAMS_PER_CLIENT)]
        assert MAX_STREAMS_PER_CLIENT > 40  # the number of threads that the service has for requests
        assert {next(progress)["event"] for progress in watched} <= {"StepStarted", "StepDone", "Message"}
        # some for starting the requests, none for the streams
        assert _threads(service.process.pid) - threads <= 40
        assert service.request("GET", "/tenants/watched") == (200, pending("watched"))
        assert service.request("PUT", "/tenants/watched", RANDOM)[0] == HTTPStatus.CONFLICT
        assert service.request("PUT", "/tenants/other", {"kys": {}})[0] == HTTPStatus.UNPROCESSABLE_ENTITY
        status, response = service.request("GET", "/tenants/watched/progress")
        assert status == HTTPStatus.TOO_MANY_REQUESTS
        assert "close one first" in response["detail"]
        watchers.pop_all().close()
        held.opened.set()
        tenant = service.ready("watched")  # also streams, so the closed streams no longer count
        assert tenant["state"] == "ready", tenant


def pending(name: str) -> dict[str, Any]:
    """Return the status of a tenant with a running update."""
    return {"name": name, "state": "updating", "secret": None, "error": None}


def _threads(process: int) -> int:
    return len(list(Path(f"/proc/{process}/task").iterdir()))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_restarted_service_completes_an_interrupted_update(
    emulator: Emulator, environment: Mapping[str, str], tmp_path: Path, end: signal.Signals
) -> None:
    name = f"ended-{end.name.lower()}"
    folder = tmp_path / "tenants"
    with gate(emulator.endpoint, "CreateSecret") as held:
        with running(folder, {**environment, "AWS_ENDPOINT_URL": held.address}) as service:
            service.put(name, RANDOM)
            assert held.reached.wait(timeout=60)
            service.process.send_signal(end)
            if end == signal.SIGTERM:
                # the service waits for the engine, which waits for AWS
                held.opened.set()
            service.process.wait(timeout=60)
        assert (folder / f"{name}.pending").exists()
        held.opened.set()
        with running(folder, environment) as service:
            tenant = service.ready(name)
            assert tenant["state"] == "ready", tenant
    assert not (folder / f"{name}.pending").exists()
    assert value(emulator, name).keys() == {"API_KEY"}
    versions = client(emulator).list_secret_version_ids(SecretId=f"tenants/{name}", IncludeDeprecated=True)
    assert len(versions["Versions"]) == 1


@pytest.mark.parametrize("written", [False, True])
def test_an_update_is_completed_after_its_engine_was_killed(
    emulator: Emulator, environment: Mapping[str, str], tmp_path: Path, *, written: bool
) -> None:
    name = f"killed-{'after' if written else 'before'}"
    folder = tmp_path / "tenants"
    with (
        gate(emulator.endpoint, "PutSecretValue") as held,
        running(folder, {**environment, "AWS_ENDPOINT_URL": held.address}) as service,
    ):
        held.loses = not written
        service.put(name, RANDOM)
        assert held.reached.wait(timeout=60)
        engine = _engine_of(folder)
        os.kill(engine, signal.SIGKILL)
        wait_for_end(engine)
        held.operation = "none"
        held.opened.set()
        tenant = service.ready(name)
    assert tenant["state"] == "ready", tenant
    assert value(emulator, name).keys() == {"API_KEY"}
    listed = client(emulator).list_secret_version_ids(SecretId=f"tenants/{name}")["Versions"]
    first = min(listed, key=lambda version: version["CreatedDate"])
    assert "AWSCURRENT" in first["VersionStages"]


def _engine_of(folder: Path) -> int:
    """Return the process of the engine that runs in this folder."""
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            works_here = (entry / "cwd").resolve() == folder.resolve()
        except OSError:
            continue
        if works_here and Path(command[0].decode()).name == "pulumi":
            return int(entry.name)
    raise AssertionError("no engine runs")


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (("PUT", "/tenants/bad", {"keys": {"A": {"random": {"length": "x"}}}}), 422, "whole number"),
        (("PUT", "/tenants/bad", {"keys": {}}), 422, "values"),
        (("PUT", "/tenants/bad", {"given": {"A": {"not": GIVEN}}}), 422, "string"),
        (("PUT", "/tenants/bad", {"given": {"not a key": GIVEN}}), 422, "pattern"),
        (("PUT", "/tenants/bad", {"kys": {}}), 422, "not permitted"),
        (("PUT", "/tenants/Bad", RANDOM), 422, "pattern"),
        (("GET", "/tenants/nobody", None), 404, "tenant nobody does not exist"),
        (("GET", "/tenants/nobody/progress", None), 404, "tenant nobody does not exist"),
        (("DELETE", "/tenants/nobody", None), 404, "tenant nobody does not exist"),
    ],
)
def test_an_invalid_request_is_rejected_with_an_explanation(
    service: Service, request_: tuple[str, str, object], status: int, words: str
) -> None:
    actual, response = service.request(*request_)
    assert actual == status, response
    assert words in json.dumps(response)
    assert GIVEN not in json.dumps(response)
    assert service.request("GET", "/tenants/bad")[0] == HTTPStatus.NOT_FOUND
    assert GIVEN not in service.log.read_text()
    assert "Traceback" not in service.log.read_text()


def test_requests_without_the_token_are_denied(service: Service) -> None:
    for token in ("", "another"):
        assert service.request("GET", "/tenants/acme", token=token)[0] == HTTPStatus.UNAUTHORIZED
