"""A Kubernetes cluster without nodes: etcd and kube-apiserver, and the External Secrets Operator."""

import base64
import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.operators.programs import Programs
from tests.support.operator_cases import NAMESPACE
from tools.localcloud.certificates import make_authority, write_server_certificate
from tools.localcloud.ports import any_free_port

ISSUER = "https://oidc.eks.us-east-1.amazonaws.com/id/ABC"
_PATIENCE = 300  # seconds; a start takes five, and a hundred on a machine with much else to do
_HOST = "127.0.0.1"
_OPERATOR = "external-secrets"
_PLURALS = {
    "ConfigMap": "configmaps",
    "CustomResourceDefinition": "customresourcedefinitions",
    "Deployment": "deployments",
    "ExternalSecret": "externalsecrets",
    "Secret": "secrets",
    "SecretProviderClass": "secretproviderclasses",
    "SecretStore": "secretstores",
    "ServiceAccount": "serviceaccounts",
}


class RejectedError(Exception):
    """The API server rejected a request; the message is its own."""


@dataclass(frozen=True)
class Cluster:
    """A running API server, with the administrator's token.

    Attributes:
        server: its address.
        folder: its certificates, tokens and logs.
        token: of the administrator; `operator_token` is the operator's.
        http: connections that verify its certificate.
    """

    server: str
    folder: Path
    token: str = field(repr=False)
    operator_token: str = field(repr=False)
    http: urllib3.PoolManager = field(repr=False)

    def call(self, method: str, path: str, body: str = "", content: str = "application/json") -> Any:  # noqa: ANN401  JSON
        """Return the answer of one request.

        Raises:
            RejectedError: the API server answered with an error.
        """
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content}
        answer = self.http.request(
            method, self.server + path, body=body.encode() or None, headers=headers, retries=False, timeout=60
        )
        found = json.loads(answer.data) if answer.data[:1] == b"{" else answer.data.decode()
        if answer.status >= 400:
            raise RejectedError(found["message"] if isinstance(found, dict) else found)
        return found

    def apply(self, text: str, field_manager: str = "tests") -> list[dict[str, Any]]:
        """Apply YAML documents with strict field validation, as `kubectl apply --server-side` does.

        Returns:
            The objects as the API server stored them.

        Raises:
            RejectedError: it rejected one of them, for a field that it does not know, too.
        """
        return [
            self.call(
                "PATCH",
                f"{path_of(yaml.safe_load(document))}?fieldManager={field_manager}&fieldValidation=Strict",
                document,
                "application/apply-patch+yaml",
            )
            for document in documents(text)
        ]

    def apply_objects(self, *objects: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self.apply(yaml.safe_dump_all(objects, sort_keys=False))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", path_of(_identified(kind, name)))
        return found

    def data(self, name: str) -> dict[str, bytes]:
        """Return the data of a Secret."""
        found = self.get("Secret", name).get("data") or {}
        return {key: base64.b64decode(value) for key, value in found.items()}

    def delete(self, kind: str, name: str) -> None:
        self.call("DELETE", path_of(_identified(kind, name)))

    def synced(self, name: str) -> None:
        """Have the operator read again by an ExternalSecret, and wait until it has."""
        path = path_of(_identified("ExternalSecret", name))

        def version() -> str | None:
            status = self.call("GET", path).get("status", {})
            found: str | None = status.get("syncedResourceVersion") if _is_ready(status) == "True" else None
            return found

        # the operator notes a digest of the annotations that it has read by
        before = self.call("GET", path).get("status", {}).get("syncedResourceVersion")
        self._touch(path)
        until(
            lambda: (found := version()) is not None and found != before,
            f"the operator did not read by {name}: {self.events(name)}",
        )

    def failed(self, name: str) -> list[str]:
        """Have the operator read again by an ExternalSecret, wait until it fails; return its messages."""
        path = path_of(_identified("ExternalSecret", name))
        self._touch(path)
        until(
            lambda: _is_ready(self.call("GET", path).get("status", {})) == "False" and self.events(name),
            f"the operator did not fail at {name}",
        )
        return self.events(name)

    def events(self, name: str) -> list[str]:
        """Return the messages of the warnings about an ExternalSecret."""
        selector = f"involvedObject.name={name},involvedObject.kind=ExternalSecret,type=Warning"
        found = self.call("GET", f"/api/v1/namespaces/{NAMESPACE}/events?fieldSelector={selector}")["items"]
        return sorted({event["message"] for event in found})

    def _touch(self, path: str) -> None:
        mark = json.dumps({"metadata": {"annotations": {"force-sync": secrets.token_hex(8)}}})
        self.call("PATCH", path, mark, "application/merge-patch+json")


def _is_ready(status: Mapping[str, Any]) -> str | None:
    return next((one["status"] for one in status.get("conditions", []) if one["type"] == "Ready"), None)


def until(found: Callable[[], Any], otherwise: str) -> Any:  # noqa: ANN401  what the caller finds
    """Return what `found` finds, once it is true."""
    deadline = time.monotonic() + _PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
    return value


def documents(text: str) -> list[str]:
    """Return the documents of a YAML text as kubectl divides it: at every line that begins with `---`."""
    return [document for document in re.split(r"(?m)^---.*$", text) if document.strip()]


def path_of(identified: Mapping[str, Any]) -> str:
    """Return the path of an object's resource."""
    version, metadata = identified["apiVersion"], identified["metadata"]
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    space = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    plural = _PLURALS.get(identified["kind"], f"{identified['kind'].lower()}s")
    return f"{root}{space}/{plural}/{metadata['name']}"


def _identified(kind: str, name: str) -> dict[str, Any]:
    version = {"ExternalSecret": "external-secrets.io/v1", "SecretStore": "external-secrets.io/v1"}
    return {
        "apiVersion": version.get(kind, "apps/v1" if kind == "Deployment" else "v1"),
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
    }


@contextmanager
def running_cluster(programs: Programs, folder: Path) -> Iterator[Cluster]:
    """Run etcd and an API server that knows the operator's resources and permissions."""
    with ExitStack() as stack:
        etcd = stack.enter_context(_etcd(programs, folder))
        cluster = stack.enter_context(_api_server(programs, folder, etcd))
        cluster.apply_objects({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for file in programs.custom_resources:
            cluster.apply(file.read_text())
        cluster.apply_objects(*_permissions(programs.permissions.read_text()))
        yield cluster


@contextmanager
def running_operator(
    programs: Programs, cluster: Cluster, environment: Mapping[str, str], endpoint: str
) -> Iterator[None]:
    """Run the External Secrets Operator with AWS at this endpoint."""
    kubeconfig = cluster.folder / "kubeconfig"
    _write_privately(kubeconfig, json.dumps(_kubeconfig(cluster)))
    command = [str(programs.operator), "--metrics-addr=127.0.0.1:0", "--concurrent=4", "--loglevel=error"]
    surroundings = {
        "HOME": str(cluster.folder),
        "KUBECONFIG": str(kubeconfig),
        "AWS_SECRETSMANAGER_ENDPOINT": endpoint,
        "AWS_STS_ENDPOINT": endpoint,
        **environment,
    }
    with _running(command, cluster.folder / "operator.log", surroundings):
        yield


@contextmanager
def _etcd(programs: Programs, folder: Path) -> Iterator[str]:
    client, peer = (f"http://{_HOST}:{any_free_port()}" for _ in range(2))
    command = [
        str(programs.etcd),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=error",
    ]
    with _running(command, folder / "etcd.log", {}) as is_running:
        _until_healthy(urllib3.PoolManager(), f"{client}/health", is_running, folder / "etcd.log")
        yield client


@contextmanager
def _api_server(programs: Programs, folder: Path, etcd: str) -> Iterator[Cluster]:
    authority = make_authority("cluster")
    files = {name: folder / f"{name}.pem" for name in ("authority", "certificate", "key", "accounts")}
    files["authority"].write_bytes(authority.pem())
    write_server_certificate(authority, "localhost", files["certificate"], files["key"], others=[_HOST])
    _write_privately(
        files["accounts"],
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        .decode(),
    )
    tokens = {name: secrets.token_hex(16) for name in ("administrator", _OPERATOR)}
    _write_privately(
        folder / "tokens.csv",
        f'{tokens["administrator"]},administrator,1,"system:masters"\n{tokens[_OPERATOR]},{_OPERATOR},2\n',
    )
    port = any_free_port()
    command = [
        str(programs.api_server),
        f"--etcd-servers={etcd}",
        f"--bind-address={_HOST}",
        f"--advertise-address={_HOST}",
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        f"--tls-cert-file={files['certificate']}",
        f"--tls-private-key-file={files['key']}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={files['accounts']}",
        f"--service-account-signing-key-file={files['accounts']}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
        "--profiling=false",
    ]
    log = folder / "api-server.log"
    http = urllib3.PoolManager(ca_certs=str(files["authority"]))
    server = f"https://{_HOST}:{port}"
    with _running(command, log, {}) as is_running:
        _until_healthy(http, f"{server}/readyz", is_running, log)
        yield Cluster(server, folder, tokens["administrator"], tokens[_OPERATOR], http)


def _until_healthy(http: urllib3.PoolManager, url: str, is_running: Callable[[], bool], log: Path) -> None:
    def is_healthy() -> bool:
        assert is_running(), f"it ended: {log.read_text()[-2000:]}"
        try:
            return http.request("GET", url, retries=False, timeout=5).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    until(is_healthy, f"{url} is not healthy: {log}")


def _permissions(template: str) -> list[dict[str, Any]]:
    """Return the operator's ClusterRole, with all that its Helm template can grant, and its binding."""
    plain = "\n".join(line for line in documents(template)[0].splitlines() if "{{" not in line)
    rules = yaml.safe_load(plain[plain.index("rules:") :])["rules"]
    api, metadata = "rbac.authorization.k8s.io/v1", {"name": _OPERATOR}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _OPERATOR}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": _OPERATOR}
    return [
        {"apiVersion": api, "kind": "ClusterRole", "metadata": metadata, "rules": rules},
        {
            "apiVersion": api,
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": role,
            "subjects": [user],
        },
    ]


def _kubeconfig(cluster: Cluster) -> dict[str, Any]:
    authority = str(cluster.folder / "authority.pem")
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [
            {"name": "tests", "cluster": {"server": cluster.server, "certificate-authority": authority}}
        ],
        "users": [{"name": _OPERATOR, "user": {"token": cluster.operator_token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": _OPERATOR}}],
    }


def _write_privately(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


@contextmanager
def _running(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> Iterator[Callable[[], bool]]:
    """Run a program with its output in a file; end it with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath, **environment},
        )
    try:
        yield lambda: process.poll() is None
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
