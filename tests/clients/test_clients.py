"""Real clients log in with verify-full and the authority that the contract brings, and only with it."""

import re
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from program import authorities
from tests.clients.conftest import DATABASE, IPV6, USERNAME, Certified, Pod
from tests.clients.programs import PROGRAMS, Login, NotHereError, Result, ready
from workloads.write import write

EXPECTED = [
    Result(USERNAME, DATABASE),
    Result(f"{USERNAME}_clone", DATABASE),
    Result("six", DATABASE),
    Result(f"{USERNAME}_clone", DATABASE),
]
NOT_TRUSTED = re.compile(
    "root certificate file|certificate verify failed|unable to verify the first certificate|"
    "signed by unknown authority|PKIX path building failed"
)
OTHER_NAME = re.compile(
    "does not match host name|does not match certificate|not localhost|could not be verified by hostname"
)


class Client:
    """One of the programs, ready to run."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    def run(self, logins: Sequence[Login], variables: Mapping[str, str]) -> Mapping[str, Sequence[Result]]:
        found = PROGRAMS[self.name].run(self.folder, logins, variables)
        assert all(len(results) == len(logins) for results in found.values())
        return found


@pytest.fixture(params=sorted(PROGRAMS), scope="module")
def client(request: pytest.FixtureRequest) -> Client:
    cache = request.config.cache
    assert cache is not None
    try:
        return Client(request.param, ready(request.param, cache.mkdir("clients")))
    except NotHereError as error:
        pytest.skip(str(error))


@pytest.fixture
def other_name(certified: Certified) -> Iterator[str]:
    """The server shows a certificate of the same authority for this name alone."""
    certified.show("other.example")
    yield "other.example"
    certified.show(certified.server.host, IPV6)


def test_clients_log_in_with_the_authority_in_a_variable(client: Client, pod: Pod) -> None:
    for library, results in client.run(pod.logins, pod.variables).items():
        assert results == EXPECTED, library


def test_clients_log_in_with_the_authority_in_the_url(client: Client, pod: Pod) -> None:
    found = dict(client.run(pod.with_path, {}))
    for library in ("JDBC", "pg from parts"):  # they have no URL of this kind
        found.pop(library, None)
    for library, results in found.items():
        assert results == EXPECTED[:3], library


def test_no_client_logs_in_without_the_authority(client: Client, pod: Pod, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(authorities.of_regions(["us-east-1"]))
    for variables in ({}, dict.fromkeys(pod.variables, str(other))):
        for library, [result] in client.run(pod.logins[:1], variables).items():
            assert NOT_TRUSTED.search(result.error), (library, result)


def test_no_client_logs_in_to_a_server_with_another_name(client: Client, pod: Pod, other_name: str) -> None:
    for library, [result] in client.run(pod.logins[:1], pod.variables).items():
        assert OTHER_NAME.search(result.error), (library, result, other_name)


def test_ecs_and_lambda_bring_the_same_file_as_pods_have(pod: Pod, tmp_path: Path) -> None:
    needed = pod.outputs["tasks"]["databaseAuthorities"]
    [mount] = needed["mountPoints"]
    folder = Path(mount["containerPath"])
    folder.mkdir()
    container = needed["container"]
    variables = {entry["name"]: entry["value"] for entry in container["environment"]}
    subprocess.run([*container["entryPoint"], *container["command"]], env=variables, check=True)
    [variable] = needed["environment"]
    assert Path(variable["value"]).read_text() == pod.authorities.read_text()
    assert Path(variable["value"]).parent == folder

    function: dict[str, Any] = pod.outputs["function"]
    write({"function": function}, tmp_path)
    with zipfile.ZipFile(tmp_path / "function-layer.zip") as layer:
        layer.extractall(tmp_path / "opt")
    path = Path(function["environment"]["PGSSLROOTCERT"])
    file = tmp_path / "opt" / path.relative_to("/opt")
    assert file.read_text() == pod.authorities.read_text()
    assert (tmp_path / "function-ca.pem").read_text() == pod.authorities.read_text()
