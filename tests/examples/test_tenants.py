"""The example service as a process of its own, over HTTP, on the local cloud."""

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

from examples.tenants.streams import MOST_OF_A_CLIENT
from tests.automation.gate_proxy import gate
from tests.automation.projects import client, wait_for_end
from tests.local_engine import stack_environment
from tests.localcloud.emulator_process import Emulator, running_emulator

ROOT = Path(__file__).parents[2]
TOKEN = "token-of-the-tests"
GIVEN = "sk_live_given-by-the-client"
RANDOM = {"keys": {"API_KEY": {"random": {"length": 24}}}}


@dataclass(frozen=True)
class Service:
    """A running service; its clients' requests."""

    process: "subprocess.Popen[bytes]" = field(repr=False)
    port: int
    log: Path

    def ask(
        self, method: str, path: str, body: object = None, token: str = TOKEN
    ) -> tuple[int, dict[str, Any]]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        told: dict[str, Any] = json.loads(answer.read())
        return answer.status, told

    def put(self, name: str, wanted: object) -> None:
        status, told = self.ask("PUT", f"/tenants/{name}", wanted)
        assert status == HTTPStatus.ACCEPTED, told

    @contextmanager
    def watching(self, name: str) -> Iterator[Iterator[dict[str, Any]]]:
        """The progress of a tenant's update; leaving goes away as a client does."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", f"/tenants/{name}/progress", headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        try:
            yield (json.loads(line) for line in answer)
        finally:
            connection.close()

    def ready(self, name: str) -> dict[str, Any]:
        """What is told of a tenant when its update is over."""
        with self.watching(name) as progress:
            for _ in progress:
                pass
        for _ in range(2000):
            status, told = self.ask("GET", f"/tenants/{name}")
            if status != HTTPStatus.OK or told["state"] != "updating":
                return told
            select.select([], [], [], 0.05)
        raise AssertionError(told)


@contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Iterator[Service]:
    """The service on a free port, ended with SIGTERM unless the test ended it."""
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
        found = re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text())
        if found:
            return int(found[1])
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
    found: dict[str, str] = json.loads(
        client(emulator).get_secret_value(SecretId=f"tenants/{name}")["SecretString"]
    )
    return found


def test_a_tenant_is_made_changed_and_deleted_and_no_value_is_told(
    service: Service, emulator: Emulator
) -> None:
    service.put("acme", {**RANDOM, "given": {"STRIPE": GIVEN}})
    told = service.ready("acme")
    assert told["state"] == "ready", told
    assert sorted(told["secret"]["keys"]) == ["API_KEY", "STRIPE"]
    made = value(emulator, "acme")
    assert made["STRIPE"] == GIVEN
    assert len(made["API_KEY"]) == 24
    service.put("acme", {"keys": {**RANDOM["keys"], "TOKEN": {"filledByHand": "the vendor"}}})
    told = service.ready("acme")
    assert told["secret"]["filledByHand"] == {"TOKEN": "the vendor"}
    assert value(emulator, "acme") == made
    folder = service.log.parent
    texts = [json.dumps(told), service.log.read_text()]
    texts += [path.read_text() for path in folder.rglob("*") if path.is_file()]
    for secret in (*made.values(), TOKEN):
        shows = [text for text in texts if secret in text]
        assert not shows
    assert service.ask("DELETE", "/tenants/acme")[0] == HTTPStatus.ACCEPTED
    service.ready("acme")
    assert service.ask("GET", "/tenants/acme")[0] == HTTPStatus.NOT_FOUND
    assert client(emulator).describe_secret(SecretId="tenants/acme")["DeletedDate"]


def test_two_tenants_at_once_get_each_its_own(service: Service, emulator: Emulator) -> None:
    names = ("first", "second")
    for name in names:
        service.put(name, {"keys": {"NAME": {"value": name}}})
    assert [service.ready(name)["state"] for name in names] == ["ready", "ready"]
    assert [value(emulator, name) for name in names] == [{"NAME": name} for name in names]


def test_a_client_that_goes_away_in_the_middle_loses_nothing(service: Service, emulator: Emulator) -> None:
    service.put("gone", RANDOM)
    with service.watching("gone") as progress:
        assert next(progress)["event"]
    assert service.ready("gone")["state"] == "ready"
    assert value(emulator, "gone").keys() == {"API_KEY"}


def test_a_tenant_that_is_being_updated_is_not_updated_once_more(
    emulator: Emulator, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with (
        gate(emulator.endpoint, "CreateSecret") as held,
        running(tmp_path / "tenants", {**environment, "AWS_ENDPOINT_URL": held.address}) as service,
    ):
        service.put("busy", RANDOM)
        assert held.reached.wait(timeout=60)
        for method in ("PUT", "DELETE"):
            status, told = service.ask(method, "/tenants/busy", RANDOM)
            assert status == HTTPStatus.CONFLICT
            assert "is being updated" in told["detail"]
        held.opened.set()
        assert service.ready("busy")["state"] == "ready"


def test_open_streams_hold_no_thread_and_each_client_has_a_limited_number(
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
        watched = [watchers.enter_context(service.watching("watched")) for _ in range(MOST_OF_A_CLIENT)]
        assert MOST_OF_A_CLIENT > 40  # as many threads as the service has for its requests
        assert {next(progress)["event"] for progress in watched} <= {"StepStarted", "StepDone", "Message"}
        # some for the requests' own beginnings, none for the streams
        assert _threads(service.process.pid) - threads <= 40
        assert service.ask("GET", "/tenants/watched") == (200, pending("watched"))
        assert service.ask("PUT", "/tenants/watched", RANDOM)[0] == HTTPStatus.CONFLICT
        assert service.ask("PUT", "/tenants/other", {"kys": {}})[0] == HTTPStatus.UNPROCESSABLE_ENTITY
        status, told = service.ask("GET", "/tenants/watched/progress")
        assert status == HTTPStatus.TOO_MANY_REQUESTS
        assert "close one first" in told["detail"]
        watchers.pop_all().close()
        held.opened.set()
        told = service.ready("watched")  # watches too, so the places are free again
        assert told["state"] == "ready", told


def pending(name: str) -> dict[str, Any]:
    """What is told of a tenant that is being updated."""
    return {"name": name, "state": "updating", "secret": None, "error": None}


def _threads(process: int) -> int:
    return len(list(Path(f"/proc/{process}/task").iterdir()))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_service_that_ends_in_the_middle_completes_the_update_at_its_next_start(
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
                # it waits for the engine, which waits for AWS
                held.opened.set()
            service.process.wait(timeout=60)
        assert (folder / f"{name}.pending").exists()
        held.opened.set()
        with running(folder, environment) as service:
            told = service.ready(name)
            assert told["state"] == "ready", told
    assert not (folder / f"{name}.pending").exists()
    assert value(emulator, name).keys() == {"API_KEY"}
    versions = client(emulator).list_secret_version_ids(SecretId=f"tenants/{name}", IncludeDeprecated=True)
    assert len(versions["Versions"]) == 1


@pytest.mark.parametrize("written", [False, True])
def test_after_its_engine_was_killed_an_update_is_completed_and_loses_nothing(
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
        held.operation = "none any more"
        held.opened.set()
        told = service.ready(name)
    assert told["state"] == "ready", told
    assert value(emulator, name).keys() == {"API_KEY"}
    listed = client(emulator).list_secret_version_ids(SecretId=f"tenants/{name}")["Versions"]
    first = min(listed, key=lambda version: version["CreatedDate"])
    assert "AWSCURRENT" in first["VersionStages"]


def _engine_of(folder: Path) -> int:
    """The engine's process that works in this folder."""
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
        (("GET", "/tenants/nobody", None), 404, "there is no tenant nobody"),
        (("GET", "/tenants/nobody/progress", None), 404, "there is no tenant nobody"),
        (("DELETE", "/tenants/nobody", None), 404, "there is no tenant nobody"),
    ],
)
def test_a_bad_request_is_answered_in_words_and_changes_nothing(
    service: Service, request_: tuple[str, str, object], status: int, words: str
) -> None:
    found, told = service.ask(*request_)
    assert found == status, told
    assert words in json.dumps(told)
    assert GIVEN not in json.dumps(told)
    assert service.ask("GET", "/tenants/bad")[0] == HTTPStatus.NOT_FOUND
    assert GIVEN not in service.log.read_text()
    assert "Traceback" not in service.log.read_text()


def test_nobody_is_served_without_the_token(service: Service) -> None:
    for token in ("", "another"):
        assert service.ask("GET", "/tenants/acme", token=token)[0] == HTTPStatus.UNAUTHORIZED
