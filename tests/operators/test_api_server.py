"""A real API server accepts everything that the manifests can hold, with strict field validation."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from program.manifests.contract import Authorities, Operator, Source, Template, Workload
from program.manifests.kubernetes import manifests
from program.manifests.pod import pod_part
from program.manifests.yaml_files import render
from stack_file.template import parse
from tests.operators.cluster import Cluster, RejectedError, path_of
from tests.support.operator_cases import ARN, AWKWARD, NAMESPACE, SERVICE_ACCOUNT

MOST_READS = 1_000  # that the stack file accepts
SCHEMAS = Path(__file__).parents[1] / "manifests" / "schemas"
AUTHORITIES = Authorities(
    pem="-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n",
    path="/ca/ca.pem",
    variables=("B", "A"),
)
APPLICATION = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": NAMESPACE},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {"name": "web", "image": "web:1", "env": [{"name": "PORT", "value": "80"}]},
                    {"name": "sidecar", "image": "sidecar:1"},
                ]
            },
        },
    },
}


def source(key: str | None, name: str = "app") -> Source:
    return Source(secret_name=name, secret_arn=f"{ARN}{name}-AbCdEf", key=key)


def workload(**declared: Any) -> Workload:  # noqa: ANN401  any field of the contract
    fields = {"name": "web", "namespace": NAMESPACE, "service_account": SERVICE_ACCOUNT, **declared}
    return Workload(region="us-east-1", **fields)


def forms() -> Iterator[tuple[str, Workload]]:
    """Yield workloads that have every field of a contract, by name."""
    keys = {
        "environment": {f"V{number}": source(key) for number, key in enumerate(AWKWARD)},
        "files": {f"deep/{number}/k-1_2.pem": source(key) for number, key in enumerate(AWKWARD)},
    }
    template = Template(pieces=parse('{{"${a|url}": $${x}'), sources={"a": source("@this")})
    role = "arn:aws:iam::123456789012:role/path/web"
    for operator in ("external-secrets", "secrets-store-csi"):
        declared = workload(operator=operator, **keys)
        yield operator, declared
        yield f"{operator}-authorities", replace(declared, authorities=AUTHORITIES, restart="reloader")
        yield f"{operator}-checksum", replace(declared, restart="checksum", refresh_seconds=999 * 3600)
        yield (
            f"{operator}-longest",
            replace(declared, name="w" * 63, namespace="n" * 63, service_account="s" * 253, mount_path="/m"),
        )
        wholes: dict[str, Any] = {
            "environment": {"A": source(None, "team/app_1+=.@-")},
            "files": {"a": source(None)},
        }
        yield f"{operator}-whole", replace(declared, **wholes)
        most = {f"V{number}": source(f"K{number}") for number in range(MOST_READS)}
        yield f"{operator}-most", replace(declared, environment=most, files={})
        paths = {f"folder/{number}/{'f' * 200}": source(f"K{number}") for number in range(MOST_READS)}
        yield f"{operator}-most-files", replace(declared, environment={}, files=paths)
    yield "pod-identity", workload(operator="secrets-store-csi", pod_identity=True, **keys)
    yield "operator-role", workload(assumed_role=role, **keys)
    yield "templates", workload(environment={"T": template, "A": source("A")}, files={"t": template})
    yield "all-keys", workload(environment_from_all=(source(None), source(None, "b")), restart="reloader")


FORMS = dict(forms())


@pytest.fixture(scope="module", autouse=True)
def csi_driver(cluster: Cluster) -> None:
    """Make the API server know SecretProviderClass, by the recorded schema: Go's proxy lacks the driver."""
    schema = json.loads((SCHEMAS / "SecretProviderClass.json").read_text())
    cluster.apply_objects(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "secretproviderclasses.secrets-store.csi.x-k8s.io"},
            "spec": {
                "group": "secrets-store.csi.x-k8s.io",
                "names": {"kind": "SecretProviderClass", "plural": "secretproviderclasses"},
                "scope": "Namespaced",
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": _structural(schema)},
                    }
                ],
            },
        }
    )


def _structural(schema: Any) -> Any:  # noqa: ANN401  JSON
    """Return a schema as the API server wants it: properties exclude others without saying so."""
    if not isinstance(schema, dict):
        return schema
    return {
        key: _structural(value)
        for key, value in schema.items()
        if not (key == "additionalProperties" and value is False) and not key.startswith("$")
    }


def holds(stored: Any, declared: Any) -> bool:  # noqa: ANN401  JSON
    """Return whether an object has everything that was declared; the API server adds defaults."""
    if isinstance(declared, dict):
        return isinstance(stored, dict) and all(
            key in stored and holds(stored[key], value) for key, value in declared.items()
        )
    if isinstance(declared, list):
        return isinstance(stored, list) and len(stored) == len(declared) and all(map(holds, stored, declared))
    return bool(stored == declared)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    declared = FORMS[request.param]
    metadata = {"name": declared.namespace}
    cluster.apply_objects({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    yield request.param
    objects = [*manifests(declared), pod_part(declared)]
    for made in objects:
        cluster.call("DELETE", path_of(made))


@pytest.mark.parametrize("namespace", FORMS, indirect=True)
def test_the_api_server_stores_the_manifests_as_they_are(cluster: Cluster, namespace: str) -> None:
    declared = FORMS[namespace]
    objects = manifests(declared)
    assert holds(cluster.apply(render(objects)), objects)

    # the pod's part is merged into a Deployment that exists, as Kustomize and as `kubectl apply` merge it
    name, space = {"name": declared.name}, {"namespace": declared.namespace}
    application = json.loads(json.dumps(APPLICATION).replace('"name": "web"', f'"name": "{declared.name}"'))
    application["metadata"] = {**name, **space}
    part = pod_part(declared)
    cluster.apply_objects(application)
    path = f"{path_of(application)}?fieldValidation=Strict"
    merged = cluster.call("PATCH", path, json.dumps(part), "application/strategic-merge-patch+json")
    assert_merged(merged, application, part)
    cluster.call("DELETE", path_of(application))
    cluster.apply_objects(application)
    [applied] = cluster.apply(render([part]), "secrets")
    assert_merged(applied, application, part)


def assert_merged(merged: dict[str, Any], application: dict[str, Any], part: dict[str, Any]) -> None:
    pod, declared = merged["spec"]["template"]["spec"], part["spec"]["template"]["spec"]
    web, sidecar = pod["containers"]
    assert (web["image"], sidecar["image"]) == ("web:1", "sidecar:1")
    [ours] = declared["containers"]
    own = application["spec"]["template"]["spec"]["containers"][0]["env"]
    everything = {entry["name"]: entry["value"] for entry in [*ours.pop("env", []), *own]}
    assert {entry["name"]: entry["value"] for entry in web["env"]} == everything
    assert holds(web, ours)
    assert holds(pod, {**declared, "containers": []} | {"containers": pod["containers"]})
    assert holds(merged["metadata"], part["metadata"])
    assert holds(merged["spec"]["template"]["metadata"], part["spec"]["template"].get("metadata", {}))


@pytest.mark.parametrize("operator", ["external-secrets", "secrets-store-csi"])
def test_an_unknown_field_is_rejected(cluster: Cluster, operator: Operator) -> None:
    declared = workload(operator=operator, environment={"A": source("A")})
    for made in [*manifests(declared), pod_part(declared)]:
        wrong = yaml.safe_dump({**made, "spec": {**made["spec"], "typo": 1}})
        with pytest.raises(RejectedError, match="typo"):
            cluster.apply(wrong)
