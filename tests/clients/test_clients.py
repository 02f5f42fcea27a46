"""Real clients log in with verify-full, but only with the certificate authorities of the manifests."""

import re
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from program import authorities
from program.manifests.write import write
from tests.clients.conftest import DATABASE, IPV6, USERNAME, Certified, Pod
from tests.support.client_programs import PROGRAMS, Login, Result, UnavailableError, ready

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
    """A program that is ready to run."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    def run(self, logins: Sequence[Login], variables: Mapping[str, str]) -> Mapping[str, Sequence[Result]]:
        by_library = PROGRAMS[self.name].run(self.folder, logins, variables)
        assert all(len(results) == len(logins) for results in by_library.values())
        return by_library


@pytest.fixture(params=sorted(PROGRAMS), scope="module")
def client(request: pytest.FixtureRequest) -> Client:
    cache = request.config.cache
    assert cache is not None
    try:
        return Client(request.param, ready(request.param, cache.mkdir("clients")))
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def other_name(certified: Certified) -> Iterator[str]:
    """The only name in the server's certificate, from the same authority."""
    certified.present("other.example")
    yield "other.example"
    certified.present(certified.server.host, IPV6)


def test_clients_log_in_with_the_authority_in_a_variable(client: Client, pod: Pod) -> None:
    for library, results in client.run(pod.logins, pod.variables).items():
        assert results == EXPECTED, library


def test_clients_log_in_with_the_authority_in_the_url(client: Client, pod: Pod) -> None:
    by_library = dict(client.run(pod.with_path, {}))
    for library in ("JDBC", "pg from parts"):  # these do not use such URLs
        by_library.pop(library, None)
    for library, results in by_library.items():
        assert results == EXPECTED[:3], library


def test_no_client_logs_in_without_the_authority(client: Client, pod: Pod, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(authorities.of_regions(["us-east-1"]))
    for variables in ({}, dict.fromkeys(pod.variables, str(other))):
        for library, [result] in client.run(pod.logins[:1], variables).items():
            assert NOT_TRUSTED.search(result.error), (library, result)


def test_no_client_logs_in_to_a_server_with_a_different_name(
    client: Client, pod: Pod, other_name: str
) -> None:
    for library, [result] in client.run(pod.logins[:1], pod.variables).items():
        assert OTHER_NAME.search(result.error), (library, result, other_name)


def test_ecs_and_lambda_provide_the_same_file_as_pods(pod: Pod, tmp_path: Path) -> None:
    tasks = pod.outputs["tasks"]["databaseAuthorities"]
    [mount] = tasks["mountPoints"]
    folder = Path(mount["containerPath"])
    folder.mkdir()
    container = tasks["container"]
    variables = {entry["name"]: entry["value"] for entry in container["environment"]}
    subprocess.run([*container["entryPoint"], *container["command"]], env=variables, check=True)
    [variable] = tasks["environment"]
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
