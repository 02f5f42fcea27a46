"""A PostgreSQL, logins created by the program and the rotation function, and a pod that reads them."""

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

from components.lambdas.rotation import store
from components.lambdas.rotation.protocol import SERVERS_VARIABLE, fingerprint
from program.manifests.write import rendered
from tests.support import operators
from tests.support.client_programs import Login
from tests.support.recorded_run import Recording, run
from tests.support.rotation_world import World, administrator, provision, put_admin_secret, rotate
from tools.localcloud import postgres
from tools.localcloud.certificates import Authority, make_authority, write_server_certificate
from tools.localcloud.postgres import PostgresServer
from tools.localcloud.postgres_process import read_cluster

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
    """A pod's environment, as the manifests declare it.

    Attributes:
        variables: the environment variables that point to the certificate authorities.
        authorities: the file with them.
        logins: one login before and after a rotation, one whose host is an IPv6 address, and the first one at
            its reader.
        with_path: the first three, with the file's path in the URL.
        outputs: outputs of the stack's workloads, by name.
    """

    variables: dict[str, str]
    authorities: Path
    logins: list[Login]
    with_path: list[Login]
    outputs: dict[str, Any]


@pytest.fixture(scope="module")
def secrets() -> Iterator[Any]:
    """A client of an emulated Secrets Manager, to which the environment points the function."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.secrets_manager"],
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
    """A server with certificates of a test authority, which is also in `ca_file`."""

    server: PostgresServer
    authority: Authority

    def present(self, host: str, *addresses: str) -> None:
        """Make the server present a certificate for these names."""
        cluster = read_cluster(self.server.directory)
        assert cluster is not None
        file = Path(cluster.data, "server.crt")
        write_server_certificate(self.authority, host, file, file.with_suffix(".key"), others=addresses)
        with _superuser(self.server) as connection:
            connection.run("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 20
        while self._presented() != ssl.PEM_cert_to_DER_cert(file.read_text()):
            assert time.monotonic() < deadline, "the server still presents the old certificate"
            time.sleep(0.01)

    def _presented(self) -> bytes | None:
        any_name = ssl.create_default_context(cafile=str(self.server.ca_file))
        any_name.check_hostname = False
        with socket.create_connection(("127.0.0.1", self.server.port)) as connected:
            connected.sendall(_REQUEST_FOR_TLS)
            assert connected.recv(1) == b"S"
            with any_name.wrap_socket(connected) as secured:
                return secured.getpeercert(binary_form=True)


@pytest.fixture(scope="module")
def certified() -> Iterator[Certified]:
    """A server that is reachable as localhost and ::1, with a certificate for both."""
    # the server's user must be able to enter, which pytest's own folders do not allow
    folder = Path(tempfile.mkdtemp(prefix="tests-clients-postgres-"))
    try:
        server = postgres.start(folder)
        certified = Certified(server, make_authority("clients' PostgreSQL"))
        server.ca_file.write_bytes(server.ca_file.read_bytes() + certified.authority.pem())
        certified.present(server.host, IPV6)
        with _Forwarder((IPV6, server.port), _Pump) as forwarder:
            threading.Thread(target=forwarder.serve_forever, daemon=True).start()
            yield certified
            forwarder.shutdown()
    finally:
        postgres.remove(folder)


def _superuser(server: PostgresServer) -> Any:  # noqa: ANN401  pg8000 is untyped
    any_name = ssl.create_default_context(cafile=str(server.ca_file))
    any_name.check_hostname = False
    login = (server.superuser, server.host, "postgres", server.port, server.superuser_password)
    return pg8000.native.Connection(*login, ssl_context=any_name)


class _Forwarder(socketserver.ThreadingTCPServer):
    """A forwarder that listens on ::1, where the server does not."""

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
    with contextlib.suppress(OSError):  # either side may close at any time
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def pod(certified: Certified, secrets: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:  # noqa: ANN401  boto3
    """A pod of a workload that reads two logins and their certificate authorities."""
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
        arns = {name: _create(world, recording, name) for name in ("shop", "six")}
        before = _environment_of(recording, secrets, arns, path)
        rotate(world, arns["shop"])
        after = _environment_of(recording, secrets, arns, path)
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


def _create(world: World, recording: Recording, name: str) -> str:
    """Create a secret with the initial value from the program, and its role; return the ARN."""
    [value] = [
        resource.inputs["secretString"]
        for resource in recording.resources
        if resource.type == _SECRET_VERSION and resource.name.startswith(f"{name}-")
    ]
    tags = [{"Key": "aws-secrets:rotation", "Value": "postgres-alternating"}]
    arn: str = world.secrets.create_secret(Name=name, SecretString=value, Tags=tags)["ARN"]
    provision(arn, Username=json.loads(value)["username"], Grants="read-only")
    return arn


def _environment_of(
    recording: Recording,
    secrets: Any,  # noqa: ANN401  boto3 is untyped
    arns: dict[str, str],
    path: Path,
) -> tuple[dict[str, Login], dict[str, Login], dict[str, str]]:
    """Create the pod's environment, and write its file.

    Returns:
        Logins, logins with the file's path in their URL, and variables that point to the file.
    """
    manifests, pod_text = rendered(recording.outputs["workloads"]["pods"]["contract"])
    for name, arn in arns.items():
        manifests = manifests.replace(
            f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf", arn
        )
    objects = list(yaml.safe_load_all(manifests))
    pod = yaml.safe_load(pod_text)
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
