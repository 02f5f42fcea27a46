"""A PostgreSQL, logins as the program and the rotation function make them, and what a pod has of them."""

import contextlib
import json
import os
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pg8000.native
import pytest
import yaml
from botocore.config import Config

from functions.rotation import store
from functions.rotation.postgres_authority import SERVERS_VARIABLE, fingerprint
from localcloud import postgres
from localcloud.certificates import Authority, make_authority, write_server_certificate
from localcloud.postgres import PostgresServer
from localcloud.postgres_process import read_cluster
from tests.clients.programs import Login
from tests.rotation.world import World, administrator, provision, put_admin_secret, rotate
from tests.unit.recorded_run import Recording, run
from tests.workloads import operators

PASSWORD = "p@ss:w/rd?#%&=+ 'q\"\\ é"
USERNAME = "shop app@1"
DATABASE = "shop söhne"
IPV6 = "::1"

_SECRET_VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
_REQUEST_FOR_TLS = (8).to_bytes(4, "big") + (80_877_103).to_bytes(4, "big")  # PostgreSQL's SSLRequest
_PARTS = ("host", "port", "dbname", "username", "password")
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True)
class Pod:
    """What a pod has of the contract.

    Attributes:
        variables: those that lead to the certificate authorities.
        authorities: the file, which is where the manifests say.
        logins: of one login before and after a rotation, of one whose host is an IPv6 address, and of the
            first at its reader.
        with_path: the first three, with the file's path in the URL.
        outputs: of the stack's workloads, by name.
    """

    variables: dict[str, str]
    authorities: Path
    logins: list[Login]
    with_path: list[Login]
    outputs: dict[str, Any]


@pytest.fixture(scope="module")
def secrets() -> Iterator[Any]:
    """A client of an emulated Secrets Manager, which the function finds in its environment."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.rotation.secrets_manager"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    before = dict(os.environ)
    try:
        endpoint = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        os.environ.update(_ENVIRONMENT, AWS_ENDPOINT_URL=endpoint)
        store._client.cache_clear()  # other tests of this process have another endpoint
        yield boto3.client("secretsmanager", config=Config(retries={"total_max_attempts": 1}))
    finally:
        process.stdin.close()
        process.wait()
        os.environ.clear()
        os.environ.update(before)
        store._client.cache_clear()


@dataclass(frozen=True)
class Certified:
    """A server that shows certificates of an authority of the test's own, which `ca_file` has too."""

    server: PostgresServer
    authority: Authority

    def show(self, host: str, *addresses: str) -> None:
        """Have the server show a certificate for these names from now on."""
        cluster = read_cluster(self.server.directory)
        assert cluster is not None
        file = Path(cluster.data, "server.crt")
        write_server_certificate(self.authority, host, file, file.with_suffix(".key"), others=addresses)
        with _superuser(self.server) as connection:
            connection.run("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 20
        while self._shown() != ssl.PEM_cert_to_DER_cert(file.read_text()):
            assert time.monotonic() < deadline, "the server still shows the old certificate"
            time.sleep(0.01)

    def _shown(self) -> bytes | None:
        any_name = ssl.create_default_context(cafile=str(self.server.ca_file))
        any_name.check_hostname = False
        with socket.create_connection(("127.0.0.1", self.server.port)) as connected:
            connected.sendall(_REQUEST_FOR_TLS)
            assert connected.recv(1) == b"S"
            with any_name.wrap_socket(connected) as secured:
                return secured.getpeercert(binary_form=True)


@pytest.fixture(scope="module")
def certified() -> Iterator[Certified]:
    """A server that is reached as localhost and as ::1, with a certificate for both."""
    # the server's user must be able to enter, which pytest's own folders do not allow
    folder = Path(tempfile.mkdtemp(prefix="tests-clients-postgres-"))
    try:
        server = postgres.start(folder)
        made = Certified(server, make_authority("clients' PostgreSQL"))
        server.ca_file.write_bytes(server.ca_file.read_bytes() + made.authority.pem())
        made.show(server.host, IPV6)
        with _Forwarder((IPV6, server.port), _Pump) as forwarder:
            threading.Thread(target=forwarder.serve_forever, daemon=True).start()
            yield made
            forwarder.shutdown()
    finally:
        postgres.remove(folder)


def _superuser(server: PostgresServer) -> Any:  # noqa: ANN401  pg8000 is untyped
    any_name = ssl.create_default_context(cafile=str(server.ca_file))
    any_name.check_hostname = False
    login = (server.superuser, server.host, "postgres", server.port, server.superuser_password)
    return pg8000.native.Connection(*login, ssl_context=any_name)


class _Forwarder(socketserver.ThreadingTCPServer):
    """Listens on ::1, where the server does not."""

    address_family = socket.AF_INET6
    daemon_threads = True
    allow_reuse_address = True


class _Pump(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.request.getsockname()[1])) as there:
            back = threading.Thread(target=_copy, args=(there, self.request), daemon=True)
            back.start()
            _copy(self.request, there)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # either side may go at any time
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def pod(certified: Certified, secrets: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:  # noqa: ANN401  boto3
    """A pod of a workload that reads two logins and asks for their authorities."""
    server = certified.server
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_CA_FILE", str(server.ca_file))
        world = World(server, secrets, put_admin_secret(secrets, server))
        known = [fingerprint(world.admin_arn, host, server.port) for host in (server.host, IPV6)]
        environment.setenv(SERVERS_VARIABLE, " ".join(known))
        with administrator(server) as connection:
            connection.run(f"CREATE DATABASE {pg8000.native.identifier(DATABASE)}")
        path = tmp_path_factory.mktemp("pod") / "authorities" / "ca.pem"
        recording = _deployed(world, path)
        arns = {name: _make(world, recording, name) for name in ("shop", "six")}
        before = _obtained(recording, secrets, arns, path)
        rotate(world, arns["shop"])
        after = _obtained(recording, secrets, arns, path)
        logins = [before[0]["shop"], after[0]["shop"], after[0]["six"]]
        with_path = [before[1]["shop"], after[1]["shop"], after[1]["six"]]
        logins.append(replace(after[0]["shop"], url=after[2].pop("shop_reader_url")))
        yield Pod(after[2], path, logins, with_path, recording.outputs["workloads"])


def _deployed(world: World, path: Path) -> Recording:
    server = {
        "port": world.server.port,
        "outsideVpc": True,
        "certificateAuthorities": str(world.server.ca_file),
        "admin": {"secretArn": world.admin_arn},
    }
    login = {"username": USERNAME, "database": DATABASE, "password": {"config": "configured"}}
    reads: dict[str, Any] = {}
    for name in ("shop", "six"):
        reads[f"{name}_url"] = {"secret": name, "key": "DATABASE_URL"}
        reads[f"{name}_url_with_path"] = {
            "template": f"${{url}}&sslrootcert={path}",
            "keys": {"url": {"secret": name, "key": "DATABASE_URL"}},
        }
        reads |= {f"{name}_{part}": {"secret": name, "key": part} for part in _PARTS}
    reads["shop_reader_url"] = {"secret": "shop", "key": "DATABASE_READER_URL"}
    authorities = {"path": str(path), "variables": ["PGSSLROOTCERT", "NODE_EXTRA_CA_CERTS"]}
    pods = {"operator": "external-secrets", "role": "pods"}
    plain = {"environment": {"DATABASE_URL": {"secret": "shop"}}}
    return run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:databases": {
                "shop": {
                    **server,
                    "host": world.server.host,
                    "readerHost": world.server.host,
                    "logins": {"shop": {**login, "readerUrl": True}},
                },
                "six": {**server, "host": IPV6, "logins": {"six": {**login, "username": "six"}}},
            },
            "aws-secrets:workloads": {
                "pods": {"kubernetes": pods, "environment": reads, "databaseAuthorities": authorities},
                "tasks": {"ecs": {}, **plain, "databaseAuthorities": {"path": f"{path.parent}-ecs/ca.pem"}},
                "function": {"lambda": {"role": "function"}, **plain, "databaseAuthorities": {}},
            },
        },
        {"aws-secrets:configured": PASSWORD},
    )


def _make(world: World, recording: Recording, name: str) -> str:
    """The secret with the first value that the program gives it, and the role that the function makes."""
    [value] = [
        found.inputs["secretString"]
        for found in recording.resources
        if found.type == _SECRET_VERSION and found.name.startswith(f"{name}-")
    ]
    tags = [{"Key": "aws-secrets:rotation", "Value": "postgres-alternating"}]
    arn: str = world.secrets.create_secret(Name=name, SecretString=value, Tags=tags)["ARN"]
    provision(arn, Username=json.loads(value)["username"], Grants="read-only")
    return arn


def _obtained(
    recording: Recording,
    secrets: Any,  # noqa: ANN401  boto3 is untyped
    arns: dict[str, str],
    path: Path,
) -> tuple[dict[str, Login], dict[str, Login], dict[str, str]]:
    """Logins, logins with the path in their URL, and variables that lead to the file; the file is written."""
    output = recording.outputs["workloads"]["pods"]
    manifests = output["manifests"]
    for name, arn in arns.items():
        manifests = manifests.replace(
            f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf", arn
        )
    objects = list(yaml.safe_load_all(manifests))
    pod = yaml.safe_load(output["pod"])
    variables, files = operators.container(pod, operators.external_secrets(secrets, objects), {}, objects)
    for file, text in files.items():
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_text(text)
    assert path.is_file()
    plain, with_path = {}, {}
    for name in arns:
        parts = {part: variables.pop(f"{name}_{part}") for part in _PARTS}
        plain[name] = Login(url=variables.pop(f"{name}_url"), **parts)
        with_path[name] = replace(plain[name], url=variables.pop(f"{name}_url_with_path"))
    return plain, with_path, variables
